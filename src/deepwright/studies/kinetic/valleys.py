"""Two remedies for what the objective hardly sees: places of little mass between components."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.physics.kinetic import KineticJKO, PhaseSpaceParticles


class ValleyJKO(KineticJKO):
    """A particle of density f weighs f^-beta: the objective sees f^(1 - beta), as if valleys were fuller.

    Its stationary control would be that of a temperature T (1 - beta), so entropy counts T / (1 - beta).

    Args:
        args: of `KineticJKO`.
        strength: beta, 0 <= beta < 1.
        options: of `KineticJKO`.
    """

    def __init__(self, *args: Any, strength: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self.strength = strength

    def loss(self, control: nn.Module, p: PhaseSpaceParticles, tau: float | None = None) -> Float[Tensor, ""]:
        """The weighted objective.

        Args:
            control: (s, x, v) -> (a, da / dv).
            p: particles before the step.
            tau: length of the step.
        """
        h, system = self.tau if tau is None else tau, self.system
        weights = torch.softmax(-self.strength * p.log_density, 0)
        x = p.x + h / 2 * p.v
        a, slope = control(0.0, x, p.v)
        v = p.v + h * (system.force(x, x) + a)
        logdet = torch.log((1 + h * slope[:, 0, 0]).clamp_min(1e-3))
        energy = 0.5 * v.square().sum(1) + system.potential.value(x + h / 2 * v)
        heat = system.temperature / (1 - self.strength)
        each = 0.5 * h * a.square().sum(1) + system.friction * (energy - heat * logdet)
        return (weights * each).sum()


class SmoothJKO(KineticJKO):
    """The objective and `strength` times h times the mean squared change of da / dv between places nearby.

    Args:
        args: of `KineticJKO`.
        strength: of the penalty.
        options: of `KineticJKO`.
    """

    def __init__(self, *args: Any, strength: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self.strength = strength

    def loss(self, control: nn.Module, p: PhaseSpaceParticles, tau: float | None = None) -> Float[Tensor, ""]:
        """The objective with its penalty.

        Args:
            control: (s, x, v) -> (a, da / dv).
            p: particles before the step.
            tau: length of the step.
        """
        h = self.tau if tau is None else tau
        x = p.x + h / 2 * p.v
        near = control(0.0, x, p.v + 0.1)[1] - control(0.0, x, p.v - 0.1)[1]
        return super().loss(control, p, tau) + self.strength * h * (near / 0.2).square().mean()
