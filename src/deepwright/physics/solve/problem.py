"""A partial differential equation as data: a domain, residuals over its parts, and what is known of the solution.

About twenty lines state one; `solve` trains, certifies and keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import generator, local_rng
from deepwright.physics.domains import Domain, SpaceTime, require_inside
from deepwright.physics.networks import field as field_network
from deepwright.physics.solve.least_squares import Block, LeastSquaresProblem
from deepwright.physics.solve.training import Phase, Training, fit_problem

PLACES = ("interior", "boundary", "initial")


@dataclass(frozen=True)
class Condition:
    """A residual that should vanish somewhere.

    Attributes:
        name: for reports.
        residual: (u, x) -> (N,) or (N, m), where u is the network and x the points; `normal=True` passes (u, x, n).
        where: "interior", "boundary", "initial", or points (N, d) of your own.
        points: how many (where they are drawn); weight: of the mean square; scale: residuals are divided by it.
        keep: (N, d) points -> (N,) which of the drawn points count (one side of a box, say).
        data: (N, ...) values beside your own points; the residual is then called with them after the points.
        normal: pass outward normals (boundary only).
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

    def __post_init__(self) -> None:
        if isinstance(self.where, str) and self.where not in PLACES:
            raise unknown_name("place", self.where, PLACES)
        if (isinstance(self.where, str) and self.data) or (self.normal and self.where != "boundary"):
            raise InputError(
                f"condition {self.name!r}", given=f"where={self.where!r}, {len(self.data)} data, normal={self.normal}",
                expected="data with points of your own, normals on the boundary",
            )  # fmt: skip
        if not self.scale > 0 or self.points < 1:
            raise InputError(
                f"condition {self.name!r}", given=f"scale={self.scale}, points={self.points}", expected="above 0"
            )


@dataclass(frozen=True)
class PDEProblem:
    """An equation over a domain.

    Attributes:
        name: of the problem.
        domain: `Box`, `Ball`, `LevelSet`, or `SpaceTime` of one (time is the last axis).
        conditions: at least one.
        exact: (N, d) -> (N, C) where it is known; it is used to measure, never to train.
        components: names of the solution's components.
        network: () -> module (N, d) -> (N, C); a tanh perceptron of 3 x 32 by default.
        schedule: phases of the fit; by the number of parameters where not given.
        resample: see `fit_problem`.
        conserved: name -> (u, x) -> (N,) density whose integral over space should stay the same in time.
        evaluate: points that the error is measured on.
        source: where the problem comes from.
    """

    name: str
    domain: Domain
    conditions: Sequence[Condition]
    exact: Callable[[Tensor], Tensor] | None = None
    components: tuple[str, ...] = ("u",)
    network: Callable[[], nn.Module] | None = None
    schedule: Sequence[Any] | None = None
    resample: int = 0
    conserved: dict[str, Callable[[Any, Tensor], Tensor]] = field(default_factory=dict)
    evaluate: int = 10_000
    source: str = ""

    def __post_init__(self) -> None:
        names = [c.name for c in self.conditions]
        if not names or len(set(names)) != len(names):
            raise InputError("conditions", given=names, expected="at least one, each with a name of its own")

    def points(self, condition: Condition, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """n points of a condition (and normals, or data where they are the user's own)."""
        if isinstance(condition.where, Tensor):
            require_inside(self.domain, condition.where)
            return (condition.where, *condition.data)
        found: list[tuple[Tensor, ...]] = []
        have, tries = 0, 0
        while have < n:
            drawn = self._draw(condition, n if condition.keep is None else 2 * n, rng)
            if condition.keep is not None:
                rows = condition.keep(drawn[0])
                drawn = tuple(t[rows] for t in drawn)
            found.append(drawn)
            have, tries = have + len(drawn[0]), tries + 1
            if tries > 200:
                raise InputError(f"condition {condition.name!r}", given=f"{have} points that count", expected=f"{n}")
        return tuple(torch.cat(parts)[:n] for parts in zip(*found))

    def _draw(self, condition: Condition, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        if condition.where == "interior":
            return (self.domain.sample(n, generator=rng),)
        if condition.where == "boundary":
            x, normal = self.domain.sample_boundary(n, generator=rng)
            return (x, normal) if condition.normal else (x,)
        if not isinstance(self.domain, SpaceTime):
            raise InputError(
                f"condition {condition.name!r}", given="'initial' without time", expected="a SpaceTime domain"
            )
        return (self.domain.sample_initial(n, generator=rng),)

    def blocks(self, seed: int = 0, *, times: float = 1.0, dtype: torch.dtype = torch.float64) -> list[Block]:
        """Least-squares blocks on points drawn from a seed, `times` as many as the conditions say."""
        found = []
        for c in self.conditions:
            n = max(1, round(times * c.points))
            rng = generator(seed, "points", c.name)
            draw = None
            if isinstance(c.where, str):

                def draw(g: torch.Generator, c: Condition = c, n: int = n) -> tuple[Tensor, ...]:
                    return tuple(t.to(dtype) for t in self.points(c, n, g))

            tensors = tuple(t.to(dtype) for t in self.points(c, n, rng))
            found.append(Block(c.name, _scaled(c), tensors, c.weight, draw))
        return found

    def residuals(self, u: Any, points: dict[str, Tensor]) -> dict[str, Tensor]:
        """Each condition's residual at points of your own."""
        return {c.name: _scaled(c)(u, points[c.name]) for c in self.conditions if c.name in points}

    def make_network(self, seed: int = 0) -> nn.Module:
        """A fresh network."""
        if self.network is None:
            return field_network(self.domain.dim, len(self.components), bounds=self.domain.bounds, seed=seed)
        with local_rng(seed):
            return self.network()

    def error(self, u: Any, seed: int = 1) -> dict[str, float]:
        """Relative L2 error of each component on fresh points; empty where no exact solution is known."""
        if self.exact is None:
            return {}
        x = self.domain.sample(self.evaluate, "sobol", generator=generator(seed, "error"))
        return relative_errors(u, self.exact, x, self.components)

    def solve(
        self, *, seed: int = 0, checkpoint: Path | str | None = None, max_time: float | None = None, network: nn.Module | None = None,
        schedule: Sequence[Phase | tuple[Any, ...]] | None = None,
    ) -> Solution:  # fmt: skip
        """Train a network on the problem.

        Args:
            seed: of the network and the points; checkpoint: see `fit_problem`; max_time: seconds of CPU time.
            network: a network of your own; schedule: instead of the problem's.
        """
        u = self.make_network(seed) if network is None else network
        like = next(p for p in u.parameters() if p.requires_grad)
        problem = LeastSquaresProblem(u, self.blocks(seed, dtype=like.dtype))
        training = fit_problem(
            problem, schedule or self.schedule, resample=self.resample, checkpoint=checkpoint, max_time=max_time, seed=seed,
            description=self.name,
        )  # fmt: skip
        return Solution(self, u, problem, training, self.error(u))


@dataclass
class Solution:
    """A trained network: with its problem, its training, and its error where that can be known."""

    problem: PDEProblem
    network: nn.Module
    least_squares: LeastSquaresProblem
    training: Training
    errors: dict[str, float]

    def __call__(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """The solution at points, without gradients."""
        with torch.no_grad():
            return self.network(x)


def _scaled(condition: Condition) -> Callable[..., Tensor]:
    if condition.scale == 1.0:
        return condition.residual
    return lambda u, *tensors: condition.residual(u, *tensors) / condition.scale


def relative_errors(
    u: Any, exact: Callable[[Tensor], Tensor], x: Float[Tensor, "n d"], components: Sequence[str] = ("u",)
) -> dict[str, float]:
    """|u - exact| / |exact| of each component over points."""
    like = next(iter(u.parameters()), None) if isinstance(u, nn.Module) else None
    with torch.no_grad():
        guess = torch.cat([u(p if like is None else p.to(like)) for p in x.split(8192)]).double().cpu()
        truth = exact(x)
    truth = truth[:, None] if truth.ndim == 1 else truth
    if guess.shape != truth.shape:
        raise InputError("exact", given=f"shape {tuple(truth.shape)}", expected=f"{tuple(guess.shape)}, as the network")
    return {
        name: float((guess[:, i] - truth[:, i]).norm() / truth[:, i].norm().clamp_min(1e-300))
        for i, name in enumerate(components)
    }
