"""Switches, boxes, budgets and functions that a user gives to an attack: taken where they are what they should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError


def switch(what: str, value: Any) -> bool:
    """True or False.

    Args:
        what: its name.
        value: what was given.

    Raises:
        InputError: anything else, "no" among it.
    """
    if not isinstance(value, bool):
        raise InputError(what, given=repr(value), expected="True or False")
    return value


def box(value: Any) -> tuple[float, float]:
    """(low, high) of every coordinate.

    Args:
        value: what was given.

    Raises:
        InputError: anything else.
    """
    pair = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    numbers = all(isinstance(end, Real) and not isinstance(end, bool) for end in pair)
    if len(pair) != 2 or not numbers or not pair[0] < pair[1]:
        raise InputError("bounds", given=repr(value), expected="(low, high) with low < high")
    return pair[0], pair[1]


def budget(eps: Any, n: int | None, dtype: torch.dtype) -> Tensor:
    """Budgets as a vector of one number, or of one a sample.

    Args:
        eps: what was given.
        n: number of samples; None where they aren't known yet.
        dtype: of the budgets.

    Raises:
        InputError: anything but numbers of 0 or more; as many as neither one nor the samples.
    """
    try:
        found = None if isinstance(eps, str | bool | None) else torch.as_tensor(eps, dtype=dtype)
    except (TypeError, ValueError, RuntimeError):
        found = None
    if found is None or found.ndim > 1 or not len(found.reshape(-1)) or not bool((found >= 0).all()):
        raise InputError("eps", given=_brief(eps), expected="0 or more, one number or one a sample")
    if n is not None and found.numel() not in (1, n):
        raise InputError("eps", given=f"{found.numel()} numbers for {n} samples", expected="one number or one a sample")
    return found.reshape(-1)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def steps_before(through: Any) -> tuple[Callable[[Tensor], Tensor], ...]:
    """Pre-processing as a tuple of functions.

    Args:
        through: what was given.

    Raises:
        InputError: one function by itself, or what can't be called.
    """
    good = isinstance(through, Sequence) and not isinstance(through, str) and all(map(callable, through))
    if not good:
        given = getattr(through, "__name__", None) or type(through).__name__
        raise InputError("through", given=given, expected="a sequence of functions", hint="through=[step]")
    return tuple(through)
