"""What a search is given, held against what it needs: pairs of tensors, masks."""

from __future__ import annotations

from numpy import ndarray as Array
from torch import Tensor

from deepwright.core.errors import InputError


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
