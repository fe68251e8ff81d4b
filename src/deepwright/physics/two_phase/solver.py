"""Two incompressible fluids with a network each, coupled where they meet, by least squares over space and time.

The interface moves as told, or with the fluid: then it is carried by the solution and solved again until it stands
still.

Source: "Physics-informed neural networks for solving two-phase flow problems with moving interfaces", arXiv 2604.00948
(piecewise networks, least squares, both scenarios); the tracking loop, scaling and checks are ours.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.devices import back_to, device_of, dtype_of, to_model
from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_number, require_whole
from deepwright.physics.domains import SpaceTime
from deepwright.physics.solve import (
    Block,
    LeastSquaresProblem,
    Phase,
    Training,
    covariance,
    determined,
    fit_problem,
    part_of,
)
from deepwright.physics.two_phase.functional import Functional, PointCounts
from deepwright.physics.two_phase.model import network_for
from deepwright.physics.two_phase.problem import TwoPhaseProblem
from deepwright.physics.two_phase.residuals import Residuals
from deepwright.physics.two_phase.tracking import FreeCurves, Tracked
from deepwright.physics.two_phase.transport import Velocity

Schedule = Sequence[Phase | tuple[Any, ...]]


class TwoPhasePINN:
    """The solver.

    Args:
        problem: the flow; it stays as it is (a free interface ends up in the solver's own `problem`).
        hidden: widths of each phase's network.
        stream: see `PiecewiseNet`.
        unknown: properties to fit along, name -> first guess: "mu0", "rho1", "gamma" (of the only interface), "gamma1"
            and so on; see `estimates`.
        counts: points of each kind.
        beta: weight of interface, edge, start and pressure.
        scale: see `Residuals`.
        dtype: of the networks.
        device: of the networks; `model` may be moved afterwards, too.
        seed: of networks and points.

    Attributes:
        model: the networks.
        training: what the last fit did.

    Raises:
        InputError: unknown properties that the flow doesn't have, or guesses that aren't above 0.
    """

    coupled = True

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
        device: torch.device | str = "cpu",
        seed: int = 0,
    ) -> None:
        require_number(0, beta=beta)
        if not dtype.is_floating_point:
            raise InputError("dtype", given=dtype, expected="torch.float64 or torch.float32")
        self.problem, self.counts, self.beta = problem, counts or PointCounts(), beta
        self.scale, self.seed = scale, seed
        fresh = network_for(problem, hidden, stream=stream, unknown=unknown, dtype=dtype, seed=seed)
        self.model = fresh.to(device)
        self.training: Training | None = None

    @property
    def space(self) -> SpaceTime:
        """Where and when."""
        return SpaceTime(self.problem.domain, self.problem.t_span)

    @property
    def residuals(self) -> Residuals:
        """The equations."""
        return Residuals(self.problem, self.scale)

    def functional(self, counts: PointCounts | None = None, seed: int | None = None) -> Functional:
        """What is minimised, on points where the model lives and in its dtype.

        Args:
            counts: of points instead of the solver's.
            seed: of points instead of the solver's.
        """
        return Functional(
            self.residuals,
            counts or self.counts,
            self.seed if seed is None else seed,
            self.beta,
            dtype_of(self.model),
            device_of(self.model),
            self.coupled,
        )

    def blocks(self, counts: PointCounts | None = None, seed: int | None = None) -> list[Block]:
        """The functional's blocks; usable in a loop of your own.

        Args:
            counts: see `functional`.
            seed: see `functional`.
        """
        return self.functional(counts, seed).blocks()

    def least_squares(self, seed: int | None = None) -> LeastSquaresProblem:
        """The problem over the model.

        Args:
            seed: of points instead of the solver's.
        """
        return LeastSquaresProblem(self.model, self.blocks(seed=seed))

    # --- solving ------------------------------------------------------------------------------------------------

    def fit(
        self,
        schedule: Schedule | None = None,
        *,
        max_time: float | None = None,
        checkpoint: Path | str | None = None,
    ) -> Training:
        """Solve with the interface as it is.

        Args:
            schedule: see `fit_problem`; 160 steps of Levenberg-Marquardt by default, up to 5,000 parameters.
            max_time: see `fit_problem`.
            checkpoint: see `fit_problem`.
        """
        squares = self.least_squares()
        small = squares.size <= 5000
        default = [Phase("lm", 160)] if small else [Phase("adam", 500, 1e-3), Phase("lbfgs", 60)]
        self.training = fit_problem(
            squares,
            default if schedule is None else schedule,
            max_time=max_time,
            checkpoint=checkpoint,
            seed=self.seed,
            description="two phases",
        )
        return self.training

    def fit_free(
        self,
        *,
        first: Schedule = (("lm", 100),),
        later: Schedule = (("lm", 40),),
        sweeps: int = 10,
        tolerance: float | None = None,
        steps: int = 60,
        keep_area: bool = False,
        checkpoint: Path | str | None = None,
    ) -> Tracked:
        """Solve with interfaces that move with the fluid (those of them that are `Markers`).

        Each sweep solves, carries the markers from their start with the mean velocity of the phases that meet there,
        and takes the new curves; half of the way where the last move grew.

        Args:
            first: schedule of the first sweep.
            later: schedule of the later sweeps, which start from the network of the one before.
            sweeps: at most.
            tolerance: largest move that ends it (1e-4 of the domain's diagonal by default).
            steps: Runge-Kutta steps of the markers.
            keep_area: shift each curve along its normals to the area of its start.
            checkpoint: to resume from and to save to; each sweep has a file of its own beside it: see `part_of`.

        Returns:
            The moves; not converged where they never came below the tolerance (the last sweep's curves stay).

        Raises:
            InputError: no interface that is `Markers`; no sweeps, no steps, a tolerance below 0.
        """
        if sweeps < 1 or (tolerance is not None and not tolerance >= 0):
            given = f"sweeps={sweeps}, tolerance={tolerance}"
            raise InputError("fit_free", given=given, expected="1 or more sweeps, a tolerance of 0 or more")
        require_whole(1, steps=steps)
        curves = FreeCurves(self.problem, steps, keep_area)
        limit = 1e-4 * math.dist(*zip(*self.problem.domain.bounds)) if tolerance is None else tolerance
        found, solved = curves.tracked, False
        for sweep in range(sweeps):
            solved = self._advance(first if sweep == 0 else later, part_of(checkpoint, f"sweep-{sweep}"))
            self._take(curves.move(self.problem, self._velocity_at))
            if solved and found.moves[-1] < limit:
                found.converged = True
                break
        if not found.converged:
            stuck = "" if solved else ", and the solver took no step there: it needs more of them"
            text = f"the interface still moved by {found.moves[-1]:.2g} in the last of {sweeps} sweeps{stuck}"
            warnings.warn(text, stacklevel=2)
        return found

    def _advance(self, schedule: Schedule, checkpoint: Path | None) -> bool:
        """Fit; whether it did anything: a curve stands still, too, where every step was refused."""
        before = [p.detach().clone() for p in self.model.parameters()]
        training = self.fit(schedule, checkpoint=checkpoint)
        moved = any(not torch.equal(a, b) for a, b in zip(before, self.model.parameters()))
        return moved or bool(training.stopped)

    def _take(self, problem: TwoPhaseProblem) -> None:
        self.problem = problem
        self.model.interface = problem.interface

    def _velocity_at(self, part: int) -> Velocity:
        """The mean of the two phases' velocities where they meet: they agree there."""
        p = self.problem
        on = p.interface.parts[part].sample(64, p.t_span, generator(self.seed, "two-phase", "sides"))
        pair = (part, p.interface.outside(part, on.z))

        def velocity(z: Tensor) -> Tensor:
            with torch.no_grad():
                both = [self.model.phase_forward(i, to_model(z, self.model))[:, : p.dim] for i in pair]
            return 0.5 * (both[0] + both[1])

        return velocity

    def estimates(self, noise: float) -> dict[str, tuple[float, float]]:
        """What was unknown, with its standard deviation: name -> (value, deviation); NaN where nothing decides it.

        Args:
            noise: standard deviation of the measured velocities and pressures; see `uncertainty.covariance`.
        """
        if not self.model.unknown:
            return {}
        names = [f"unknown.{k}" for k in self.model.unknown]
        measured = {k: noise for k in ("observations", "pressures")}
        squares = self.least_squares()
        spread = covariance(squares, measured, names).diagonal().sqrt()
        spread[~torch.tensor(determined(squares, names), device=spread.device)] = math.nan
        values = [float(self.model.unknown[k].detach().exp()) for k in self.model.unknown]
        return {k: (v, v * float(s)) for k, v, s in zip(self.model.unknown, values, spread)}

    # --- looking ------------------------------------------------------------------------------------------------

    def predict(self, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
        """Velocity and pressure, in the model's dtype, where the points are.

        Args:
            z: points of space and time.

        Raises:
            InputError: points of another dimension.
        """
        self._require_points(z)
        with torch.no_grad():
            return back_to(self.model(to_model(z, self.model)), z)

    def stress(self, z: Float[Tensor, "n d1"], phase: int) -> Float[Tensor, "n d d"]:
        """sigma of a phase, where the points are.

        Args:
            z: points of space and time.
            phase: which one.
        """
        self._require_points(z)
        with torch.no_grad():
            mu = self.model.value(f"mu{phase}", self.problem.mu[phase])
            return back_to(self.model.flow(phase, to_model(z, self.model)).stress(mu), z)

    def _require_points(self, z: Tensor) -> None:
        if z.ndim != 2 or z.shape[1] != self.problem.dim + 1:
            expected = f"(N, {self.problem.dim + 1}), space and time"
            raise InputError("points", given=f"shape {tuple(z.shape)}", expected=expected)

    def error_indicator(self, times: float = 4.0) -> dict[str, float]:
        """L2 norm of every block's residual on fresh points.

        Args:
            times: so many times as many as the fit had.
        """
        fresh = LeastSquaresProblem(self.model, self.blocks(self.counts.times(times), self.seed + 7919))
        return {
            b.name: float(v) * math.sqrt(b.weight if b.name.startswith("flow") else 1.0)
            for b, v in zip(fresh.blocks, fresh.breakdown().values())
        }

    def errors(self, n: int = 20_000) -> dict[str, float]:
        """Relative L2 errors of velocity and pressure on fresh points, each in its phase; the pressure's mean is
        removed.

        Where the truth is 0 everywhere the RMS comes instead, under a name that says so.

        Args:
            n: how many points.
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
