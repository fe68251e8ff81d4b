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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.physics.domains import Box, SpaceTime
from deepwright.physics.networks import field as field_network
from deepwright.physics.solve.least_squares import Block, LeastSquaresProblem
from deepwright.physics.solve.training import Phase, Training, fit_problem
from deepwright.physics.solve.uncertainty import covariance
from deepwright.physics.two_phase.interface import Interface, Markers, OnInterface, carry
from deepwright.physics.two_phase.interfaces import Several
from deepwright.physics.two_phase.model import AxisymmetricNet, PiecewiseNet, SquaredRadius

Field = Callable[[Tensor], Tensor]


@dataclass
class TwoPhaseProblem:
    """What is known of the flow; phase 0 is inside the interface.

    Attributes:
        domain: of space; t_span: (start, end).
        rho, mu: densities and viscosities of the phases, above 0.
        interface: where they meet; `Several` for more than two phases.
        body_force: (N, d + 1) -> (N, d), one for all phases or one each; 0 where not given.
        boundary: velocity on the domain's edge.
        initial: velocity at the start, one for all phases or one each.
        surface_tension: gamma of tau = -gamma kappa n, one for all interfaces or one each.
        stress_jump: (z, normal) -> (N, d) instead, or on top of it (for all interfaces).
        pressure: (x (d,), (N, d + 1) -> (N,)) a place and the pressure there over time, which fixes the constant.
        exact: (phase, z) -> (N, d + 1) velocity and pressure, where known; never used to train.
        observations: (z, u) measured velocities; pressures: (z, p) measured pressures.
        traction: (z -> (N,) where on the edge, (z, normal) -> (N, d) sigma n there), instead of the velocity.
        axisymmetric: coordinates are (r, z), r from 0 on, without swirl: the axis needs no condition.
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
        if min(*self.rho, *self.mu) <= 0:
            raise InputError("fluids", given=f"rho={self.rho}, mu={self.mu}", expected="all above 0")
        if len(self.rho) != self.phases or len(self.mu) != self.phases:
            raise InputError(
                "fluids",
                given=f"{len(self.rho)} densities, {len(self.mu)} viscosities",
                expected=f"{self.phases} of each",
            )
        if isinstance(self.surface_tension, tuple) and len(self.surface_tension) != self.phases - 1:
            raise InputError("surface_tension", given=self.surface_tension, expected=f"one, or {self.phases - 1}")
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
        """f_i at points."""
        if self.body_force is None:
            return torch.zeros(len(z), self.dim, dtype=z.dtype, device=z.device)
        f = self.body_force[phase] if isinstance(self.body_force, tuple) else self.body_force
        return f(z)

    def start(self, phase: int, z: Tensor) -> Tensor:
        """u_i at the start."""
        return (self.initial[phase] if isinstance(self.initial, tuple) else self.initial)(z)

    def tension(self, part: int = 0) -> float:
        """gamma of an interface."""
        return self.surface_tension[part] if isinstance(self.surface_tension, tuple) else self.surface_tension

    def curvature(self, on: OnInterface) -> Float[Tensor, " n"]:
        """kappa at points of an interface; around an axis with the second one, n_r / r."""
        return on.curvature + on.normal[:, 0] / on.z[:, 0].clamp_min(1e-9) if self.axisymmetric else on.curvature

    def given_jump(self, on: OnInterface) -> Float[Tensor, "n d"]:
        """The part of the jump of sigma n that isn't surface tension."""
        return torch.zeros_like(on.normal) if self.stress_jump is None else self.stress_jump(on.z, on.normal)

    def numbers(self, speed: float = 1.0, length: float = 1.0) -> dict[str, float]:
        """Reynolds, Weber and capillary numbers of each phase, and the contrasts."""
        every = range(self.phases)
        found = {f"Re_{i}": self.rho[i] * speed * length / self.mu[i] for i in every}
        if self.tension():
            found |= {f"We_{i}": self.rho[i] * speed**2 * length / self.tension() for i in every}
            found |= {f"Ca_{i}": self.mu[i] * speed / self.tension() for i in every}
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


@dataclass
class Tracked:
    """How the interface settled: largest move of each sweep, whether it came below the tolerance, the (first) curve, and the largest
    shift of each sweep that kept the areas."""

    moves: list[float] = field(default_factory=list)
    converged: bool = False
    interface: Markers | None = None
    shifts: list[float] = field(default_factory=list)


class TwoPhasePINN:
    """The solver.

    Args:
        problem: the flow.
        hidden: widths of each phase's network; stream: see `PiecewiseNet`.
        unknown: properties to fit along, name -> first guess: "mu0", "rho1", "gamma" (of the only interface), "gamma1" and so on;
            see `estimates`.
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
        unknown: Mapping[str, float] | None = None,
        counts: PointCounts | None = None,
        beta: float = 25.0,
        scale: bool = True,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        self.problem, self.counts, self.beta = problem, counts or PointCounts(), beta
        self.scale, self.dtype, self.seed = scale, dtype, seed
        self.space = SpaceTime(problem.domain, problem.t_span)
        self.model = self._model(hidden, stream, unknown or {})
        self.training: Training | None = None

    # --- residuals ----------------------------------------------------------------------------------------------

    def _model(self, hidden: Sequence[int], stream: bool, unknown: Mapping[str, float]) -> PiecewiseNet:
        p, d = self.problem, self.problem.dim
        known = {f"{k}{i}" for k in ("mu", "rho") for i in range(p.phases)}
        known |= {self._gamma(i) for i in range(p.phases - 1)}
        if set(unknown) - known or any(not v > 0 for v in unknown.values()):
            raise InputError(
                "unknown", given=dict(unknown), expected=f"guesses above 0 of some of {', '.join(sorted(known))}"
            )
        if p.axisymmetric and stream:
            raise InputError("stream", given=True, expected="False for an axisymmetric flow")
        bounds = list(self.space.bounds)
        if p.axisymmetric:
            bounds[0] = (bounds[0][0] ** 2, bounds[0][1] ** 2)
        nets: list[nn.Module] = [
            field_network(
                d + 1, 2 if stream else d + 1, hidden, bounds=bounds, dtype=self.dtype, seed=2 * self.seed + i
            )
            for i in range(p.phases)
        ]
        if p.axisymmetric:
            return AxisymmetricNet([nn.Sequential(SquaredRadius(), n) for n in nets], p.interface, unknown=unknown)
        return PiecewiseNet(nets, p.interface, stream, unknown)

    def _gamma(self, part: int) -> str:
        return "gamma" if self.problem.phases == 2 else f"gamma{part}"

    def momentum(self, phase: int, model: PiecewiseNet, z: Tensor) -> Float[Tensor, "n d1"]:
        """(momentum / its scale, divergence)."""
        p = self.problem
        rho, mu = model.value(f"rho{phase}", p.rho[phase]), model.value(f"mu{phase}", p.mu[phase])
        flow = model.flow(phase, z)
        carried = torch.einsum("ncj,nj->nc", flow.grad, flow.u)
        r = rho * (flow.rate + carried) + flow.grad_p - mu * flow.laplacian - p.force(phase, z)
        if self.scale:
            r = r / max(p.mu[phase], p.rho[phase], 1.0)
        return torch.cat([r, flow.divergence[:, None]], 1)

    def jumps(
        self, part: int, other: int, model: PiecewiseNet, z: Tensor, normal: Tensor, curvature: Tensor, jump: Tensor
    ) -> Float[Tensor, "n d2"]:
        """(jump of the velocity, (jump of sigma n - tau) / its scale) between phase `part` and the one outside of it."""
        p = self.problem
        one, two = (model.flow(i, z, second=model.stream) for i in (part, other))
        mu = [model.value(f"mu{i}", p.mu[i]) for i in (part, other)]
        tau = jump - model.value(self._gamma(part), p.tension(part)) * curvature * normal
        stress = torch.einsum("ncj,nj->nc", one.stress(mu[0]) - two.stress(mu[1]), normal) - tau
        return torch.cat([one.u - two.u, stress / (max(p.mu[part], p.mu[other]) if self.scale else 1.0)], 1)

    def pull(self, model: PiecewiseNet, z: Tensor, normal: Tensor, h: Tensor, phase: Tensor) -> Float[Tensor, "n d"]:
        """(sigma n - h) / its scale on the edge."""
        p, found = self.problem, torch.zeros_like(h)
        for i in range(p.phases):
            flow = model.flow(i, z, second=model.stream)
            own = torch.einsum("ncj,nj->nc", flow.stress(model.value(f"mu{i}", p.mu[i])), normal)
            found = torch.where(phase == i, own, found)
        return (found - h) / (max(p.mu) if self.scale else 1.0)

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
        phases = p.interface.phase(probe)
        found = []
        for i in range(p.phases):
            z = self._points("interior", i, n.interior, rng(f"interior {i}"))
            volume = max(float((phases == i).double().mean()) * whole, 1e-6)
            found.append(Block(f"flow {i}", _bound(self.momentum, i), (self._cast(z),), volume))
        for i, part in enumerate(p.interface.parts):
            name = "interface" if p.phases == 2 else f"interface {i}"
            on = part.sample(n.interface, p.t_span, rng(name))
            tensors = self._cast_all(on.z, on.normal, p.curvature(on)[:, None], p.given_jump(on))
            found.append(Block(name, _bound(self.jumps, i, p.interface.outside(i, on.z)), tensors, self.beta))
        found += self._edges(n, rng("edge"))
        for i in range(p.phases):
            z = self._points("start", i, n.initial // 2, rng(f"start {i}"), start=True)
            found.append(Block(f"start {i}", _bound(_start, i), self._cast_all(z, p.start(i, z)), self.beta))
        if p.pressure is not None:
            t = torch.linspace(*p.t_span, n.pressure, dtype=torch.float64)[:, None]
            z = torch.cat([torch.tensor([list(p.pressure[0])], dtype=torch.float64).expand(len(t), d), t], 1)
            found.append(Block("pressure", _pin, self._with_phase(z, p.pressure[1](z).reshape(-1, 1)), self.beta))
        if p.observations is not None:
            found.append(Block("observations", _edge, self._with_phase(*p.observations), self.beta))
        if p.pressures is not None:
            z, value = p.pressures
            found.append(Block("pressures", _pin, self._with_phase(z, value.reshape(-1, 1)), self.beta))
        return found

    def _edges(self, n: PointCounts, rng: torch.Generator) -> list[Block]:
        """Velocity on the domain's edge, or its traction where that is given; an axis has neither."""
        p, d = self.problem, self.problem.dim
        edge, normal = self.space.sample_boundary(n.boundary, generator=rng)
        if p.axisymmetric:
            kept = edge[:, 0] > 0
            edge, normal = edge[kept], normal[kept]
        pulled = (
            torch.zeros(len(edge), dtype=torch.bool) if p.traction is None else p.traction[0](edge).reshape(-1).bool()
        )
        found = []
        if not bool(pulled.all()):
            z = edge[~pulled]
            g = p.boundary(z)
            if g.shape != (len(z), d):
                raise InputError("boundary", given=f"shape {tuple(g.shape)}", expected=f"(N, {d})")
            found.append(Block("edge", _edge, self._with_phase(z, g), self.beta))
        elif p.pressure is not None:
            warnings.warn(
                "traction on the whole edge fixes the pressure: its value at a point is one condition too many",
                stacklevel=3,
            )
        if p.traction is not None and bool(pulled.any()):
            z, out = edge[pulled], normal[pulled, :d]
            tensors = self._cast_all(z, out, p.traction[1](z, out))
            found.append(Block("traction", self.pull, (*tensors, self._with_phase(z, z)[2]), self.beta))
        return found

    def _with_phase(self, z: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        return self._cast_all(z, value, self.problem.interface.phase(z).to(z)[:, None])

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
        keep_area: bool = False,
        state_dir: Path | str | None = None,
    ) -> Tracked:
        """Solve with interfaces that move with the fluid (those of them that are `Markers`).

        Each sweep solves, carries the markers from their start with the mean velocity of the phases that meet there, and takes
        the new curves; half of the way where the last move grew.

        Args:
            first, later: schedules of the first and of later sweeps (which start from the network of the one before).
            sweeps: at most; tolerance: largest move that ends it (1e-4 of the domain's diagonal by default).
            steps: Runge-Kutta steps of the markers; keep_area: shift each curve along its normals to the area of its start.
            state_dir: checkpoints of each sweep, to resume from.

        Returns:
            The moves; not converged where they never came below the tolerance (the best sweep's curves stay).
        """
        p = self.problem
        free = [i for i, part in enumerate(p.interface.parts) if isinstance(part, Markers)]
        if not free:
            raise InputError("interface", given=type(p.interface).__name__, expected="Markers, for a free interface")
        size = math.dist(*zip(*p.domain.bounds))
        limit = 1e-4 * size if tolerance is None else tolerance
        starts, found = {i: p.interface.parts[i].path[0] for i in free}, Tracked()  # type: ignore[attr-defined]
        for sweep in range(sweeps):
            path = None if state_dir is None else Path(state_dir) / f"sweep-{sweep}.pt"
            self.fit(first if sweep == 0 else later, checkpoint=path)
            parts, moves, shifts = list(p.interface.parts), [], []
            for i in free:
                old = parts[i]
                assert isinstance(old, Markers)
                fresh = Markers(carry(starts[i], self._velocity_at(i), p.t_span, steps), p.t_span)
                if keep_area:
                    fresh, shift = fresh.keeping_area()
                    shifts.append(float(shift.abs().max()))
                moves.append(fresh.distance(old))
                if found.moves and moves[-1] > found.moves[-1] and len(old.path) == len(fresh.path):
                    fresh = Markers(0.5 * (old.path + fresh.path), p.t_span)
                if fresh.spread() > 3:
                    fresh = fresh.even()
                    starts[i] = fresh.path[0]
                parts[i] = fresh
            found.moves.append(max(moves))
            found.shifts += [max(shifts)] if shifts else []
            self._take(parts)
            if max(moves) < limit:
                found.converged = True
                break
        found.interface = next(part for part in p.interface.parts if isinstance(part, Markers))
        if not found.converged:
            warnings.warn(
                f"the interface still moved by {found.moves[-1]:.2g} in the last of {sweeps} sweeps", stacklevel=2
            )
        return found

    def _take(self, parts: list[Interface]) -> None:
        interface = parts[0] if len(parts) == 1 else Several(parts)
        interface.require_inside(self.problem.domain, self.problem.t_span)
        self.problem.interface = interface
        self.model.interface = interface

    def _velocity_at(self, part: int) -> Field:
        """The mean of the two phases' velocities where they meet: they agree there."""
        on = self.problem.interface.parts[part].sample(
            64, self.problem.t_span, generator(self.seed, "two-phase", "sides")
        )
        pair = (part, self.problem.interface.outside(part, on.z))

        def velocity(z: Tensor) -> Tensor:
            with torch.no_grad():
                both = [self.model.phase_forward(i, self._cast(z))[:, : self.problem.dim] for i in pair]
            return 0.5 * (both[0] + both[1])

        return velocity

    def estimates(self, noise: float) -> dict[str, tuple[float, float]]:
        """What was unknown, with its standard deviation: name -> (value, deviation).

        Args:
            noise: standard deviation of the measured velocities and pressures; see `uncertainty.covariance`.
        """
        if not self.model.unknown:
            return {}
        names = [f"unknown.{k}" for k in self.model.unknown]
        measured = {k: noise for k in ("observations", "pressures")}
        spread = covariance(self.least_squares(), measured, names).diagonal().sqrt()
        values = [float(self.model.unknown[k].detach().exp()) for k in self.model.unknown]
        return {k: (v, v * float(s)) for k, v, s in zip(self.model.unknown, values, spread)}

    # --- looking ------------------------------------------------------------------------------------------------

    def predict(self, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
        """Velocity and pressure."""
        with torch.no_grad():
            return self.model(self._cast(z))

    def stress(self, z: Float[Tensor, "n d1"], phase: int) -> Float[Tensor, "n d d"]:
        """sigma of a phase."""
        with torch.no_grad():
            mu = self.model.value(f"mu{phase}", self.problem.mu[phase])
            return self.model.flow(phase, self._cast(z)).stress(mu)

    def error_indicator(self, times: float = 4.0) -> dict[str, float]:
        """L2 norm of every block's residual on fresh points, so many times as many."""
        fresh = LeastSquaresProblem(self.model, self.blocks(self.counts.times(times), self.seed + 7919))
        return {
            b.name: float(v) * math.sqrt(b.weight if b.name.startswith("flow") else 1.0)
            for b, v in zip(fresh.blocks, fresh.breakdown().values())
        }

    def errors(self, n: int = 20_000) -> dict[str, float]:
        """Relative L2 errors of velocity and pressure on fresh points, each in its phase; the pressure's mean is removed.

        Where the truth is 0 everywhere the RMS comes instead, under a name that says so.
        """
        p = self.problem
        if p.exact is None:
            return {}
        z = self.space.sample(n, generator=torch.Generator().manual_seed(self.seed + 104_729))
        phase = p.interface.phase(z)
        guess = self.predict(z).double()
        truth = sum(torch.where((phase == i)[:, None], p.exact(i, z), 0.0) for i in range(p.phases))
        assert isinstance(truth, Tensor)
        d = p.dim
        gap = guess - truth
        pressure = gap[:, d] - gap[:, d].mean()
        centred = truth[:, d] - truth[:, d].mean()
        found = {}
        for name, e, size in (("u", gap[:, :d], truth[:, :d]), ("p", pressure, centred)):
            if float(size.norm()) > 1e-12 * math.sqrt(n):
                found[name] = float(e.norm() / size.norm())
            else:  # nothing to be relative to
                found[f"{name}, absolute"] = float(e.square().sum().div(n).sqrt())
        return found


def _bound(function: Callable[..., Tensor], *first: int) -> Callable[..., Tensor]:
    return lambda model, *tensors: function(*first, model, *tensors)


def _start(phase: int, model: PiecewiseNet, z: Tensor, u: Tensor) -> Tensor:
    return model.phase_forward(phase, z)[:, : u.shape[1]] - u


def _edge(model: PiecewiseNet, z: Tensor, u: Tensor, phase: Tensor) -> Tensor:
    return model.chosen(phase[:, 0], z)[:, : u.shape[1]] - u


def _pin(model: PiecewiseNet, z: Tensor, p: Tensor, phase: Tensor) -> Tensor:
    return model.chosen(phase[:, 0], z)[:, -1:] - p
