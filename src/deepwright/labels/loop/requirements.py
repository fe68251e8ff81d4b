"""What a labelling loop is given, looked at before anything is trained or written."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.features import read_logits
from deepwright.core.inference import evaluating
from deepwright.core.tasks import Task
from deepwright.core.tasks.targets import as_tensor


def whole_numbers(values: Any, name: str) -> list[int]:
    """Indices or labels of any dtype as integers.

    Args:
        values: (n,) integers, or floats that are whole numbers.
        name: what they are.

    Raises:
        InputError: fractions, NaN, booleans, anything else than numbers in one row.
    """
    if isinstance(values, list | tuple):
        values = [v.item() if isinstance(v, Tensor | np.generic) and v.ndim == 0 else v for v in values]
        if any(isinstance(v, bool) for v in values):  # numpy would make numbers of them
            raise InputError(name, given="booleans", expected="integers")
    found = as_tensor(values, name)
    if found.ndim != 1 or found.dtype == torch.bool:
        given = "booleans" if found.dtype == torch.bool else f"shape {tuple(found.shape)}"
        raise InputError(name, given=given, expected="integers, (n,)")
    numbers = found.tolist()
    broken = [v for v in numbers if isinstance(v, float) and not v.is_integer()]
    if broken:
        raise InputError(name, given=broken[:5], expected="integers")
    return [int(v) for v in numbers]


def whole_number(value: Any, name: str, least: int) -> int:
    """A size, as an integer.

    Args:
        value: of any integer type.
        name: what it is.
        least: the smallest that makes sense.

    Raises:
        InputError: another type, as a float, or a smaller one.
    """
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise InputError(name, given=repr(value), expected=f"an integer, {least} or more")
    return number


def require_validation(validation: Any) -> None:
    """Refuse validation data whose accuracy would mean nothing.

    Args:
        validation: (x, y), or None.

    Raises:
        InputError: no pair of tensors, none or other than one label a sample.
    """
    if validation is None:
        return
    pair = isinstance(validation, list | tuple) and len(validation) == 2
    if not pair or not all(isinstance(part, Tensor) for part in validation):
        raise InputError("validation", given=type(validation).__name__, expected="a pair of tensors (x, y)")
    x, y = validation
    if x.ndim == 0 or len(x) == 0 or y.shape != x.shape[:1]:
        given = f"x of shape {tuple(x.shape)}, y of shape {tuple(y.shape)}"
        raise InputError("validation", given=given, expected="(n, ...) and (n,), one sample or more")


def count_columns(network: nn.Module, x: Tensor, task: Task | None) -> int | None:
    """How many classes a network tells apart; None where scoring has to say what is wrong with its output.

    Args:
        network: as it is at the start.
        x: (1, ...) one sample.
        task: how to read outputs.
    """
    with evaluating(network), torch.no_grad():
        logits = read_logits(network(to_model(x, network)), task)
    return logits.shape[1] if isinstance(logits, Tensor) and logits.ndim == 2 else None
