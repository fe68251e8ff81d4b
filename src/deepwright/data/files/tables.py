"""Tables: CSV and Parquet files with a target column, standardised on their training rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.rows import STREAMED, Rows, column_moments, moved, pieces
from deepwright.data.dataset import Data, Split, split_three, to_float
from deepwright.data.files.columns import (
    Survey,
    beside_of,
    classes_of_target,
    numbers_of,
    require_few_values,
    surveyed,
    whole_rows,
)
from deepwright.data.files.frames import Frames, csv_frames, parquet_frames
from deepwright.data.files.labels import class_labels
from deepwright.data.files.pieces import FOR_TRAINING, piece_note, require_split
from deepwright.data.files.stored import Spool, floats

_MOST_NAMES = 30  # of columns, that a note lists


def table_data(
    name: str,
    x: Any,
    y: Any,
    classes: tuple[str, ...],
    features: tuple[str, ...],
    shares: tuple[float, float] = (0.7, 0.1),
    seed: int = 0,
    columns: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Data:
    """Split a numeric table (stratified, seeded) and standardise it by its training rows' mean and deviation.

    Args:
        name: of the data set.
        x: (N, features) numbers: an array, a tensor, or `Rows` of float32.
        y: (N,) labels.
        classes: class names, index = label.
        features: names of the columns.
        shares: of the training and the validation split; (0, 0) gives all rows to the test split, which are then
            standardised by themselves.
        seed: of the splits.
        columns: what else is known of each row; see `Split`.

    Raises:
        InputError: labels that aren't whole numbers or that have no name; NaN or infinity in float32; unlike lengths.
    """
    held = x if isinstance(x, Tensor | Rows) else torch.as_tensor(np.array(x))
    inputs: Any = held if isinstance(held, Rows) else held.to(torch.float32)
    labels = class_labels(y, f"labels of {name}")
    if len(labels) and int(labels.max()) >= len(classes):
        raise InputError(f"labels of {name}", given=f"up to {int(labels.max())}", expected=f"below {len(classes)}")
    return standardised_table(name, inputs, labels, classes, features, shares, seed, columns)


def standardised_table(
    name: str,
    inputs: Any,
    y: Tensor,
    classes: tuple[str, ...],
    features: tuple[str, ...],
    shares: tuple[float, float],
    seed: int,
    columns: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Data:
    """`table_data` for targets of any task.

    Args:
        name: of the data set.
        inputs: (N, features) floats: a tensor, or `Rows` of float32.
        y: (N, ...) targets.
        classes: names of classes or labels; none for numbers.
        features: names of the columns.
        shares: of the training and the validation split.
        seed: of the splits.
        columns: what else is known of each row; see `Split`.

    Raises:
        InputError: as `table_data`.
    """
    _require_table(name, inputs, y, features)
    train, validation, test = split_three(inputs, y, shares, seed, columns)
    return standardised(Data(name, "tabular", classes, train, validation, test, features=features))


def _in_floats(split: Split) -> Split:
    """Rows of bytes as networks get them."""
    return split if split.x.is_floating_point() else replace(split, x=moved(split.x, to_float, torch.float32))


def standardised(data: Data) -> Data:
    """A table in deviations of its training rows (of the measured ones where there are none), which its notes say.

    Args:
        data: rows of finite numbers.
    """
    splits = {part: _in_floats(getattr(data, part)) for part in ("train", "validation", "test")}
    center, scale = column_moments(splits["train" if len(data.train) else "test"].x)
    scale = scale.clamp_min(1e-6)

    def in_deviations(split: Split) -> Split:
        return replace(split, x=moved(split.x, lambda rows: (rows - center) / scale))

    own = "" if len(data.train) else " (of the measured rows themselves)"
    note = f"inputs are standardised features: attacks and corruptions act in units of standard deviations{own}"
    return replace(
        data,
        train=in_deviations(splits["train"]),
        validation=in_deviations(splits["validation"]),
        test=in_deviations(splits["test"]),
        center=center,
        scale=scale,
        notes=(note, *data.notes),
    )


def _require_table(name: str, inputs: Any, labels: Tensor, features: tuple[str, ...]) -> None:
    if inputs.ndim != 2 or len(inputs) != len(labels) or len(labels) == 0 or inputs.shape[1] != len(features):
        given = f"{tuple(inputs.shape)} numbers, {len(labels)} labels, {len(features)} names of columns"
        raise InputError(f"table {name}", given=given, expected="(rows, columns), a label a row, a name a column")
    start, lows, highs = 0, [], []
    for piece in pieces(inputs):
        bad = ~torch.isfinite(piece)
        if bool(bad.any()):
            row, column = bad.nonzero()[0].tolist()
            raise InputError(
                f"column {features[column]!r} of {name}",
                given=f"row {start + row + 1} has no finite number in float32 (up to 3.4e38)",
                expected="finite numbers",
                hint="scale the column, or leave the row out",
            )
        start += len(piece)
        lows.append(piece.amin(0).double())
        highs.append(piece.amax(0).double())
    low, high = torch.stack(lows).amin(0), torch.stack(highs).amax(0)
    wide = high - low > 1e18  # its square, a variance, leaves float32
    if bool(wide.any()):
        column = int(wide.nonzero()[0])
        raise InputError(
            f"column {features[column]!r} of {name}",
            given=f"values from {float(low[column]):.3g} to {float(high[column]):.3g}",
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
    stream: bool | None = None,
    aside: Sequence[str] = (),
) -> Data:
    """A CSV file with a header; text columns become one column a value.

    Args:
        path: the file.
        target: the column to predict (at most 100 distinct values).
        classes: values of that column in the order of the labels; sorted by default, numbers by their value.
        split: "test" measures all rows.
        skip_broken: leave out rows with missing or infinite values instead of refusing.
        seed: of the split.
        stream: keep the numbers in a file without a name and read rows when they are needed; None does so where they
            are over 512 MiB.
        aside: columns that no network gets; they stand in `Split.columns`, as columns of text do.

    Raises:
        InputError: no such column (the columns are listed), missing values (column and rows are named), too many
            classes.
    """
    path = _there(path, "a CSV file")
    return load_frames(csv_frames(path), target, classes, split, skip_broken, seed, stream, aside)


def load_parquet(
    path: Path | str,
    target: str,
    *,
    classes: Sequence[str] | None = None,
    split: str | None = None,
    skip_broken: bool = False,
    seed: int = 0,
    stream: bool | None = None,
    aside: Sequence[str] = (),
) -> Data:
    """A Parquet file, as `load_csv` takes a CSV file: the same columns give the same data.

    Args:
        path: the file.
        target: see `load_csv`.
        classes: see `load_csv`.
        split: see `load_csv`.
        skip_broken: see `load_csv`.
        seed: see `load_csv`.
        stream: see `load_csv`.
        aside: see `load_csv`.

    Raises:
        InputError: as `load_csv` does; columns that are neither numbers nor text.
        MissingExtraError: the package that reads it isn't installed.
    """
    path = _there(path, "a Parquet file")
    return load_frames(parquet_frames(path), target, classes, split, skip_broken, seed, stream, aside)


def frames_of(path: Path | str) -> Frames:
    """The rows of a CSV or Parquet file, by its name.

    Args:
        path: the file.

    Raises:
        InputError: no such file.
    """
    path = _there(path, "a CSV or Parquet file")
    return parquet_frames(path) if path.suffix == ".parquet" else csv_frames(path)


def _there(path: Path | str, expected: str) -> Path:
    path = Path(path)
    if not path.exists():
        raise InputError("data", given=f"{path} does not exist", expected=expected)
    return path


def load_frames(
    frames: Frames,
    target: str,
    classes: Sequence[str] | None,
    split: str | None,
    skip_broken: bool,
    seed: int,
    stream: bool | None,
    aside: Sequence[str] = (),
) -> Data:
    """A table out of frames: one pass tells what its columns hold, another turns them into numbers.

    Args:
        frames: the rows.
        target: see `load_csv`.
        classes: see `load_csv`.
        split: see `load_csv`.
        skip_broken: see `load_csv`.
        seed: see `load_csv`.
        stream: see `load_csv`.
        aside: see `load_csv`.
    """
    path = frames.path
    require_split(split)
    found = surveyed(frames, target, skip_broken, aside)
    index, names = classes_of_target(found, path, classes)
    require_few_values(found, path)

    def labels_of(frame: Any) -> Tensor:
        return torch.tensor(frame[target].map(index).to_numpy(np.int64))

    return table_of(frames, found, labels_of, names, split, seed, stream)


def table_of(
    frames: Frames,
    found: Survey,
    targets_of: Callable[[Any], Tensor],
    classes: tuple[str, ...],
    split: str | None,
    seed: int,
    stream: bool | None,
) -> Data:
    """A table out of frames whose columns are known; its notes say how it is divided and what a network gets.

    Args:
        frames: the rows.
        found: what their columns hold.
        targets_of: whole rows of a frame -> their targets.
        classes: names of classes or labels; none for numbers.
        split: see `load_csv`.
        seed: see `load_csv`.
        stream: see `load_csv`.
    """
    x, y, beside = _numbers_in(frames, found, targets_of, stream)
    shares = (0.0, 0.0) if split == "test" else FOR_TRAINING
    return _told(standardised_table(frames.path.stem, x, y, classes, found.names, shares, seed, beside), found)


def _told(data: Data, found: Survey) -> Data:
    """A table with what is told of it: how it is divided, which rows were left out, which columns a network gets."""
    train, validation = len(data.train), len(data.validation)
    more = ", ..." if len(found.names) > _MOST_NAMES else ""
    told = [
        piece_note(train + validation + len(data.test), train, validation),
        f"{len(found.names)} columns were fed, in this order: {', '.join(found.names[:_MOST_NAMES])}{more}",
    ]
    if found.broken:
        told.append(f"{found.broken} rows with missing or infinite values were left out")
    return replace(data, notes=(*data.notes, *told))


def _numbers_in(
    frames: Frames, found: Survey, targets_of: Callable[[Any], Tensor], stream: bool | None
) -> tuple[Any, Tensor, dict[str, np.ndarray]]:
    """(rows, columns) float32 in memory or in a file, the targets, and what is known of the rows beside; one pass."""
    width = len(found.names)
    streamed = 4 * width * found.rows > STREAMED if stream is None else stream
    spool = Spool(f"the numbers of {frames.path.name}") if streamed else None
    rows: list[np.ndarray] = []
    targets: list[Tensor] = []
    beside: dict[str, list[np.ndarray]] = {}
    for frame in frames:
        whole = whole_rows(found, frame)
        part = numbers_of(found, whole)
        rows.append(part) if spool is None else spool.add(part)
        targets.append(targets_of(whole))
        for name, values in beside_of(found, whole).items():
            beside.setdefault(name, []).append(values)
    columns = {name: np.concatenate(values) for name, values in beside.items()}
    if spool is None:
        return torch.from_numpy(np.concatenate(rows)), torch.cat(targets), columns
    return spool.read_as(np.dtype(np.float32), (spool.rows, width), floats), torch.cat(targets), columns


def load_heart_failure(root: Path) -> Data:
    """299 patients, 12 features, target DEATH_EVENT (UCI 519, CC BY 4.0).

    Args:
        root: the CSV file, or the folder that holds it.
    """
    path = root if root.suffix == ".csv" else root / "heart_failure_clinical_records.csv"
    data = load_csv(path, "DEATH_EVENT")
    return replace(data, name="heart-failure", classes=("survived", "died"), notes=data.notes[:1])
