"""Numbers that an option can't be: told by name, with what was given, before anything is computed with them."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from deepwright.core.errors import InputError


def require_counts(least: int = 1, **counts: Any) -> None:
    """Refuse what isn't a whole number, or is too small.

    Args:
        least: the smallest that is allowed.
        counts: name -> what was given.

    Raises:
        InputError: the first such.
    """
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise InputError(name, given=repr(value), expected=f"a whole number, {least} or more")


def require_positive(**numbers: Any) -> None:
    """Refuse what isn't a finite number above 0.

    Args:
        numbers: name -> what was given.

    Raises:
        InputError: the first such.
    """
    for name, value in numbers.items():
        if not _finite(value) or not value > 0:
            raise InputError(name, given=repr(value), expected="a finite number above 0")


def require_not_negative(**numbers: Any) -> None:
    """Refuse what isn't a finite number of 0 or more.

    Args:
        numbers: name -> what was given.

    Raises:
        InputError: the first such.
    """
    for name, value in numbers.items():
        if not _finite(value) or value < 0:
            raise InputError(name, given=repr(value), expected="a finite number, 0 or more")


def _finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
