"""What is known of a flow of two incompressible fluids, or more: fluids, interface, conditions, measurements.

In phase i, with sigma_i = -p_i I + 2 mu_i D(u_i) and D the symmetric gradient,

    rho_i (u_t + u . grad u) + grad p - mu_i lap u = f_i,    div u = 0,
    on the interface   u_1 - u_2 = 0,   (sigma_1 - sigma_2) n = tau,   tau = -gamma kappa n for surface tension.

(div 2 mu D = mu lap u where div u = 0.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.domains import Box
from deepwright.physics.two_phase.interface import Interface, OnInterface
from deepwright.physics.two_phase.several import Several

Field = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class TwoPhaseProblem:
    """What is known of the flow; phase 0 is inside the interface.

    Attributes:
        domain: of space.
        t_span: (start, end).
        rho: densities of the phases, above 0.
        mu: their viscosities, above 0.
        interface: where they meet; `Several` for more than two phases.
        boundary: velocity on the domain's edge.
        initial: velocity at the start, one for all phases or one each.
        body_force: (N, d + 1) -> (N, d), one for all phases or one each; 0 where not given. Functions of points are
            called where the solver's network lives, and in its dtype.
        surface_tension: gamma of tau = -gamma kappa n, one for all interfaces or one each.
        stress_jump: (z, normal) -> (N, d) instead, or on top of it (for all interfaces).
        pressure: (x (d,), (N, d + 1) -> (N,)) a place and the pressure there over time, which fixes the constant.
        exact: (phase, z) -> (N, d + 1) velocity and pressure, where known; never used to train.
        observations: (z, u) measured velocities.
        pressures: (z, p) measured pressures.
        traction: (z -> (N,) where on the edge, (z, normal) -> (N, d) sigma n there), instead of the velocity.
        axisymmetric: coordinates are (r, z), r from 0 on, without swirl: the axis needs no condition.

    Raises:
        InputError: a time that doesn't go on, fluids that aren't one a phase and above 0, tensions that aren't one an
            interface, an interface that leaves the domain (the time is told), an axis that isn't where it should be.
    """

    domain: Box
    t_span: tuple[float, float]
    rho: tuple[float, ...]
    mu: tuple[float, ...]
    interface: Interface | Several
    boundary: Field
    initial: Field | tuple[Field, ...]
    body_force: Field | tuple[Field, ...] | None = None
    surface_tension: float | tuple[float, ...] = 0.0
    stress_jump: Callable[[Tensor, Tensor], Tensor] | None = None
    pressure: tuple[Sequence[float], Field] | None = None
    exact: Callable[[int, Tensor], Tensor] | None = None
    observations: tuple[Tensor, Tensor] | None = None
    pressures: tuple[Tensor, Tensor] | None = None
    traction: tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]] | None = None
    axisymmetric: bool = False

    def __post_init__(self) -> None:
        if not -math.inf < self.t_span[0] < self.t_span[1] < math.inf:
            raise InputError("t_span", given=self.t_span, expected="finite, start < end")
        if any(not 0 < v < math.inf for v in (*self.rho, *self.mu)):
            raise InputError("fluids", given=f"rho={self.rho}, mu={self.mu}", expected="all above 0")
        if len(self.rho) != self.phases or len(self.mu) != self.phases:
            raise InputError(
                "fluids",
                given=f"{len(self.rho)} densities, {len(self.mu)} viscosities",
                expected=f"{self.phases} of each",
            )
        if isinstance(self.surface_tension, tuple) and len(self.surface_tension) != self.phases - 1:
            raise InputError("surface_tension", given=self.surface_tension, expected=f"one, or {self.phases - 1}")
        tensions = self.surface_tension if isinstance(self.surface_tension, tuple) else (self.surface_tension,)
        if not all(math.isfinite(v) for v in tensions):
            raise InputError("surface_tension", given=self.surface_tension, expected="finite numbers")
        if self.axisymmetric and (self.dim != 2 or self.domain.bounds[0][0] < 0):
            raise InputError(
                "domain", given=self.domain.bounds, expected="(r, z) with r from 0 on, for an axisymmetric flow"
            )
        self.interface.require_inside(self.domain, self.t_span)

    @property
    def dim(self) -> int:
        """d."""
        return self.domain.dim

    @property
    def phases(self) -> int:
        """How many."""
        return self.interface.phases

    def force(self, phase: int, z: Tensor) -> Tensor:
        """f_i at points.

        Args:
            phase: i.
            z: (N, d + 1).
        """
        if self.body_force is None:
            return z.new_zeros(len(z), self.dim)
        f = self.body_force[phase] if isinstance(self.body_force, tuple) else self.body_force
        return f(z)

    def start(self, phase: int, z: Tensor) -> Tensor:
        """u_i at the start.

        Args:
            phase: i.
            z: (N, d + 1).
        """
        return (self.initial[phase] if isinstance(self.initial, tuple) else self.initial)(z)

    def tension_name(self, part: int) -> str:
        """What the surface tension of an interface is called among the properties.

        Args:
            part: which one.
        """
        return "gamma" if self.phases == 2 else f"gamma{part}"

    @property
    def properties(self) -> list[str]:
        """Names of all fluids' properties: those that can be fitted along."""
        fluids = [f"{k}{i}" for k in ("mu", "rho") for i in range(self.phases)]
        return sorted([*fluids, *(self.tension_name(i) for i in range(self.phases - 1))])

    def tension(self, part: int = 0) -> float:
        """gamma of an interface.

        Args:
            part: which one.
        """
        return self.surface_tension[part] if isinstance(self.surface_tension, tuple) else self.surface_tension

    def curvature(self, on: OnInterface) -> Float[Tensor, " n"]:
        """kappa at points of an interface; around an axis with the second one, n_r / r.

        Args:
            on: those points.
        """
        return on.curvature + on.normal[:, 0] / on.z[:, 0].clamp_min(1e-9) if self.axisymmetric else on.curvature

    def given_jump(self, on: OnInterface) -> Float[Tensor, "n d"]:
        """The part of the jump of sigma n that isn't surface tension.

        Args:
            on: points of an interface.
        """
        return torch.zeros_like(on.normal) if self.stress_jump is None else self.stress_jump(on.z, on.normal)

    def numbers(self, speed: float = 1.0, length: float = 1.0) -> dict[str, float]:
        """Reynolds, Weber and capillary numbers of each phase, and the contrasts.

        Args:
            speed: that is typical.
            length: that is typical.
        """
        every = range(self.phases)
        found = {f"Re_{i}": self.rho[i] * speed * length / self.mu[i] for i in every}
        if self.tension():
            found |= {f"We_{i}": self.rho[i] * speed**2 * length / self.tension() for i in every}
            found |= {f"Ca_{i}": self.mu[i] * speed / self.tension() for i in every}
        return found | {"rho contrast": self.rho[0] / self.rho[1], "mu contrast": self.mu[0] / self.mu[1]}
