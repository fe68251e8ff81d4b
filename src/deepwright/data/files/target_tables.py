"""Tables whose targets aren't one class a row: numbers (regression), or several columns of 0 and 1 (multi-label)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.data.dataset import Data
from deepwright.data.files.columns import require_few_values, surveyed
from deepwright.data.files.frames import Frames
from deepwright.data.files.pieces import require_split
from deepwright.data.files.tables import frames_of, table_of


def holds_labels(path: Path | str, targets: Sequence[str]) -> bool:
    """Whether all target columns of a file hold 0 and 1 only, but for holes.

    Args:
        path: the file.
        targets: columns.

    Raises:
        InputError: as `load_csv`.
    """
    frames = frames_of(path)
    _require_columns(frames, targets)
    return all(set(frame[name].dropna().unique().tolist()) <= {0, 1} for frame in frames for name in targets)


def load_targets(
    path: Path | str,
    targets: Sequence[str],
    *,
    labels: bool,
    split: str | None = None,
    skip_broken: bool = False,
    seed: int = 0,
    stream: bool | None = None,
    aside: Sequence[str] = (),
) -> Data:
    """A CSV or Parquet file with target columns that are numbers, or labels that apply (1) or not (0).

    Args:
        path: the file, with a header; text columns become one column a value.
        targets: the columns to predict.
        labels: whether they are labels, whose names are then those of the columns.
        split: "test" measures all rows.
        skip_broken: leave out rows with missing or infinite values instead of refusing.
        seed: of the split.
        stream: see `load_csv`.
        aside: see `load_csv`.

    Raises:
        InputError: no such column, text in it, other values than 0 and 1 as labels, missing values.
    """
    frames, names = frames_of(path), tuple(targets)
    if not names or len(set(names)) < len(names):
        raise InputError("target", given=f"{names}", expected="one column or more, each once")
    require_split(split)
    _require_columns(frames, names)
    both = [name for name in aside if name in names]
    if both:
        raise InputError("aside", given=f"{both[0]!r}, a target", expected="columns beside the targets")
    found = surveyed(frames, names[0], skip_broken, (*names[1:], *aside), tally=False)
    found.aside = tuple(aside)  # the other targets aren't known beside the inputs
    require_few_values(found, frames.path)

    def targets_of(frame: Any) -> Tensor:
        return torch.from_numpy(_targets(frame, names, frames.path, labels))

    return table_of(frames, found, targets_of, names if labels else (), split, seed, stream)


def _require_columns(frames: Frames, names: Sequence[str]) -> None:
    first = next(iter(frames), None)
    there = [] if first is None else list(map(str, first.columns))
    for name in names:
        if name not in there:
            expected = "one of " + ", ".join(there)
            what = f"target column of {frames.path.name}"
            raise InputError(what, given=repr(name), expected=expected, hint="--target NAME")


def _targets(frame: Any, names: Sequence[str], path: Path, labels: bool) -> np.ndarray:
    """(n, targets) float32, or int64 of labels."""
    return np.stack([_numbers(frame[name], name, path, labels) for name in names], 1)


def _numbers(column: Any, name: str, path: Path, labels: bool) -> np.ndarray:
    what = f"target column {name!r} of {path.name}"
    column = column.infer_objects()  # yes and no, out of a column that had holes
    if column.dtype.kind not in "biuf":
        expected = "0 and 1" if labels else "numbers"
        hint = "names of classes are predicted with --task classification"
        raise InputError(what, given=f"text, as {str(column.iloc[0])[:30]!r}", expected=expected, hint=hint)
    values = column.to_numpy()
    if not labels:
        return values.astype(np.float32)
    strange = next((v for v in np.unique(values).tolist() if v not in (0, 1)), None)
    if strange is not None:
        hint = "numbers are predicted with --task regression"
        raise InputError(what, given=f"{strange:g}", expected="0 and 1, whether the label applies", hint=hint)
    return values.astype(np.int64)
