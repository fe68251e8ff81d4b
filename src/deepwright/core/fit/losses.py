"""The loss over an epoch, without waiting for an accelerator at every step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepwright.core.errors import InputError

_LOOK = 50  # steps between two looks at the loss on an accelerator


class Losses:
    """The sum of the losses of an epoch. They stay where they are computed until `look`, which is what waits."""

    def __init__(self, device: torch.device) -> None:
        self.patience = 1 if device.type == "cpu" else _LOOK
        self.total, self.count, self.first = 0.0, 0, 0
        self._waiting: list[Tensor] = []

    def start(self, step: int, total: float = 0.0, count: int = 0) -> None:
        """Begin an epoch, or go on in one.

        Args:
            step: of the fit, that comes next.
            total: the losses of the epoch so far.
            count: how many they are.
        """
        self.total, self.count, self.first = total, count, step

    def add(self, value: Tensor) -> None:
        """Take in a step's loss; now and then look at those that wait."""
        value = value.detach().reshape(())
        self._waiting.append(value.clone() if self.patience > 1 else value)  # a compiled step may reuse its output
        if len(self._waiting) >= self.patience:
            self.look()

    def look(self) -> float:
        """The sum; a loss that isn't finite is an error."""
        values = torch.stack(self._waiting).tolist() if self._waiting else []
        self._waiting.clear()
        for step, value in enumerate(values, self.first):
            if not math.isfinite(value):
                raise InputError(
                    "the training loss",
                    given=f"{value} at step {step}",
                    expected="a finite number",
                    hint="lower the learning rate, or look for NaN in the data",
                )
            self.total += value
        self.first += len(values)
        self.count += len(values)
        return self.total

    @property
    def shown(self) -> str:
        """The mean of those that were looked at, for people."""
        return f"loss {self.total / self.count:.3f}" if self.count else ""
