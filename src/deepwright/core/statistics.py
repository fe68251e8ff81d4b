"""Intervals and tests: every "better" in the house goes through one of these."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator


@dataclass(frozen=True)
class Interval:
    """A measured value with its interval (95 % unless said otherwise)."""

    value: float
    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Whether two intervals share a point."""
        return self.low <= other.high and other.low <= self.high

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


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
    if n <= 0 or not 0 <= successes <= n:
        raise InputError("a share", given=f"{successes} of {n}", expected="0 <= successes <= n, n >= 1")
    z = float(stats.norm.ppf(0.5 + level / 2))
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
    if n <= 0 or not 0 <= successes <= n:
        raise InputError("a share", given=f"{successes} of {n}", expected="0 <= successes <= n, n >= 1")
    tail = (1 - level) / 2
    low = stats.beta.ppf(tail, successes, n - successes + 1) if successes else 0.0
    high = stats.beta.ppf(1 - tail, successes + 1, n - successes) if successes < n else 1.0
    return Interval(successes / n, float(low), float(high))


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's interval for the mean of few values (seeds); zero width when there is one value.

    Args:
        values: at least one.
        level: of the interval.
    """
    array = np.asarray(values, dtype=float)
    if len(array) == 1:
        return Interval(float(array[0]), float(array[0]), float(array[0]))
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
        InputError: no values.
    """
    if len(values) == 0:
        raise InputError("values to bootstrap", given="none", expected="at least one")
    draws = statistic(values[resamples(len(values), rows, seed).to(values.device)]).double()
    tail = (1 - level) / 2
    low, high = torch.nanquantile(draws, draws.new_tensor([tail, 1 - tail])).tolist()
    return Interval(float(statistic(values[None])[0]), low, high)


def paired_permutation(a: Sequence[float], b: Sequence[float], rows: int = 10_000, seed: int = 0) -> float:
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
    d = torch.as_tensor(a, dtype=torch.float64)
    d = d - torch.as_tensor(b, dtype=torch.float64, device=d.device)
    n = len(d)
    if n == 0:
        raise InputError("pairs", given="none", expected="at least one")
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
    """
    right_b = right_b.to(right_a.device)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (family-wise error)."""
    order = np.argsort(p)
    scaled = np.asarray(p, dtype=float)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(scaled))
    return adjusted.tolist()


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjusted p-values (false discovery rate)."""
    return stats.false_discovery_control(np.asarray(p, dtype=float)).tolist()


def conformal_pvalues(calibration: Float[Tensor, " m"], scores: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Split-conformal p-values (1 + #{calibration >= score}) / (m + 1); larger scores are more anomalous.

    Args:
        calibration: (m,) held-out scores.
        scores: (n,) scores to judge.
    """
    if len(calibration) == 0:
        raise InputError("calibration scores", given="none", expected="at least one")
    ordered = calibration.to(scores.device).sort().values
    at_least = len(ordered) - torch.searchsorted(ordered, scores.contiguous(), right=False)
    return (1 + at_least).double() / (len(ordered) + 1)


def drift_pvalue(alarms: int, n: int, rate: float) -> float:
    """P(at least so many alarms among n) when each comes with probability `rate`: small means drift.

    Args:
        alarms: how many there were.
        n: among so many.
        rate: expected share.
    """
    return float(stats.binom.sf(alarms - 1, n, rate))
