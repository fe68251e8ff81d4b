"""Random subsets, many at once, and the interval of a difference of means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from deepwright.core.randomness import generator
from deepwright.core.statistics import Interval

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


def difference_of_means(a: Interval, b: Interval, level: float) -> Interval:
    """Interval of a - b from the 95 % intervals of both (MOVER), widened to another level as a normal one is.

    Args:
        a: the first mean.
        b: the second.
        level: of the interval.

    Source: G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures", 2008.
    """
    from scipy import stats

    wider = float(stats.norm.isf((1 - level) / 2) / stats.norm.isf(0.025))
    value = a.value - b.value
    below = float(np.hypot(a.value - a.low, b.high - b.value))
    above = float(np.hypot(a.high - a.value, b.value - b.low))
    return Interval(value, value - wider * below, value + wider * above)
