"""One way to fit a least-squares problem: a schedule of optimizers, checkpoints, an exact resume.

`core.fit` walks over batches of a data set; here every step sees all points, and a step may be a trial that is
refused. That is another loop, and it is written once, here; what is stored and how it is bound to its problem is
`core.resume`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from deepwright.core.errors import InputError
from deepwright.core.interrupt import graceful
from deepwright.core.progress import bar
from deepwright.core.resume import Resume
from deepwright.physics.solve.block import Diverged
from deepwright.physics.solve.least_squares import LeastSquaresProblem
from deepwright.physics.solve.levenberg_marquardt import StepInfo
from deepwright.physics.solve.optimizers import Optimizer, optimizer_for
from deepwright.physics.solve.schedule import Phase, schedule_for
from deepwright.physics.solve.start import require_dependence

Balancer = Callable[[LeastSquaresProblem], dict[str, float]]


@dataclass
class Training:
    """What a fit did.

    Attributes:
        history: rows (step, optimizer, loss, seconds of CPU time, and each block's RMS now and then).
        steps: taken or refused.
        stopped: why each phase ended early, if it did.
        seconds: CPU time of the process, over all sessions.
        resumed_at: the step that it went on from, or None.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    stopped: list[str] = field(default_factory=list)
    seconds: float = 0.0
    resumed_at: int | None = None

    @property
    def loss(self) -> float:
        """The last one."""
        return self.history[-1]["loss"] if self.history else float("nan")


def part_of(checkpoint: Path | str | None, name: str) -> Path | None:
    """Where a part of a long run keeps its state: `flow.pt` and "sweep-0" give `flow.sweep-0.pt`, beside it.

    A `checkpoint=` is always the path of a file. Where a run consists of several fits, each has a file of its own with
    the same stem, so that one name stands for the run wherever it is asked for.

    Args:
        checkpoint: of the run, or None.
        name: of the part.
    """
    if checkpoint is None:
        return None
    path = Path(checkpoint)
    return path.with_name(f"{path.stem}.{name}{path.suffix}")


def fit_problem(
    problem: LeastSquaresProblem,
    schedule: Sequence[Phase | tuple[Any, ...]] | None = None,
    *,
    resample: int = 0,
    balancer: Balancer | None = None,
    max_time: float | None = None,
    checkpoint: Path | str | None = None,
    every: int = 100,
    every_seconds: float = 60.0,
    on_step: Callable[[int, StepInfo], object] | None = None,
    seed: int = 0,
    description: str = "solve",
) -> Training:
    """Run a schedule; the problem's model holds the result.

    Args:
        problem: changed in place (parameters; points and weights where asked for).
        schedule: phases, or tuples of their arguments; by the number of parameters where not given.
        resample: every so many steps of Adam, blocks that can draw new points do (0: never). Others need fixed points.
        balancer: problem -> weights, called every `balancer.every` steps of Adam (100 where it has no such word).
        max_time: seconds of CPU time in all; a fit that is out of time is stored as one that can go on.
        checkpoint: a file to resume from and to save to. It is bound to all that the result depends on: the model as
            it was before training, blocks with their points, weights and the source of their residuals, the schedule,
            and so on.
        every: steps between two saves.
        every_seconds: seconds between two saves, where steps take long.
        on_step: called with (step, what it did).
        seed: of new points.
        description: shown beside the bar.

    Raises:
        Diverged: residuals that aren't finite; the last good parameters are back.
        InputError: an unknown phase; a residual that doesn't depend on the model; a checkpoint of another problem (what
            differs is told).
        KeyboardInterrupt: after Ctrl-C, when the state is on disk (`SystemExit` after SIGTERM).
    """
    if every < 1 or resample < 0:
        raise InputError("fit_problem", given=f"every={every}, resample={resample}", expected="1 or more, 0 or more")
    if max_time is not None and not max_time >= 0:
        raise InputError("max_time", given=max_time, expected="0 or more seconds")
    for block in problem.blocks:
        require_dependence(problem.model, block)
    given = schedule_for(problem.size) if schedule is None else schedule
    if isinstance(given, str) or not all(isinstance(p, Phase | tuple | list) for p in given):
        raise InputError("schedule", given=repr(given), expected='phases, as [("lm", 100)] or [Phase("adam", 500)]')
    phases = [p if isinstance(p, Phase) else Phase(*p) for p in given]
    run = _Run(problem, phases, resample, balancer, seed)
    with Resume(checkpoint, run.identity() if checkpoint else {}, kind="fit of a problem") as kept:
        state = kept.load(map_location=problem.device)
        if state is not None:
            run.load(state)
        saved = time.monotonic()
        with graceful() as stop, bar(description, sum(p.steps for p in phases)) as running:
            running.advance(run.training.steps)
            while run.phase < len(phases) and not run.late(max_time):
                info = run.step()
                if info is None:
                    continue
                running.advance(1, f"{phases[min(run.phase, len(phases) - 1)].optimizer}, loss {info.after:.3e}")
                if on_step is not None:
                    on_step(run.training.steps, info)
                due = run.training.steps % every == 0 or time.monotonic() - saved > every_seconds
                if due or stop:
                    kept.save(run.state())
                    saved = time.monotonic()
                if stop:
                    raise stop.error()
        if run.phase < len(phases):
            kept.save(run.state())
            run.training.stopped += [f"{p.optimizer}: out of time" for p in phases[run.phase :]]
        elif not kept.finished:
            kept.finish(run.state())
    return run.training


class _Run:
    """A fit in progress: which phase, its optimizer, the points' generator."""

    def __init__(
        self,
        problem: LeastSquaresProblem,
        phases: list[Phase],
        resample: int,
        balancer: Balancer | None,
        seed: int,
    ) -> None:
        self.problem, self.phases, self.resample, self.balancer = problem, phases, resample, balancer
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)
        self.training = Training()
        self.phase, self.inside = 0, 0
        self.optimizer: Optimizer | None = None
        self._good = problem.vector()

    def late(self, max_time: float | None) -> bool:
        """Whether the time is over."""
        return max_time is not None and self.training.seconds >= max_time

    def step(self) -> StepInfo | None:
        """One step of the present phase; None when it ended."""
        phase = self.phases[self.phase]
        if self.inside >= phase.steps:
            self._next("")
            return None
        if self.optimizer is None:
            self.optimizer = optimizer_for(self.problem, phase)
        if phase.optimizer == "adam":
            self._renew()
        before, begin = self.problem.vector(), time.process_time()
        try:
            info = self.optimizer.step()
        except Diverged as error:
            self.problem.assign(self._good)
            raise Diverged(self.training.steps, error.block) from None
        self._good = before  # its residuals were finite, or the step would have raised
        self.training.seconds += time.process_time() - begin
        self.inside += 1
        self.training.steps += 1
        self._note(phase, info)
        if info.stop:
            self._next(info.stop)
        return info

    def _next(self, why: str) -> None:
        if why:
            self.training.stopped.append(f"{self.phases[self.phase].optimizer}: {why}")
        self.phase, self.inside, self.optimizer = self.phase + 1, 0, None

    def _renew(self) -> None:
        every = getattr(self.balancer, "every", 100)
        if self.balancer is not None and self.inside % every == 0:
            weights = self.balancer(self.problem)
            self.problem.blocks = self.problem.with_weights(weights).blocks
        if self.resample and self.inside and self.inside % self.resample == 0:
            self.problem.resample(self.generator)

    def _note(self, phase: Phase, info: StepInfo) -> None:
        row = {
            "step": self.training.steps,
            "optimizer": phase.optimizer,
            "loss": info.after if info.accepted else info.before,
            "seconds": self.training.seconds,
        }
        if self.training.steps % 50 == 0:
            row |= {f"rms {k}": v for k, v in self.problem.breakdown().items()}
        self.training.history.append(row)

    # --- state --------------------------------------------------------------------------------------------------

    def identity(self) -> dict[str, Any]:
        """All that the result depends on, as it is before the first step."""
        blocks: dict[str, Any] = {"blocks": [b.name for b in self.problem.blocks]}
        for b in self.problem.blocks:
            blocks |= {f"points of {b.name}": b.tensors, f"residual of {b.name}": (b.residual, b.pointwise)}
            blocks |= {f"weight of {b.name}": b.weight, f"drawing of {b.name}": b.draw}
        return {
            "model": self.problem.model,
            **blocks,
            "max_jac_bytes": self.problem.max_jac_bytes,
            "compile": self.problem.compile,
            "schedule": self.phases,
            "resample": self.resample,
            "balancer": self.balancer,
            "seed": self.seed,
        }

    def state(self) -> dict[str, Any]:
        """What decides how it goes on."""
        return {
            "theta": self.problem.vector(),
            "good": self._good,
            "phase": self.phase,
            "inside": self.inside,
            "optimizer": None if self.optimizer is None else self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "weights": [b.weight for b in self.problem.blocks],
            "points": [list(b.tensors) for b in self.problem.blocks],
            "buffers": dict(self.problem.model.named_buffers()),
            "training": vars(self.training),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.problem.assign(state["theta"])
        self._good = state["good"]
        with torch.no_grad():
            for name, buffer in self.problem.model.named_buffers():
                buffer.copy_(state["buffers"][name])
        self.phase, self.inside = state["phase"], state["inside"]
        self.generator.set_state(state["generator"].cpu())
        self.problem.blocks = [
            replace(b, weight=w, tensors=tuple(p))
            for b, w, p in zip(self.problem.blocks, state["weights"], state["points"])
        ]
        if state["optimizer"] is not None:
            self.optimizer = optimizer_for(self.problem, self.phases[self.phase])
            self.optimizer.load_state_dict(state["optimizer"])
        self.training = Training(**state["training"])
        self.training.resumed_at = self.training.steps
