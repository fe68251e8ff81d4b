"""Plain rivals of the forecast by code lengths: rules that name a size at which the second feature takes over.

Each gives samples: 0 where the second feature is used from the start, infinity where it never is.
"""

from __future__ import annotations

import math

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_within
from deepwright.interpret.prequential.crossings import last_crossing
from deepwright.interpret.prequential.curves import LossCurve


def by_accuracy(cheap: LossCurve, dear: LossCurve, original: str | None = None) -> float:
    """The feature whose networks are right more often on the original data, at the largest size, is used throughout.

    Args:
        cheap: curve of the feature that is thought to come first.
        dear: of the other.
        original: test set of the original data.

    Raises:
        InputError: a curve without accuracies.
    """
    ours, theirs = (float(curve.mean_accuracy(original)[-1]) for curve in (cheap, dear))
    if math.isnan(ours) or math.isnan(theirs):
        raise InputError("accuracies", given="none at the largest size", expected="curves that were measured")
    return 0.0 if theirs > ours else math.inf


def by_separability(cheap: float, dear: float) -> float:
    """The feature that a straight line tells the classes apart by is used throughout.

    Args:
        cheap: accuracy of a linear classifier on the isolated data of the feature that is thought to come first.
        dear: of the other.
    """
    require_within(0, 1, cheap=cheap, dear=dear)
    return 0.0 if dear > cheap else math.inf


def by_crossing(cheap: LossCurve, dear: LossCurve, original: str | None = None) -> float:
    """Where the two losses on the original data cross for the last time, in log N: no cost of any kind.

    Args:
        cheap: curve of the feature that is thought to come first.
        dear: of the other.
        original: test set of the original data.

    Raises:
        InputError: curves of other sizes.
    """
    if not np.array_equal(cheap.sizes, dear.sizes):
        given = f"{len(cheap.sizes)} up to {cheap.sizes[-1]:g}, and {len(dear.sizes)} up to {dear.sizes[-1]:g}"
        raise InputError("sizes of two curves", given=given, expected="the same")
    return last_crossing(cheap.sizes, cheap.mean(original) - dear.mean(original))


def by_training_speed(dear: LossCurve, classes: int = 2, own: str | None = None) -> float:
    """The first size at which the second feature's own loss is below half of log2 C.

    Args:
        dear: curve of the feature that is thought to come second.
        classes: C.
        own: test set of its isolated data.
    """
    below = np.flatnonzero(dear.mean(own) < math.log(classes) / 2)
    return float(dear.sizes[below[0]]) if len(below) else math.inf


def by_coin(dear_cost: float, cheap_slope: float, dear_slope: float, n: float) -> float:
    """N* with the first feature's cost that of a KT coin: 1/2 log2 n + 1/2 log2 (pi / 2) bits, without a curve of it.

    Args:
        dear_cost: bits of the other feature.
        cheap_slope: bits that the first leaves a label of the original data.
        dear_slope: bits that the other leaves.
        n: samples that the coin is learnt from.
    """
    require_number(0, dear_cost=dear_cost, cheap_slope=cheap_slope, dear_slope=dear_slope)
    require_number(1, n=n)
    less = cheap_slope - dear_slope
    return max(0.0, dear_cost - math.log2(n) / 2 - math.log2(math.pi / 2) / 2) / less if less > 0 else math.inf
