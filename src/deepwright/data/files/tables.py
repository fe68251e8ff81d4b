"""Tables: CSV files with a target column, standardised on their training rows."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.data.dataset import Data, Split, split_three
from deepwright.data.files.class_order import listed, require_names
from deepwright.data.files.labels import class_labels, require_whole_values
from deepwright.data.files.pieces import FOR_TRAINING, piece_note, require_split

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
        shares: of the training and the validation split; (0, 0) gives all rows to the test split, which are then
            standardised by themselves.
        seed: of the splits.

    Raises:
        InputError: labels that aren't whole numbers or that have no name; NaN or infinity in float32; unlike lengths.
    """
    inputs = (x if isinstance(x, Tensor) else torch.as_tensor(np.array(x))).to(torch.float32)
    labels = class_labels(y, f"labels of {name}")
    _require_table(name, inputs, labels, classes, features)
    train, validation, test = split_three(inputs, labels, shares, seed)
    known = train.x if len(train) else test.x
    center, scale = known.mean(0), known.std(0, correction=min(1, len(known) - 1)).clamp_min(1e-6)

    def standardised(split: Split) -> Split:
        return replace(split, x=(split.x - center) / scale)

    own = "" if len(train) else " (of the measured rows themselves)"
    notes = (f"inputs are standardised features: attacks and corruptions act in units of standard deviations{own}",)
    parts = (standardised(train), standardised(validation), standardised(test))
    return Data(name, "tabular", classes, *parts, features=features, center=center, scale=scale, notes=notes)


def _require_table(
    name: str, inputs: Tensor, labels: Tensor, classes: tuple[str, ...], features: tuple[str, ...]
) -> None:
    if inputs.ndim != 2 or len(inputs) != len(labels) or len(labels) == 0 or inputs.shape[1] != len(features):
        given = f"{tuple(inputs.shape)} numbers, {len(labels)} labels, {len(features)} names of columns"
        raise InputError(f"table {name}", given=given, expected="(rows, columns), a label a row, a name a column")
    if int(labels.max()) >= len(classes):
        raise InputError(f"labels of {name}", given=f"up to {int(labels.max())}", expected=f"below {len(classes)}")
    bad = ~torch.isfinite(inputs)
    if bool(bad.any()):
        row, column = bad.nonzero()[0].tolist()
        raise InputError(
            f"column {features[column]!r} of {name}",
            given=f"row {row + 1} has no finite number in float32 (up to 3.4e38)",
            expected="finite numbers",
            hint="scale the column, or leave the row out",
        )
    span = inputs.double().amax(0) - inputs.double().amin(0)
    wide = span > 1e18  # its square, a variance, leaves float32
    if bool(wide.any()):
        column = int(wide.nonzero()[0])
        raise InputError(
            f"column {features[column]!r} of {name}",
            given=f"values from {float(inputs[:, column].min()):.3g} to {float(inputs[:, column].max()):.3g}",
            expected="a range below 1e18",
            hint="scale the column, or leave the row out",
        )


def load_csv(
    path: Path | str,
    target: str,
    *,
    classes: Sequence[str] | None = None,
    split: str | None = None,
    skip_broken: bool = False,
    seed: int = 0,
) -> Data:
    """A CSV file with a header; text columns become one column a value.

    Args:
        path: the file.
        target: the column to predict (at most 100 distinct values).
        classes: values of that column in the order of the labels; sorted by default, numbers by their value.
        split: "test" measures all rows.
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
    except (ValueError, OSError, OverflowError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"cannot read {path}", given=said, expected="a CSV file with a header") from error
    if _has_unnamed_column(path):
        raise InputError(
            f"cannot read {path}", given="rows with more fields than the header", expected="a name for each column"
        )
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
    if frame.shape[1] == 1:
        raise InputError(f"{path.name}", given="no column beside the target", expected="at least one feature")
    labels, names = _encode(frame[target], path, classes)
    inputs = pd.get_dummies(frame.drop(columns=[target]), dtype=float)
    wide = [c for c in frame.columns if c != target and c not in numeric and frame[c].nunique() > _MOST_CLASSES]
    if wide:
        raise InputError(
            f"{path.name}",
            given=f"text column {wide[0]!r} with {frame[wide[0]].nunique()} values",
            hint=f"drop identifiers and free text, or say --text {wide[0]} where the network reads it",
        )
    require_split(split)
    shares = (0.0, 0.0) if split == "test" else FOR_TRAINING
    columns = tuple(map(str, inputs.columns))
    data = table_data(path.stem, inputs.to_numpy(), labels, names, columns, shares, seed=seed)
    told = piece_note(len(labels), len(data.train), len(data.validation))
    return replace(data, notes=(*data.notes, told, *notes))


def _has_unnamed_column(path: Path) -> bool:
    """Whether rows have more fields than the header: pandas would take their first for names of the rows."""
    with path.open(newline="", encoding="utf-8") as stream:
        header, first = (next(csv.reader(stream), []) for _ in range(2))
    return len(first) > len(header)


def _encode(column: Any, path: Path, classes: Sequence[str] | None) -> tuple[Tensor, tuple[str, ...]]:
    what = f"target column of {path.name}"
    if column.dtype.kind == "f":
        require_whole_values(column.to_numpy(), what)
        column = column.astype("int64")
    values = sorted(column.unique(), key=lambda v: (isinstance(v, str), v))
    if not 2 <= len(values) <= _MOST_CLASSES:
        raise InputError(
            what,
            given=f"{len(values)} distinct values",
            expected=f"2 to {_MOST_CLASSES} classes",
            hint="regression targets must be binned first",
        )
    few = [v for v in values if int((column == v).sum()) < 3]
    if few:
        raise InputError(
            f"class {few[0]!r} of {path.name}", given="fewer than 3 rows", hint="merge it with another class"
        )
    index = {str(v): i for i, v in enumerate(values)}
    names = tuple(index)
    if classes is not None:
        order = listed(names, require_names(classes, "classes"), f"value in the {what}")
        index, names = order.index, order.classes
    return torch.tensor([index[str(v)] for v in column]), names


def load_heart_failure(root: Path) -> Data:
    """299 patients, 12 features, target DEATH_EVENT (UCI 519, CC BY 4.0).

    Args:
        root: the CSV file, or the folder that holds it.
    """
    path = root if root.suffix == ".csv" else root / "heart_failure_clinical_records.csv"
    data = load_csv(path, "DEATH_EVENT")
    return replace(data, name="heart-failure", classes=("survived", "died"), notes=data.notes[:1])
