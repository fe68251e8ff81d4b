"""One way to step, whichever optimizer: PyTorch's Adam and L-BFGS behind it, and the choice for a phase."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch

from deepwright.physics.solve.block import Diverged
from deepwright.physics.solve.least_squares import LeastSquaresProblem
from deepwright.physics.solve.levenberg_marquardt import LevenbergMarquardt, StepInfo
from deepwright.physics.solve.quasi_newton import KINDS, QuasiNewton
from deepwright.physics.solve.schedule import Phase

INNER = 20  # iterations of L-BFGS in one step: with fewer PyTorch's starts afresh before it moves


@runtime_checkable
class Optimizer(Protocol):
    """What a fit asks of an optimizer."""

    def step(self) -> StepInfo:
        """One step."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What decides how it goes on."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there.

        Args:
            state: see `state_dict`.
        """
        ...


def optimizer_for(problem: LeastSquaresProblem, phase: Phase) -> Optimizer:
    """The optimizer of a phase, afresh.

    Args:
        problem: that it works on.
        phase: which, and with what rate.
    """
    if phase.optimizer == "lm":
        return LevenbergMarquardt(problem, phase.lr or 1e-3)
    if phase.optimizer in KINDS:
        return QuasiNewton(problem, phase.optimizer)
    own = [p for n, p in problem.model.named_parameters() if n in set(problem.names)]
    if phase.optimizer == "lbfgs":
        torch_optimizer: torch.optim.Optimizer = torch.optim.LBFGS(
            own, lr=1.0, max_iter=INNER, history_size=100, tolerance_change=0.0, line_search_fn="strong_wolfe"
        )
        return FirstOrder(problem, torch_optimizer, None)
    lr = phase.lr or 1e-3
    adam = torch.optim.Adam(own, lr=lr)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(1, phase.steps), 1e-2 * lr) if phase.decay else None
    return FirstOrder(problem, adam, decay)


class FirstOrder:
    """An optimizer of PyTorch behind the same `step`.

    Args:
        problem: whose loss is lowered.
        optimizer: over the problem's parameters.
        decay: a schedule of its learning rate, or None.
    """

    def __init__(self, problem: LeastSquaresProblem, optimizer: torch.optim.Optimizer, decay: Any) -> None:
        self.problem, self.optimizer, self.decay, self.count = problem, optimizer, decay, 0

    def step(self) -> StepInfo:
        """One step.

        Raises:
            Diverged: the loss, or a parameter, isn't finite.
        """
        seen: list[float] = []

        def closure() -> torch.Tensor:
            self.optimizer.zero_grad()
            loss = self.problem.loss()
            seen.append(float(loss.detach()))
            if seen[0] < float("inf"):
                loss.backward()
            return loss

        before = self.problem.vector()
        self.optimizer.step(closure)  # type: ignore[arg-type]
        if not seen[0] < float("inf") or not torch.isfinite(self.problem.vector()).all():
            raise Diverged(self.count, self.problem.first_bad(before))
        if self.decay is not None:
            self.decay.step()
        self.count += 1
        after = seen[-1] if isinstance(self.optimizer, torch.optim.Adam) else self.problem.value(self.problem.vector())
        return StepInfo(seen[0], after, True, 0.0, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """What decides how it goes on."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "count": self.count,
            "decay": None if self.decay is None else self.decay.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there.

        Args:
            state: see `state_dict`.
        """
        self.optimizer.load_state_dict(state["optimizer"])
        self.count = state["count"]
        if self.decay is not None:
            self.decay.load_state_dict(state["decay"])
