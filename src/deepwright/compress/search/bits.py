"""Phase 2: moves of single bits that lean on importance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from deepwright.compress.search.archive import Archive
from deepwright.compress.search.corridor import Corridor
from deepwright.compress.search.space import Space, percentiles
from deepwright.core.pareto import nondominated

FLIP, SWAP = 0, 1
MEMORY = 5  # generations whose successes decide how often an operator is drawn


@dataclass
class BitMoves:
    """How children of phase 2 are made in one generation.

    Attributes:
        space: of masks.
        corridor: bits that may move.
        rng: for all draws.
        guided: moves lean on importance; else every bit alike.
        escape: this share of a child's flips may leave the corridor, once half of the generations are over.
        progress: share of the generations that are over.
    """

    space: Space
    corridor: Corridor
    rng: np.random.Generator
    guided: bool = True
    escape: float = 0.0
    progress: float = 0.0

    def __post_init__(self) -> None:
        self.free: Int[Array, " f"] = np.flatnonzero(self.corridor.free)
        self.ranks = self._ranks()
        self.rate = max(1.0, 0.02 * len(self.free) * (1 - self.progress)) / max(len(self.free), 1)

    def _ranks(self) -> Float[Array, " d"]:
        """Percentile ranks of the free bits within their layers."""
        if not self.guided:
            return np.where(self.corridor.free, 0.5, 0.0)
        ranks = np.zeros(self.space.size)
        if len(self.free):
            _, layer = np.unique(self.space.layer[self.free], return_inverse=True)
            ranks[self.free] = percentiles(self.space.score[self.free], layer)
        return ranks

    def first(self, known: Bool[Array, "n d"], count: int) -> Bool[Array, "count d"]:
        """Known masks brought into the corridor, then random ones of every density.

        Args:
            known: from phase 1.
            count: of all together.
        """
        rest = count - len(known)
        density = self.rng.random((rest, 1))
        ranks = self.ranks if self.guided else self.rng.random(self.space.size)
        probability = 1 / (1 + np.exp(-12 * (ranks - (1 - density))))
        drawn = self.rng.random((rest, self.space.size)) < probability
        return self.space.repair(self.corridor.clip(np.concatenate([known, drawn])))

    def child(self, a: Bool[Array, " d"], b: Bool[Array, " d"], flip: float) -> tuple[Bool[Array, " d"], int]:
        """A child of two parents, and the operator that changed it.

        Args:
            a: the first parent.
            b: the second.
            flip: chance that bits are flipped; else two are swapped.
        """
        child = a.copy()
        if self.rng.random() < 0.9:
            mixed = self.rng.random(len(self.free)) < 0.5
            child[self.free] = np.where(mixed, b[self.free], child[self.free])
        child = self.corridor.clip(child)
        operator = int(self.rng.random() >= flip)
        child = self._flip(child) if operator == FLIP else self._swap(child)
        if self.progress >= 0.5 and self.escape > 0:
            child = self._leave(child)
        return self.space.repair(child[None])[0], operator

    def _flip(self, child: Bool[Array, " d"]) -> Bool[Array, " d"]:
        """Drop unimportant bits and take back important ones; each child drifts one way along the front."""
        drift = self.rng.random() * 2
        r = self.ranks[self.free]
        down, up = 2 * self.rate * (1 - r) * drift, 2 * self.rate * r * (2 - drift)
        chance = np.where(child[self.free], down, up)
        flips = self.rng.random(len(self.free)) < chance
        if not flips.any() and len(self.free):
            flips[self.rng.integers(len(self.free))] = True
        child[self.free[flips]] ^= True
        return child

    def _swap(self, child: Bool[Array, " d"]) -> Bool[Array, " d"]:
        """Exchange one kept bit of low importance for one dropped bit of high importance."""
        kept, dropped = self.free[child[self.free]], self.free[~child[self.free]]
        if len(kept) and len(dropped):
            out, into = 1 - self.ranks[kept] + 1e-3, self.ranks[dropped] + 1e-3
            child[self.rng.choice(kept, p=out / out.sum())] = False
            child[self.rng.choice(dropped, p=into / into.sum())] = True
        return child

    def _leave(self, child: Bool[Array, " d"]) -> Bool[Array, " d"]:
        """A few bits outside the corridor may flip too."""
        outside = np.flatnonzero(~self.corridor.free)
        flips = max(1, round(self.rate * len(self.free)))
        count = self.rng.binomial(flips, self.escape) if len(outside) else 0
        if count:
            child[self.rng.choice(outside, min(count, len(outside)), replace=False)] ^= True
        return child


def spread_over(archive: Archive, count: int) -> Int[Array, " n"]:
    """Indices of points of the archive's front, evenly spread from the cheapest to the dearest.

    Args:
        archive: the front so far.
        count: at most so many.
    """
    front = np.flatnonzero(nondominated(archive.fitness))
    order = front[np.argsort(archive.fitness[front, 1], kind="stable")]
    return order[np.unique(np.linspace(0, len(order) - 1, count).round().astype(int))]


def flip_chance(wins: list[tuple[int, int]]) -> float:
    """Chance of a flip, by the children of (flips, swaps) that entered the archive in the last generations.

    Args:
        wins: one pair a generation.
    """
    recent = np.array(wins[-MEMORY:]).reshape(-1, 2).sum(0) + 1.0
    return float(np.clip(recent / recent.sum(), 0.1, 0.9)[0])
