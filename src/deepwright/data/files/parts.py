"""Parts of data by the names of their folders and files, and whole data made of the parts that there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from deepwright.core.errors import InputError
from deepwright.data.dataset import Data, Split
from deepwright.data.files.pieces import SHARES, missing_part, one_piece, seen_validation

T = TypeVar("T")
PART_OF = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
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


def by_part(found: Iterable[tuple[str, str, T]], path: Path) -> dict[str, T]:
    """Part -> what is of it.

    Args:
        found: (part, its name in the data, what it is).
        path: of the data.

    Raises:
        InputError: two of one part, of which one would be passed over.
    """
    names: dict[str, str] = {}
    parts: dict[str, T] = {}
    for part, name, each in found:
        if part in parts:
            given, hint = f"{names[part]} and {name}, both the {part} part", "join them, or take one of them away"
            raise InputError(f"{path}", given=given, expected="one of each part", hint=hint)
        names[part], parts[part] = name, each
    return parts


def data_of_parts(
    path: Path,
    kind: str,
    classes: tuple[str, ...],
    given: dict[str, Split],
    *,
    shares: tuple[float, float],
    split: str | None,
    seed: int,
    what: str = "samples",
    notes: Sequence[str] = (),
) -> Data:
    """A data set of the parts that there are; one that is missing is cut from another one, and notes say so.

    Args:
        path: of the data, which are named by it.
        kind: see `Data`.
        classes: their names.
        given: by part; a single one counts as data in one piece.
        shares: of the training and the validation part of data in one piece.
        split: "test" makes such data the test part.
        seed: of the draws.
        what: the samples are, in words.
        notes: what else to tell.

    Raises:
        InputError: too few samples to cut; samples of no part beside others.
    """
    parts, told = _completed(given, path, what, shares, split, seed)
    return Data(
        path.stem if path.is_file() else path.name,
        kind,
        classes,
        parts["train"],
        parts["validation"],
        parts["test"],
        notes=(*told, *notes),
        seen_validation=seen_validation(given),
    )


def _completed(
    given: dict[str, Split], path: Path, what: str, shares: tuple[float, float], split: str | None, seed: int
) -> tuple[dict[str, Split], list[str]]:
    if len(given) == 1:
        whole = next(iter(given.values()))
        if len(whole) < _LEAST and split is None:
            told = f"{len(whole)} {what} to split into train, validation and test"
            hint = "--split test measures all"
            raise InputError(str(path), given=told, expected=f"at least {_LEAST}", hint=hint)
        rows, note = one_piece(whole.y, shares, split, seed)
        return {part: whole.where(row) for part, row in rows.items()}, [note]
    beside = [each for part, each in given.items() if part not in SHARES]
    if beside:
        told = f"{len(beside[0])} {what} of no part beside {', '.join(part for part in given if part in SHARES)}"
        raise InputError(str(path), given=told, expected="all in train, validation or test, or none")
    cut, notes = missing_part({part: each.y for part, each in given.items()}, f"{what} of {path}", split, seed)
    return {**given, **{part: given[source].where(rows) for part, (source, rows) in cut.items()}}, notes
