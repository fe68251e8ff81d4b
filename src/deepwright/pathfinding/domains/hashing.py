"""64-bit numbers for states: sums of random numbers, one for each place and value."""

from __future__ import annotations

import math

import torch
from jaxtyping import Int
from torch import Tensor

from deepwright.core.randomness import generator


class StateHash:
    """key(s) = sum_i R[i, s_i] modulo 2^64, with R drawn once: Zobrist's scheme with sums for exclusive ors.

    Two different states share a key with probability 2^-64; among n states some do with probability n^2 / 2^65.

    Args:
        shape: of one state.
        values: numbers in a state are below it.
    """

    def __init__(self, shape: tuple[int, ...], values: int) -> None:
        self.cells = math.prod(shape)
        rng = generator(0, "state hash")
        halves = torch.randint(0, 2**32, (2, self.cells, values), generator=rng)
        self.table = (halves[0] << 32) | halves[1]
        self._first = torch.arange(self.cells) * values

    def __call__(self, states: Tensor) -> Int[Tensor, " b"]:
        """One number a state, on the states' device.

        Args:
            states: (B, *shape).
        """
        if self.table.device != states.device:
            self.table, self._first = self.table.to(states.device), self._first.to(states.device)
        return self.table.flatten()[states.flatten(1).long() + self._first].sum(1)
