"""All that decides what a fit learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from deepwright.core.errors import InputError
from deepwright.core.identity import structure

TrainData = tuple[Tensor, Tensor] | Dataset
StepFunction = Callable[[nn.Module, Tensor, Tensor], Tensor]


@runtime_checkable
class Timed(Protocol):
    """A step function that isn't the same all through a fit."""

    def at(self, step: int, steps: int) -> StepFunction:
        """What it is at a step, of that number alone: an interrupted fit goes on as it would have.

        Args:
            step: from 0.
            steps: of the whole fit.
        """
        ...


@dataclass(frozen=True)
class Selection:
    """How the best epoch is found.

    Attributes:
        validate: model -> values, called after every epoch, in eval mode and without gradients.
        monitor: the value that decides about best weights and early stop; None only writes the values down. The best
            weights are put back at the end.
        mode: "max" or "min" of `monitor`.
        patience: epochs without a better value before the fit stops; None never stops early.
    """

    validate: Callable[[nn.Module], dict[str, float]] | None = None
    monitor: str | None = None
    mode: str = "max"
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("max", "min"):
            raise InputError("mode", given=repr(self.mode), expected="'max' or 'min'")
        if self.patience is not None and (self.monitor is None or self.patience < 0):
            given = f"patience={self.patience}, monitor={self.monitor!r}"
            raise InputError("selection", given=given, expected="patience of 0 or more, and a value to monitor")

    def better(self, value: float, best: float | None) -> bool:
        """Whether a value beats the best one so far.

        Args:
            value: of this epoch.
            best: so far; None before the first.
        """
        return best is None or (value > best if self.mode == "max" else value < best)


@dataclass(frozen=True)
class Recipe:
    """All that decides what a fit learns, apart from model and data."""

    epochs: int
    batch_size: int
    loss: Callable[[Tensor, Tensor], Tensor]
    step: StepFunction | None
    optimizer: Callable[[Any], torch.optim.Optimizer]
    scheduler: Callable[[torch.optim.Optimizer, int], Any] | None
    augment: Callable[[Tensor, torch.Generator], Tensor] | None
    selection: Selection
    seed: int
    drop_last: bool
    clip_norm: float | None
    devices: int
    precision: str | None

    def identity(self, model: nn.Module, train: TrainData) -> dict[str, Any]:
        """What a checkpoint is bound to."""
        names = [f.name for f in fields(self) if f.name != "selection"]
        chosen = {f.name: getattr(self.selection, f.name) for f in fields(self.selection)}
        data = dict(zip(("inputs", "targets"), train)) if isinstance(train, tuple) else {"data": train}
        return {
            **{f"training_{name}": value for name, value in data.items()},
            "model": structure(model),
            "initial_weights": [*model.named_parameters(), *model.named_buffers()],
            **{name: getattr(self, name) for name in names},
            **chosen,
        }

    def value(self, network: nn.Module, x: Tensor, y: Tensor, step: int, steps: int) -> Tensor:
        """The loss of a batch at a step of so many."""
        if self.step is None:
            return self.loss(network(x), y)
        now = self.step.at(step, steps) if isinstance(self.step, Timed) else self.step
        return now(network, x, y)
