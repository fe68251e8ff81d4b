"""Candidate predictors as lines, cost plus samples times loss, and the exact lower envelope of them.

J_p(N) = K(p) + N l(p): the bits that describe predictor p, and those that it leaves of N labels. The best compressor of
N labels takes the lowest line; as N grows the choice walks from cheap and poor to dear and good ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_whole
from deepwright.interpret.prequential.curves import UNITS, LossCurve, ModelCost


@dataclass(frozen=True)
class CompressionLine:
    """A predictor as a compressor sees it.

    Attributes:
        name: of the predictor, or of the feature that it uses.
        cost_bits: what it takes to describe it.
        slope_bits: what it leaves a label, on the original data.
        metrics: what else is known of it (its accuracy elsewhere), for `Envelope.predict`.
    """

    name: str
    cost_bits: float
    slope_bits: float
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_number(0, cost_bits=self.cost_bits, slope_bits=self.slope_bits)

    @classmethod
    def of(
        cls, name: str, cost: ModelCost, slope: float, unit: str, metrics: Mapping[str, float] | None = None
    ) -> CompressionLine:
        """A line of a measured cost.

        Args:
            name: of the predictor.
            cost: of `LossCurve.cost`.
            slope: loss a label on the original data.
            unit: of the slope, which must be the cost's.
            metrics: what else is known of it.

        Raises:
            InputError: nats beside bits.
        """
        if unit != cost.unit or unit not in UNITS:
            raise InputError("a line", given=f"cost in {cost.unit}, slope in {unit}", expected="one unit for both")
        factor = UNITS["bits"] / UNITS[unit]
        return cls(name, cost.value * factor, slope * factor, dict(metrics or {}))

    def at(self, n: float) -> float:
        """Bits of n labels.

        Args:
            n: how many.
        """
        return self.cost_bits + n * self.slope_bits


def memorising(classes: int = 2) -> CompressionLine:
    """The predictor that costs nothing and leaves everything: log2 of the number of classes a label.

    Args:
        classes: how many.
    """
    require_whole(2, classes=classes)
    return CompressionLine("memorise", 0.0, math.log2(classes))


def intermediate_lines(
    curve: LossCurve, name: str, original: str | None = None, own: str | None = None, count: int = 100
) -> list[CompressionLine]:
    """Lines of the networks that stop early: at size n what the curve cost up to n, and the loss at n on other data.

    Their costs are spaced evenly on a logarithmic axis; sizes between two measured ones are interpolated.

    Args:
        curve: of a feature, measured on its own test set and on the original one.
        name: of the feature.
        original: test set that the slope is read from; the first of the curve when None.
        own: test set that the cost is read from; the first of the curve when None.
        count: how many lines, at most.
    """
    require_whole(2, count=count)
    sizes, mine, theirs = curve.sizes, curve.mean(own), curve.mean(original)
    middles = np.concatenate([[0.0], np.cumsum(np.diff(sizes) * (mine[1:] + mine[:-1]) / 2)])
    costs = np.maximum.accumulate((middles - mine * (sizes - sizes[0])).clip(0)) * UNITS["bits"]
    least = costs[costs > 0].min() if (costs > 0).any() else 0.0
    wanted = np.geomspace(least, costs[-1], count - 1) if least else np.zeros(0)
    # where the cost stands still the later size has the lower loss: the last of equal costs stands for them
    last = np.append(np.diff(costs) > 0, True)
    slopes = [np.interp(np.append(0.0, wanted), costs[last], theirs[last] * UNITS["bits"])]
    pairs = zip(np.append(0.0, wanted), slopes[0], np.interp(np.append(0.0, wanted), costs[last], sizes[last]))
    return [CompressionLine(name, float(k), max(0.0, float(s)), {"samples": float(n)}) for k, s, n in pairs]


@dataclass(frozen=True)
class Crossing:
    """Where the envelope goes from one line to the next.

    Attributes:
        samples: N at which both cost the same.
        bits: what they cost there.
        before: index of the line on the left.
        after: index of the line on the right.
    """

    samples: float
    bits: float
    before: int
    after: int

    def __iter__(self) -> Iterator[float | int]:
        return iter((self.samples, self.bits, self.before, self.after))


class Envelope:
    """The lower envelope of lines over N >= 0, computed exactly: sorted by slope, then pairwise intersections.

    Args:
        lines: at least one; of equal ones the first counts.
    """

    def __init__(self, lines: Sequence[CompressionLine]) -> None:
        if not lines:
            raise InputError("lines of an envelope", given="none", expected="at least one")
        self.lines = tuple(lines)
        cost = np.array([line.cost_bits for line in lines])
        slope = np.array([line.slope_bits for line in lines])
        self._on, self._starts = _lower_hull(cost, slope)

    def best(self, n: float) -> int:
        """Index of the line that is lowest at n; at a crossing that on the right.

        Args:
            n: samples, 0 or more.
        """
        require_number(0, n=n)
        return self._on[int(np.searchsorted(self._starts, n, side="right")) - 1]

    def value(self, n: float) -> float:
        """Bits of the lowest line at n.

        Args:
            n: samples, 0 or more.
        """
        return self.lines[self.best(n)].at(n)

    def members(self, n_min: float = 0.0, n_max: float = math.inf) -> list[int]:
        """Indices of the lines that are lowest somewhere in a range, from left to right.

        Args:
            n_min: its beginning.
            n_max: its end.
        """
        ends = [*self._starts[1:], math.inf]
        spans = zip(self._on, self._starts, ends)
        return [i for i, start, end in spans if start <= n_max and end > n_min]

    def switches(self) -> list[Crossing]:
        """Where the lowest line changes, from left to right."""
        pairs = zip(self._starts[1:], self._on, self._on[1:])
        return [Crossing(n, self.lines[after].at(n), before, after) for n, before, after in pairs]

    def taken_by(self, name: str) -> float:
        """From how many samples on the lowest lines bear a name for good: infinite where the last one doesn't.

        Args:
            name: of lines.
        """
        others = [k for k, i in enumerate(self._on) if self.lines[i].name != name]
        if not others:
            return 0.0
        return self._starts[others[-1] + 1] if others[-1] + 1 < len(self._on) else math.inf

    def predict(self, metric: str, n: float) -> float:
        """What the lowest line at n has of a metric; NaN where it isn't known.

        Args:
            metric: a key of the lines' `metrics`.
            n: samples.
        """
        if not any(metric in line.metrics for line in self.lines):
            known = sorted({key for line in self.lines for key in line.metrics})
            raise InputError("metric", given=repr(metric), expected=", ".join(known) or "a line with metrics")
        return float(self.lines[self.best(n)].metrics.get(metric, math.nan))


def _lower_hull(cost: np.ndarray, slope: np.ndarray) -> tuple[list[int], list[float]]:
    """Lines on the envelope from left to right, and where each begins. O(m log m), of which the sort is the log."""
    order = np.lexsort((np.arange(len(cost)), slope, cost))  # cheapest first, of equal costs the flattest
    on: list[int] = []
    starts: list[float] = []
    for i in order.tolist():
        if on and slope[i] >= slope[on[-1]] and cost[i] >= cost[on[-1]]:
            continue  # never below the last, which is the flattest so far
        start = 0.0
        while on:
            start = float((cost[i] - cost[on[-1]]) / (slope[on[-1]] - slope[i]))
            if start > starts[-1]:
                break
            on.pop()
            starts.pop()
            start = 0.0
        on.append(i)
        starts.append(start if on[:-1] else 0.0)
    return on, starts
