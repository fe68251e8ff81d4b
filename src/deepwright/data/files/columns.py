"""From the columns of a table to numbers: what its columns hold, and each row as float32."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deepwright.core.errors import InputError
from deepwright.data.files.class_order import listed, require_names
from deepwright.data.files.frames import Frames
from deepwright.data.files.labels import require_whole_values

MOST_CLASSES = 100
_NUMBER, _FLAG, _TEXT = "number", "flag", "text"


@dataclass
class Survey:
    """What the columns of a table hold, gathered in one pass.

    Attributes:
        target: the column to predict.
        columns: all columns.
        kinds: column, of any use -> "number", "flag" (yes or no) or "text".
        values: text column -> the texts that were seen, some more than are allowed at most.
        labels: value of the target -> rows, where it is tallied.
        rows: that are whole.
        broken: rows with missing or infinite values.
        holes: column -> the first numbers of rows in which it has none.
        aside: columns that no network gets.
        turned: columns that hold numbers in some frames and texts in others: the numbers are texts, too.
    """

    target: str
    columns: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    values: dict[str, set[str]] = field(default_factory=dict)
    labels: Counter[Any] = field(default_factory=Counter)
    rows: int = 0
    broken: int = 0
    holes: dict[str, list[int]] = field(default_factory=dict)
    aside: tuple[str, ...] = ()
    turned: set[str] = field(default_factory=set)

    @property
    def inputs(self) -> tuple[tuple[str, str | None], ...]:
        """(column, text that it has or None): the columns of the numbers; first the numbers, then the texts."""
        numbers = [(c, None) for c in self.columns if self.kinds[c] != _TEXT]
        return (*numbers, *((c, v) for c in self.columns if c in self.values for v in sorted(self.values[c])))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of the numbers."""
        return tuple(column if value is None else f"{column}_{value}" for column, value in self.inputs)


def surveyed(
    frames: Frames, target: str, skip_broken: bool, aside: Sequence[str] = (), *, tally: bool = True
) -> Survey:
    """What the columns hold; a column that isn't numbers throughout is read as the file's own text.

    Args:
        frames: the table.
        target: the column to predict.
        skip_broken: leave out rows with missing or infinite values instead of refusing.
        aside: columns that no network gets.
        tally: count the values of the target, as classes need it.

    Raises:
        InputError: no such column (the columns are listed), no other one, missing values (column and rows are named),
            texts of too many values.
    """
    found, path = Survey(target, aside=tuple(aside)), frames.path
    every: list[str] = []
    for frame in frames:
        frame.columns = frame.columns.map(str)
        every = list(frame.columns)
        if target not in every:
            expected = "one of " + ", ".join(every)
            raise InputError(
                f"target column of {path.name}", given=repr(target), expected=expected, hint="--target NAME"
            )
        unknown = [c for c in aside if c not in every or c == target]
        if unknown:
            expected = "columns beside the target: " + ", ".join(c for c in every if c != target)
            raise InputError("aside", given=repr(unknown[0]), expected=expected)
        found.columns = tuple(c for c in every if c != target and c not in aside)
        _look(found, frame, skip_broken, tally)
    if found.turned and frames.leave_as_texts(found.turned):
        return surveyed(frames, target, skip_broken, aside, tally=tally)
    if not every:
        raise InputError(f"cannot read {path}", given="no column", expected="a table with a header")
    if found.broken and not skip_broken:
        column = next(c for c in every if c in found.holes)
        where = f"{frames.word} {[row + frames.first for row in found.holes[column][:3]]}"
        raise InputError(
            f"{path.name}",
            given=f"missing or infinite values in {found.broken} rows, first in column {column!r} at {where}",
            hint="fill them, or pass --skip-broken to leave those rows out",
        )
    if not found.columns:
        raise InputError(f"{path.name}", given="no column beside the target", expected="at least one feature")
    if not found.rows:
        raise InputError(f"{path.name}", given="no row that is whole", expected="at least one")
    return found


def require_few_values(found: Survey, path: Path) -> None:
    """Refuse texts of so many values that they are names and not kinds.

    Args:
        found: what the columns hold.
        path: for the message.

    Raises:
        InputError: with the column.
    """
    for column, values in found.values.items():
        if len(values) > MOST_CLASSES:
            given = f"text column {column!r} with over {MOST_CLASSES} values"
            hint = f"drop identifiers and free text, or say --text {column} where the network reads it"
            raise InputError(f"{path.name}", given=given, hint=hint)


def _look(found: Survey, frame: Any, skip_broken: bool, tally: bool) -> None:
    """Take in one frame."""
    numeric = frame.select_dtypes("number").columns
    bad = frame.isna() | frame[numeric].isin([np.inf, -np.inf]).reindex(columns=frame.columns, fill_value=False)
    rows = bad.any(axis=1)
    if rows.any():
        found.broken += int(rows.sum())
        for column in bad.columns[bad.any(axis=0)]:
            places = found.holes.setdefault(column, [])
            places += frame.index[bad[column]][: 3 - len(places)].tolist()
        if not skip_broken:
            return
        frame = frame[~rows]
    if not len(frame):
        return
    found.rows += len(frame)
    if tally:
        counts = frame[found.target].value_counts()
        found.labels.update(dict(zip(counts.index.tolist(), counts.tolist())))
    for column in frame.columns:
        # yes and no beside holes are objects: they are a flag where the holes are left out
        cells = frame[column].infer_objects() if frame[column].dtype.kind == "O" else frame[column]
        kind = _FLAG if cells.dtype.kind == "b" else _NUMBER if column in numeric else _TEXT
        before = found.kinds.get(column, kind)
        found.kinds[column] = kind if kind == before else _NUMBER if {kind, before} == {_FLAG, _NUMBER} else _TEXT
        if found.kinds[column] == _TEXT and kind != before:
            found.turned.add(column)
        if found.kinds[column] == _TEXT and column in found.columns:
            _note_texts(found, column, cells)


def _note_texts(found: Survey, column: str, cells: Any) -> None:
    if len(found.values.setdefault(column, set())) <= MOST_CLASSES:
        found.values[column].update(map(str, cells.unique()[: 2 * MOST_CLASSES + 2]))


def whole_rows(found: Survey, frame: Any) -> Any:
    """The rows of a frame that have a finite value in each column.

    Args:
        found: what the columns hold.
        frame: some rows.
    """
    return frame[~(frame.isna() | frame.isin([np.inf, -np.inf])).any(axis=1)] if found.broken else frame


def classes_of_target(
    found: Survey, path: Path, classes: Sequence[str] | None
) -> tuple[dict[Any, int], tuple[str, ...]]:
    """Which label each value of the target column is, and the names of the classes.

    Args:
        found: what the columns hold.
        path: for the message.
        classes: values in the order of the labels; sorted by default, numbers by their value.

    Raises:
        InputError: fractions, too many or too few values, a value in less than 3 rows, one that isn't in `classes`.
    """
    what = f"target column of {path.name}"
    fractions = np.array([v for v in found.labels if isinstance(v, float)])
    require_whole_values(fractions, what)
    counts: Counter[Any] = Counter()
    for value, n in found.labels.items():
        counts[int(value) if isinstance(value, float) else value] += n
    values = sorted(counts, key=lambda v: (isinstance(v, str), v))
    if not 2 <= len(values) <= MOST_CLASSES:
        raise InputError(
            what,
            given=f"{len(values)} distinct values",
            expected=f"2 to {MOST_CLASSES} classes",
            hint="numbers are predicted with --task regression (task='regression' from Python)",
        )
    few = [v for v in values if counts[v] < 3]
    if few:
        given, hint = "fewer than 3 rows", "merge it with another class"
        raise InputError(f"class {few[0]!r} of {path.name}", given=given, hint=hint)
    index = {str(v): i for i, v in enumerate(values)}
    names = tuple(index)
    if classes is not None:
        order = listed(names, require_names(classes, "classes"), f"value in the {what}")
        index, names = order.index, order.classes
    return {v: index[str(int(v) if isinstance(v, float) else v)] for v in found.labels}, names


def numbers_of(found: Survey, frame: Any) -> np.ndarray:
    """Rows as float32 (n, columns), a column a number and a column for each text that a column may hold.

    Args:
        found: what the columns hold.
        frame: some rows, whole ones.
    """
    out = np.empty((len(frame), len(found.inputs)), np.float32)
    column, texts = "", np.empty(0, dtype=object)
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        for place, (name, value) in enumerate(found.inputs):
            if value is None:
                out[:, place] = frame[name].to_numpy().astype(np.float64)
                continue
            if name != column:
                column, texts = name, frame[name].map(str).to_numpy(dtype=object)
            out[:, place] = texts == value
    return out


def beside_of(found: Survey, frame: Any) -> dict[str, np.ndarray]:
    """What is known of rows beside the numbers that a network gets: columns aside, and texts as they are.

    Args:
        found: what the columns hold.
        frame: some rows, whole ones.
    """
    names = [*found.aside, *(c for c in found.columns if found.kinds[c] == _TEXT)]
    return {name: _plain(frame[name].to_numpy(), found.kinds[name]) for name in names}


def _plain(values: np.ndarray, kind: str) -> np.ndarray:
    """Numbers as floats, all else as text."""
    return values.astype(np.float64) if kind == _NUMBER else values.astype(str)
