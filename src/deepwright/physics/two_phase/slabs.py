"""A long flow slab after slab: each starts from the end of the one before, with a network and an interface of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.two_phase.interface import Interface, Markers
from deepwright.physics.two_phase.interfaces import Several
from deepwright.physics.two_phase.solver import Tracked, TwoPhasePINN, TwoPhaseProblem


class Slabs:
    """Solved in time slabs.

    Args:
        problem: over its whole time; free interfaces are `Markers`, of which the start counts.
        slab: longest length of one; options: of every `TwoPhasePINN`.

    Attributes:
        solvers: one for each slab that is solved; tracked: what `fit_free` said of each.

    Raises:
        InputError: a slab of no length; unknown properties.
    """

    def __init__(
        self, problem: TwoPhaseProblem, slab: float, hidden: Sequence[int] = (32, 32, 32), **options: Any
    ) -> None:
        start, end = problem.t_span
        if not slab > 0:
            raise InputError("slab", given=slab, expected="above 0")
        if options.get("unknown"):
            raise InputError(
                "unknown", given=options["unknown"], expected="none: properties are fitted over the whole time"
            )
        count = math.ceil((end - start) / slab - 1e-9)
        self.edges = torch.linspace(start, end, count + 1, dtype=torch.float64).tolist()
        self.problem, self.hidden, self.options = problem, hidden, options
        self.solvers: list[TwoPhasePINN] = []
        self.tracked: list[Tracked] = []

    def fit(self, *, free: bool = False, state_dir: Path | str | None = None, **options: Any) -> Slabs:
        """Solve what isn't solved yet.

        Args:
            free: interfaces move with the fluid; state_dir: checkpoints of every slab, to resume from.
            options: of `TwoPhasePINN.fit`, or of `fit_free`.
        """
        for k in range(len(self.solvers), len(self.edges) - 1):
            solver = TwoPhasePINN(self._part(k), self.hidden, **self.options)
            if self.solvers:  # the flow goes on much as it was
                for mine, theirs in zip(solver.model.parameters(), self.solvers[-1].model.parameters()):
                    mine.data.copy_(theirs.data)
            folder = None if state_dir is None else Path(state_dir) / f"slab-{k}"
            if free:
                self.tracked.append(solver.fit_free(state_dir=folder, **options))
            else:
                solver.fit(checkpoint=None if folder is None else folder / "fit.pt", **options)
            self.solvers.append(solver)
        return self

    def _part(self, k: int) -> TwoPhaseProblem:
        span, p = (self.edges[k], self.edges[k + 1]), self.problem
        if not self.solvers:
            parts = [_begun(part, part, span) for part in p.interface.parts]
            return replace(p, t_span=span, interface=_joined(parts), **self._data(span, True))
        last = self.solvers[-1]
        parts = [_begun(part, old, span) for part, old in zip(p.interface.parts, last.problem.interface.parts)]
        starts = tuple(_ending(last, i) for i in range(p.phases))
        return replace(p, t_span=span, interface=_joined(parts), initial=starts, **self._data(span, False))

    def _data(self, span: tuple[float, float], first: bool) -> dict[str, Any]:
        """Measurements within the slab."""
        found: dict[str, Any] = {}
        for name in ("observations", "pressures"):
            data = getattr(self.problem, name)
            if data is not None:
                t = data[0][:, self.problem.dim]
                kept = (t <= span[1]) & ((t >= span[0]) if first else (t > span[0]))
                found[name] = tuple(d[kept] for d in data) if bool(kept.any()) else None
        return found

    def predict(self, z: Float[Tensor, "n d1"]) -> Float[Tensor, "n d1"]:
        """Velocity and pressure, each point by its slab.

        Raises:
            InputError: times outside of what is solved.
        """
        t = z[:, self.problem.dim].double()
        if not self.solvers or float(t.min()) < self.edges[0] or float(t.max()) > self.edges[len(self.solvers)] + 1e-12:
            raise InputError(
                "time",
                given=f"{float(t.min()):.4g} to {float(t.max()):.4g}",
                expected=f"within the {len(self.solvers)} slabs solved",
            )
        inner = torch.tensor(self.edges[1 : len(self.solvers)], dtype=torch.float64)
        slab = torch.searchsorted(inner, t.contiguous())
        out = torch.zeros(len(z), self.problem.dim + 1, dtype=self.solvers[0].dtype)
        for k, solver in enumerate(self.solvers):
            rows = slab == k
            if bool(rows.any()):
                out[rows] = solver.predict(z[rows])
        return out

    def errors(self, n: int = 20_000) -> dict[str, float]:
        """The worst slab's relative errors of velocity and pressure, where the exact flow is known."""
        each = [s.errors(n) for s in self.solvers]
        return {k: max(e[k] for e in each) for k in (each[0] if each else {})}


def _begun(part: Interface, old: Interface, span: tuple[float, float]) -> Interface:
    """Markers where the last slab left them, standing still at first; anything else as it is."""
    if not isinstance(part, Markers):
        return part
    assert isinstance(old, Markers)
    return Markers.frozen(old.path[0] if old is part else old.path[-1], span)


def _joined(parts: list[Interface]) -> Interface | Several:
    return parts[0] if len(parts) == 1 else Several(parts)


def _ending(solver: TwoPhasePINN, phase: int) -> Any:
    def velocity(z: Tensor) -> Tensor:
        with torch.no_grad():
            return solver.model.phase_forward(phase, z.to(solver.dtype))[:, : solver.problem.dim].to(z)

    return velocity
