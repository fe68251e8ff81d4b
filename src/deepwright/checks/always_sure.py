"""What a fragility index is held against where there is nothing else: one that errs as often and is always sure."""

from __future__ import annotations

import math

STEPS = (0.5, 0.8, 1.0, 1.5)  # of the reference's index, for A to D


def always_sure(q: float) -> float:
    """Normalised FI of a classifier that errs on a share q and is always fully sure; infinite from a half on.

    Args:
        q: above 0.
    """
    return 1 / math.log((1 - q) / q) / (1 - 2 * q) if q < 0.5 else math.inf


def over(value: float, reference: float) -> float:
    """A normalised FI over that of a reference.

    Args:
        value: 0 or more.
        reference: what it is held against.
    """
    if reference > 0:
        return value / reference
    return 0.0 if value == 0 else math.inf
