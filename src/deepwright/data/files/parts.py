"""Parts of data by the names of their folders and files, and whole data made of the parts that there are."""

from __future__ import annotations

import re

import torch

from deepwright.core.errors import InputError
from deepwright.data.dataset import Split
from deepwright.data.files.pieces import missing_part, one_piece, seen_validation

PART_OF = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_LEAST = 10  # samples of data in one piece


def part_in(name: str) -> str:
    """The part that a folder or a file is of, by its name (`val2017` is of the validation part); empty for others.

    Args:
        name: without its ending.
    """
    return PART_OF.get(re.sub(r"[\d_\-.]*$", "", name.lower()), "")


def complete_parts(
    given: dict[str, Split],
    name: str,
    shares: tuple[float, float],
    split: str | None,
    limit: int | None,
    train_limit: int | None,
    seed: int,
) -> tuple[dict[str, Split], list[str], bool]:
    """Train, validation and test of the parts that there are, what to tell, and whether validation may have been seen.

    Args:
        given: by part; data in one piece under "" (a lone part counts as that).
        name: of the data.
        shares: of the training and the validation part of data in one piece.
        split: "test" makes such data the test part.
        limit: at most so many test and validation samples each.
        train_limit: at most so many training samples.
        seed: of the draws.

    Raises:
        InputError: too few samples to cut.
    """
    seen = seen_validation(given)
    if len(given) == 1:
        whole = next(iter(given.values()))
        if len(whole) < _LEAST and split is None:
            expected = f"at least {_LEAST}"
            raise InputError(
                "samples", given=f"{len(whole)} to split", expected=expected, hint="--split test measures all"
            )
        rows, note = one_piece(whole.y, shares, split, seed)
        parts, notes = {part: whole.where(rows[part]) for part in ("train", "validation", "test")}, [note]
    else:
        cut, notes = missing_part({part: each.y for part, each in given.items()}, f"samples of {name}", split, seed)
        parts = {**given, **{part: given[source].where(rows) for part, (source, rows) in cut.items()}}
    most = {"train": train_limit, "validation": limit, "test": limit}
    empty = torch.zeros(0, dtype=torch.long)
    limited = {
        part: parts[part].take(most[part], seed) if part in parts else next(iter(parts.values())).where(empty)
        for part in most
    }
    return limited, notes, seen
