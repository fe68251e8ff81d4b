"""One step's minimisation: Adam on fresh particles, tried again with more, smaller steps where the energy law fails."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.physics.kinetic.energy_law import StepInfo
from deepwright.physics.kinetic.particles import PhaseSpaceParticles, Pushed
from deepwright.physics.kinetic.step_map import FoldedError

ATTEMPTS = 4
LOOK = 50  # iterations between two looks at whether the objective still falls
STILL = 1e-6  # ... which it doesn't where its mean over them changes by less


class Push(NamedTuple):
    """A control applied to a run's particles: those after the step, where forces were felt, and what is to be said."""

    after: Pushed
    felt: list[Tensor]
    info: StepInfo


@dataclass(frozen=True)
class StepTask:
    """A step that is to be taken.

    Attributes:
        number: of the step, from 0.
        now: particles before it.
        control: (whether a new one is wanted) -> module to begin with.
        objective: (control, particles) -> cost + gamma F after the step.
        push: (control, iterations) -> what it does to the run's particles.
        batches: () -> endless fresh particles of the density before the step, the same at each call.
    """

    number: int
    now: PhaseSpaceParticles
    control: Callable[[bool], nn.Module]
    objective: Callable[[nn.Module, PhaseSpaceParticles], Tensor]
    push: Callable[[nn.Module, int], Push]
    batches: Callable[[], Iterator[PhaseSpaceParticles]]


@dataclass(frozen=True)
class StepSolver:
    """How a step is minimised.

    Attributes:
        iterations: of Adam in each step.
        first: ... in the first one.
        resample: iterations between fresh particles.
        lr: of Adam, falling to a hundredth.
    """

    iterations: int = 300
    first: int = 1000
    resample: int = 25
    lr: float = 3e-3

    def solve(self, task: StepTask) -> tuple[nn.Module, Push]:
        """The control of a step and what it does.

        Args:
            task: the step.

        Raises:
            FoldedError: the map folds in every attempt.
            InputError: a loss that isn't finite.
        """
        lr, iterations = self.lr, self.first if task.number == 0 else self.iterations
        hard = torch.zeros(len(task.now), dtype=torch.bool, device=task.now.x.device)
        for attempt in range(ATTEMPTS):
            control, pushing = task.control(attempt > 1), False
            try:
                used = self._minimise(control, task, iterations, lr, hard)
                pushing = True
                push = task.push(control, used)
            except FoldedError as error:
                if attempt == ATTEMPTS - 1:
                    raise
                warnings.warn(f"step {task.number}: the map folded; once more with more, smaller steps", stacklevel=2)
                lr, iterations = lr / 2, 2 * iterations
                if pushing:  # these are trained on from then on: the entropy's log-determinant keeps them apart
                    hard = hard | error.rows
                continue
            if push.info.converged or attempt == ATTEMPTS - 1:
                break
            lr, iterations = lr / 2, 2 * iterations
            gap = -push.info.slack
            warnings.warn(
                f"step {task.number}: the energy law fails by {gap:.2g}; once more with more, smaller steps",
                stacklevel=2,
            )
        return control, push

    def _minimise(self, control: nn.Module, task: StepTask, iterations: int, lr: float, hard: Tensor) -> int:
        """Train a control in place; gives the iterations that it took."""
        for parameter in control.parameters():
            parameter.requires_grad_(True)
        adam = torch.optim.Adam(control.parameters(), lr=lr, betas=(0.5, 0.999))
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, iterations, 1e-2 * lr)
        batches, batch, still = task.batches(), task.now, _Still()
        for i in range(iterations):
            if i % self.resample == 0:
                batch = next(batches)
                if bool(hard.any()):
                    batch = PhaseSpaceParticles.together([batch, task.now.rows(hard)])
            adam.zero_grad()
            loss = task.objective(control, batch)
            if not torch.isfinite(loss):
                given = f"a loss of {float(loss.detach())} in iteration {i}"
                raise InputError("kinetic step", given=given, expected="a smaller lr or step_size")
            loss.backward()
            nn.utils.clip_grad_norm_(control.parameters(), 10.0)
            adam.step()
            fall.step()
            if still(float(loss.detach())):
                return i + 1
        return iterations


class _Still:
    """Whether a falling objective has come to rest: two means over `LOOK` iterations alike, from the fourth on."""

    def __init__(self) -> None:
        self.marks: list[float] = []
        self.total, self.count = 0.0, 0

    def __call__(self, value: float) -> bool:
        """Take in a value."""
        self.total += value
        self.count += 1
        if self.count % LOOK:
            return False
        self.marks.append(self.total / LOOK)
        self.total = 0.0
        return len(self.marks) > 3 and abs(self.marks[-2] - self.marks[-1]) < STILL
