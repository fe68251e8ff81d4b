"""How an attenuation is moved along a gradient under its budget: Frank-Wolfe, projected steps, and as was released."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.adversarial.patches.energy import filled, projected

OPTIMIZERS = ("frank-wolfe", "pgd", "sign", "greedy")
STEPS = {"pgd": 15 / 255, "sign": 5 / 255}
"""Step lengths, as shares of the pixel range."""
_KEEP = 0.75


class Mover:
    """The state of an optimiser over rows of amounts.

    Args:
        kind: one of `OPTIMIZERS`; "greedy" is one full Frank-Wolfe step.
        step: length, where the kind has one.
        cap: of each amount.
        budget: of each row.
        at_most: let rows stay below their budget, where steps are projected.
    """

    def __init__(self, kind: str, step: float, cap: Tensor, budget: Tensor, at_most: bool) -> None:
        self.kind, self.step, self.cap, self.budget, self.at_most = kind, step, cap, budget, at_most
        self.memory = torch.zeros_like(cap)

    def move(self, u: Float[Tensor, "k m"], g: Float[Tensor, "k m"], number: int) -> Float[Tensor, "k m"]:
        """The next point.

        Args:
            u: the present one.
            g: gradient of what is raised.
            number: of steps before.
        """
        if self.kind == "sign":
            return projected(u + self.step * g.sign(), self.cap, self.budget, at_most=self.at_most)
        if self.kind == "greedy":
            return filled(g, self.cap, self.budget)
        if self.kind == "pgd":
            g = g / g.abs().amax(1, keepdim=True).clamp_min(1e-30)
        self.memory = _KEEP * self.memory + (1 - _KEEP) * g
        if self.kind == "pgd":
            return projected(u + self.step * self.memory, self.cap, self.budget, at_most=self.at_most)
        share = 2 / (number + 4)
        return (1 - share) * u + share * filled(self.memory, self.cap, self.budget)

    def of(self, kept: Bool[Tensor, " k"]) -> Mover:
        """Its state for some rows.

        Args:
            kept: which.
        """
        part = Mover(self.kind, self.step, self.cap[kept], self.budget[kept], self.at_most)
        part.memory = self.memory[kept]
        return part


class LooseMover(Mover):
    """Sign steps with the released code's bound, which doesn't hold the budget: for comparison only.

    P is moved so that its mean is tau times the mean amplitude of the box, and cut two deviations about that.

    Args:
        step: length.
        cap: of each amount.
        budget: of each row.
        valid: which amounts are pixels.
        literal: subtract the gradient instead of adding it, as the released code does.
    """

    def __init__(self, step: float, cap: Tensor, budget: Tensor, valid: Tensor, literal: bool) -> None:
        super().__init__("sign", step, cap, budget, False)
        self.valid, self.literal = valid, literal

    def move(self, u: Tensor, g: Tensor, number: int) -> Tensor:
        """The next point; amounts may exceed what is there, and are cut when they are shown.

        Args:
            u: the present one.
            g: gradient of what is raised.
            number: of steps before.
        """
        u = u + (-self.step if self.literal else self.step) * g.sign()
        count = self.valid.sum(1, keepdim=True).clamp_min(1)
        mean = torch.where(self.valid, u, 0.0).sum(1, keepdim=True) / count
        apart = torch.where(self.valid, u - mean, 0.0)
        deviation = (apart.square().sum(1, keepdim=True) / count).sqrt()
        goal = (self.budget[:, None] / count).to(u.dtype)
        low = (goal - 2 * deviation).clamp_min(0)
        return torch.where(self.valid, (u - mean + goal).maximum(low).minimum(goal + 2 * deviation), 0.0)

    def of(self, kept: Tensor) -> LooseMover:
        """Its state for some rows.

        Args:
            kept: which.
        """
        return LooseMover(self.step, self.cap[kept], self.budget[kept], self.valid[kept], self.literal)
