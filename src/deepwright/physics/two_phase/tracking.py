"""Interfaces that move with the fluid: carried by the solution, and solved for again until they stand still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from deepwright.core.errors import InputError
from deepwright.physics.two_phase.interface import Interface
from deepwright.physics.two_phase.markers import Markers
from deepwright.physics.two_phase.problem import TwoPhaseProblem
from deepwright.physics.two_phase.several import joined
from deepwright.physics.two_phase.transport import Velocity, carry


@dataclass
class Tracked:
    """How the interface settled.

    Attributes:
        moves: largest move of each sweep.
        converged: whether it came below the tolerance.
        interface: the (first) curve.
        shifts: the largest shift of each sweep that kept the areas.
    """

    moves: list[float] = field(default_factory=list)
    converged: bool = False
    interface: Markers | None = None
    shifts: list[float] = field(default_factory=list)


class FreeCurves:
    """The curves of a problem that are free to move (those of its interfaces that are `Markers`), sweep after sweep.

    Args:
        problem: where they begin.
        steps: Runge-Kutta steps of the markers.
        keep_area: shift each curve along its normals to the area of its start.

    Attributes:
        tracked: what happened so far.

    Raises:
        InputError: nothing that is free.
    """

    def __init__(self, problem: TwoPhaseProblem, steps: int, keep_area: bool) -> None:
        self.steps, self.keep_area, self.tracked = steps, keep_area, Tracked()
        self.starts = {i: p.path[0] for i, p in enumerate(problem.interface.parts) if isinstance(p, Markers)}
        if not self.starts:
            given = type(problem.interface).__name__
            raise InputError("interface", given=given, expected="Markers, for a free interface")

    def move(self, problem: TwoPhaseProblem, velocity: Callable[[int], Velocity]) -> TwoPhaseProblem:
        """A problem with its curves carried from their start; half of the way where the last move grew.

        Args:
            problem: with the curves of the last sweep; it stays as it is.
            velocity: part -> the velocity where its two phases meet.

        Returns:
            The same problem with new curves.
        """
        parts: list[Interface] = list(problem.interface.parts)
        moves, shifts = [], []
        for i in self.starts:
            old = parts[i]
            assert isinstance(old, Markers)
            fresh = Markers(carry(self.starts[i], velocity(i), problem.t_span, self.steps), problem.t_span)
            if self.keep_area:
                fresh, shift = fresh.keeping_area()
                shifts.append(float(shift.abs().max()))
            moves.append(fresh.distance(old))
            if self.tracked.moves and moves[-1] > self.tracked.moves[-1] and len(old.path) == len(fresh.path):
                fresh = Markers(0.5 * (old.path + fresh.path), problem.t_span)
            if fresh.spread() > 3:
                fresh = fresh.even()
                self.starts[i] = fresh.path[0]
            parts[i] = fresh
        self.tracked.moves.append(max(moves))
        self.tracked.shifts += [max(shifts)] if shifts else []
        self.tracked.interface = next(p for p in parts if isinstance(p, Markers))
        return replace(problem, interface=joined(parts))
