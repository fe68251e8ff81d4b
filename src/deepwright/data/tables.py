"""Tables: CSV files with a target column, standardised on their training rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.data.dataset import Data, Split, split_three

_MOST_CLASSES = 100


def table_data(
    name: str,
    x: Any,
    y: Any,
    classes: tuple[str, ...],
    features: tuple[str, ...],
    shares: tuple[float, float] = (0.7, 0.1),
    seed: int = 0,
) -> Data:
    """Split a numeric table (stratified, seeded) and standardise it by its training rows' mean and deviation.

    Args:
        name: of the data set.
        x: (N, features) numbers.
        y: (N,) labels.
        classes: class names, index = label.
        features: names of the columns.
        shares: of the training and the validation split.
        seed: of the splits.
    """
    inputs, labels = (each if isinstance(each, Tensor) else torch.as_tensor(np.asarray(each)) for each in (x, y))
    inputs, labels = inputs.to(torch.float32), labels.long()
    train, validation, test = split_three(inputs, labels, shares, seed)
    center, scale = train.x.mean(0), train.x.std(0).clamp_min(1e-6)

    def standardised(split: Split) -> Split:
        return replace(split, x=(split.x - center) / scale)

    notes = ("inputs are standardised features: attacks and corruptions act in units of standard deviations",)
    parts = (standardised(train), standardised(validation), standardised(test))
    return Data(name, "tabular", classes, *parts, features=features, center=center, scale=scale, notes=notes)


def load_csv(path: Path | str, target: str, *, skip_broken: bool = False, seed: int = 0) -> Data:
    """A CSV file with a header; text columns become one column a value.

    Args:
        path: the file.
        target: the column to predict (at most 100 distinct values).
        skip_broken: leave out rows with missing or infinite values instead of refusing.
        seed: of the split.

    Raises:
        InputError: no such column (the columns are listed), missing values (column and rows are named), too many
            classes.
    """
    import pandas as pd

    path = Path(path)
    if not path.exists():
        raise InputError("data", given=f"{path} does not exist", expected="a CSV file")
    try:
        frame = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {path}", given=str(error).splitlines()[0], expected="a CSV file with a header"
        ) from error
    if target not in frame.columns:
        raise InputError(
            f"target column of {path.name}",
            given=repr(target),
            expected="one of " + ", ".join(map(str, frame.columns)),
            hint="--target NAME",
        )
    numeric = frame.select_dtypes("number").columns
    bad = frame.isna() | frame[numeric].isin([np.inf, -np.inf]).reindex(columns=frame.columns, fill_value=False)
    rows = bad.any(axis=1)
    notes: tuple[str, ...] = ()
    if rows.any():
        column = bad.any(axis=0).idxmax()
        where = (frame.index[bad[column]][:3] + 2).tolist()
        if not skip_broken:
            raise InputError(
                f"{path.name}",
                given=f"missing or infinite values in {int(rows.sum())} rows, "
                f"first in column {column!r} at lines {where}",
                hint="fill them, or pass --skip-broken to leave those rows out",
            )
        notes = (f"{int(rows.sum())} rows with missing or infinite values were left out",)
        frame = frame[~rows]
    labels, classes = _encode(frame[target], path)
    inputs = pd.get_dummies(frame.drop(columns=[target]), dtype=float)
    if inputs.shape[1] == 0:
        raise InputError(f"{path.name}", given="no column beside the target", expected="at least one feature")
    wide = [c for c in frame.columns if c != target and c not in numeric and frame[c].nunique() > _MOST_CLASSES]
    if wide:
        raise InputError(
            f"{path.name}",
            given=f"text column {wide[0]!r} with {frame[wide[0]].nunique()} values",
            hint="drop identifiers and free text",
        )
    data = table_data(path.stem, inputs.to_numpy(), labels, classes, tuple(map(str, inputs.columns)), seed=seed)
    return replace(data, notes=data.notes + notes)


def _encode(column: Any, path: Path) -> tuple[Tensor, tuple[str, ...]]:
    values = sorted(column.unique(), key=lambda v: (isinstance(v, str), v))
    if not 2 <= len(values) <= _MOST_CLASSES:
        raise InputError(
            f"target column of {path.name}",
            given=f"{len(values)} distinct values",
            expected=f"2 to {_MOST_CLASSES} classes",
            hint="regression targets must be binned first",
        )
    few = [v for v in values if int((column == v).sum()) < 3]
    if few:
        raise InputError(
            f"class {few[0]!r} of {path.name}", given="fewer than 3 rows", hint="merge it with another class"
        )
    index = {v: i for i, v in enumerate(values)}
    return torch.tensor([index[v] for v in column]), tuple(map(str, values))


def load_heart_failure(root: Path) -> Data:
    """299 patients, 12 features, target DEATH_EVENT (UCI 519, CC BY 4.0).

    Args:
        root: the CSV file, or the folder that holds it.
    """
    path = root if root.suffix == ".csv" else root / "heart_failure_clinical_records.csv"
    return replace(load_csv(path, "DEATH_EVENT"), name="heart-failure", classes=("survived", "died"))
