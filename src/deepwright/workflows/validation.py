"""The loss on held-out samples, by which a training that a workflow does on the way is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from deepwright.core.inference import logits_of


@dataclass(frozen=True)
class ValidationLoss:
    """A loss on a validation split; knows no more than that, since a checkpoint is bound to what it knows.

    Attributes:
        x: inputs (N, ...).
        y: targets (N, ...).
        loss: (logits, targets) -> a number.
    """

    x: Tensor
    y: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """{"validation_loss": the loss}."""
        return {"validation_loss": float(self.loss(logits_of(network, [self.x]), self.y))}
