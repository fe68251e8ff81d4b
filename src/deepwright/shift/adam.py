"""Adam on plain tensors, whose state is plain data: for loops without a graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Adam:
    """Adam's moments of some tensors.

    Args:
        like: the tensors that will be stepped.
        lr: rate, a number or a scalar tensor.
        eps: added to the root of the second moment.

    Source: D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", arXiv 1412.6980.
    """

    def __init__(self, like: list[Tensor], lr: float | Tensor, eps: float = 1e-8) -> None:
        self.lr, self.eps, self.taken = lr, eps, 0
        self.first = [torch.zeros_like(part) for part in like]
        self.second = [torch.zeros_like(part) for part in like]

    def step(self, parts: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        """The tensors after a step.

        Args:
            parts: before it.
            gradients: of the loss by each.
        """
        self.taken += 1
        fix1, fix2 = 1 - 0.9**self.taken, 1 - 0.999**self.taken
        moved = []
        for part, g, m, v in zip(parts, gradients, self.first, self.second):
            m.mul_(0.9).add_(g, alpha=0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            over = (v / fix2).sqrt_().add_(self.eps)
            if isinstance(self.lr, Tensor):
                moved.append(part - (self.lr / fix1) * m / over)
            else:
                moved.append(torch.addcdiv(part, m, over, value=-self.lr / fix1))
        return moved

    def state(self) -> dict[str, Any]:
        """Plain data, from which `load` goes on."""
        return {"taken": self.taken, "first": self.first, "second": self.second}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Args:
            state: of `state`.
        """
        self.taken = state["taken"]
        self.first = [a.to(b) for a, b in zip(state["first"], self.first)]
        self.second = [a.to(b) for a, b in zip(state["second"], self.second)]
