"""Which bits phase 2 may move: those where a heavy and a light good network disagree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from deepwright.compress.search.archive import Archive
from deepwright.core.pareto import nondominated

NARROWEST = 32
WIDEST = 0.9
SMALL = 64
TRIES = 8


@dataclass
class Corridor:
    """Bounds of every mask.

    Attributes:
        lower: (D,) bits that every network keeps.
        upper: (D,) bits that any network keeps.
    """

    lower: Bool[Array, " d"]
    upper: Bool[Array, " d"]

    @classmethod
    def everything(cls, size: int) -> Corridor:
        """All bits may move.

        Args:
            size: bits of a mask.
        """
        return cls(np.zeros(size, bool), np.ones(size, bool))

    @property
    def free(self) -> Bool[Array, " d"]:
        """Bits that may move."""
        return self.upper & ~self.lower

    def clip(self, masks: Bool[Array, "*p d"]) -> Bool[Array, "*p d"]:
        """Masks brought inside.

        Args:
            masks: one a row.
        """
        return (masks & self.upper) | self.lower

    def adopt(self, archive: Archive) -> None:
        """Bits outside that survive in phase 2's part of the archive may move from now on.

        Args:
            archive: the front so far.
        """
        mine = archive.masks[archive.phase == 2]
        if len(mine):
            self.lower = self.lower & ~(~mine).any(0)
            self.upper = self.upper | mine.any(0)


def open_corridor(archive: Archive, slacks: tuple[float, float]) -> tuple[Corridor, list[str]]:
    """The corridor between two networks of phase 1's front, and what was decided on the way.

    Too narrow a corridor is widened by a larger light slack, too wide a one narrowed; a small network is searched
    whole.

    Args:
        archive: of phase 1.
        slacks: errors above the best that the (heavy, light) network may have.
    """
    size = archive.masks.shape[1]
    front = nondominated(archive.fitness)
    masks, f = archive.masks[front], archive.fitness[front]
    heavy_slack, light_slack = slacks
    log: list[str] = []
    for _ in range(TRIES):
        heavy, light = masks[_anchor(f, heavy_slack, densest=True)], masks[_anchor(f, light_slack, densest=False)]
        corridor = Corridor(heavy & light, heavy | light)
        count = int(corridor.free.sum())
        if count < NARROWEST:
            log.append(f"corridor of {count} bits at light slack {light_slack:g}: widened")
            light_slack *= 2
        elif count > WIDEST * size and light_slack > heavy_slack:
            log.append(f"corridor of {count} of {size} bits: narrowed")
            light_slack = max(heavy_slack, light_slack / 2)
        else:
            break
    if size <= SMALL or int(corridor.free.sum()) < NARROWEST:
        log.append("the corridor is everything")
        corridor = Corridor.everything(size)
    log.append(f"phase 2 moves {int(corridor.free.sum())} of {size} bits")
    return corridor, log


def _anchor(f: Float[Array, "n k"], slack: float, densest: bool) -> int:
    """The densest or the lightest point whose error is at most `slack` above the best."""
    good = np.flatnonzero(f[:, 0] <= f[:, 0].min() + slack)
    order = np.argsort(f[good, 1], kind="stable")
    return int(good[order[-1 if densest else 0]])
