"""The equations of two fluids as residuals of their networks, each divided by its scale.

In phase i, with sigma_i = -p_i I + 2 mu_i D(u_i),

    rho_i (u_t + u . grad u) + grad p - mu_i lap u - f_i,    div u,
    on the interface   u_1 - u_2,   (sigma_1 - sigma_2) n - tau,   tau = -gamma kappa n + what is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.physics.two_phase.model import PiecewiseNet
from deepwright.physics.two_phase.problem import TwoPhaseProblem


@dataclass(frozen=True)
class Residuals:
    """Residuals of a flow; each takes the model and rows of tensors, as a `Block` wants.

    Attributes:
        problem: the flow.
        scale: momentum is divided by the phase's max(mu, rho, 1) and stress by max(mu), so that no phase speaks for
            both.
    """

    problem: TwoPhaseProblem
    scale: bool = True

    def momentum(self, phase: int, model: PiecewiseNet, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
        """(momentum / its scale, divergence).

        Args:
            phase: i.
            model: the networks.
            z: points of the phase.
        """
        p = self.problem
        rho, mu = model.value(f"rho{phase}", p.rho[phase]), model.value(f"mu{phase}", p.mu[phase])
        flow = model.flow(phase, z)
        carried = torch.einsum("ncj,nj->nc", flow.grad, flow.u)
        r = rho * (flow.rate + carried) + flow.grad_p - mu * flow.laplacian - p.force(phase, z)
        if self.scale:
            r = r / max(p.mu[phase], p.rho[phase], 1.0)
        return torch.cat([r, flow.divergence[:, None]], 1)

    def jumps(
        self,
        part: int,
        other: int,
        model: PiecewiseNet,
        z: Float[Tensor, "n d1"],
        normal: Float[Tensor, "n d"],
        curvature: Float[Tensor, "n 1"],
        jump: Float[Tensor, "n d"],
    ) -> Float[Tensor, "n d2"]:
        """(jump of the velocity, (jump of sigma n - tau) / its scale) between a phase and the one outside of it.

        Args:
            part: the phase inside, which is also the interface's number.
            other: the phase outside.
            model: the networks.
            z: points of the interface.
            normal: out of the phase inside.
            curvature: the divergence of the normal.
            jump: the part of tau that isn't surface tension.
        """
        p = self.problem
        one, two = (model.flow(i, z, second=model.stream) for i in (part, other))
        mu = [model.value(f"mu{i}", p.mu[i]) for i in (part, other)]
        tau = jump - model.value(p.tension_name(part), p.tension(part)) * curvature * normal
        stress = torch.einsum("ncj,nj->nc", one.stress(mu[0]) - two.stress(mu[1]), normal) - tau
        return torch.cat([one.u - two.u, stress / (max(p.mu[part], p.mu[other]) if self.scale else 1.0)], 1)

    def pull(
        self,
        model: PiecewiseNet,
        z: Float[Tensor, "n d1"],
        normal: Float[Tensor, "n d"],
        h: Float[Tensor, "n d"],
        phase: Float[Tensor, "n 1"],
    ) -> Float[Tensor, "n d"]:
        """(sigma n - h) / its scale on the edge.

        Args:
            model: the networks.
            z: points of the edge.
            normal: out of the domain.
            h: the traction that is given.
            phase: of each point.
        """
        p, found = self.problem, torch.zeros_like(h)
        for i in range(p.phases):
            flow = model.flow(i, z, second=model.stream)
            own = torch.einsum("ncj,nj->nc", flow.stress(model.value(f"mu{i}", p.mu[i])), normal)
            found = torch.where(phase == i, own, found)
        return (found - h) / (max(p.mu) if self.scale else 1.0)


def velocity_of_phase(
    phase: int, model: PiecewiseNet, z: Float[Tensor, "n d1"], u: Float[Tensor, "n d"]
) -> Float[Tensor, "n d"]:
    """One phase's velocity less a given one: the start.

    Args:
        phase: which one.
        model: the networks.
        z: points.
        u: the velocity there.
    """
    return model.phase_forward(phase, z)[:, : u.shape[1]] - u


def velocity(
    model: PiecewiseNet, z: Float[Tensor, "n d1"], u: Float[Tensor, "n d"], phase: Float[Tensor, "n 1"]
) -> Float[Tensor, "n d"]:
    """The velocity less a given one: edges, measurements.

    Args:
        model: the networks.
        z: points.
        u: the velocity there.
        phase: of each point.
    """
    return model.chosen(phase[:, 0], z)[:, : u.shape[1]] - u


def pressure(
    model: PiecewiseNet, z: Float[Tensor, "n d1"], p: Float[Tensor, "n 1"], phase: Float[Tensor, "n 1"]
) -> Float[Tensor, "n 1"]:
    """The pressure less a given one.

    Args:
        model: the networks.
        z: points.
        p: the pressure there.
        phase: of each point.
    """
    return model.chosen(phase[:, 0], z)[:, -1:] - p
