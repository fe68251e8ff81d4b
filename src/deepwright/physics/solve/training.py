"""One way to fit a least-squares problem: a schedule of optimisers, checkpoints, an exact resume.

`core.fit` walks over batches of a data set; here every step sees all points, and a step may be a trial that is refused. That
is another loop, and it is written once, here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from deepwright.core.errors import InputError
from deepwright.core.files import hash_tensors, load_state, save_state
from deepwright.core.interrupt import graceful
from deepwright.core.progress import bar
from deepwright.physics.solve.least_squares import Diverged, LeastSquaresProblem
from deepwright.physics.solve.levenberg_marquardt import LevenbergMarquardt, StepInfo
from deepwright.physics.solve.quasi_newton import KINDS, QuasiNewton

INNER = 20  # iterations of L-BFGS in one step: with fewer PyTorch's starts afresh before it moves
OPTIMISERS = ("adam", "lbfgs", "lm", *KINDS)


@dataclass(frozen=True)
class Phase:
    """So many steps of an optimiser (of L-BFGS: of 20 iterations each); `rate` is Adam's learning rate or Levenberg-Marquardt's first damping."""

    optimiser: str
    steps: int
    rate: float | None = None
    decay: bool = False

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS or self.steps < 0 or (self.rate is not None and not self.rate > 0):
            raise InputError(
                "phase", given=f"({self.optimiser!r}, {self.steps}, {self.rate})",
                expected=f"one of {', '.join(OPTIMISERS)}, steps >= 0, a rate above 0",
            )  # fmt: skip


@dataclass
class Training:
    """What a fit did.

    Attributes:
        history: rows (step, optimiser, loss, seconds of CPU time, and each block's RMS now and then).
        steps: taken or refused; stopped: why each phase ended early, if it did.
        seconds: CPU time of the process, over all sessions.
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


def schedule_for(size: int, steps: int = 300) -> list[Phase]:
    """What suits a number of parameters: least squares, quasi-Newton, or first order and L-BFGS."""
    if size <= 3000:
        return [Phase("lm", steps)]
    if size <= 10_000:
        return [Phase("adam", steps, 1e-3), Phase("ssbroyden", 4 * steps)]
    return [Phase("adam", 5 * steps, 1e-3), Phase("lbfgs", steps // 4)]


def fit_problem(
    problem: LeastSquaresProblem,
    schedule: Sequence[Phase | tuple[Any, ...]] | None = None,
    *,
    resample: int = 0,
    balancer: Callable[[LeastSquaresProblem], dict[str, float]] | None = None,
    max_time: float | None = None,
    checkpoint: Path | str | None = None,
    every: int = 100,
    every_seconds: float = 60.0,
    callback: Callable[[int, StepInfo], object] | None = None,
    seed: int = 0,
    description: str = "solve",
) -> Training:
    """Run a schedule; the problem's model holds the result.

    Args:
        problem: changed in place (parameters; points and weights where asked for).
        schedule: phases, or tuples of their arguments; by the number of parameters where not given.
        resample: every so many steps of Adam, blocks that can draw new points do (0: never). Others need fixed points.
        balancer: problem -> weights, called every `balancer.every` steps of Adam.
        max_time: seconds of CPU time in all; the phase that runs then ends.
        checkpoint: a file to resume from and to save to.
        every, every_seconds: how often it is written.
        callback: called with (step, what it did).
        seed: of new points.
        description: shown beside the bar.

    Raises:
        Diverged: residuals that aren't finite; the last good parameters are back.
        InputError: an unknown phase; a checkpoint of another problem.
        KeyboardInterrupt: after Ctrl-C, when the state is on disk.
    """
    phases = [p if isinstance(p, Phase) else Phase(*p) for p in schedule or schedule_for(problem.size)]
    run = _Run(problem, phases, resample, balancer, max_time, seed)
    path = None if checkpoint is None else Path(checkpoint)
    identity = {} if path is None else run.identity()
    if path is not None and path.exists():
        run.load(path, identity)
    saved = time.monotonic()
    with graceful() as stop, bar(description, sum(p.steps for p in phases)) as running:
        running.advance(run.training.steps)
        while run.phase < len(phases):
            info = run.step()
            if info is None:
                continue
            running.advance(1, f"{phases[min(run.phase, len(phases) - 1)].optimiser}, loss {info.after:.3e}")
            if callback is not None:
                callback(run.training.steps, info)
            due = run.training.steps % every == 0 or time.monotonic() - saved > every_seconds
            if path is not None and (due or stop):
                run.save(path, identity)
                saved = time.monotonic()
            if stop:
                raise KeyboardInterrupt
    if path is not None:
        run.save(path, identity)
    return run.training


class _Run:
    """A fit in progress: which phase, its optimiser, the points' generator."""

    def __init__(
        self,
        problem: LeastSquaresProblem,
        phases: list[Phase],
        resample: int,
        balancer: Callable[[LeastSquaresProblem], dict[str, float]] | None,
        max_time: float | None,
        seed: int,
    ) -> None:
        self.problem, self.phases, self.resample, self.balancer = problem, phases, resample, balancer
        self.max_time, self.seed = max_time, seed
        self.generator = torch.Generator().manual_seed(seed)
        self.training = Training()
        self.phase, self.inside = 0, 0
        self.optimiser: Any = None
        self._good = problem.vector()

    def step(self) -> StepInfo | None:
        """One step of the present phase; None when it ended."""
        phase = self.phases[self.phase]
        if self.inside >= phase.steps or self._late():
            self._next("" if self.inside >= phase.steps else "out of time")
            return None
        if self.optimiser is None:
            self.optimiser = _make(self.problem, phase)
        if phase.optimiser == "adam":
            self._renew()
        before, begin = self.problem.vector(), time.process_time()
        try:
            info = self.optimiser.step()
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

    def _late(self) -> bool:
        return self.max_time is not None and self.training.seconds >= self.max_time

    def _next(self, why: str) -> None:
        if why:
            self.training.stopped.append(f"{self.phases[self.phase].optimiser}: {why}")
        self.phase, self.inside, self.optimiser = self.phase + 1, 0, None

    def _renew(self) -> None:
        every = getattr(self.balancer, "every", 100)
        if self.balancer is not None and self.inside % every == 0:
            weights = self.balancer(self.problem)
            self.problem.blocks = self.problem.with_weights(weights).blocks
        if self.resample and self.inside and self.inside % self.resample == 0:
            self.problem.resample(self.generator)

    def _note(self, phase: Phase, info: StepInfo) -> None:
        loss = info.after if info.accepted else info.before
        row = {
            "step": self.training.steps,
            "optimiser": phase.optimiser,
            "loss": loss,
            "seconds": self.training.seconds,
        }
        if self.training.steps % 50 == 0:
            row |= {f"rms {k}": v for k, v in self.problem.breakdown().items()}
        self.training.history.append(row)

    # --- state --------------------------------------------------------------------------------------------------

    def identity(self) -> dict[str, str]:
        """What must be the same to go on."""
        return {
            "phases": json.dumps([[p.optimiser, p.steps, p.rate, p.decay] for p in self.phases]),
            "blocks": json.dumps([b.name for b in self.problem.blocks]),
            "points": hash_tensors({f"{b.name}.{i}": t for b in self.problem.blocks for i, t in enumerate(b.tensors)}),
            "parameters": json.dumps({k: list(v) for k, v in self.problem.shapes.items()}),
            "seed": str(self.seed), "resample": str(self.resample),
        }  # fmt: skip

    def save(self, path: Path, identity: dict[str, str]) -> None:
        """Write everything, atomically."""
        save_state(path, {
            "identity": identity, "theta": self.problem.vector(), "phase": self.phase, "inside": self.inside,
            "optimiser": None if self.optimiser is None else self.optimiser.state_dict(),
            "generator": self.generator.get_state(), "weights": [b.weight for b in self.problem.blocks],
            "points": [list(b.tensors) for b in self.problem.blocks],
            "training": [self.training.history, self.training.steps, self.training.stopped, self.training.seconds],
        })  # fmt: skip

    def load(self, path: Path, identity: dict[str, str]) -> None:
        """Go on from a file."""
        state = load_state(path)
        other = [k for k, v in identity.items() if state.get("identity", {}).get(k) != v]
        if other:
            raise InputError(
                f"checkpoint {path}", given="another " + ", ".join(other), expected="this problem and schedule",
                hint="delete it, or use another file",
            )  # fmt: skip
        self.problem.assign(state["theta"].to(self.problem.device))
        self._good = self.problem.vector()
        self.phase, self.inside = state["phase"], state["inside"]
        self.generator.set_state(state["generator"])
        self.problem.blocks = [
            replace(b, weight=w, tensors=tuple(t.to(self.problem.device) for t in p))
            for b, w, p in zip(self.problem.blocks, state["weights"], state["points"])
        ]
        if state["optimiser"] is not None:
            self.optimiser = _make(self.problem, self.phases[self.phase])
            self.optimiser.load_state_dict(state["optimiser"])
        history, steps, stopped, seconds = state["training"]
        self.training = Training(history, steps, stopped, seconds, resumed_at=steps)


def _make(problem: LeastSquaresProblem, phase: Phase) -> Any:
    if phase.optimiser == "lm":
        return LevenbergMarquardt(problem, phase.rate or 1e-3)
    if phase.optimiser in KINDS:
        return QuasiNewton(problem, phase.optimiser)
    own = [p for n, p in problem.model.named_parameters() if n in set(problem.names)]
    if phase.optimiser == "lbfgs":
        torch_optimiser: torch.optim.Optimizer = torch.optim.LBFGS(
            own, lr=1.0, max_iter=INNER, history_size=100, tolerance_change=0.0, line_search_fn="strong_wolfe"
        )
        return _FirstOrder(problem, torch_optimiser, None)
    rate = phase.rate or 1e-3
    adam = torch.optim.Adam(own, lr=rate)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(1, phase.steps), 1e-2 * rate) if phase.decay else None
    return _FirstOrder(problem, adam, decay)


class _FirstOrder:
    """An optimiser of PyTorch behind the same `step`."""

    def __init__(self, problem: LeastSquaresProblem, optimiser: torch.optim.Optimizer, decay: Any) -> None:
        self.problem, self.optimiser, self.decay, self.count = problem, optimiser, decay, 0

    def step(self) -> StepInfo:
        """One step."""
        seen: list[float] = []

        def closure() -> torch.Tensor:
            self.optimiser.zero_grad()
            loss = self.problem.loss()
            seen.append(float(loss.detach()))
            if seen[0] < float("inf"):
                loss.backward()
            return loss

        before = self.problem.vector()
        self.optimiser.step(closure)  # type: ignore[arg-type]
        if not seen[0] < float("inf") or not torch.isfinite(self.problem.vector()).all():
            raise Diverged(self.count, self.problem.first_bad(before))
        if self.decay is not None:
            self.decay.step()
        self.count += 1
        after = seen[-1] if isinstance(self.optimiser, torch.optim.Adam) else self.problem.value(self.problem.vector())
        return StepInfo(seen[0], after, True, 0.0, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """What decides how it goes on."""
        return {
            "optimiser": self.optimiser.state_dict(), "count": self.count,
            "decay": None if self.decay is None else self.decay.state_dict(),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.count = state["count"]
        if self.decay is not None:
            self.decay.load_state_dict(state["decay"])
