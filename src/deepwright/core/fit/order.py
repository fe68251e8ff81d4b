"""Which samples a step sees."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.core.randomness import generator


class Order:
    """Which samples come in which step, as a function of (seed, epoch)."""

    def __init__(self, size: int, batch_size: int, fabric: Any, seed: int, drop_last: bool) -> None:
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.world, self.rank = fabric.world_size, fabric.global_rank
        whole = batch_size * self.world
        self.steps = max(1, size // whole) if drop_last else -(-size // whole)

    def batches(self, epoch: int) -> list[Tensor]:
        """The rows of every step of an epoch."""
        permutation = torch.randperm(self.size, generator=generator(self.seed, "order", epoch))
        share = -(-self.size // self.world)
        padded = torch.cat([permutation, permutation[: share * self.world - self.size]])
        mine = padded[self.rank :: self.world]
        return list(mine.split(self.batch_size))[: self.steps]
