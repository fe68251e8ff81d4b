"""Numbers as arguments: each that makes no sense is refused by its name."""

from __future__ import annotations

import math

from deepwright.core.errors import InputError


def require_whole(least: int, **values: object) -> None:
    """Refuse what isn't a whole number of `least` or more.

    Args:
        least: the smallest that is allowed.
        **values: by the names of the arguments.

    Raises:
        InputError: the first that is none; booleans aren't, either.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(name, given=repr(value), expected=f"a whole number, at least {least}")


def require_between(low: float, high: float, **values: object) -> None:
    """Refuse what isn't a finite number within two bounds, both of them allowed.

    Args:
        low: the smallest.
        high: the largest; infinity sets no bound, and isn't allowed itself.
        **values: by the names of the arguments.

    Raises:
        InputError: the first that is none.
    """
    for name, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not low <= value <= high:  # type: ignore[operator]
            raise InputError(name, given=repr(value), expected=f"a number from {low:g} to {high:g}")
