"""What is read from scores, and intervals over pairs that share their digits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from deepwright.core.statistics import Interval, mean_interval
from deepwright.ood import auroc
from deepwright.ood.metrics import acceptance_threshold
from deepwright.studies.bbas.detectors import PUBLISHED

DIGITS = 10
_STUDENT = 2.2621571628  # 97.5 % quantile with DIGITS - 1 degrees of freedom


def areas(scored: dict[str, list[dict[str, Tensor] | None]]) -> dict[str, list[dict[str, Any] | None]]:
    """By detector and setting, what its scores say of each set; see `_read`.

    Args:
        scored: see `detectors.scores`; the in-distribution test set is "inside".
    """
    found = scored.get(PUBLISHED, [None])[0]
    rate = None if found is None else float((found["inside"] > 0).double().mean())
    return {name: [None if one is None else _read(one, rate) for one in settings] for name, settings in scored.items()}


def _read(one: dict[str, Tensor], rate: float | None) -> dict[str, Any]:
    """AUROC of each set; the shares that are flagged by a threshold which accepts 95 % of every second known sample,
    of the other known samples ("inside") and of each set; and of each set at the false alarms of the published monitor.
    """
    inside = one["inside"]
    outside = {name: values for name, values in one.items() if name != "inside"}
    threshold = acceptance_threshold(inside[::2].double(), 0.95)
    read = {
        "auroc": {name: auroc(inside, values) for name, values in outside.items()},
        "flagged": {name: _above(values, threshold) for name, values in (outside | {"inside": inside[1::2]}).items()},
    }
    if rate is not None:
        same = inside.double().sort(descending=True).values[min(round(rate * len(inside)), len(inside) - 1)]
        read["at_rate"] = {name: _above(values, float(same)) for name, values in one.items()}
    return read


def _above(values: Tensor, threshold: float) -> float:
    return float((values.double() > threshold).double().mean())


def by_digits(pairs: Sequence[tuple[int, int]], values: Sequence[float]) -> Interval:
    """The mean over pairs of digits, with a 95 % interval that knows that pairs share digits.

    Each digit is left out in turn, with the nine pairs that it is in (the jackknife of a mean over pairs); the interval
    is Student's with 9 degrees of freedom. Few pairs, as of a quick run, are taken as independent.

    Args:
        pairs: of different digits.
        values: one a pair.
    """
    mean = sum(values) / len(values)
    left = [[v for pair, v in zip(pairs, values) if digit not in pair] for digit in range(DIGITS)]
    if len(set(pairs)) < DIGITS or not all(left):
        return mean_interval(values)
    means = [sum(some) / len(some) for some in left]
    centre = sum(means) / DIGITS
    error = math.sqrt((DIGITS - 1) / DIGITS * sum((m - centre) ** 2 for m in means))
    return Interval(mean, mean - _STUDENT * error, mean + _STUDENT * error)
