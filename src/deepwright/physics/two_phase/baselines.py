"""What a network per phase is held against: one network, with the jumps ignored, smeared, or only kinks allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.physics.derivatives.jets import Jet, concatenate
from deepwright.physics.derivatives.operators import jet as derivatives
from deepwright.physics.networks import field
from deepwright.physics.solve.least_squares import Block
from deepwright.physics.two_phase.interface import Interface
from deepwright.physics.two_phase.model import Flow, PiecewiseNet
from deepwright.physics.two_phase.solver import PointCounts, TwoPhasePINN, TwoPhaseProblem


class SignedDistance(nn.Module):
    """Appends s phi(x, t): with s = -1 inside and +1 outside that is |phi|, smooth on each side."""

    def __init__(self, interface: Interface, sign: float) -> None:
        super().__init__()
        self.interface, self.sign = interface, sign

    def _value(self, z: Tensor) -> Tensor:
        return self.sign * self.interface.level(z)[:, None]

    def forward(self, z: Tensor) -> Tensor:
        """(z, s phi)."""
        return torch.cat([z, self._value(z)], 1)

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`; the incoming jet is that of the coordinates."""
        asked = None if jet.operators is None else jet.operators.matrices
        own = derivatives(self._value, jet.v, jet.J[:, 0], asked, order=jet.order, engine="func")
        return concatenate([jet, own])


def one_network(
    problem: TwoPhaseProblem, hidden: Sequence[int], seed: int, distance: bool = False, **options: Any
) -> TwoPhasePINN:
    """A solver with one network: without interface residuals (`distance` off), or with |phi| as an input and with them (arXiv 2508.01463).

    Args:
        problem, hidden, seed: as in `TwoPhasePINN`; distance: see above; options: further ones.
    """
    solver = (
        _Single(problem, hidden, seed=seed, **options)
        if not distance
        else TwoPhasePINN(problem, hidden, seed=seed, **options)
    )
    d = problem.dim
    bounds = list(solver.space.bounds)
    if distance:
        level = problem.interface.parts[0].level(solver.space.sample(2048))
        bounds.append((0.0, float(level.abs().max())))
    net = field(len(bounds), d + 1, hidden, bounds=bounds, seed=seed)
    nets = [nn.Sequential(SignedDistance(problem.interface.parts[0], s), net) if distance else net for s in (-1.0, 1.0)]
    solver.model = PiecewiseNet(nets, problem.interface)
    return solver


class _Single(TwoPhasePINN):
    """No residual knows of the interface but through density and viscosity."""

    def blocks(self, counts: PointCounts | None = None, seed: int | None = None) -> list[Block]:
        """Without the interface's."""
        return [b for b in super().blocks(counts, seed) if b.name != "interface"]


class Smeared(_Single):
    """One network, density and viscosity blended over a layer of width 2 epsilon, surface tension as a force in it.

    Args:
        problem: with a circle whose level set is |X|^2 - R^2 and curvature 1 / R.
        radius: R; epsilon: half the layer's width.
    """

    def __init__(
        self, problem: TwoPhaseProblem, hidden: Sequence[int], radius: float, epsilon: float = 0.1, **options: Any
    ) -> None:
        super().__init__(problem, hidden, **options)
        self.radius, self.epsilon = radius, epsilon
        net = field(problem.dim + 1, problem.dim + 1, hidden, bounds=self.space.bounds, seed=self.seed)
        self.model = PiecewiseNet([net, net], problem.interface)

    def momentum(self, phase: int, model: PiecewiseNet, z: Tensor) -> Tensor:
        """With blended properties, whichever side a point is on."""
        p, d = self.problem, self.problem.dim
        flow: Flow = model.flow(0, z)
        distance = torch.sqrt((p.interface.parts[0].level(z) + self.radius**2).clamp_min(1e-12)) - self.radius
        slope = _slope(p.interface.parts[0].level, z)[:, :d]
        normal = slope / slope.norm(dim=1, keepdim=True).clamp_min(1e-12)
        outside = 0.5 * (1 + torch.tanh(distance / self.epsilon))
        delta = 0.5 / self.epsilon * (1 - torch.tanh(distance / self.epsilon) ** 2)
        rho, mu = (a + (b - a) * outside for a, b in (p.rho, p.mu))
        f = p.force(0, z) + (p.force(1, z) - p.force(0, z)) * outside[:, None]
        f = f - (p.tension() / self.radius * delta)[:, None] * normal
        carried = flow.rate + torch.einsum("ncj,nj->nc", flow.grad, flow.u)
        bend = torch.einsum("ncj,nj->nc", flow.grad + flow.grad.mT, ((p.mu[1] - p.mu[0]) * delta)[:, None] * normal)
        r = rho[:, None] * carried + flow.grad_p - mu[:, None] * flow.laplacian - bend - f
        return torch.cat([r / max(*p.mu, *p.rho, 1.0), flow.divergence[:, None]], 1)


def _slope(level: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    return torch.func.vmap(torch.func.grad(lambda p: level(p[None])[0]))(z)
