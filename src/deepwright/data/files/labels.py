"""Labels out of files: whole numbers from 0, one a sample; what isn't is told, and which task it looks like."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from deepwright.core.errors import InputError

MOST_CLASSES = 100_000
_REGRESSION = (
    "this looks like regression: --task regression for a .csv, or from Python "
    "deepwright.audit(model, batches, task=Regression(outputs=1))"
)


def class_labels(y: Any, name: str) -> Int64[Tensor, " n"]:
    """Class indices of any numeric type as int64, (N,) from (N,) or (N, 1), where they are.

    Args:
        y: an array or a tensor.
        name: for the message.

    Raises:
        InputError: fractions (the task is named), NaN, negative numbers, text, several a sample, absurdly many classes.
    """
    array = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    if array.dtype.kind not in "biuf":
        raise InputError(name, given=f"{array.dtype}", expected="whole numbers from 0, one a sample")
    if array.ndim == 0 or math.prod(array.shape[1:]) != 1:
        raise InputError(
            name,
            given=f"{array.dtype} of shape {array.shape}",
            expected="one label a sample",
            hint="y.argmax(1) where rows are one-hot",
        )
    flat = array.reshape(-1)
    if flat.dtype.kind == "f":
        require_whole_values(flat, name)
    if len(flat) and (flat.min() < 0 or flat.max() >= MOST_CLASSES):
        raise InputError(
            name,
            given=f"values {_short(flat.min())}..{_short(flat.max())}",
            expected=f"labels from 0, below {MOST_CLASSES:,}",
            hint="number the classes 0, 1, 2, ..." if flat.min() >= 0 else "labels count from 0",
        )
    found = torch.from_numpy(flat.astype(np.int64))
    return found.to(y.device) if isinstance(y, Tensor) else found


def require_whole_values(values: np.ndarray, name: str) -> None:
    """Refuse numbers with fractions as labels.

    Args:
        values: (N,) floats.
        name: for the message.

    Raises:
        InputError: NaN, infinity, fractions: with what they look like.
    """
    if not np.isfinite(values).all():
        raise InputError(name, given="NaN or infinity", expected="whole numbers from 0")
    fractions = values[values != np.round(values)]
    if len(fractions):
        raise InputError(
            name,
            given=f"{values.dtype} with fractions, e.g. {float(fractions[0]):.4g}",
            expected="whole numbers, one a class",
            hint=_REGRESSION,
        )


def _short(value: Any) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"
