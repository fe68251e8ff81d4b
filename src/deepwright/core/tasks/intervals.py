"""Intervals of a task's metrics: Wilson's for shares, a weighted bootstrap for the rest, Newcombe's for an AUROC."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float
from scipy import optimize, special
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.statistics import Interval, wilson

Statistics = Callable[[Float[Tensor, "rows n"]], Mapping[str, Float[Tensor, " rows"]]]

_BLOCK = 1 << 21  # numbers in one block of weights


def share(hits: Tensor) -> Interval:
    """Wilson's interval of the share of True."""
    return wilson(int(hits.sum()), hits.numel())


def mean_score(values: Float[Tensor, " n"], seed: int = 0) -> Interval:
    """The mean of per-sample scores in [0, 1]: Wilson's interval where all are 0 or 1, else bootstrapped."""
    values = values.double()
    if bool(((values == 0) | (values == 1)).all()):
        return share(values == 1)
    return bootstrap(
        len(values),
        lambda w: {"mean": weighted_mean(w, values)},
        seed=seed,
        shares={"mean": len(values)},
        device=values.device,
    )["mean"]


def weighted_mean(weights: Float[Tensor, "rows n"], values: Float[Tensor, "n ..."]) -> Float[Tensor, "rows ..."]:
    """Mean of `values` in each resample."""
    mean = weights @ values.to(weights).reshape(len(values), -1) / weights.sum(1, keepdim=True)
    return mean.reshape(len(weights), *values.shape[1:])


def bootstrap(
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

    Source: R. G. Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic.
    Part 2", Statistics in Medicine 25, 2006.
    """
    z, half = float(special.ndtri(0.5 + level / 2)), (positives + negatives) / 2 - 1

    def gap(t: float) -> float:
        spread = t * (1 - t) * (1 + half * (1 - t) / (2 - t) + half * t / (1 + t)) / (positives * negatives)
        return abs(area - t) - z * math.sqrt(max(spread, 0.0))

    near = min(max(area, 1e-9), 1 - 1e-9)  # at 0 and 1 themselves the spread is 0, just inside it isn't
    low = float(optimize.brentq(gap, 0.0, near)) if area > 0 else 0.0
    high = float(optimize.brentq(gap, near, 1.0)) if area < 1 else 1.0
    return Interval(area, min(area, low), max(area, high))
