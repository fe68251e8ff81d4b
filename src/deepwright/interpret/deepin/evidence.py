"""What two refits' losses say: statistics of degenerate differences, and p-values of several splits as one."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator

METHODS = ("one_split", "two_split", "permutation")
_LOW, _HIGH = 1e-15, 0.99


def one_split(without: Tensor, full: Tensor, rho: float, seed: int) -> tuple[Tensor, Tensor]:
    """Statistics and p-values of `loss without - loss with`, with noise that keeps its variance from vanishing.

    Under the null hypothesis mean and variance of the difference both vanish, so that a plain t-test has no meaning;
    noise of rho times the spread of the full network's losses gives the statistic a law.

    Args:
        without: (K, m) losses of the networks without something.
        full: (K, m) losses of those with it, on the same rows.
        rho: share of the spread.
        seed: of the noise.
    """
    delta = (without - full).double().cpu()
    noise = torch.randn(delta.shape, generator=generator(seed, "noise"), dtype=torch.float64)
    noisy = delta + rho * full.double().cpu().std(1, keepdim=True) * noise
    spread = noisy.std(1)
    t = math.sqrt(delta.shape[1]) * noisy.mean(1) / torch.where(spread > 0, spread, torch.inf)
    return t, torch.special.ndtr(-t)


def two_split(without: Tensor, full: Tensor) -> tuple[Tensor, Tensor]:
    """Welch's z of the losses without on one half of the rows and those with on the other: no tuning, less power.

    Args:
        without: (K, m) losses.
        full: (K, m) losses.
    """
    a, b = without[:, ::2].double().cpu(), full[:, 1::2].double().cpu()
    spread = (a.var(1) / a.shape[1] + b.var(1) / b.shape[1]).sqrt()
    t = (a.mean(1) - b.mean(1)) / torch.where(spread > 0, spread, torch.inf)
    return t, torch.special.ndtr(-t)


def cauchy_combination(p: np.ndarray, axis: int = 0) -> np.ndarray:
    """One p-value of several dependent ones: that of the mean of tan((1/2 - p) pi).

    Each is kept within [1e-15, 0.99]: a single p of 1, as conservative tests give, would outweigh any evidence.

    Args:
        p: p-values.
        axis: along which they are combined.

    Example:
        >>> float(cauchy_combination(np.array([0.01, 0.01, 0.01])).round(4))
        0.01
    """
    p = np.clip(np.asarray(p, dtype=float), _LOW, _HIGH)
    mean = np.tan((0.5 - p) * np.pi).mean(axis=axis)
    return np.asarray(stats.cauchy.sf(mean))


def twice_median(p: np.ndarray, axis: int = 0) -> np.ndarray:
    """Twice the median, at most 1: valid whatever the dependence.

    Args:
        p: p-values.
        axis: along which they are combined.
    """
    return np.asarray(np.minimum(1.0, 2 * np.median(np.asarray(p, dtype=float), axis=axis)))


def require_permutations(count: int, tests: int, alpha: float) -> None:
    """Refuse permutations of which even the best possible p is no discovery.

    Args:
        count: of permutations.
        tests: hypotheses, corrected by Holm's rule.
        alpha: level.

    Raises:
        InputError: fewer than tests / alpha - 1.
    """
    least = math.ceil(tests / alpha) - 1
    if count < least:
        raise InputError(
            "permutations",
            given=f"{count}, whose smallest p is {1 / (count + 1):.2g}",
            expected=f"at least {least} for {tests} variables at {alpha:g}",
        )


def blocks(z: np.ndarray, size: int) -> np.ndarray:
    """(n,) a block for each row: neighbours in z, by halving at the median of the widest direction.

    Args:
        z: (n, d).
        size: rows of a block at least; fewer than twice as many.
    """
    label = np.zeros(len(z), dtype=int)
    if z.shape[1] == 0:
        return label
    todo, count = [np.arange(len(z))], 0
    while todo:
        rows = todo.pop()
        if len(rows) < 2 * size:
            label[rows] = count
            count += 1
            continue
        widest = int(z[rows].var(0).argmax())
        ordered = rows[np.argsort(z[rows, widest], kind="stable")]
        todo += [ordered[: len(rows) // 2], ordered[len(rows) // 2 :]]
    return label
