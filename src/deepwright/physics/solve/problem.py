"""A partial differential equation as data: a domain, residuals over its parts, and what is known of the solution.

About twenty lines state one; `solve` trains, certifies and keeps it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import back_to, device_of, dtype_of, to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import generator, local_rng
from deepwright.core.statistics import Interval
from deepwright.physics.domains import Domain, SpaceTime, require_inside
from deepwright.physics.networks import field as field_network
from deepwright.physics.points import collect
from deepwright.physics.solve.block import Block
from deepwright.physics.solve.hard import Hard, HardNetwork
from deepwright.physics.solve.least_squares import LeastSquaresProblem
from deepwright.physics.solve.schedule import Phase
from deepwright.physics.solve.training import Training, fit_problem
from deepwright.physics.solve.unknowns import Unknown, WithUnknowns, estimates, require_read

PLACES = ("interior", "boundary", "initial")


@dataclass(frozen=True)
class Condition:
    """A residual that should vanish somewhere.

    Attributes:
        name: for reports.
        residual: (u, x) -> (N,) or (N, m), where u is the network and x the points, on its device and in its dtype;
            `normal=True` passes (u, x, n).
        where: "interior", "boundary", "initial", or points (N, d) of your own.
        points: how many (where they are drawn).
        weight: of the mean square.
        scale: residuals are divided by it.
        keep: (N, d) points, in float64 on the CPU, -> (N,) which of the drawn points count (one side of a box, say).
        data: (N, ...) values beside your own points; the residual is then called with them after the points.
        normal: pass outward normals (boundary only).
        pointwise: whether row i of the residual depends on point i only; False for an integral or a mean over the
            points (slower: the Jacobian isn't batched).

    Raises:
        InputError: an unknown place, points of your own that aren't finite (N, d) floats; data of another length or
            without points of your own, normals off the boundary; a scale or number of points that isn't above 0, a
            negative weight; a residual that isn't a function.
    """

    name: str
    residual: Callable[..., Tensor]
    where: str | Tensor = "interior"
    points: int = 1000
    weight: float = 1.0
    scale: float = 1.0
    keep: Callable[[Tensor], Tensor] | None = None
    data: tuple[Tensor, ...] = ()
    normal: bool = False
    pointwise: bool = True

    def __post_init__(self) -> None:
        if not callable(self.residual):
            given, expected = type(self.residual).__name__, "a function (u, x) -> values that should vanish"
            raise InputError(f"residual of condition {self.name!r}", given=given, expected=expected)
        if isinstance(self.where, str) and self.where not in PLACES:
            raise unknown_name("place", self.where, PLACES)
        if not isinstance(self.where, str):
            self._require_own_points(self.where)
        if (isinstance(self.where, str) and self.data) or (self.normal and self.where != "boundary"):
            raise InputError(
                f"condition {self.name!r}",
                given=f"where={self.where!r}, {len(self.data)} data, normal={self.normal}",
                expected="data with points of your own, normals on the boundary",
            )
        sizes = {"scale": self.scale, "points": self.points, "weight": self.weight}
        for name, value in sizes.items():
            if (
                not isinstance(value, Real)
                or not math.isfinite(value)
                or value < 0
                or (value == 0 and name != "weight")
            ):
                expected = "a finite number above 0" + (", or 0" if name == "weight" else "")
                raise InputError(f"{name} of condition {self.name!r}", given=repr(value), expected=expected)

    def _require_own_points(self, where: Any) -> None:
        """Points (N, d), finite, and as many data."""
        what = f"points of condition {self.name!r}"
        if not isinstance(where, Tensor):
            raise InputError(what, given=type(where).__name__, expected=f"one of {', '.join(PLACES)}, or a tensor")
        if where.ndim != 2 or 0 in where.shape or not where.is_floating_point():
            given = f"{where.dtype} of shape {tuple(where.shape)}"
            raise InputError(what, given=given, expected="floats of shape (N, d), at least one row")
        if not isinstance(self.data, tuple | list) or any(not isinstance(t, Tensor) for t in self.data):
            raise InputError(f"data of condition {self.name!r}", given=type(self.data).__name__, expected="tensors")
        for name, values in ((what, where), *((f"data of condition {self.name!r}", t) for t in self.data)):
            if len(values) != len(where):
                raise InputError(name, given=f"{len(values)} rows for {len(where)} points", expected="one a point")
            if not bool(torch.isfinite(values).all()):
                given = (
                    f"NaN or infinity in {int((~torch.isfinite(values)).reshape(len(values), -1).any(1).sum())} rows"
                )
                raise InputError(name, given=given, expected="finite numbers")


@dataclass(frozen=True)
class PDEProblem:
    """An equation over a domain.

    Attributes:
        name: of the problem.
        domain: `Box`, `Ball`, `LevelSet`, one of `deepwright.physics.geometry`, or `SpaceTime` of one (time is the last
            axis).
        conditions: at least one.
        exact: (N, d) -> (N, C) where it is known; it is used to measure, never to train.
        components: names of the solution's components.
        network: () -> module (N, d) -> (N, C); a tanh perceptron of 3 x 32 by default.
        schedule: phases of the fit; by the number of parameters where not given.
        resample: see `fit_problem`.
        unknowns: numbers that are fitted with the network; residuals read them as `u.name`.
        hard: conditions that the network keeps by its form, u = g + d N; see `Hard`.
        conserved: name -> (u, x) -> (N,) density whose integral over space should stay the same in time.
        evaluate: points that the error is measured on.
        source: where the problem comes from.

    Raises:
        InputError: no conditions, or two of one name.
    """

    name: str
    domain: Domain
    conditions: Sequence[Condition]
    exact: Callable[[Tensor], Tensor] | None = None
    components: tuple[str, ...] = ("u",)
    network: Callable[[], nn.Module] | None = None
    schedule: Sequence[Any] | None = None
    resample: int = 0
    unknowns: Sequence[Unknown] = ()
    hard: Hard | None = None
    conserved: dict[str, Callable[[Any, Tensor], Tensor]] = field(default_factory=dict)
    evaluate: int = 10_000
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.domain, Domain):
            given, expected = type(self.domain).__name__, "a Box, Ball, SpaceTime or another domain"
            raise InputError("domain", given=given, expected=expected)
        if not isinstance(self.conditions, Sequence) or not all(isinstance(c, Condition) for c in self.conditions):
            raise InputError("conditions", given=type(self.conditions).__name__, expected="a list of Condition")
        names = [c.name for c in self.conditions]
        if not names or len(set(names)) != len(names):
            raise InputError("conditions", given=names, expected="at least one, each with a name of its own")

    def points(self, condition: Condition, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """n points of a condition (and normals, or data where they are the user's own).

        Args:
            condition: of this problem.
            n: how many (all where they are the user's own).
            rng: of the draw.

        Raises:
            InputError: points outside the domain; too few that count; "initial" without time.
        """
        return _points(self.domain, condition, n, rng)

    def blocks(
        self,
        seed: int = 0,
        *,
        times: float = 1.0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> list[Block]:
        """Least-squares blocks on drawn points.

        Args:
            seed: of the points; the same ones on each device.
            times: so many times as many as the conditions say.
            dtype: of the points.
            device: of the points.
        """
        found = []
        for c in self.conditions:
            n = max(1, round(times * c.points))
            draw = _Draw(self.domain, c, n, dtype)
            tensors = draw(generator(seed, "points", c.name))
            where = tuple(t.to(device) for t in tensors)
            again = draw if isinstance(c.where, str) else None
            found.append(Block(c.name, _scaled(c), where, c.weight, again, c.pointwise))
        return found

    def residuals(self, u: Any, points: Mapping[str, Tensor | tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """Each condition's residual at points of your own.

        Args:
            u: the network.
            points: by name of the condition; others are left out. With the normals or the data where the condition has
                some: (points, normals).

        Raises:
            InputError: a name that no condition has; points without the normals or the data that belong to them.
        """
        unknown = sorted(set(points) - {c.name for c in self.conditions})
        if unknown:
            raise unknown_name("condition", unknown[0], [c.name for c in self.conditions])
        given = {k: v if isinstance(v, tuple) else (v,) for k, v in points.items()}
        found = {}
        for c in self.conditions:
            if c.name in given:
                wanted = 1 + (1 if c.normal else len(c.data))
                if len(given[c.name]) != wanted:
                    what = "normals" if c.normal else "data"
                    expected = f"{wanted}: the points{f' and their {what}' if wanted > 1 else ''}"
                    raise InputError(f"points of {c.name!r}", given=f"{len(given[c.name])} tensors", expected=expected)
                found[c.name] = _scaled(c)(u, *given[c.name])
        return found

    def make_network(self, seed: int = 0) -> nn.Module:
        """A fresh network, with the unknowns at their start.

        Args:
            seed: of its weights.
        """
        if self.network is None:
            made: nn.Module = field_network(self.domain.dim, len(self.components), bounds=self.domain.bounds, seed=seed)
        else:
            with local_rng(seed):
                made = self.network()
        return self._dressed(made)

    def _dressed(self, network: nn.Module) -> nn.Module:
        """With hard conditions and unknowns around it, unless it has them."""
        if isinstance(network, WithUnknowns):
            return network
        held = network if self.hard is None or isinstance(network, HardNetwork) else HardNetwork(network, self.hard)
        return WithUnknowns(held, self.unknowns) if self.unknowns else held

    def error(self, u: Any, seed: int = 1) -> dict[str, float]:
        """Relative L2 error of each component on fresh points; empty where no exact solution is known.

        Args:
            u: the network.
            seed: of the points.
        """
        if self.exact is None:
            return {}
        x = self.domain.sample(self.evaluate, "sobol", generator=generator(seed, "error"))
        return relative_errors(u, self.exact, x, self.components)

    def solve(
        self,
        *,
        seed: int = 0,
        checkpoint: Path | str | None = None,
        max_time: float | None = None,
        network: nn.Module | None = None,
        schedule: Sequence[Phase | tuple[Any, ...]] | None = None,
        device: torch.device | str | None = None,
    ) -> Solution:
        """Train a network on the problem, where it lives and in its dtype.

        Args:
            seed: of the network and the points.
            checkpoint: see `fit_problem`.
            max_time: seconds of CPU time.
            network: a network of your own; it is trained in place (inside a `WithUnknowns` where there are unknowns, a
                `HardNetwork` where there are hard conditions).
            schedule: instead of the problem's.
            device: where a network of the problem's own is trained (the CPU where not given); one of yours is where
                you put it.

        Raises:
            InputError: a device beside a network of your own, outputs of another shape than the exact solution's, an
                unknown that no residual reads; see also `fit_problem`.
        """
        if network is not None and device is not None:
            raise InputError("device", given=str(device), expected="none: the network is trained where it lives")
        u = self.make_network(seed).to(device or "cpu") if network is None else self._dressed(network)
        if dtype_of(u) not in (torch.float32, torch.float64):
            given, hint = f"a network in {dtype_of(u)}", "network.double() (least squares need the digits), or .float()"
            raise InputError("network", given=given, expected="float64 or float32", hint=hint)
        if self.exact is not None:  # outputs of another shape are told now, not after the training
            few = self.domain.sample(2, generator=generator(seed, "shape"))
            relative_errors(u, self.exact, few, self.components)
        problem = LeastSquaresProblem(u, self.blocks(seed, dtype=dtype_of(u), device=device_of(u)))
        if self.unknowns:
            require_read(problem, self.unknowns)
        training = fit_problem(
            problem,
            self.schedule if schedule is None else schedule,
            resample=self.resample,
            checkpoint=checkpoint,
            max_time=max_time,
            seed=seed,
            description=self.name,
        )
        return Solution(self, u, problem, training)


@dataclass
class Solution:
    """A trained network.

    Attributes:
        problem: the equation.
        network: that solves it.
        least_squares: what was minimised.
        training: what the fit did.
    """

    problem: PDEProblem
    network: nn.Module
    least_squares: LeastSquaresProblem
    training: Training

    @cached_property
    def errors(self) -> dict[str, float]:
        """Relative L2 error of each component, where the exact solution is known."""
        return self.problem.error(self.network)  # when asked for: training isn't lost where `exact` fails

    @property
    def unknowns(self) -> dict[str, Interval]:
        """What was found of the problem's unknowns, with 95 % intervals that come from the noise of the data.

        The noise is each measured condition's RMS residual (a condition with `data` is measured), carried to the
        unknowns by `covariance`, linearised at the solution: a wrong equation or a fit that isn't over isn't seen. Both
        ends are NaN where nothing was measured, and where residuals don't decide the unknown.
        """
        measured = {c.name for c in self.problem.conditions if c.data}
        left = {k: v for k, v in self.least_squares.breakdown().items() if k in measured}
        return estimates(self.least_squares, self.problem.unknowns, left or None) if self.problem.unknowns else {}

    def __call__(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """The solution at points, without gradients, in the network's dtype, where the points are.

        Args:
            x: points.

        Raises:
            InputError: points of another dimension.
        """
        d = self.problem.domain.dim
        if x.ndim != 2 or x.shape[1] != d:
            raise InputError("points", given=f"shape {tuple(x.shape)}", expected=f"(N, {d})")
        with torch.no_grad():
            return back_to(self.network(to_model(x, self.network)), x)


def _points(domain: Domain, condition: Condition, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
    """See `PDEProblem.points`."""
    if isinstance(condition.where, Tensor):
        require_inside(domain, condition.where)
        return (condition.where, *condition.data)
    if condition.keep is None:
        return _drawn(domain, condition, n, rng)

    def draw() -> tuple[Tensor, ...]:
        found = _drawn(domain, condition, 2 * n, rng)
        assert condition.keep is not None
        rows = condition.keep(found[0])
        return tuple(t[rows] for t in found)

    return collect(draw, n, f"condition {condition.name!r}", f"{n} points that count")


def _drawn(domain: Domain, condition: Condition, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
    if condition.where == "interior":
        return (domain.sample(n, generator=rng),)
    if condition.where == "boundary":
        x, normal = domain.sample_boundary(n, generator=rng)
        return (x, normal) if condition.normal else (x,)
    if not isinstance(domain, SpaceTime):
        given = "'initial' without time"
        raise InputError(f"condition {condition.name!r}", given=given, expected="a SpaceTime domain")
    return (domain.sample_initial(n, generator=rng),)


@dataclass(frozen=True)
class _Draw:
    """Draws points of a condition; it knows no more of a problem (a checkpoint is bound to what it knows)."""

    domain: Domain
    condition: Condition
    n: int
    dtype: torch.dtype

    def __call__(self, rng: torch.Generator) -> tuple[Tensor, ...]:
        return tuple(t.to(self.dtype) for t in _points(self.domain, self.condition, self.n, rng))


def _scaled(condition: Condition) -> Callable[..., Tensor]:
    if condition.scale == 1.0:
        return condition.residual
    return lambda u, *tensors: condition.residual(u, *tensors) / condition.scale


def relative_errors(
    u: Any, exact: Callable[[Tensor], Tensor], x: Float[Tensor, "n d"], components: Sequence[str] = ("u",)
) -> dict[str, float]:
    """|u - exact| / |exact| of each component over points.

    Args:
        u: a network, asked where it lives and in its dtype, or a function of points.
        exact: (N, d) -> (N, C), asked where the points are and in their dtype.
        x: points.
        components: names of the C components.

    Raises:
        InputError: outputs and exact values of different shapes.
    """
    with torch.no_grad():
        parts = [u(to_model(p, u) if isinstance(u, nn.Module) else p) for p in x.split(8192)]
        guess = torch.cat(parts).double().cpu()
        truth = exact(x).double().cpu()
    truth = truth[:, None] if truth.ndim == 1 else truth
    if guess.shape != truth.shape:
        raise InputError("exact", given=f"shape {tuple(truth.shape)}", expected=f"{tuple(guess.shape)}, as the network")
    return {
        name: float((guess[:, i] - truth[:, i]).norm() / truth[:, i].norm().clamp_min(1e-300))
        for i, name in enumerate(components)
    }
