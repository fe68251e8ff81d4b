"""What a search is given, held against what it needs: numbers, pairs of tensors, masks."""

from __future__ import annotations

import numpy as np
from numpy import ndarray as Array
from torch import Tensor

from deepwright.core.errors import InputError


def require_whole(name: str, value: object, least: int) -> None:
    """Refuse what isn't a whole number, or is below the least.

    Args:
        name: how the user knows it.
        value: what was given.
        least: it may be.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(name, given=repr(value), expected=f"a whole number of {least} or more")


def require_between(name: str, value: object, low: float, high: float) -> None:
    """Refuse what isn't a number from low to high; NaN isn't.

    Args:
        name: how the user knows it.
        value: what was given.
        low: least.
        high: most.
    """
    number = isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # type: ignore[operator]
        raise InputError(name, given=repr(value), expected=f"a number in [{low:g}, {high:g}]")


def require_pair(name: str, value: object) -> None:
    """Refuse what isn't (inputs, targets).

    Args:
        name: how the user knows it.
        value: what was given.
    """
    if not isinstance(value, tuple | list) or len(value) != 2 or not all(isinstance(v, Tensor) for v in value):
        raise InputError(name, given=type(value).__name__, expected="two tensors: inputs, targets")


def require_masks(masks: object, size: int) -> None:
    """Refuse what isn't one network a row.

    Args:
        masks: what was given.
        size: bits of a mask.
    """
    if not isinstance(masks, Array) or masks.dtype != bool or masks.ndim != 2 or masks.shape[1] != size:
        given = f"{masks.dtype} of shape {masks.shape}" if isinstance(masks, Array) else type(masks).__name__
        raise InputError("masks", given=given, expected=f"bool of shape (networks, {size})")
