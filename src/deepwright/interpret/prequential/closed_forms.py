"""A table to be learnt by heart beside a shortcut that is mostly right: every code length is known exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole, require_within


@dataclass(frozen=True)
class TableVsShortcut:
    """N samples whose label a key tells for certain, and a shortcut mostly.

    Attributes:
        x: (N, 2) key and shortcut.
        y: (N,) labels 0 and 1.
    """

    x: Int64[Tensor, "n 2"]
    y: Int64[Tensor, " n"]


def table_vs_shortcut(keys: int = 64, eps: float = 0.1, n: int = 400, seed: int = 0) -> TableVsShortcut:
    """Keys are uniform, y is a fixed fair coin of the key, and the shortcut is y with probability 1 - eps.

    Args:
        keys: M, how many there are.
        eps: how often the shortcut is wrong.
        n: samples.
        seed: of all draws.
    """
    require_whole(1, keys=keys, n=n)
    require_within(0, 1, eps=eps)
    draw = generator(seed, "table")
    table = torch.randint(0, 2, (keys,), generator=draw)
    key = torch.randint(0, keys, (n,), generator=draw)
    y = table[key]
    wrong = torch.rand(n, generator=draw, dtype=torch.float64) < eps
    return TableVsShortcut(torch.stack([key, torch.where(wrong, 1 - y, y)], 1), y)


def table_bits(keys: int, n: int) -> float:
    """Expected bits of n labels for who learns the table by heart: M (1 - (1 - 1/M)^n).

    Args:
        keys: M, how many there are.
        n: labels.
    """
    require_whole(1, keys=keys)
    require_whole(0, n=n)
    return keys * (1 - (1 - 1 / keys) ** n)


def shortcut_bits(eps: float, n: int) -> float:
    """Expected bits of n labels for who believes in the shortcut and learns by KT how often it is right; exact.

    About n H(eps) + 1/2 log2 n + 1/2 log2(pi / 2) - 1/2 log2 e.

    Args:
        eps: how often the shortcut is wrong.
        n: labels.
    """
    from scipy.special import betaln
    from scipy.stats import binom

    require_within(0, 1, eps=eps)
    require_whole(0, n=n)
    wrong = np.arange(n + 1)
    length = betaln(0.5, 0.5) - betaln(wrong + 0.5, n - wrong + 0.5)
    return float(binom.pmf(wrong, n, eps) @ length) / math.log(2)


def two_part_switch(keys: int, eps: float) -> float:
    """N at which M bits of a table are as many as n H(eps) of the shortcut's mistakes; infinite without mistakes.

    Args:
        keys: M, how many there are.
        eps: how often the shortcut is wrong.
    """
    require_whole(1, keys=keys)
    require_within(0, 1, eps=eps)
    entropy = -sum(p * math.log2(p) for p in (eps, 1 - eps) if p > 0)
    return keys / entropy if entropy > 0 else math.inf


def prequential_switch(keys: int, eps: float, most: int = 1 << 20) -> int | None:
    """The first n from which on the table's expected code is shorter than the shortcut's, in one bisection.

    Args:
        keys: M, how many there are.
        eps: how often the shortcut is wrong.
        most: n at which the search ends; None where the table isn't ahead there.
    """
    require_whole(1, keys=keys, most=most)
    if table_bits(keys, most) >= shortcut_bits(eps, most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        ahead = table_bits(keys, middle) < shortcut_bits(eps, middle)
        low, high = (low, middle) if ahead else (middle, high)
    return high
