"""Parts of data by the names of their folders and files, and whole data made of the parts that there are."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.data.dataset import Split, stratified_order
from deepwright.data.files.pieces import cut_note, one_piece, part_to_cut, seen_validation, with_parts

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
        with_parts(split, name)
        parts, notes = dict(given), []
        if len(given) == 2:
            missing, source, count = part_to_cut(
                {part: len(each) for part, each in given.items()}, f"samples of {name}"
            )
            order: Tensor = stratified_order(given[source].y, seed)
            parts[missing], parts[source] = given[source].where(order[:count]), given[source].where(order[count:])
            notes = [cut_note(missing, source, count)]
    most = {"train": train_limit, "validation": limit, "test": limit}
    empty = torch.zeros(0, dtype=torch.long)
    limited = {
        part: parts[part].take(most[part], seed) if part in parts else next(iter(parts.values())).where(empty)
        for part in most
    }
    return limited, notes, seen
