"""What the two ascents of Auto-PGD keep of each sample."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from deepwright.adversarial.projections import column


class Climb:
    """Per-sample state: where it stands, the loss and gradient there, and the best point so far.

    Args:
        x: clean inputs.
        y: their targets.
        eps: budgets.
        mask: 1 where a number may change, or None.
        other: the class aimed at, or None.
        rows: which samples they are.
    """

    def __init__(
        self,
        x: Float[Tensor, "n ..."],
        y: Any,
        eps: Float[Tensor, " n"],
        mask: Shaped[Tensor, "n ..."] | None,
        other: Tensor | None,
        rows: Tensor,
    ) -> None:
        self.x, self.y, self.eps, self.mask, self.other, self.rows = x, y, eps, mask, other, rows
        self.point = self.top_point = x
        self.gradient = self.top_gradient = torch.zeros_like(x)
        self.loss = torch.full_like(eps, -torch.inf)
        self.top = self.loss.clone()
        self.begin()

    def begin(self) -> None:
        """What one ascent keeps besides; nothing by default."""

    def record(self) -> None:
        """Keep what is better than the best point."""
        better = self.loss > self.top
        wide = column(better, self.x)
        self.top = torch.where(better, self.loss, self.top)
        self.top_point = torch.where(wide, self.point, self.top_point)
        self.top_gradient = torch.where(wide, self.gradient, self.top_gradient)
