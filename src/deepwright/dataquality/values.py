"""Columns as what they hold: numbers, booleans or texts, what is unknown among them, and exact names of values."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from deepwright.core.errors import InputError

_EXACT = 1 << 53  # whole numbers beyond it aren't all floats


def column_of_values(values: Any, what: str) -> np.ndarray:
    """A column as numbers, as booleans, or as texts (where what is unknown is "").

    Objects that are all numbers are numbers, so that 1 and 1.0 are one value.

    Args:
        values: one a sample.
        what: the column's name, for the message.

    Raises:
        InputError: not one value a sample.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    try:
        column = np.asarray(values)
    except ValueError:  # rows of different lengths
        column = np.empty(0).reshape(0, 0)
    if column.ndim != 1:
        given = type(values).__name__ if column.ndim == 0 else f"shape {column.shape}"
        raise InputError(what, given=given, expected="a column: one value a sample")
    if column.dtype.kind in "fiub":
        return column
    return _of_objects(column.astype(object))


def is_unknown(column: np.ndarray) -> Bool[np.ndarray, " n"]:
    """Which values of a column from `column_of_values` are unknown: NaN, infinities, None and "".

    Args:
        column: numbers, booleans or texts.
    """
    if column.dtype.kind == "f":
        return ~np.isfinite(column)
    return column == "" if column.dtype.kind in "UO" else np.zeros(len(column), dtype=bool)


def name_of_value(value: Any) -> str:
    """A value in as many digits as tell it from any other: 10000001, 0.1, 3.

    Args:
        value: of a column.
    """
    text = str(value)
    return text.removesuffix(".0") if isinstance(value, float | np.floating) else text


def names_of_ends(ends: np.ndarray, known: np.ndarray) -> list[str]:
    """Ends of bins in four digits, or in as many as tell them from each other and from the column's ends.

    Args:
        ends: rising.
        known: all values.
    """
    apart = np.unique([known.min(), *ends, known.max()])
    for digits in range(4, 17):
        if len({f"{v:.{digits}g}" for v in apart}) == len(apart):
            return [f"{v:.{digits}g}" for v in ends]
    return [repr(float(v)) for v in ends]


def _of_objects(column: np.ndarray) -> np.ndarray:
    unknown = np.array([v is None or bool(_differs_from_itself(v)) for v in column], dtype=bool)
    known = column[~unknown]
    if len(known) and all(isinstance(v, bool | np.bool_) for v in known) and not unknown.any():
        return column.astype(bool)
    if len(known) and all(isinstance(v, numbers.Real) and not isinstance(v, bool | np.bool_) for v in known):
        whole = all(isinstance(v, numbers.Integral) for v in known)
        if whole and not unknown.any() and max(abs(int(v)) for v in known) < 1 << 63:
            return column.astype(np.int64)
        if all(not isinstance(v, numbers.Integral) or abs(int(v)) <= _EXACT for v in known):
            return np.where(unknown, np.nan, column).astype(float)
    texts = ["" if none else name_of_value(v) for v, none in zip(column, unknown)]
    return np.array(texts, dtype=str)


def _differs_from_itself(value: Any) -> bool:
    """Whether a value is one of those that say that there is none: NaN, NaT, NA."""
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas' NA has no truth
        return True
