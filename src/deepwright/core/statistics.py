"""Intervals and tests: every "better" in the house goes through one of these.

`scipy.stats` takes half a second to import, so functions that need it import it when they are called.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import (
    numbers,
    require_finite,
    require_same_length,
    require_whole,
    require_within,
)

Statistics = Callable[[Float[Tensor, "rows n"]], Mapping[str, Float[Tensor, " rows"]]]

_BLOCK = 1 << 21  # numbers in one block of weights


@dataclass(frozen=True)
class Interval:
    """A measured value with its interval (95 % unless said otherwise)."""

    value: float
    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Whether two intervals share a point."""
        return self.low <= other.high and other.low <= self.high

    def minus(self, other: Interval) -> Interval:
        """The difference to an independent value: each end from the two distances that add up to it (MOVER).

        Args:
            other: what is taken off, with an interval of the same level.

        Source: G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures", 2008.
        """
        value = self.value - other.value
        below = math.hypot(self.value - self.low, other.high - other.value)
        above = math.hypot(self.high - self.value, other.value - other.low)
        return Interval(value, value - below, value + above)

    @classmethod
    def mean_of(cls, parts: Sequence[Interval]) -> Interval:
        """The mean of values that share their samples: their intervals don't shrink in it, so its ends are their means.

        Args:
            parts: at least one.
        """
        ends = zip(*((part.value, part.low, part.high) for part in parts))
        return cls(*(sum(values) / len(parts) for values in ends))

    @property
    def known(self) -> bool:
        """Whether both ends are numbers: one value, for one, says nothing about its spread."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def __format__(self, spec: str) -> str:
        spec = spec or ".4g"  # f"{interval}" is as str(interval)
        value = format(self.value, spec)
        return f"{value} [{self.low:{spec}}, {self.high:{spec}}]" if self.known else f"{value} (interval not known)"

    def __str__(self) -> str:
        return format(self, ".4g")


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a share.

    The closed form: `scipy.stats.binomtest(...).proportion_ci("wilson")` gives the same to 2e-16 and takes 3 to 12
    times as long, because it computes a p-value first.

    Args:
        successes: how many of n.
        n: how many in all.
        level: of the interval.

    Raises:
        InputError: not 0 <= successes <= n, or n < 1.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    from scipy import special

    _require_level(level)
    if n <= 0 or not 0 <= successes <= n:
        raise InputError("a share", given=f"{successes} of {n}", expected="0 <= successes <= n, n >= 1")
    z = float(special.ndtri(0.5 + level / 2))
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)))


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Clopper and Pearson's exact (conservative) interval for a share.

    Quantiles of the beta distribution: `scipy.stats.binomtest(...).proportion_ci("exact")` searches for the same ends
    (to 5e-13) and takes 14 to 24 times as long.

    Args:
        successes: how many of n.
        n: how many in all.
        level: of the interval.

    Raises:
        InputError: not 0 <= successes <= n, or n < 1.
    """
    from scipy import stats

    _require_level(level)
    if n <= 0 or not 0 <= successes <= n:
        raise InputError("a share", given=f"{successes} of {n}", expected="0 <= successes <= n, n >= 1")
    tail = (1 - level) / 2
    low = stats.beta.ppf(tail, successes, n - successes + 1) if successes else 0.0
    high = stats.beta.ppf(1 - tail, successes + 1, n - successes) if successes < n else 1.0
    return Interval(successes / n, float(low), float(high))


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's interval for the mean of few values (seeds); infinite ends where there is one, which shows no spread.

    Args:
        values: at least one.
        level: of the interval.
    """
    from scipy import stats

    _require_level(level)
    array = require_finite(numbers(values, "values"), "values").double().cpu().numpy()
    if len(array) == 1:
        return _unknown(float(array[0]), is_share=False)
    half = stats.t.ppf(0.5 + level / 2, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array))
    return Interval(float(array.mean()), float(array.mean() - half), float(array.mean() + half))


def resamples(n: int, rows: int, seed: int = 0) -> Tensor:
    """(rows, n) bootstrap indices.

    Args:
        n: number of samples.
        rows: number of resamples.
        seed: of the draws.
    """
    return torch.randint(0, n, (rows, n), generator=generator(seed, "bootstrap"))


def bootstrap(
    values: Float[Tensor, "n ..."],
    statistic: Callable[[Tensor], Tensor] = lambda v: v.mean(1),
    rows: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of any statistic, on the values' own device; it can miss its own point where that is biased.

    `scipy.stats.bootstrap` takes as long (1.04 times at 2,000 values), but only for NumPy arrays on the CPU.
    `weighted_bootstrap` corrects the bias.

    Args:
        values: (n, ...) one row a sample.
        statistic: (rows, n, ...) -> (rows,).
        rows: number of resamples.
        level: of the interval.
        seed: of the draws, which are the same on every device.

    Raises:
        InputError: fewer than two samples: all resamples of one are alike, and their interval would have no width.
    """
    if len(values) < 2:
        raise InputError("values to bootstrap", given=f"{len(values)} of them", expected="two samples or more")
    require_finite(values, "values to bootstrap")
    require_whole(1, rows=rows)
    _require_level(level)
    draws = statistic(values[resamples(len(values), rows, seed).to(values.device)]).double()
    tail = (1 - level) / 2
    low, high = torch.nanquantile(draws, draws.new_tensor([tail, 1 - tail])).tolist()
    return Interval(float(statistic(values[None])[0]), low, high)


def weighted_bootstrap(
    n: int,
    statistics: Statistics,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    shares: Mapping[str, int] = MappingProxyType({}),
    device: torch.device | str = "cpu",
) -> dict[str, Interval]:
    """Bias-corrected and accelerated (BCa) bootstrap of several statistics at once.

    A resample is given as how often it holds each sample, so that scores are sorted once for all resamples and every
    statistic sees the same ones: at 10,000 samples a sixth of the time of `scipy.stats.bootstrap`, which gives the same
    intervals. Each holds its point. The acceleration is left out above 10,000 samples, where it is below a percent.

    Args:
        n: number of samples.
        statistics: (rows, n) weights -> name -> (rows,); NaN where a resample has no value.
        resamples: how many; fewer (200 at least) for more than 20,000 samples.
        level: of the intervals.
        seed: of the draws, which are the same on every device.
        shares: the statistics that lie in [0, 1], with the number of samples behind each: where no resample differs, as
            at a perfect score, Wilson's interval of so many samples is given instead of a point.
        device: where the statistics work.

    Source: B. Efron, "Better bootstrap confidence intervals", 1987.
    """
    if n < 1:
        raise InputError("samples to bootstrap", given="none", expected="at least one")
    _require_level(level)
    resamples = max(200, min(resamples, 20_000_000 // n))
    ones = torch.ones(1, n, dtype=torch.float64, device=device)
    points = {name: float(value[0]) for name, value in statistics(ones).items()}
    if n == 1:
        return {name: _unknown(value, name in shares) for name, value in points.items()}
    drawn = _values(statistics, _resampled(n, resamples, seed, device))
    without = _values(statistics, _left_out(n, device)) if n <= 10_000 else {}
    return {
        name: _interval(point, drawn[name], _acceleration(without.get(name)), level, shares.get(name))
        for name, point in points.items()
    }


def _require_level(level: float) -> None:
    require_within(0.0, 1.0, ends="()", level=level)


def _values(statistics: Statistics, blocks: Iterable[Tensor]) -> dict[str, Tensor]:
    """Every statistic of all weightings, without those that have no value."""
    parts = [statistics(weights) for weights in blocks]
    whole = {name: torch.cat([part[name].double().cpu() for part in parts]) for name in parts[0]}
    return {name: values[~torch.isnan(values)] for name, values in whole.items()}


def _resampled(n: int, resamples: int, seed: int, device: torch.device | str) -> Iterator[Tensor]:
    """Blocks of (rows, n) counts of resamples with replacement."""
    source, block = generator(seed, "bootstrap"), max(1, _BLOCK // n)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        index = torch.randint(0, n, (rows, n), generator=source).to(device)
        zeros = torch.zeros(rows, n, dtype=torch.float64, device=device)
        yield zeros.scatter_add_(1, index, torch.ones_like(zeros))


def _left_out(n: int, device: torch.device | str) -> Iterator[Tensor]:
    """Blocks of weights that leave out one sample each; one of 200 groups of samples where there are many."""
    groups = n if n <= 1000 else 200
    member, block = torch.arange(n, device=device) % groups, max(1, _BLOCK // n)
    for start in range(0, groups, block):
        rows = torch.arange(start, min(start + block, groups), device=device)
        yield (member != rows[:, None]).double()


def _acceleration(without: Tensor | None) -> float:
    """A sixth of the skewness of the jackknife's values: how the spread changes with the value."""
    if without is None or len(without) < 2:
        return 0.0
    gap = without.mean() - without
    size = float(gap.square().sum()) ** 1.5
    return float(gap.pow(3).sum()) / (6 * size) if size > 0 else 0.0


def _unknown(value: float, is_share: bool) -> Interval:
    """One sample says nothing about its spread."""
    return Interval(value, 0.0, 1.0) if is_share else Interval(value, -math.inf, math.inf)


def _interval(point: float, drawn: Tensor, acceleration: float, level: float, n: int | None) -> Interval:
    """The BCa interval from a point and its resampled values; `n` samples are behind a share, None means no share."""
    from scipy import special

    if len(drawn) == 0 or math.isnan(point):
        return _unknown(point, n is not None)
    if n is not None and float(drawn.max() - drawn.min()) < 1e-12:
        found = wilson(round(min(max(point, 0.0), 1.0) * n), n, level)
        return Interval(point, min(point, found.low), max(point, found.high))
    below = ((drawn < point).double() + (drawn == point).double() / 2).mean()
    limit = 0.5 / len(drawn)
    shift = special.ndtri(min(max(float(below), limit), 1 - limit))
    z = special.ndtri(0.5 + level / 2)
    moved = [shift + (shift + side * z) / max(1 - acceleration * (shift + side * z), 1e-3) for side in (-1, 1)]
    ends = torch.tensor([special.ndtr(m) for m in moved], dtype=torch.float64)
    low, high = torch.quantile(drawn, ends).tolist()
    return Interval(point, min(point, low), max(point, high))


def newcombe(area: float, positives: int, negatives: int, level: float = 0.95) -> Interval:
    """Newcombe's interval of an AUROC (his method 5), which doesn't shrink to a point at 0 and 1.

    The ends solve |area - t| = z sqrt(V(t)) with
    V(t) = t (1 - t) (1 + (m - 1) (1 - t) / (2 - t) + (m - 1) t / (1 + t)) / (p q)
    for p positives, q negatives and m = (p + q) / 2.

    Args:
        area: the AUROC.
        positives: how many.
        negatives: how many.
        level: of the interval.

    Source: R. G. Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic.
    Part 2", Statistics in Medicine 25, 2006.
    """
    from scipy import optimize, special

    require_whole(1, positives=positives, negatives=negatives)
    require_within(0.0, 1.0, area=area)
    _require_level(level)
    z, half = float(special.ndtri(0.5 + level / 2)), (positives + negatives) / 2 - 1

    def gap(t: float) -> float:
        spread = t * (1 - t) * (1 + half * (1 - t) / (2 - t) + half * t / (1 + t)) / (positives * negatives)
        return abs(area - t) - z * math.sqrt(max(spread, 0.0))

    near = min(max(area, 1e-9), 1 - 1e-9)  # at 0 and 1 themselves the spread is 0, just inside it isn't
    low = float(optimize.brentq(gap, 0.0, near)) if area > 0 else 0.0
    high = float(optimize.brentq(gap, near, 1.0)) if area < 1 else 1.0
    return Interval(area, min(area, low), max(area, high))


def paired_permutation(
    a: Sequence[float] | Tensor, b: Sequence[float] | Tensor, rows: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p-value of equal means under random sign flips of the differences (exact for n <= 13).

    One matrix product: `scipy.stats.permutation_test` takes 24 times as long for 10 pairs (the same exact p) and 3
    times for 500.

    Args:
        a: one value a pair.
        b: the other values, in the same order.
        rows: number of random flips where not all are tried.
        seed: of the flips.

    Raises:
        InputError: no pairs.
    """
    require_whole(1, rows=rows)
    require_same_length(a, b, "pairs")
    first, second = (require_finite(numbers(values, "pairs"), "pairs").double() for values in (a, b))
    d = first - second.to(first.device)
    n = len(d)
    if n <= 13:
        codes, bits = torch.arange(2**n, device=d.device), torch.arange(n, device=d.device)
        signs = ((codes[:, None] >> bits) & 1).double() * 2 - 1
        return float(((signs @ d).abs() >= d.sum().abs() - 1e-12).double().mean())
    signs = torch.randint(0, 2, (rows, n), generator=generator(seed, "permutation")).to(d) * 2 - 1
    return float((((signs @ d).abs() >= d.sum().abs() - 1e-12).sum() + 1) / (rows + 1))


def mcnemar(right_a: Tensor, right_b: Tensor) -> float:
    """Exact two-sided p-value that two classifiers are equally often right on the same samples.

    Args:
        right_a: (N,) whether the first is right.
        right_b: (N,) whether the second is.

    Raises:
        InputError: what isn't two rows of truth values of one length.
    """
    from scipy import stats

    for right in (right_a, right_b):
        if right.dtype != torch.bool:
            raise InputError("right", given=str(right.dtype), expected="torch.bool: whether each sample is right")
        if right.ndim != 1:
            raise InputError("right", given=f"shape {tuple(right.shape)}", expected="(N,): one value a sample")
    require_same_length(right_a, right_b, "two classifiers' samples")
    right_b = right_b.to(right_a.device)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (family-wise error)."""
    values = _pvalues(p)
    order = np.argsort(values)
    scaled = values[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(scaled))
    return adjusted.tolist()


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjusted p-values (false discovery rate)."""
    from scipy import stats

    return stats.false_discovery_control(_pvalues(p)).tolist()


def _pvalues(p: Sequence[float]) -> np.ndarray:
    array = numbers(p, "p-values").double().cpu().numpy()
    outside = array[(array < 0) | (array > 1)]
    if len(outside):
        raise InputError("p-values", given=f"{outside[0]:g}", expected="within [0, 1]")
    return array


def conformal_pvalues(calibration: Float[Tensor, " m"], scores: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Split-conformal p-values (1 + #{calibration >= score}) / (m + 1); larger scores are more anomalous.

    Args:
        calibration: (m,) held-out scores.
        scores: (n,) scores to judge.
    """
    calibration = numbers(calibration, "calibration scores")
    scores = numbers(scores, "scores") if len(scores) else scores
    ordered = calibration.to(scores.device).sort().values
    at_least = len(ordered) - torch.searchsorted(ordered, scores.contiguous(), right=False)
    return (1 + at_least).double() / (len(ordered) + 1)


def conformal_rank(n: int, level: float) -> int:
    """The rank among n held-out scores below which a new one falls with a probability of at least `level`.

    ceil((n + 1) level), whatever the scores' distribution; above n where so few can't promise that level.

    Args:
        n: how many held-out scores there are.
        level: wanted, within (0, 1).
    """
    _require_level(level)
    return max(1, math.ceil((n + 1) * level - 1e-9))  # 0.95 of 20 is 19, though not in floats


def conformal_alarm_rate(n: int, alpha: float, level: float = 0.95) -> Interval:
    """How often a new clean sample alarms at a conformal p-value of at most alpha, and between which rates that lies.

    In the mean over calibration sets it is k / (n + 1) with k = floor(alpha (n + 1)), never above alpha; for one given
    set it is a draw from Beta(k, n + 1 - k), whose central interval this has.

    Args:
        n: clean samples that are calibrated on.
        alpha: the level, within (0, 1).
        level: of the interval.

    Source: V. Vovk, "Conditional validity of inductive conformal predictors", 2012.
    """
    from scipy import stats

    require_whole(1, n=n)
    _require_level(level)
    k = _alarming_ranks(n, alpha)
    if k == 0:
        return Interval(0.0, 0.0, 0.0)
    low, high = stats.beta.ppf([(1 - level) / 2, (1 + level) / 2], k, n + 1 - k)
    return Interval(k / (n + 1), float(low), float(high))


def most_conformal_alarms(n: int, tested: int, alpha: float, level: float = 0.99) -> int:
    """How many of `tested` clean samples may alarm before that is surprising: a quantile of the beta-binomial.

    Args:
        n: clean samples that were calibrated on.
        tested: new clean samples.
        alpha: the level of the alarm, within (0, 1).
        level: as many or fewer alarm with at least this probability.
    """
    from scipy import stats

    require_whole(1, n=n, tested=tested)
    _require_level(level)
    k = _alarming_ranks(n, alpha)
    return 0 if k == 0 else int(stats.betabinom.ppf(level, tested, k, n + 1 - k))


def _alarming_ranks(n: int, alpha: float) -> int:
    require_within(0.0, 1.0, ends="()", alpha=alpha)
    return min(n, math.floor(alpha * (n + 1) + 1e-9))


def drift_pvalue(alarms: int, n: int, rate: float) -> float:
    """P(at least so many alarms among n) when each comes with probability `rate`: small means drift.

    Args:
        alarms: how many there were.
        n: among so many.
        rate: expected share.
    """
    from scipy import stats

    if not 0 <= alarms <= n:
        raise InputError("alarms", given=f"{alarms} of {n}", expected="0 <= alarms <= n")
    require_within(0.0, 1.0, rate=rate)
    return float(stats.binom.sf(alarms - 1, n, rate))


def share_difference(successes_a: int, n_a: int, successes_b: int, n_b: int, level: float = 0.95) -> Interval:
    """Newcombe's interval for the difference of two independent shares, a - b (his method 10, from Wilson's intervals).

    Args:
        successes_a: how many of the first.
        n_a: how many in the first.
        successes_b: how many of the second.
        n_b: how many in the second.
        level: of the interval.

    Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
    Medicine 17, 1998.
    """
    return wilson(successes_a, n_a, level).minus(wilson(successes_b, n_b, level))
