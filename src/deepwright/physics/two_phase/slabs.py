"""A long flow slab after slab: each starts from the end of the one before, with a network of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError, NotFittedError
from deepwright.physics.solve import part_of
from deepwright.physics.two_phase.functional import PointCounts
from deepwright.physics.two_phase.interface import Interface
from deepwright.physics.two_phase.markers import Markers
from deepwright.physics.two_phase.problem import TwoPhaseProblem
from deepwright.physics.two_phase.several import joined
from deepwright.physics.two_phase.solver import Schedule, TwoPhasePINN
from deepwright.physics.two_phase.tracking import Tracked


class Slabs:
    """Solved in time slabs.

    Args:
        problem: over its whole time; free interfaces are `Markers`, of which the start counts.
        slab: longest length of one.
        hidden: see `TwoPhasePINN`, as all that follows (properties are fitted over a whole time only, so there is no
            `unknown`).
        stream: velocities by stream functions.
        counts: points of each kind, in each slab.
        beta: weight of interface, edge, start and pressure.
        scale: see `Residuals`.
        dtype: of the networks.
        device: of the networks.
        seed: of networks and points.

    Attributes:
        edges: of the slabs.
        solvers: one for each slab that is solved.
        tracked: what `fit_free` said of each.

    Raises:
        InputError: a slab of no length.
    """

    def __init__(
        self,
        problem: TwoPhaseProblem,
        slab: float,
        hidden: Sequence[int] = (32, 32, 32),
        *,
        stream: bool = False,
        counts: PointCounts | None = None,
        beta: float = 25.0,
        scale: bool = True,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        seed: int = 0,
    ) -> None:
        start, end = problem.t_span
        if not slab > 0:
            raise InputError("slab", given=slab, expected="above 0")
        count = math.ceil((end - start) / slab - 1e-9)
        self.edges = torch.linspace(start, end, count + 1, dtype=torch.float64).tolist()
        self.problem = problem
        self._options: dict[str, Any] = {
            "hidden": hidden,
            "stream": stream,
            "counts": counts,
            "beta": beta,
            "scale": scale,
            "dtype": dtype,
            "device": device,
            "seed": seed,
        }
        self.solvers: list[TwoPhasePINN] = []
        self.tracked: list[Tracked] = []

    def fit(
        self,
        schedule: Schedule | None = None,
        *,
        max_time: float | None = None,
        checkpoint: Path | str | None = None,
    ) -> Slabs:
        """Solve what isn't solved yet, with interfaces as they are.

        Args:
            schedule: of each slab; see `TwoPhasePINN.fit`.
            max_time: seconds of CPU time of each slab.
            checkpoint: to resume from and to save to; each slab has a file of its own beside it: see `part_of`.
        """
        for k in range(len(self.solvers), len(self.edges) - 1):
            solver = self._solver(k)
            solver.fit(schedule, max_time=max_time, checkpoint=part_of(checkpoint, f"slab-{k}"))
            self.solvers.append(solver)
        return self

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
    ) -> Slabs:
        """Solve what isn't solved yet, with interfaces that move with the fluid; see `TwoPhasePINN.fit_free`.

        Args:
            first: schedule of each slab's first sweep.
            later: schedule of its later sweeps.
            sweeps: at most, of each slab.
            tolerance: largest move that ends a slab.
            steps: Runge-Kutta steps of the markers.
            keep_area: shift each curve along its normals to the area of its start.
            checkpoint: to resume from and to save to; each sweep of each slab has a file of its own beside it: see
                `part_of`.
        """
        for k in range(len(self.solvers), len(self.edges) - 1):
            solver = self._solver(k)
            tracked = solver.fit_free(
                first=first,
                later=later,
                sweeps=sweeps,
                tolerance=tolerance,
                steps=steps,
                keep_area=keep_area,
                checkpoint=part_of(checkpoint, f"slab-{k}"),
            )
            self.tracked.append(tracked)
            self.solvers.append(solver)
        return self

    def _solver(self, k: int) -> TwoPhasePINN:
        """The solver of a slab; its networks begin as the last ones ended, since the flow goes on much as it was."""
        solver = TwoPhasePINN(self._part(k), **self._options)
        if self.solvers:
            for mine, theirs in zip(solver.model.parameters(), self.solvers[-1].model.parameters()):
                mine.data.copy_(theirs.data)
        return solver

    def _part(self, k: int) -> TwoPhaseProblem:
        span, p = (self.edges[k], self.edges[k + 1]), self.problem
        if not self.solvers:
            parts = [_begun(part, part, span) for part in p.interface.parts]
            return replace(p, t_span=span, interface=joined(parts), **self._data(span, True))
        last = self.solvers[-1]
        parts = [_begun(part, old, span) for part, old in zip(p.interface.parts, last.problem.interface.parts)]
        starts = tuple(_Ending(last, i) for i in range(p.phases))
        return replace(p, t_span=span, interface=joined(parts), initial=starts, **self._data(span, False))

    def _data(self, span: tuple[float, float], first: bool) -> dict[str, Any]:
        """Measurements within the slab."""
        found: dict[str, Any] = {}
        for name in ("observations", "pressures"):
            data = getattr(self.problem, name)
            if data is not None:
                t = data[0][:, self.problem.dim]
                kept = (t <= span[1]) & ((t >= span[0]) if first else (t > span[0]))
                found[name] = tuple(d[kept.to(d.device)] for d in data) if bool(kept.any()) else None
        return found

    def predict(self, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
        """Velocity and pressure, each point by its slab, in the models' dtype, where the points are.

        Args:
            z: points of space and time.

        Raises:
            InputError: times outside of what is solved.
        """
        t = z[:, self.problem.dim].double()
        end = self.edges[len(self.solvers)] + 1e-12
        if not self.solvers or not bool(((t >= self.edges[0]) & (t <= end)).all()):
            raise InputError(
                "time",
                given=f"{float(t.min()):.4g} to {float(t.max()):.4g}",
                expected=f"within the {len(self.solvers)} slabs solved",
            )
        inner = torch.tensor(self.edges[1 : len(self.solvers)], dtype=torch.float64, device=z.device)
        slab = torch.searchsorted(inner, t.contiguous())
        out = torch.zeros(len(z), self.problem.dim + 1, dtype=self._options["dtype"], device=z.device)
        for k, solver in enumerate(self.solvers):
            rows = slab == k
            if bool(rows.any()):
                out[rows] = solver.predict(z[rows])
        return out

    def errors(self, n: int = 20_000) -> dict[str, float]:
        """The worst slab's relative errors of velocity and pressure, where the exact flow is known.

        Args:
            n: points in each slab.

        Raises:
            NotFittedError: before any slab is solved.
        """
        if not self.solvers:
            raise NotFittedError("Slabs")
        each = [s.errors(n) for s in self.solvers]
        return {k: max(e[k] for e in each) for k in each[0]}


class _Ending:
    """A phase's velocity where the last slab ended: a function of points that is what its network is."""

    def __init__(self, solver: TwoPhasePINN, phase: int) -> None:
        self.model, self.phase, self.dim = solver.model, phase, solver.problem.dim

    def __call__(self, z: Tensor) -> Tensor:
        with torch.no_grad():
            return self.model.phase_forward(self.phase, to_model(z, self.model))[:, : self.dim].to(z)


def _begun(part: Interface, old: Interface, span: tuple[float, float]) -> Interface:
    """Markers where the last slab left them, standing still at first; anything else as it is."""
    if not isinstance(part, Markers):
        return part
    assert isinstance(old, Markers)
    return Markers.frozen(old.path[0] if old is part else old.path[-1], span)
