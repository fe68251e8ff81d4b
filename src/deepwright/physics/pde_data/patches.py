"""Blocks of fields in time and space as tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from deepwright.core.errors import InputError


@dataclass(frozen=True)
class Patchify:
    """Blocks of (t, x, y, z) as tokens.

    Attributes:
        shape: of a block.

    Raises:
        InputError: not four sizes of 1 or more.
    """

    shape: tuple[int, int, int, int]

    def __post_init__(self) -> None:
        if len(self.shape) != 4 or min(self.shape) < 1:
            raise InputError("patch", given=self.shape, expected="(t, x, y, z), 1 or more each")

    @property
    def size(self) -> int:
        """Values a channel in one patch."""
        return math.prod(self.shape)

    def counts(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """Patches along each axis.

        Args:
            grid: (T, X, Y, Z).

        Raises:
            InputError: a grid that isn't a multiple of the patch.
        """
        if any(n % p for n, p in zip(grid, self.shape)):
            hint = "pad or crop the data, or choose another patch"
            raise InputError("grid", given=grid, expected=f"multiples of the patch {self.shape}", hint=hint)
        return tuple(n // p for n, p in zip(grid, self.shape))

    def __call__(self, u: Shaped[Tensor, "b c t x y z"]) -> Shaped[Tensor, "b n c p"]:
        """Tokens, time first.

        Args:
            u: fields of any dtype.
        """
        b, c = u.shape[:2]
        counts = self.counts(tuple(u.shape[2:]))
        split = [v for n, p in zip(counts, self.shape) for v in (n, p)]
        return u.reshape(b, c, *split).permute(0, 2, 4, 6, 8, 1, 3, 5, 7, 9).reshape(b, math.prod(counts), c, self.size)

    def undo(self, tokens: Shaped[Tensor, "b n c p"], grid: tuple[int, ...]) -> Shaped[Tensor, "b c t x y z"]:
        """The inverse.

        Args:
            tokens: of `__call__`.
            grid: (T, X, Y, Z).
        """
        b, _, c, _ = tokens.shape
        counts = self.counts(grid)
        parts = tokens.reshape(b, *counts, c, *self.shape).permute(0, 5, 1, 6, 2, 7, 3, 8, 4, 9)
        return parts.reshape(b, c, *grid)

    def positions(
        self, grid: tuple[int, ...], spacing: tuple[float, ...], extent: tuple[float, ...], period: float
    ) -> Float[Tensor, "n 4"]:
        """Middles of the patches: time as a share of a period, space as a share of the domain; 0 on absent axes.

        Args:
            grid: (T, X, Y, Z).
            spacing: of frames and points.
            extent: of the domain along x, y and z.
            period: of time.
        """
        counts, whole = self.counts(grid), (period, *extent)
        axes = []
        for i, (n, p) in enumerate(zip(counts, self.shape)):
            middle = (torch.arange(n, dtype=torch.float32) + 0.5) * p - 0.5
            axes.append(torch.zeros(n) if grid[i] == 1 else middle * spacing[i] / whole[i])
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 4)
