"""Time series by entity from a CSV: rows grouped by one column, ordered by another, never mixed between entities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepwright.core.errors import InputError, first_line
from deepwright.core.requirements import require_whole
from deepwright.data.dataset import Data, Split
from deepwright.data.files.class_order import in_order, listed, order_note, require_names
from deepwright.data.files.pieces import FOR_TRAINING, one_piece, require_split

_MOST_CLASSES = 100


@dataclass(frozen=True)
class BySeries:
    """How the rows of a table are series.

    Args:
        entity: column that says whose a row is.
        time: column that orders the rows of an entity: numbers or dates.
        history: rows that the network sees; by default all of an entity, which must then be as many for each.
        horizon: rows ahead of which the target is forecast; None where the target is a class of the entity.
    """

    entity: str
    time: str
    history: int | None = None
    horizon: int | None = None

    def __post_init__(self) -> None:
        given = {"history": self.history, "horizon": self.horizon}
        require_whole(1, **{name: value for name, value in given.items() if value is not None})
        if self.horizon is not None and self.history is None:
            raise InputError("history", given="none, beside a horizon", expected="rows that the network sees")


def load_series(
    path: Path | str,
    target: str,
    by: BySeries,
    *,
    classes: Sequence[str] | None = None,
    shares: tuple[float, float] = FOR_TRAINING,
    split: str | None = None,
    seed: int = 0,
) -> Data:
    """Series (N, time, channels) and their classes, or the target's next values (N, horizon, 1).

    Classes: each entity has one, and all its windows of `history` rows (one behind the other; what is left over at the
    beginning is not used) are in one part. Channels are the numeric columns without the target.

    Forecasts: windows of `history` rows and the target in the `horizon` rows after them, one every `horizon` rows. The
    parts are cut in time, at the same moments for all entities: every target of the training part comes before every
    target of the validation part, and so on; windows whose targets lie on both sides of a cut are left out. Channels
    are the target's own past and then the other numeric columns. Whose each window is stands in `Split.columns`.

    Args:
        path: a .csv with a header.
        target: the column to predict.
        by: entity, time and lengths.
        classes: names of all outputs in their order.
        shares: of the training and the validation part: of the entities, or of the time.
        split: "test" measures all windows.
        seed: of the split of entities.

    Raises:
        InputError: no such column, values that are missing or no numbers, a time that comes twice for an entity, an
            entity of two classes, series of unlike lengths without `history`, no window that fits.
    """
    path = Path(path)
    require_split(split)
    frame, channels = _table(path, target, by)
    if by.horizon is None:
        data, told = _classified(frame, channels, target, by, path, classes, shares, split, seed)
    else:
        if classes is not None:
            raise InputError("classes", given="beside a horizon", expected="none: numbers are forecast")
        data, told = _forecast(frame, channels, target, by, path, shares, split)
    if len(np.unique(np.concatenate([np.diff(rows.to_numpy()) for _, rows in frame.groupby(by.entity)[by.time]]))) > 1:
        told.append("times aren't evenly spaced: each row is taken for a step")
    names, train, validation, test = data
    return Data(path.stem, "series", names, train, validation, test, features=channels, notes=tuple(told))


def _table(path: Path, target: str, by: BySeries) -> tuple[Any, tuple[str, ...]]:
    """Rows in the order of entities and times, and the columns that are channels."""
    import pandas as pd

    if not path.exists():
        raise InputError("data", given=f"{path} does not exist", expected="a CSV file")
    try:
        frame = pd.read_csv(path)
    except (ValueError, OSError, OverflowError) as error:
        raise InputError(f"cannot read {path}", given=first_line(error), expected="a CSV file with a header") from error
    for option, name in (("--entity", by.entity), ("--time", by.time), ("--target", target)):
        if name not in frame.columns:
            expected = "one of " + ", ".join(map(str, frame.columns))
            raise InputError(f"column of {path.name}", given=repr(name), expected=expected, hint=f"{option} NAME")
    if len({by.entity, by.time, target}) < 3:
        raise InputError("columns", given="one for two of entity, time and target", expected="three")
    other = [c for c in frame.columns if c not in (by.entity, by.time, target)]
    text = [c for c in other if not pd.api.types.is_numeric_dtype(frame[c])]
    if text:
        raise InputError(f"column {text[0]!r} of {path.name}", given="text", expected="numbers, which channels are")
    channels = tuple(map(str, other if by.horizon is None else [target, *other]))
    if not channels:
        raise InputError(path.name, given="no numeric column beside entity, time and target", expected="at least one")
    numbers = frame[list(channels)].to_numpy()
    if numbers.dtype.kind not in "iufb" or not np.isfinite(numbers.astype(float)).all() or frame.isna().any().any():
        column = next((c for c in frame.columns if frame[c].isna().any()), channels[0])
        raise InputError(
            f"column {column!r} of {path.name}",
            given="missing or infinite values, or no numbers",
            expected="a finite number in each row",
            hint="fill them: a row that is left out would move the times behind it",
        )
    if not pd.api.types.is_numeric_dtype(frame[by.time]):
        try:
            frame[by.time] = pd.to_datetime(frame[by.time], format="ISO8601")  # 1/2/2024 would be a guess
        except (ValueError, TypeError) as error:
            given = first_line(error)
            raise InputError(
                f"time column {by.time!r}", given=given, expected="numbers, or dates as 2024-12-31 23:59"
            ) from error
    twice = frame.duplicated([by.entity, by.time])
    if twice.any():
        row = frame[twice].iloc[0]
        given = f"{row[by.time]} twice for {row[by.entity]!r}"
        raise InputError(f"time column {by.time!r} of {path.name}", given=given, expected="one row a time and entity")
    return frame.sort_values([by.entity, by.time], kind="stable"), channels


def _classified(
    frame: Any,
    channels: tuple[str, ...],
    target: str,
    by: BySeries,
    path: Path,
    classes: Sequence[str] | None,
    shares: tuple[float, float],
    split: str | None,
    seed: int,
) -> tuple[tuple[Any, ...], list[str]]:
    """(classes, train, validation, test) of windows, split by entity."""
    groups = [(str(name), rows) for name, rows in frame.groupby(by.entity, sort=True)]
    mixed = [name for name, rows in groups if rows[target].nunique() > 1]
    if mixed:
        hint = "--horizon N forecasts a column that moves"
        raise InputError(f"entity {mixed[0]!r}", given=f"several values of {target!r}", expected="one class", hint=hint)
    lengths = sorted({len(rows) for _, rows in groups})
    if by.history is None and len(lengths) > 1:
        given = f"{lengths[0]} to {lengths[-1]} rows"
        raise InputError("entities", given=given, expected="as many rows for each", hint="--history N cuts windows")
    steps = by.history or lengths[0]
    labels = [str(rows[target].iloc[0]) for _, rows in groups]
    found = in_order(labels)
    if not 2 <= len(found) <= _MOST_CLASSES:
        raise InputError(
            f"target column of {path.name}", given=f"{len(found)} classes", expected=f"2 to {_MOST_CLASSES}"
        )
    notes = list(order_note(found))
    order = {name: i for i, name in enumerate(found)}
    if classes is not None:
        known = listed(found, require_names(classes, "classes"), f"value of {target!r}")
        found, order, notes = known.classes, known.index, []
    y = torch.tensor([order[label] for label in labels])
    rows_of, note = one_piece(y, shares, split, seed)
    parts = []
    for part in ("train", "validation", "test"):
        xs: list[np.ndarray] = []
        ys: list[int] = []
        whose: list[str] = []
        for i in rows_of[part].tolist():
            values = groups[i][1][list(channels)].to_numpy(dtype=np.float32)
            first = len(values) % steps
            xs += [values[k : k + steps] for k in range(first, len(values) - steps + 1, steps)]
            whose += [groups[i][0]] * (len(xs) - len(ys))
            ys += [int(y[i])] * (len(xs) - len(ys))
        x = torch.from_numpy(np.stack(xs)) if xs else torch.zeros(0, steps, len(channels))
        parts.append(Split(x, torch.tensor(ys, dtype=torch.long), {by.entity: np.array(whose, dtype=object)}))
    if not len(parts[2]):
        raise InputError("history", given=f"{steps} rows", expected=f"at most the {lengths[-1]} that an entity has")
    told = f"{len(groups)} entities, windows of {steps} rows, each entity in one part"
    if lengths[-1] >= 2 * steps:
        told += "; windows of one entity are alike, so that intervals are too narrow"
    return (found, *parts), [told, note.replace("samples", "entities"), *notes]


def _forecast(
    frame: Any,
    channels: tuple[str, ...],
    target: str,
    by: BySeries,
    path: Path,
    shares: tuple[float, float],
    split: str | None,
) -> tuple[tuple[Any, ...], list[str]]:
    """(no classes, train, validation, test) of windows, split in time."""
    assert by.history is not None
    assert by.horizon is not None
    times = np.unique(frame[by.time].to_numpy())
    step = {time: i for i, time in enumerate(times.tolist())}
    found: list[tuple[list[Any], list[Any], list[str]]] = [([], [], []), ([], [], []), ([], [], [])]
    windows: list[tuple[int, int, str, Any, Any]] = []
    for name, rows in frame.groupby(by.entity, sort=True):
        values = rows[list(channels)].to_numpy(dtype=np.float32)
        places = np.array([step[t] for t in rows[by.time].to_numpy().tolist()])
        for k in range(by.history, len(values) - by.horizon + 1, by.horizon):
            ends = int(places[k]), int(places[k + by.horizon - 1])
            windows.append((*ends, str(name), values[k - by.history : k], values[k : k + by.horizon, :1]))
    # shares are of windows: the first moments of the file have no targets
    starts, n = sorted(window[0] for window in windows), len(windows)
    whole = split == "test" or not windows
    cuts = (0, 0) if whole else tuple(starts[min(round(share * n), n - 1)] for share in (shares[0], sum(shares)))
    left_out = 0
    for start, end, whose, x, y in windows:
        part = sum(start >= cut for cut in cuts)
        if part != sum(end >= cut for cut in cuts):
            left_out += 1
            continue
        for values, value in zip(found[part], (x, y, whose)):
            values.append(value)
    if not found[2][0]:
        given = f"no window of {by.history} + {by.horizon} rows"
        raise InputError(
            f"test part of {path.name}", given=given, expected="entities with more rows, or shorter windows"
        )
    parts = []
    for xs, ys, names in found:
        x = torch.from_numpy(np.stack(xs)) if xs else torch.zeros(0, by.history, len(channels))
        y = torch.from_numpy(np.stack(ys)) if ys else torch.zeros(0, by.horizon, 1)
        parts.append(Split(x, y, {by.entity: np.array(names, dtype=object)}))
    counts = ", ".join(f"{len(part)} {name}" for part, name in zip(parts, ("training", "validation", "test")))
    told = f"windows of {by.history} rows and the {by.horizon} after them, cut in time: {counts}"
    if left_out:
        told += f"; {left_out} with targets on both sides of a cut were left out"
    return ((), *parts), [told]
