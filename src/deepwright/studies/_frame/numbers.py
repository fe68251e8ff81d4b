"""One arm against another, seed by seed, and what comes of it as a figure's series or a table's cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval
from deepwright.studies._frame.runs import Measure, Runs, over_trials


def gaps(a: Runs, b: Runs, measure: Measure, other: Measure | None = None) -> list[float]:
    """One arm's measure minus another's, seed by seed.

    Args:
        a: the arm on the left.
        b: the arm on the right, with the same seeds.
        measure: what is read from both.
        other: what is read from `b`, where that is another measure.

    Raises:
        InputError: the arms' seeds differ.
    """
    return [x - y for x, y in _paired(a, b, measure, other)]


def ratios(a: Runs, b: Runs, measure: Measure, other: Measure | None = None) -> list[float]:
    """One arm's measure over another's, seed by seed; where that is 0, NaN, which decides nothing.

    Args:
        a: the arm above the line.
        b: the arm below it, with the same seeds.
        measure: what is read from both.
        other: what is read from `b`, where that is another measure.

    Raises:
        InputError: the arms' seeds differ.
    """
    return [x / y if y != 0 else math.nan for x, y in _paired(a, b, measure, other)]


def _paired(a: Runs, b: Runs, measure: Measure, other: Measure | None) -> list[tuple[float, float]]:
    if a.seeds != b.seeds:
        raise InputError(
            "two arms", given=f"seeds {a.seeds} and {b.seeds}", expected="the same seeds in the same order"
        )
    return list(zip(a.values(measure), b.values(measure if other is None else other)))


def geometric(a: Runs, b: Runs, measure: Measure, other: Measure | None = None) -> Interval:
    """Geometric mean of one arm's measure over another's, with the 95 % interval of its logarithm over the seeds.

    What a quotient of errors is worth in the mean: 2 and 1/2 cancel, and no seed outweighs the others.

    Args:
        a: the arm above the line.
        b: the arm below it, with the same seeds.
        measure: what is read from both, above 0.
        other: what is read from `b`, where that is another measure.

    Raises:
        InputError: the arms' seeds differ, there are none, or a value isn't above 0.
    """
    pairs = _paired(a, b, measure, other)
    low = min((value for pair in pairs for value in pair if not math.isnan(value)), default=math.nan)
    if low <= 0:
        raise InputError("values of a quotient", given=low, expected="all above 0")
    return geometric_mean([x / y for x, y in pairs])


def geometric_mean(values: Sequence[float]) -> Interval:
    """Geometric mean with the 95 % interval of its logarithm: what errors over several powers of ten have; both ends
    are above 0. Where a trial diverged (NaN or infinity) there is no interval.

    Args:
        values: one a seed, above 0.

    Raises:
        InputError: there is none, or one isn't above 0.
    """
    if not len(values) or any(v <= 0 for v in values):
        raise InputError("values of a geometric mean", given=list(values), expected="at least one, all above 0")
    logs = over_trials([math.log(v) for v in values])
    return Interval(_exp(logs.value), _exp(logs.low), _exp(logs.high))


def _exp(value: float) -> float:
    """Infinite where it is too large for a number."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def banded(name: str, x: Sequence[Any], samples: Sequence[Sequence[float]]) -> dict[str, Any]:
    """A figure's series of means, with 95 % intervals over the seeds where every point has one.

    Args:
        name: in the legend.
        x: one place or label a point.
        samples: the values over seeds at each point.
    """
    return barred(name, x, [over_trials(values) for values in samples])


def barred(name: str, x: Sequence[Any], points: Sequence[Interval]) -> dict[str, Any]:
    """A figure's series of values, with their intervals where every point has one.

    Args:
        name: in the legend.
        x: one place or label a point.
        points: the intervals.
    """
    values = curve(name, x, [p.value for p in points])
    if not all(p.known for p in points):
        return values
    return {**values, "low": [p.low for p in points], "high": [p.high for p in points]}


def training_curve(name: str, curves: Sequence[Sequence[float]]) -> dict[str, Any]:
    """A figure's series over the share of a training: geometric means over the seeds with their intervals.

    Args:
        name: in the legend.
        curves: one a seed, each of as many looks, evenly apart, the last at the end.
    """
    points = [geometric_mean(values) for values in zip(*curves)]
    return barred(name, [(k + 1) / len(points) for k in range(len(points))], points)


def columns(*names: str) -> list[str]:
    """A table's columns: each name with its interval's ends, whose headings must differ (by spaces that don't show).

    Args:
        names: of what has intervals.
    """
    return [heading for i, name in enumerate(names) for heading in (name, "low" + " " * i, "high" + " " * i)]


def curve(name: str, x: Sequence[Any], y: Sequence[Any], **more: Any) -> dict[str, Any]:
    """A figure's series without intervals.

    Args:
        name: in the legend.
        x: places or labels.
        y: values.
        more: what else `core.results.Figure` reads, `dashed` for one.
    """
    return {"name": name, "x": list(x), "y": list(y), **more}
