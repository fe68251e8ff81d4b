"""What a network per phase is held against: one network, with the jumps ignored or smeared, with kinks, or told the
phase."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.physics.derivatives import Jet, concatenate
from deepwright.physics.derivatives import jet as derivatives
from deepwright.physics.networks import field
from deepwright.physics.two_phase.functional import PointCounts
from deepwright.physics.two_phase.interface import Interface
from deepwright.physics.two_phase.model import Flow, PiecewiseNet
from deepwright.physics.two_phase.problem import TwoPhaseProblem
from deepwright.physics.two_phase.residuals import Residuals
from deepwright.physics.two_phase.solver import TwoPhasePINN


class SignedDistance(nn.Module):
    """Appends s phi(x, t): with s = -1 inside and +1 outside that is |phi|, smooth on each side.

    Args:
        interface: whose level set.
        sign: s.
    """

    def __init__(self, interface: Interface, sign: float) -> None:
        super().__init__()
        self.interface, self.sign = interface, sign

    def _value(self, z: Tensor) -> Tensor:
        return self.sign * self.interface.level(z)[:, None]

    def forward(self, z: Tensor) -> Tensor:
        """(z, s phi).

        Args:
            z: points.
        """
        return torch.cat([z, self._value(z)], 1)

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: of the coordinates.
        """
        asked = None if jet.operators is None else jet.operators.matrices
        own = derivatives(self._value, jet.v, jet.J[:, 0], asked, order=jet.order, engine="func")
        return concatenate([jet, own])


class PhaseNumber(nn.Module):
    """Appends a number that stands for the phase, so that one network may jump between two of them.

    Args:
        number: of the phase.
    """

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, z: Tensor) -> Tensor:
        """(z, number).

        Args:
            z: points.
        """
        return torch.cat([z, torch.full_like(z[:, :1], self.number)], 1)

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: of the coordinates.
        """
        own = jet.channels(0).map(torch.zeros_like, torch.full_like(jet.v[..., :1], self.number))
        return concatenate([jet, own])


def one_network(
    problem: TwoPhaseProblem,
    hidden: Sequence[int],
    seed: int,
    distance: bool = False,
    *,
    numbered: bool = False,
    counts: PointCounts | None = None,
    dtype: torch.dtype = torch.float64,
) -> TwoPhasePINN:
    """A solver with one network: without interface residuals; or with them and with |phi| as an input (arXiv
    2508.01463), or with a number for the phase.

    Args:
        problem: see `TwoPhasePINN`.
        hidden: widths of the network.
        seed: of network and points.
        distance: |phi| as an input: velocity and pressure may kink at the interface.
        numbered: -1 inside and +1 outside as an input: they may jump there.
        counts: points of each kind.
        dtype: of the network.
    """
    kind = TwoPhasePINN if distance or numbered else _Uncoupled
    solver = kind(problem, hidden, counts=counts, dtype=dtype, seed=seed)
    d = problem.dim
    bounds = list(solver.space.bounds)
    if distance:
        level = problem.interface.parts[0].level(solver.space.sample(2048))
        bounds.append((0.0, float(level.abs().max())))
    if numbered:
        bounds.append((-1.0, 1.0))
    net = field(len(bounds), d + 1, hidden, bounds=bounds, dtype=dtype, seed=seed)
    nets: list[nn.Module] = []
    for s in (-1.0, 1.0):
        inputs: list[nn.Module] = [SignedDistance(problem.interface.parts[0], s)] if distance else []
        inputs += [PhaseNumber(s)] if numbered else []
        nets.append(nn.Sequential(*inputs, net) if inputs else net)
    solver.model = PiecewiseNet(nets, problem.interface)
    return solver


class _Uncoupled(TwoPhasePINN):
    """No residual knows of the interface but through density and viscosity."""

    coupled = False


class Smeared(TwoPhasePINN):
    """One network, density and viscosity blended over a layer, surface tension as a force in it.

    Args:
        problem: with a circle whose level set is |X|^2 - R^2 and curvature 1 / R.
        hidden: widths of the network.
        radius: R.
        epsilon: half the layer's width.
        counts: points of each kind.
        dtype: of the network.
        seed: of network and points.
    """

    coupled = False

    def __init__(
        self,
        problem: TwoPhaseProblem,
        hidden: Sequence[int],
        radius: float,
        epsilon: float = 0.1,
        *,
        counts: PointCounts | None = None,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        super().__init__(problem, hidden, counts=counts, dtype=dtype, seed=seed)
        self.radius, self.epsilon = radius, epsilon
        net = field(problem.dim + 1, problem.dim + 1, hidden, bounds=self.space.bounds, dtype=dtype, seed=seed)
        self.model = PiecewiseNet([net, net], problem.interface)

    @property
    def residuals(self) -> Residuals:
        """The equations with blended properties."""
        return _Blended(self.problem, self.scale, self.radius, self.epsilon)


@dataclass(frozen=True)
class _Blended(Residuals):
    """Density and viscosity blended over a layer of width 2 epsilon around a circle."""

    radius: float = 1.0
    epsilon: float = 0.1

    def momentum(self, phase: int, model: PiecewiseNet, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
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
