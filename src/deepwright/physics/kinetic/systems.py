"""Kinetic Fokker-Planck and Vlasov equations in phase space, and the energy that must fall.

    f_t + v . grad_x f - grad_x Phi[f] . grad_v f = gamma div_v (v f + T grad_v f),   Phi = V (+ W * rho, or Poisson's),
    F[f] = T int f log f + int |v|^2 f / 2 + int V f + 1/2 int int W f f.

The left side conserves F; friction and diffusion make it fall by gamma int f |v + T grad_v log f|^2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.kinetic.interactions import Interaction
from deepwright.physics.kinetic.potentials import Potential


@dataclass(frozen=True)
class KineticFokkerPlanck:
    """The equation.

    Attributes:
        potential: V.
        friction: gamma.
        temperature: T (0: no diffusion).
        dim: d.
        interaction: W or Poisson's field; None without one.

    Raises:
        InputError: a friction or temperature below 0, a dimension below 1.
    """

    potential: Potential
    friction: float = 1.0
    temperature: float = 1.0
    dim: int = 1
    interaction: Interaction | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.friction < math.inf and 0 <= self.temperature < math.inf and self.dim >= 1):
            given = f"friction={self.friction}, temperature={self.temperature}, dim={self.dim}"
            raise InputError("KineticFokkerPlanck", given=given, expected="0 or more, 0 or more, 1 or more")

    def force(self, x: Float[Tensor, "n d"], cloud: Float[Tensor, "m d"]) -> Float[Tensor, "n d"]:
        """-grad Phi.

        Args:
            x: where it is felt.
            cloud: positions that stand for the density.
        """
        slope = self.potential.grad(x)
        return -slope if self.interaction is None else -(slope + self.interaction.grad(x, cloud))

    def free_energy(
        self, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"], log_density: Float[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """F from particles with their log-density: no density is estimated.

        Args:
            x: positions.
            v: velocities.
            log_density: of the particles.
        """
        total = (0.5 * v.square().sum(1) + self.potential.value(x)).mean()
        if self.temperature:
            total = total + self.temperature * log_density.mean()
        return total if self.interaction is None else total + self.interaction.energy(x)
