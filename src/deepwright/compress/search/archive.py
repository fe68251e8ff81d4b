"""Every network found that nothing dominates, over both phases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from deepwright.core.pareto import hypervolume, nondominated, thin

CAPACITY = 200


@dataclass
class Archive:
    """The front so far.

    Attributes:
        masks: (M, D) one network a row.
        fitness: (M, k) its objectives, the error first, then costs.
        phase: (M,) the phase that found it.
    """

    masks: Bool[Array, "m d"]
    fitness: Float[Array, "m k"]
    phase: Int[Array, " m"]

    @classmethod
    def empty(cls, size: int, objectives: int) -> Archive:
        """Nothing found yet.

        Args:
            size: bits of a mask.
            objectives: how many.
        """
        return cls(np.zeros((0, size), bool), np.zeros((0, objectives)), np.zeros(0, int))

    def __len__(self) -> int:
        return len(self.masks)

    def add(
        self, masks: Bool[Array, "n d"], fitness: Float[Array, "n k"], phase: Int[Array, " n"]
    ) -> Bool[Array, " n"]:
        """Merge, keep what nothing dominates, thin out to the capacity.

        Args:
            masks: of new networks.
            fitness: their objectives.
            phase: that found them.

        Returns:
            Which of the new ones are inside.
        """
        before = len(self)
        pool, values = np.concatenate([self.masks, masks]), np.concatenate([self.fitness, fitness])
        phases = np.concatenate([self.phase, phase])
        front = np.flatnonzero(nondominated(values))
        _, first = np.unique(values[front], axis=0, return_index=True)
        front = front[np.sort(first)]
        if len(front) > CAPACITY:
            best = int(np.argmin(values[front, 0]))
            front = front[thin(values[front], CAPACITY, keep=(best,))]
        self.masks, self.fitness, self.phase = pool[front], values[front], phases[front]
        return np.isin(np.arange(before, len(pool)), front)

    def hypervolume(self) -> float:
        """In (error, cost), reference (1, 1), fixed before the search."""
        return hypervolume(self.fitness[:, :2], (1.0, 1.0))
