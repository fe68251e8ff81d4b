"""Streams of patients from the files that the field has: OhioT1DM's XML, and the .psv of CinC 2019."""

from __future__ import annotations

import math
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepwright.core.errors import InputError
from deepwright.data.windows import Stream

_LARGEST = 64 * 2**20  # bytes of a file
_STEP = 5  # minutes
_KINDS = {"glucose_level": "glucose", "bolus": "bolus", "meal": "carbs", "finger_stick": "finger stick"}
_VALUE = {"glucose_level": "value", "bolus": "dose", "meal": "carbs", "finger_stick": "value"}
_MMOL = 35.0


def load_ohio_xml(path: Path | str) -> Stream:
    """A patient of OhioT1DM: glucose, bolus, carbs and finger sticks on a grid of five minutes.

    Glucose that is missing is NaN (`Stream.filled`), other channels are 0 where nothing was entered; meals are events.

    Args:
        path: an .xml with `<glucose_level><event ts="01-12-2021 00:05:00" value="120"/>...`.

    Raises:
        InputError: no such file, too large a one, XML with entities or of another form, times or numbers that can't be
            read, values in mmol/L.
    """
    path = Path(path)
    tree = _parsed(path)
    events = {kind: _events(tree, kind, path) for kind in _KINDS}
    glucose = events["glucose_level"]
    if not glucose:
        raise InputError(f"{path.name}", given="no glucose", expected="<glucose_level> with events")
    first, last = min(t for t, _ in glucose), max(t for t, _ in glucose)
    rows = math.floor((last - first).total_seconds() / 60 / _STEP + 0.5) + 1
    values = np.zeros((rows, len(_KINDS)), dtype=np.float32)
    values[:, 0] = np.nan
    for column, kind in enumerate(_KINDS):
        for at, value in events[kind]:
            row = math.floor((at - first).total_seconds() / 60 / _STEP + 0.5)  # halves always upwards
            if 0 <= row < rows:
                values[row, column] = value if column in (0, 3) else values[row, column] + value
    _require_milligrams(values[:, 0], path)
    table = torch.from_numpy(values)
    return Stream(table, tuple(_KINDS.values()), 0, table[:, 2] > 0)


def load_cinc_psv(path: Path | str, target: str = "HR") -> Stream:
    """A patient of CinC 2019: hourly vitals and laboratory values, NaN where nothing was measured.

    Args:
        path: a .psv with a header, the column SepsisLabel among it.
        target: the channel that is forecast.

    Raises:
        InputError: no such file, no such column, what isn't a number.
    """
    import pandas as pd

    path = Path(path)
    _require_file(path)
    try:
        frame = pd.read_csv(path, sep="|")
        values = frame.to_numpy(dtype=np.float32)
    except (ValueError, OSError) as error:
        raise InputError(
            f"cannot read {path}", given=str(error).splitlines()[0], expected="numbers, | between"
        ) from error
    names = [str(name) for name in frame.columns]
    if "SepsisLabel" not in names or target not in names or target == "SepsisLabel":
        expected = f"SepsisLabel and {target!r}"
        raise InputError(f"columns of {path.name}", given=", ".join(names[:8]), expected=expected)
    label = names.index("SepsisLabel")
    kept = [i for i in range(len(names)) if i != label]
    channels = tuple(names[i] for i in kept)
    sepsis = torch.from_numpy(values[:, label] == 1)
    return Stream(torch.from_numpy(values[:, kept]), channels, channels.index(target), sepsis)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise InputError("data", given=f"{path} is no file", expected="a file of a patient")
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path.name}", given=f"{path.stat().st_size:,} bytes", expected=f"at most {_LARGEST:,}")


def _parsed(path: Path) -> Any:
    """The tree of a file without a document type: so no entity can be defined, and none grows."""
    from xml.etree import ElementTree

    _require_file(path)
    body = path.read_bytes()
    if re.search(rb"<!\s*(DOCTYPE|ENTITY)", body, re.IGNORECASE) or b"\x00" in body[:64]:
        raise InputError(f"{path.name}", given="a document type or another encoding", expected="plain XML in UTF-8")
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise InputError(f"cannot read {path}", given=str(error), expected="XML as OhioT1DM has it") from error


def _events(tree: Any, kind: str, path: Path) -> list[tuple[datetime, float]]:
    found = []
    for event in tree.findall(f"./{kind}/event"):
        at, value = event.get("ts", event.get("ts_begin", "")), event.get(_VALUE[kind], "")
        try:
            number = float(value)
            if not math.isfinite(number):
                raise ValueError(value)
            found.append((datetime.strptime(at, "%d-%m-%Y %H:%M:%S"), number))
        except ValueError as error:
            expected = 'ts="31-12-2021 23:55:00" and a number'
            raise InputError(f"<{kind}> of {path.name}", given=f"{at!r}, {value!r}", expected=expected) from error
    return found


def _require_milligrams(glucose: np.ndarray, path: Path) -> None:
    known = glucose[np.isfinite(glucose)]
    if np.median(known) < _MMOL:
        given = f"a median of {np.median(known):.3g}"
        hint = "multiply mmol/L by 18.016"
        raise InputError(f"glucose of {path.name}", given=given, expected="mg/dL, as 120", hint=hint)
    if (known <= 0).any():
        raise InputError(f"glucose of {path.name}", given="0 or less", expected="no entry where nothing was measured")
