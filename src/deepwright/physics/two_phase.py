"""Two incompressible fluids with a network each, coupled where they meet.

In phase i, with sigma_i = -p_i I + 2 mu_i D(u_i) and D the symmetric gradient,

    rho_i (u_t + u . grad u) + grad p - mu_i lap u = f_i,    div u = 0,
    on the interface   u_1 - u_2 = 0,   (sigma_1 - sigma_2) n = tau,   tau = -gamma kappa n for surface tension.

(div 2 mu D = mu lap u where div u = 0.) Everything is one least-squares functional over space-time points; the interface
moves as told, or with the fluid: then it is carried by the solution and solved again until it stands still.

Source: "Physics-informed neural networks for solving two-phase flow problems with moving interfaces", arXiv 2604.00948
(piecewise networks, least squares, both scenarios); the tracking loop, scaling and checks are ours.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.physics.diff import jet
from deepwright.physics.interface import Interface, Markers, OnInterface, carry
from deepwright.physics.lsq import Block, LeastSquaresProblem
from deepwright.physics.networks import field as field_network
from deepwright.physics.points import Box, SpaceTime
from deepwright.physics.training import Phase, Training, fit_problem

Field = Callable[[Tensor], Tensor]


@dataclass
class TwoPhaseProblem:
    """What is known of the flow; phase 0 is inside the interface.

    Attributes:
        domain: of space; t_span: (start, end).
        rho, mu: densities and viscosities of the phases, above 0.
        interface: where they meet.
        body_force: (N, d + 1) -> (N, d), one for both phases or one each; 0 where not given.
        boundary: velocity on the domain's edge.
        initial: velocity at the start, one for both phases or one each.
        surface_tension: gamma of tau = -gamma kappa n.
        stress_jump: (z, normal) -> (N, d) instead, or on top of it.
        pressure: (x (d,), (N, d + 1) -> (N,)) a place and the pressure there over time, which fixes the constant.
        exact: (phase, z) -> (N, d + 1) velocity and pressure, where known; never used to train.
        observations: (z, u) measured velocities.
    """

    domain: Box
    t_span: tuple[float, float]
    rho: tuple[float, float]
    mu: tuple[float, float]
    interface: Interface
    boundary: Field
    initial: Field | tuple[Field, Field]
    body_force: Field | tuple[Field, Field] | None = None
    surface_tension: float = 0.0
    stress_jump: Callable[[Tensor, Tensor], Tensor] | None = None
    pressure: tuple[Sequence[float], Field] | None = None
    exact: Callable[[int, Tensor], Tensor] | None = None
    observations: tuple[Tensor, Tensor] | None = None

    def __post_init__(self) -> None:
        if min(*self.rho, *self.mu) <= 0:
            raise InputError("fluids", given=f"rho={self.rho}, mu={self.mu}", expected="all above 0")
        self.interface.require_inside(self.domain, self.t_span)

    @property
    def dim(self) -> int:
        """d."""
        return self.domain.dim

    def force(self, phase: int, z: Tensor) -> Tensor:
        """f_i at points."""
        if self.body_force is None:
            return torch.zeros(len(z), self.dim, dtype=z.dtype, device=z.device)
        f = self.body_force[phase] if isinstance(self.body_force, tuple) else self.body_force
        return f(z)

    def start(self, phase: int, z: Tensor) -> Tensor:
        """u_i at the start."""
        return (self.initial[phase] if isinstance(self.initial, tuple) else self.initial)(z)

    def tau(self, on: OnInterface) -> Float[Tensor, "n d"]:
        """The jump of sigma n."""
        jump = -self.surface_tension * on.curvature[:, None] * on.normal
        return jump if self.stress_jump is None else jump + self.stress_jump(on.z, on.normal)

    def numbers(self, speed: float = 1.0, length: float = 1.0) -> dict[str, float]:
        """Reynolds, Weber and capillary numbers of each phase, and the contrasts."""
        found = {f"Re_{i}": self.rho[i] * speed * length / self.mu[i] for i in (0, 1)}
        if self.surface_tension:
            found |= {f"We_{i}": self.rho[i] * speed**2 * length / self.surface_tension for i in (0, 1)}
            found |= {f"Ca_{i}": self.mu[i] * speed / self.surface_tension for i in (0, 1)}
        return found | {"rho contrast": self.rho[0] / self.rho[1], "mu contrast": self.mu[0] / self.mu[1]}


@dataclass(frozen=True)
class PointCounts:
    """Points of each kind, in each phase where there are two."""

    interior: int = 220
    interface: int = 120
    boundary: int = 120
    initial: int = 160
    pressure: int = 16

    def times(self, k: float) -> PointCounts:
        """So many times as many."""
        return PointCounts(
            *(max(1, round(k * n)) for n in (self.interior, self.interface, self.boundary, self.initial, self.pressure))
        )


class Flow(NamedTuple):
    """A flow at points: velocity (N, d), its gradient (N, d, d) as du_c / dx_j, time derivative and Laplacian (N, d), pressure (N,) and
    its gradient (N, d)."""

    u: Tensor
    grad: Tensor
    rate: Tensor
    laplacian: Tensor
    p: Tensor
    grad_p: Tensor

    def stress(self, mu: float) -> Float[Tensor, "n d d"]:
        """-p I + mu (grad u + grad u^T)."""
        eye = torch.eye(self.u.shape[1], dtype=self.u.dtype, device=self.u.device)
        return -self.p[:, None, None] * eye + mu * (self.grad + self.grad.mT)


class PiecewiseNet(nn.Module):
    """One network a phase.

    Args:
        nets: (N, d + 1) -> (N, d + 1) each: velocity and pressure; or (stream function, pressure) with `stream`.
        interface: decides which network answers.
        stream: velocities are (psi_y, -psi_x), so that they have no divergence (two dimensions).
    """

    def __init__(self, nets: Sequence[nn.Module], interface: Interface, stream: bool = False) -> None:
        super().__init__()
        if len(nets) != 2 or (stream and interface.dim != 2):
            raise InputError(
                "PiecewiseNet",
                given=f"{len(nets)} networks in {interface.dim} dimensions",
                expected="two (stream: in 2-D)",
            )
        self.nets, self.interface, self.stream = nn.ModuleList(nets), interface, stream

    def phase_forward(self, phase: int, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
        """Velocity and pressure by one phase's network."""
        if not self.stream:
            return self.nets[phase](z)
        J = jet(self.nets[phase], z, 2).J
        return torch.stack([J[1, :, 0], -J[0, :, 0], self.nets[phase](z)[:, 1]], 1)

    def forward(self, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
        """Velocity and pressure by the network of the phase that a point is in."""
        inside = self.interface.phase(z) == 0
        first, second = self.phase_forward(0, z), self.phase_forward(1, z)
        return torch.where(inside[:, None], first, second)

    def flow(self, phase: int, z: Float[Tensor, "n d1"], second: bool = True) -> Flow:
        """Everything that the equations ask for, from one jet."""
        d = self.interface.dim
        if self.stream:
            return self._stream_flow(phase, z)
        operators = torch.diag_embed(torch.tensor([[1.0] * d + [0.0]], dtype=z.dtype)) if second else None
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
            torch.stack([J[1, :, 0], -J[0, :, 0]], 1), grad, torch.stack([yt, -xt], 1),
            torch.stack([xxy + T[1], -T[0] - xyy], 1), out.v[:, 1], J[:2, :, 1].T,
        )  # fmt: skip


@dataclass
class Tracked:
    """How the interface settled: largest move of each sweep, and whether it came below the tolerance."""

    moves: list[float] = field(default_factory=list)
    converged: bool = False
    interface: Markers | None = None


class TwoPhasePINN:
    """The solver.

    Args:
        problem: the flow.
        hidden: widths of each phase's network; stream: see `PiecewiseNet`.
        counts: points of each kind; beta: weight of interface, edge, start and pressure.
        scale: residuals of momentum are divided by the phase's max(mu, rho, 1) and of stress by max(mu), so that no phase
            speaks for both.
        seed: of networks and points.
    """

    def __init__(
        self,
        problem: TwoPhaseProblem,
        hidden: Sequence[int] = (32, 32, 32),
        *,
        stream: bool = False,
        counts: PointCounts | None = None,
        beta: float = 25.0,
        scale: bool = True,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        self.problem, self.counts, self.beta = problem, counts or PointCounts(), beta
        self.scale, self.dtype, self.seed = scale, dtype, seed
        self.space = SpaceTime(problem.domain, problem.t_span)
        d = problem.dim
        nets = [
            field_network(
                d + 1, 2 if stream else d + 1, hidden, bounds=self.space.bounds, dtype=dtype, seed=2 * seed + i
            )
            for i in (0, 1)
        ]
        self.model = PiecewiseNet(nets, problem.interface, stream)
        self.training: Training | None = None

    # --- residuals ----------------------------------------------------------------------------------------------

    def momentum(self, phase: int, model: PiecewiseNet, z: Tensor) -> Float[Tensor, "n d1"]:
        """(momentum / its scale, divergence)."""
        p = self.problem
        flow = model.flow(phase, z)
        carried = torch.einsum("ncj,nj->nc", flow.grad, flow.u)
        r = p.rho[phase] * (flow.rate + carried) + flow.grad_p - p.mu[phase] * flow.laplacian - p.force(phase, z)
        if self.scale:
            r = r / max(p.mu[phase], p.rho[phase], 1.0)
        divergence = flow.grad.diagonal(dim1=1, dim2=2).sum(1)
        return torch.cat([r, divergence[:, None]], 1)

    def jumps(self, model: PiecewiseNet, z: Tensor, normal: Tensor, tau: Tensor) -> Float[Tensor, "n d2"]:
        """(jump of the velocity, (jump of sigma n - tau) / its scale)."""
        mu = self.problem.mu
        one, two = (model.flow(i, z, second=False) if not model.stream else model.flow(i, z) for i in (0, 1))
        stress = torch.einsum("ncj,nj->nc", one.stress(mu[0]) - two.stress(mu[1]), normal) - tau
        return torch.cat([one.u - two.u, stress / (max(mu) if self.scale else 1.0)], 1)

    def _points(self, name: str, phase: int, n: int, generator: torch.Generator, start: bool = False) -> Tensor:
        """Points of one phase, by rejection."""
        found: list[Tensor] = []
        have = tried = 0
        while have < n:
            z = (
                self.space.sample_initial(2 * n, generator=generator)
                if start
                else self.space.sample(2 * n, generator=generator)
            )
            mine = z[self.problem.interface.phase(z) == phase]
            found.append(mine)
            have, tried = have + len(mine), tried + len(z)
            if tried > 2000 * n and have == 0:
                raise InputError(name, given=f"no point in phase {phase}", expected="two phases of some size")
        return torch.cat(found)[:n]

    def blocks(self, counts: PointCounts | None = None, seed: int | None = None) -> list[Block]:
        """The functional's blocks; usable in a loop of your own."""
        p, n, d = self.problem, counts or self.counts, self.problem.dim
        own = self.seed if seed is None else seed

        def rng(name: str) -> torch.Generator:
            return generator(own, "two-phase", name)

        probe = self.space.sample(8192, generator=rng("volume"))
        whole = p.domain.volume * (p.t_span[1] - p.t_span[0])
        share = float((p.interface.phase(probe) == 0).double().mean())
        found = []
        for i, volume in ((0, share * whole), (1, (1 - share) * whole)):
            z = self._points("interior", i, n.interior, rng(f"interior {i}"))
            found.append(Block(f"flow {i}", _bound(self.momentum, i), (self._cast(z),), max(volume, 1e-6)))
        on = p.interface.sample(n.interface, p.t_span, rng("interface"))
        found.append(Block("interface", self.jumps, self._cast_all(on.z, on.normal, p.tau(on)), self.beta))
        edge, _ = self.space.sample_boundary(n.boundary, generator=rng("edge"))
        g = p.boundary(edge)
        if g.shape != (len(edge), d):
            raise InputError("boundary", given=f"shape {tuple(g.shape)}", expected=f"(N, {d})")
        phases = p.interface.phase(edge).to(edge)[:, None]
        found.append(Block("edge", _edge, self._cast_all(edge, g, phases), self.beta))
        for i in (0, 1):
            z = self._points("start", i, n.initial // 2, rng(f"start {i}"), start=True)
            found.append(Block(f"start {i}", _bound(_start, i), self._cast_all(z, p.start(i, z)), self.beta))
        if p.pressure is not None:
            t = torch.linspace(*p.t_span, n.pressure, dtype=torch.float64)[:, None]
            z = torch.cat([torch.tensor([list(p.pressure[0])], dtype=torch.float64).expand(len(t), d), t], 1)
            value = p.pressure[1](z).reshape(-1, 1)
            found.append(
                Block("pressure", _pin, self._cast_all(z, value, p.interface.phase(z).to(z)[:, None]), self.beta)
            )
        if p.observations is not None:
            z, u = p.observations
            found.append(
                Block("observations", _edge, self._cast_all(z, u, p.interface.phase(z).to(z)[:, None]), self.beta)
            )
        return found

    def _cast(self, t: Tensor) -> Tensor:
        return t.to(self.dtype)

    def _cast_all(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(self._cast(t) for t in tensors)

    def least_squares(self, seed: int | None = None) -> LeastSquaresProblem:
        """The problem over the model."""
        return LeastSquaresProblem(self.model, self.blocks(seed=seed))

    # --- solving ------------------------------------------------------------------------------------------------

    def fit(
        self,
        schedule: Sequence[Phase | tuple[Any, ...]] | None = None,
        *,
        max_time: float | None = None,
        checkpoint: Path | str | None = None,
    ) -> Training:
        """Solve with the interface as it is; see `fit_problem`."""
        squares = self.least_squares()
        small = squares.size <= 5000
        default = [Phase("lm", 160)] if small else [Phase("adam", 500, 1e-3), Phase("lbfgs", 60)]
        self.training = fit_problem(
            squares,
            schedule or default,
            max_time=max_time,
            checkpoint=checkpoint,
            seed=self.seed,
            description="two phases",
        )
        return self.training

    def fit_free(
        self,
        *,
        first: Sequence[Phase | tuple[Any, ...]] = (("lm", 100),),
        later: Sequence[Phase | tuple[Any, ...]] = (("lm", 40),),
        sweeps: int = 10,
        tolerance: float | None = None,
        steps: int = 60,
        state_dir: Path | str | None = None,
    ) -> Tracked:
        """Solve with an interface that moves with the fluid (it must be `Markers`).

        Each sweep solves, carries the markers from their start with the mean of both phases' velocities, and takes the new
        curves; half of the way where the last move grew.

        Args:
            first, later: schedules of the first and of later sweeps (which start from the network of the one before).
            sweeps: at most; tolerance: largest move that ends it (1e-4 of the domain's diagonal by default).
            steps: Runge-Kutta steps of the markers; state_dir: checkpoints of each sweep, to resume from.

        Returns:
            The moves; not converged where they never came below the tolerance (the best sweep's curves stay).
        """
        p = self.problem
        if not isinstance(p.interface, Markers):
            raise InputError("interface", given=type(p.interface).__name__, expected="Markers, for a free interface")
        size = math.dist(*zip(*p.domain.bounds))
        limit = 1e-4 * size if tolerance is None else tolerance
        start, found = p.interface.path[0], Tracked()
        for sweep in range(sweeps):
            path = None if state_dir is None else Path(state_dir) / f"sweep-{sweep}.pt"
            self.fit(first if sweep == 0 else later, checkpoint=path)
            fresh = Markers(carry(start, self.mean_velocity, p.t_span, steps), p.t_span)
            old = p.interface
            move = fresh.distance(old)
            grew = bool(found.moves) and move > found.moves[-1]
            if grew and len(old.path) == len(fresh.path):
                fresh = Markers(0.5 * (old.path + fresh.path), p.t_span)
            if fresh.spread() > 3:
                fresh = fresh.even()
                start = fresh.path[0]
            found.moves.append(move)
            self._take(fresh)
            if move < limit:
                found.converged = True
                break
        found.interface = self.problem.interface  # type: ignore[assignment]
        if not found.converged:
            warnings.warn(
                f"the interface still moved by {found.moves[-1]:.2g} in the last of {sweeps} sweeps", stacklevel=2
            )
        return found

    def _take(self, interface: Markers) -> None:
        interface.require_inside(self.problem.domain, self.problem.t_span)
        self.problem.interface = interface
        self.model.interface = interface

    def mean_velocity(self, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d"]:
        """Of both phases' networks: they agree on the interface."""
        with torch.no_grad():
            both = [self.model.phase_forward(i, self._cast(z))[:, : self.problem.dim] for i in (0, 1)]
        return 0.5 * (both[0] + both[1])

    # --- looking ------------------------------------------------------------------------------------------------

    def predict(self, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
        """Velocity and pressure."""
        with torch.no_grad():
            return self.model(self._cast(z))

    def stress(self, z: Float[Tensor, "n d1"], phase: int) -> Float[Tensor, "n d d"]:
        """sigma of a phase."""
        with torch.no_grad():
            return self.model.flow(phase, self._cast(z)).stress(self.problem.mu[phase])

    def error_indicator(self, times: float = 4.0) -> dict[str, float]:
        """L2 norm of every block's residual on fresh points, so many times as many."""
        fresh = LeastSquaresProblem(self.model, self.blocks(self.counts.times(times), self.seed + 7919))
        return {
            b.name: float(v) * math.sqrt(b.weight if b.name.startswith("flow") else 1.0)
            for b, v in zip(fresh.blocks, fresh.breakdown().values())
        }

    def errors(self, n: int = 20_000) -> dict[str, float]:
        """Relative L2 errors of velocity and pressure on fresh points, each in its phase; the pressure's mean is removed."""
        p = self.problem
        if p.exact is None:
            return {}
        z = self.space.sample(n, generator=torch.Generator().manual_seed(self.seed + 104_729))
        phase = p.interface.phase(z)
        guess = self.predict(z).double()
        truth = torch.where((phase == 0)[:, None], p.exact(0, z), p.exact(1, z))
        d = p.dim
        gap, size = guess - truth, truth
        pressure = gap[:, d] - gap[:, d].mean()
        centred = size[:, d] - size[:, d].mean()
        return {
            "u": float(gap[:, :d].norm() / size[:, :d].norm().clamp_min(1e-300)),
            "p": float(pressure.norm() / centred.norm().clamp_min(1e-300)),
        }


def _bound(function: Callable[..., Tensor], phase: int) -> Callable[..., Tensor]:
    return lambda model, *tensors: function(phase, model, *tensors)


def _start(phase: int, model: PiecewiseNet, z: Tensor, u: Tensor) -> Tensor:
    return model.phase_forward(phase, z)[:, : u.shape[1]] - u


def _in_phase(model: PiecewiseNet, z: Tensor, phase: Tensor) -> Tensor:
    return torch.where(phase < 0.5, model.phase_forward(0, z), model.phase_forward(1, z))


def _edge(model: PiecewiseNet, z: Tensor, u: Tensor, phase: Tensor) -> Tensor:
    return _in_phase(model, z, phase)[:, : u.shape[1]] - u


def _pin(model: PiecewiseNet, z: Tensor, p: Tensor, phase: Tensor) -> Tensor:
    return _in_phase(model, z, phase)[:, -1:] - p
