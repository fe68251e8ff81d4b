"""CSV files whose targets aren't one class a row: numbers (regression), or several columns of 0 and 1 (multi-label)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepwright.core.errors import InputError
from deepwright.data.dataset import Data
from deepwright.data.files.pieces import FOR_TRAINING, piece_note, require_split
from deepwright.data.files.tables import features_of, read_rows, standardised_table


def holds_labels(path: Path | str, targets: Sequence[str], skip_broken: bool = False) -> bool:
    """Whether all target columns of a file hold 0 and 1 only.

    Args:
        path: the file.
        targets: columns.
        skip_broken: see `load_csv`.

    Raises:
        InputError: as `load_csv`.
    """
    frame, _ = read_rows(path, targets, skip_broken)
    return all(set(frame[name].unique().tolist()) <= {0, 1} for name in targets)


def load_targets(
    path: Path | str,
    targets: Sequence[str],
    *,
    labels: bool,
    split: str | None = None,
    skip_broken: bool = False,
    seed: int = 0,
) -> Data:
    """A CSV file with target columns that are numbers, or labels that apply (1) or not (0).

    Args:
        path: the file, with a header; text columns become one column a value.
        targets: the columns to predict.
        labels: whether they are labels, whose names are then those of the columns.
        split: "test" measures all rows.
        skip_broken: leave out rows with missing or infinite values instead of refusing.
        seed: of the split.

    Raises:
        InputError: no such column, text in it, other values than 0 and 1 as labels, missing values.
    """
    path, names = Path(path), tuple(targets)
    if not names or len(set(names)) < len(names):
        raise InputError("target", given=f"{names}", expected="one column or more, each once")
    frame, notes = read_rows(path, names, skip_broken)
    y = torch.from_numpy(np.stack([_numbers(frame[name], name, path, labels) for name in names], 1))
    inputs = features_of(frame, names, path)
    require_split(split)
    shares = (0.0, 0.0) if split == "test" else FOR_TRAINING
    columns, x = tuple(map(str, inputs.columns)), torch.as_tensor(inputs.to_numpy(), dtype=torch.float32)
    data = standardised_table(path.stem, x, y, names if labels else (), columns, shares, seed)
    told = piece_note(len(y), len(data.train), len(data.validation))
    return replace(data, notes=(*data.notes, told, *notes))


def _numbers(column: Any, name: str, path: Path, labels: bool) -> np.ndarray:
    what = f"target column {name!r} of {path.name}"
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
