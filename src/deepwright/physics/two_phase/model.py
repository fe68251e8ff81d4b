"""A network for each phase, and everything that the equations of flow ask of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.physics.derivatives import Jet, concatenate, jet
from deepwright.physics.domains import SpaceTime
from deepwright.physics.networks import field
from deepwright.physics.two_phase.interface import Interface
from deepwright.physics.two_phase.problem import TwoPhaseProblem
from deepwright.physics.two_phase.several import Several


class Flow(NamedTuple):
    """A flow at points.

    Attributes:
        u: velocity, (N, d).
        grad: its gradient as du_c / dx_j, (N, d, d).
        rate: its time derivative, (N, d).
        laplacian: of the velocity, (N, d).
        p: pressure, (N,).
        grad_p: its gradient, (N, d).
        hoop: u_r / r around an axis, (N,).
    """

    u: Tensor
    grad: Tensor
    rate: Tensor
    laplacian: Tensor
    p: Tensor
    grad_p: Tensor
    hoop: Tensor | None = None

    @property
    def divergence(self) -> Float[Tensor, " n"]:
        """Of the velocity."""
        planar = self.grad.diagonal(dim1=1, dim2=2).sum(1)
        return planar if self.hoop is None else planar + self.hoop

    def stress(self, mu: float | Tensor) -> Float[Tensor, "n d d"]:
        """-p I + mu (grad u + grad u^T).

        Args:
            mu: the viscosity.
        """
        eye = torch.eye(self.u.shape[1], dtype=self.u.dtype, device=self.u.device)
        return -self.p[:, None, None] * eye + mu * (self.grad + self.grad.mT)


class PiecewiseNet(nn.Module):
    """One network a phase.

    Args:
        nets: (N, d + 1) -> (N, d + 1) each: velocity and pressure; or (stream function, pressure) with `stream`.
        interface: decides which network answers: an `Interface`, or `Several` for more than two phases.
        stream: velocities are (psi_y, -psi_x), so that they have no divergence (two dimensions).
        unknown: properties that are fitted along, name -> first guess above 0: "mu0", "rho1", "gamma" and so on.
    """

    def __init__(
        self,
        nets: Sequence[nn.Module],
        interface: Interface | Several,
        stream: bool = False,
        unknown: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        if len(nets) != interface.phases or (stream and interface.dim != 2):
            raise InputError(
                "PiecewiseNet",
                given=f"{len(nets)} networks in {interface.dim} dimensions",
                expected=f"{interface.phases} (stream: in 2-D)",
            )
        self.nets, self.interface, self.stream = nn.ModuleList(nets), interface, stream
        dtype = next(iter(self.nets.parameters())).dtype
        logs = {k: nn.Parameter(torch.tensor(math.log(v), dtype=dtype)) for k, v in (unknown or {}).items()}
        self.unknown = nn.ParameterDict(logs)

    def value(self, name: str, given: float) -> float | Tensor:
        """A property: what is fitted, or what was given.

        Args:
            name: of the property.
            given: its value where it isn't fitted.
        """
        return self.unknown[name].exp() if name in self.unknown else given

    def phase_forward(self, phase: int, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
        """Velocity and pressure by one phase's network.

        Args:
            phase: which one.
            z: points.
        """
        if not self.stream:
            return self.nets[phase](z)
        J = jet(self.nets[phase], z, 2).J
        return torch.stack([J[1, :, 0], -J[0, :, 0], self.nets[phase](z)[:, 1]], 1)

    def forward(self, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
        """Velocity and pressure by the network of the phase that a point is in.

        Args:
            z: points.
        """
        return self.chosen(self.interface.phase(z), z)

    def chosen(self, phase: Real[Tensor, " n"], z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
        """Velocity and pressure by the networks of given phases.

        Args:
            phase: of each point, a whole number in any dtype.
            z: points.
        """
        out = self.phase_forward(len(self.nets) - 1, z)
        for i in range(len(self.nets) - 1):
            out = torch.where((phase == i)[:, None], self.phase_forward(i, z), out)
        return out

    def flow(self, phase: int, z: Float[Tensor, "n d1"], second: bool = True) -> Flow:
        """Everything that the equations ask for, from one jet.

        Args:
            phase: whose network.
            z: points.
            second: whether the Laplacian is asked for (0 where not).
        """
        d = self.interface.dim
        if self.stream:
            return self._stream_flow(phase, z)
        operators = torch.diag_embed(z.new_tensor([[1.0] * d + [0.0]])) if second else None
        out = jet(self.nets[phase], z, None, operators)
        grad = out.J[:d].permute(1, 2, 0)
        laplacian = torch.zeros_like(out.v[:, :d]) if out.S is None else out.S[0, :, :d]
        return Flow(out.v[:, :d], grad[:, :d], out.J[d, :, :d], laplacian, out.v[:, d], grad[:, d])

    def _stream_flow(self, phase: int, z: Tensor) -> Flow:
        """u = psi_y, v = -psi_x; mixed derivatives from those along x, y, t, x + y, x - y, x + t and y + t."""
        e = torch.eye(3, dtype=z.dtype, device=z.device)
        along = torch.stack([e[0], e[1], e[2], e[0] + e[1], e[0] - e[1], e[0] + e[2], e[1] + e[2]])
        out = jet(self.nets[phase], z, along, "diagonal", order=3)
        assert out.S is not None
        assert out.T is not None
        J, S, T = out.J, out.S[..., 0], out.T[..., 0]
        xy = (S[3] - S[0] - S[1]) / 2
        xt, yt = (S[5] - S[0] - S[2]) / 2, (S[6] - S[1] - S[2]) / 2
        xxy, xyy = (T[3] - T[4] - 2 * T[1]) / 6, (T[3] + T[4] - 2 * T[0]) / 6
        grad = torch.stack([torch.stack([xy, S[1]], 1), torch.stack([-S[0], -xy], 1)], 1)
        return Flow(
            u=torch.stack([J[1, :, 0], -J[0, :, 0]], 1),
            grad=grad,
            rate=torch.stack([yt, -xt], 1),
            laplacian=torch.stack([xxy + T[1], -T[0] - xyy], 1),
            p=out.v[:, 1],
            grad_p=J[:2, :, 1].T,
        )


class SquaredRadius(nn.Module):
    """(r, z, t) -> (r^2, z, t), so that a network is even in r and smooth on the axis."""

    def forward(self, x: Tensor) -> Tensor:
        """(r^2, z, t).

        Args:
            x: (N, 3).
        """
        return torch.cat([x[:, :1] ** 2, x[:, 1:]], 1)

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: of the coordinates.
        """
        radius = jet.channels(0)
        return concatenate([radius.times(radius), jet.channels(slice(1, None))])


class AxisymmetricNet(PiecewiseNet):
    """Flow around an axis without swirl, in coordinates (r, z): u_r = r w.

    Networks see (r^2, z, t) and say (w, u_z, p), so that every term is regular on the axis:
    (lap u)_r = 3 w_r + r (w_rr + w_zz), (lap u)_z = u_z,rr + u_z,zz + u_z,r / r, div u = u_r,r + w + u_z,z.
    """

    def phase_forward(self, phase: int, z: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """(u_r, u_z, p) by one phase's network.

        Args:
            phase: which one.
            z: points.
        """
        out = self.nets[phase](z)
        return torch.cat([z[:, :1] * out[:, :1], out[:, 1:]], 1)

    def flow(self, phase: int, z: Float[Tensor, "n 3"], second: bool = True) -> Flow:
        """See `PiecewiseNet`.

        Args:
            phase: whose network.
            z: points.
            second: whether the Laplacian is asked for.
        """
        z = torch.cat([z[:, :1].clamp_min(1e-6), z[:, 1:]], 1)
        operators = torch.diag_embed(z.new_tensor([[1.0, 1.0, 0.0]])) if second else None
        out = jet(self.nets[phase], z, None, operators)
        r, w, J = z[:, 0], out.v[:, 0], out.J
        S = torch.zeros_like(out.v) if out.S is None else out.S[0]
        radial = torch.stack([w + r * J[0, :, 0], r * J[1, :, 0]], 1)
        axial = torch.stack([J[0, :, 1], J[1, :, 1]], 1)
        laplacian = torch.stack([3 * J[0, :, 0] + r * S[:, 0], S[:, 1] + J[0, :, 1] / r], 1)
        return Flow(
            u=torch.stack([r * w, out.v[:, 1]], 1),
            grad=torch.stack([radial, axial], 1),
            rate=torch.stack([r * J[2, :, 0], J[2, :, 1]], 1),
            laplacian=laplacian,
            p=out.v[:, 2],
            grad_p=J[:2, :, 2].T,
            hoop=w,
        )


def network_for(
    problem: TwoPhaseProblem,
    hidden: Sequence[int],
    *,
    stream: bool = False,
    unknown: Mapping[str, float] | None = None,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> PiecewiseNet:
    """Fresh perceptrons for a flow, one a phase.

    Args:
        problem: the flow.
        hidden: widths of each.
        stream: see `PiecewiseNet`.
        unknown: see `PiecewiseNet`.
        dtype: of the parameters.
        seed: of the weights.

    Raises:
        InputError: unknown properties that the flow doesn't have, guesses that aren't above 0, a stream function
            around an axis.
    """
    unknown = unknown or {}
    if set(unknown) - set(problem.properties) or any(not v > 0 for v in unknown.values()):
        expected = f"guesses above 0 of some of {', '.join(problem.properties)}"
        raise InputError("unknown", given=dict(unknown), expected=expected)
    if problem.axisymmetric and stream:
        raise InputError("stream", given=True, expected="False for an axisymmetric flow")
    d, bounds = problem.dim, list(SpaceTime(problem.domain, problem.t_span).bounds)
    if problem.axisymmetric:
        bounds[0] = (bounds[0][0] ** 2, bounds[0][1] ** 2)
    nets: list[nn.Module] = [
        field(d + 1, 2 if stream else d + 1, hidden, bounds=bounds, dtype=dtype, seed=2 * seed + i)
        for i in range(problem.phases)
    ]
    if problem.axisymmetric:
        return AxisymmetricNet([nn.Sequential(SquaredRadius(), n) for n in nets], problem.interface, unknown=unknown)
    return PiecewiseNet(nets, problem.interface, stream, unknown)
