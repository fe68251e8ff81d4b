"""What arguments must be, refused by name: counts, numbers in a range, finite values, functions, networks, arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError


def require_whole(least: int | None = None, /, **counts: Any) -> None:
    """Refuse what isn't a whole number, or is too small.

    Args:
        least: the smallest that is allowed; None for any.
        **counts: values by the names that the user knows.

    Raises:
        InputError: the first such; a bool and a float among it, whatever their values.
    """
    for what, value in counts.items():
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or (least is not None and value < least):
            raise InputError(what, given=repr(value), expected=_or_more("a whole number", least))


def require_number(least: float | None = None, /, *, infinite: bool = False, **numbers: Any) -> None:
    """Refuse what is no number, or is too small; NaN is none.

    Args:
        least: the smallest that is allowed; None for any.
        infinite: whether infinity is allowed.
        **numbers: values by the names that the user knows.

    Raises:
        InputError: the first such.
    """
    for what, value in numbers.items():
        if not _is_number(value, infinite) or (least is not None and value < least):
            raise InputError(what, given=repr(value), expected=_or_more(_kind(infinite), least))


def require_positive(*, infinite: bool = False, **numbers: Any) -> None:
    """Refuse what isn't a number above 0.

    Args:
        infinite: whether infinity is allowed.
        **numbers: values by the names that the user knows.

    Raises:
        InputError: the first such.
    """
    for what, value in numbers.items():
        if not _is_number(value, infinite) or not value > 0:
            raise InputError(what, given=repr(value), expected=f"{_kind(infinite)} above 0")


def require_within(low: float, high: float, /, *, ends: str = "[]", **numbers: Any) -> None:
    """Refuse what is no number within a range; NaN and infinity never are.

    Args:
        low: lower end.
        high: upper end.
        ends: "[" and "]" where the end itself is allowed, "(" and ")" where it isn't.
        **numbers: values by the names that the user knows.

    Raises:
        InputError: the first such.
    """
    left, right = ends[0], ends[1]
    for what, value in numbers.items():
        inside = _is_number(value) and low <= value <= high
        if not inside or (left == "(" and value == low) or (right == ")" and value == high):
            raise InputError(what, given=repr(value), expected=f"a number in {left}{low:g}, {high:g}{right}")


def _is_number(value: Any, infinite: bool = False) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    # no math.isfinite, which can't take an integer that no float holds
    return bool(value == value and (infinite or abs(value) != math.inf))


def _kind(infinite: bool) -> str:
    return "a number" if infinite else "a finite number"


def _or_more(kind: str, least: float | None) -> str:
    return kind if least is None else f"{kind}, {least} or more"


def require_finite(values: Tensor, name: str) -> Tensor:
    """The values, refused where one is NaN or infinite.

    Args:
        values: any floating tensor; whole numbers are finite.
        name: how the user knows it.
    """
    # a sum costs one pass over the data, a mask of what is finite four
    if values.is_floating_point() and not torch.isfinite(values.sum()) and not torch.isfinite(values).all():
        bad = ~torch.isfinite(values).reshape(len(values), -1).all(1) if values.ndim else torch.ones(1)
        rows = bad.nonzero().flatten()[:5].tolist()
        raise InputError(name, given=f"NaN or infinity in samples {rows}", expected="finite numbers")
    return values


def numbers(values: Any, name: str) -> Tensor:
    """A flat tensor of at least one number, none NaN.

    Args:
        values: a tensor, an array or a sequence.
        name: how the user knows it.
    """
    found = values if isinstance(values, Tensor) else array_tensor(_as_array(values, name), name)
    flat = found.detach().reshape(-1)
    if flat.numel() == 0:
        raise InputError(name, given="no scores" if "scores" in name else "none", expected="at least one number")
    if flat.is_complex() or (flat.is_floating_point() and bool(torch.isnan(flat).any())):
        raise InputError(name, given=str(flat.dtype) if flat.is_complex() else "NaN", expected="numbers, no NaN")
    return flat


def _as_array(values: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(name, given="rows of different lengths", expected="one shape for all") from error


def array_tensor(array: np.ndarray, name: str) -> Tensor:
    """A tensor of an array of numbers, whatever its byte order and strides.

    Args:
        array: of numbers or booleans.
        name: how the user knows it.
    """
    if array.dtype.kind not in "biufc":
        kind = "str" if array.dtype.kind in "US" else str(array.dtype)
        raise InputError(name, given=f"an array of {kind} ({array.dtype})", expected="numbers")
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return torch.from_numpy(native if native.flags.writeable else native.copy())


def require_callable(what: str, value: Any, expected: str, hint: str | None = None) -> None:
    """Refuse what isn't a function.

    Args:
        what: how the user knows it.
        value: what was given.
        expected: of the function.
        hint: one that would do.
    """
    if not callable(value):
        raise InputError(what, given=f"{value!r:.60}", expected=expected, hint=hint)


def require_network(model: Any, what: str = "model") -> None:
    """Refuse what isn't an `nn.Module`.

    Args:
        model: what was given.
        what: how the user knows it.
    """
    if not isinstance(model, nn.Module):
        given, hint = (model, "an instance, not the class") if isinstance(model, type) else (type(model), None)
        raise InputError(what, given=given.__name__, expected="an nn.Module", hint=hint)


def require_same_length(a: Sequence[Any] | Tensor, b: Sequence[Any] | Tensor, what: str) -> None:
    """Refuse unlike lengths, which arithmetic might broadcast.

    Args:
        a: one.
        b: the other.
        what: both, as the user knows them.
    """
    if len(a) != len(b):
        raise InputError(what, given=f"lengths {len(a)} and {len(b)}", expected="one length")
