"""Random subsets, many at once, and intervals of means and of their differences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from deepwright.core.randomness import generator
from deepwright.core.statistics import Interval, bootstrap, share_difference, wilson

_CHUNK = 1 << 21  # values that are shuffled at a time


def subset_sums(values: Tensor, sizes: Sequence[int], count: int, seed: int) -> np.ndarray:
    """Sums over random subsets of several sizes: (sizes, count), beginnings of the same shuffled rows.

    Args:
        values: (N,) numbers.
        sizes: of the subsets.
        count: of shuffled rows.
        seed: of the shuffles.
    """
    source = np.random.default_rng(int(torch.randint(1 << 62, (), generator=generator(seed, "subsets"))))
    row = values.detach().double().cpu().numpy()
    step, longest = max(1, _CHUNK // len(row)), max(sizes)
    found = []
    for start in range(0, count, step):
        rows = min(step, count - start)
        shuffled = source.permuted(np.broadcast_to(row, (rows, len(row))), axis=1)[:, :longest]
        found.append(shuffled.cumsum(axis=1)[:, np.asarray(sizes) - 1] if len(sizes) > 1 else _sums(shuffled))
    return np.concatenate(found).T


def _sums(rows: np.ndarray) -> np.ndarray:
    return rows.sum(axis=1, keepdims=True)


def interval_of_mean(values: Tensor, seed: int, level: float = 0.95) -> Interval:
    """Interval of a mean: Wilson's of a share, else bootstrapped; without ends where there is one value.

    Args:
        values: (N,) numbers, or booleans, whose mean is a share.
        seed: of the resamples.
        level: of the interval.
    """
    if values.dtype == torch.bool:
        return wilson(int(values.sum()), len(values), level)
    return (
        bootstrap(values, seed=seed, level=level)
        if len(values) > 1
        else Interval(float(values[0]), -math.inf, math.inf)
    )


def interval_of_gap(parts: tuple[Tensor, Tensor], means: tuple[Interval, Interval], level: float) -> Interval:
    """Interval of the first mean less the second: Newcombe's of shares, else from both, widened as a normal one is.

    Args:
        parts: numbers, or booleans, of two independent sets of samples.
        means: of both, as `interval_of_mean` gives them.
        level: of the interval.
    """
    first, second = parts
    if first.dtype == torch.bool:
        return share_difference(int(first.sum()), len(first), int(second.sum()), len(second), level)
    from scipy import special

    wider = float(special.ndtri(0.5 + level / 2) / special.ndtri(0.975))
    gap = means[0].minus(means[1])
    return Interval(gap.value, gap.value - wider * (gap.value - gap.low), gap.value + wider * (gap.high - gap.value))
