"""The least-squares functional of a flow: which residuals, at which points, with which weights.

Everything is one sum of squares over space and time: residuals inside each phase weighted by its volume, and those of
interface, edge, start and measurements by one number beta.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.physics.domains import SpaceTime
from deepwright.physics.points import collect
from deepwright.physics.solve import Block
from deepwright.physics.two_phase.problem import TwoPhaseProblem
from deepwright.physics.two_phase.residuals import Residuals, pressure, velocity, velocity_of_phase


@dataclass(frozen=True)
class PointCounts:
    """Points of each kind, in each phase where there are two.

    Attributes:
        interior: in each phase.
        interface: on each interface.
        boundary: on the edge, at all times.
        initial: at the start (half of them in each phase).
        pressure: times at which the pressure's constant is fixed.

    Raises:
        InputError: a kind without points.
    """

    interior: int = 220
    interface: int = 120
    boundary: int = 120
    initial: int = 160
    pressure: int = 16

    def __post_init__(self) -> None:
        if any(not isinstance(getattr(self, f.name), int) or getattr(self, f.name) < 1 for f in fields(self)):
            raise InputError("PointCounts", given=self, expected="whole numbers, 1 or more of each kind")

    def times(self, k: float) -> PointCounts:
        """So many times as many.

        Args:
            k: how many times.
        """
        return PointCounts(*(max(1, round(k * getattr(self, f.name))) for f in fields(self)))


@dataclass(frozen=True)
class Functional:
    """Blocks of residuals over drawn points.

    Attributes:
        residuals: of a problem.
        counts: points of each kind.
        seed: of the points.
        beta: weight of interface, edge, start, pressure and measurements.
        dtype: of the points.
        device: of the points.
        coupled: whether there are residuals on the interface (a baseline has none).
    """

    residuals: Residuals
    counts: PointCounts
    seed: int = 0
    beta: float = 25.0
    dtype: torch.dtype = torch.float64
    device: torch.device | str = "cpu"
    coupled: bool = True

    @property
    def problem(self) -> TwoPhaseProblem:
        """The flow."""
        return self.residuals.problem

    @property
    def space(self) -> SpaceTime:
        """Where and when."""
        return SpaceTime(self.problem.domain, self.problem.t_span)

    def blocks(self) -> list[Block]:
        """All of them."""
        found = self._phases()
        if self.coupled:
            found += self._interfaces()
        return [*found, *self._edges(), *self._starts(), *self._given()]

    def _rng(self, name: str) -> torch.Generator:
        return generator(self.seed, "two-phase", name)

    def _phases(self) -> list[Block]:
        """Momentum and divergence in each phase, weighted by its share of space and time."""
        p = self.problem
        probe = p.interface.phase(self.space.sample(8192, generator=self._rng("volume")))
        whole = p.domain.volume * (p.t_span[1] - p.t_span[0])
        found = []
        for i in range(p.phases):
            z = self._in_phase("interior", i, self.counts.interior, self.space.sample, self._rng(f"interior {i}"))
            volume = max(float((probe == i).double().mean()) * whole, 1e-6)
            found.append(Block(f"flow {i}", _bound(self.residuals.momentum, i), self._placed(z), volume))
        return found

    def _interfaces(self) -> list[Block]:
        p = self.problem
        found = []
        for i, part in enumerate(p.interface.parts):
            name = "interface" if p.phases == 2 else f"interface {i}"
            on = part.sample(self.counts.interface, p.t_span, self._rng(name))
            tensors = self._placed(on.z, on.normal, p.curvature(on)[:, None], p.given_jump(on))
            jumps = _bound(self.residuals.jumps, i, p.interface.outside(i, on.z))
            found.append(Block(name, jumps, tensors, self.beta))
        return found

    def _edges(self) -> list[Block]:
        """Velocity on the domain's edge, or its traction where that is given; an axis has neither."""
        p, d = self.problem, self.problem.dim
        edge, normal = self.space.sample_boundary(self.counts.boundary, generator=self._rng("edge"))
        if p.axisymmetric:
            kept = edge[:, 0] > 0
            edge, normal = edge[kept], normal[kept]
        no = torch.zeros(len(edge), dtype=torch.bool)
        pulled = no if p.traction is None else p.traction[0](edge).reshape(-1).bool()
        found = []
        if not bool(pulled.all()):
            found.append(self._velocity_on(edge[~pulled]))
        elif p.pressure is not None:
            warnings.warn(
                "traction on the whole edge fixes the pressure: its value at a point is one condition too many",
                stacklevel=3,
            )
        if p.traction is not None and bool(pulled.any()):
            z, out = edge[pulled], normal[pulled, :d]
            tensors = self._placed(z, out, p.traction[1](z, out), self._phase(z))
            found.append(Block("traction", self.residuals.pull, tensors, self.beta))
        return found

    def _velocity_on(self, z: Float[Tensor, "n d1"]) -> Block:
        g, d = self.problem.boundary(z), self.problem.dim
        if g.shape != (len(z), d):
            raise InputError("boundary", given=f"shape {tuple(g.shape)}", expected=f"(N, {d})")
        return Block("edge", velocity, self._placed(z, g, self._phase(z)), self.beta)

    def _starts(self) -> list[Block]:
        p = self.problem
        found = []
        for i in range(p.phases):
            n = max(1, self.counts.initial // 2)
            z = self._in_phase("start", i, n, self.space.sample_initial, self._rng(f"start {i}"))
            tensors = self._placed(z, p.start(i, z))
            found.append(Block(f"start {i}", _bound(velocity_of_phase, i), tensors, self.beta))
        return found

    def _given(self) -> list[Block]:
        """The pressure's constant, and what was measured."""
        p = self.problem
        found = []
        if p.pressure is not None:
            t = torch.linspace(*p.t_span, self.counts.pressure, dtype=torch.float64)[:, None]
            z = torch.cat([torch.tensor([list(p.pressure[0])], dtype=torch.float64).expand(len(t), p.dim), t], 1)
            value = p.pressure[1](z).reshape(-1, 1)
            found.append(Block("pressure", pressure, self._placed(z, value, self._phase(z)), self.beta))
        if p.observations is not None:
            z, u = p.observations
            found.append(Block("observations", velocity, self._placed(z, u, self._phase(z)), self.beta))
        if p.pressures is not None:
            z, value = p.pressures
            tensors = self._placed(z, value.reshape(-1, 1), self._phase(z))
            found.append(Block("pressures", pressure, tensors, self.beta))
        return found

    def _in_phase(
        self, name: str, phase: int, n: int, sample: Callable[..., Tensor], rng: torch.Generator
    ) -> Float[Tensor, "n d1"]:
        def draw() -> tuple[Tensor]:
            z = sample(2 * n, generator=rng)
            return (z[self.problem.interface.phase(z) == phase],)

        return collect(draw, n, f"{name} points of phase {phase}", "phases of some size")[0]

    def _phase(self, z: Tensor) -> Float[Tensor, "n 1"]:
        return self.problem.interface.phase(z).to(z)[:, None]

    def _placed(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(t.to(self.device, self.dtype) for t in tensors)


def _bound(function: Callable[..., Tensor], *first: int) -> Callable[..., Tensor]:
    return lambda model, *tensors: function(*first, model, *tensors)
