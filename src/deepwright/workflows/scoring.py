"""The loss and the score of a task, as trainings take them. They hold no more: checkpoints are bound to that."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.inference import read_outputs
from deepwright.core.tasks import Classification, Task
from deepwright.data import Split


@dataclass(frozen=True)
class TaskLoss:
    """(raw outputs, targets) -> the task's mean loss.

    Attributes:
        task: reads the outputs.
    """

    task: Task

    def __call__(self, out: Tensor, y: Tensor) -> Float[Tensor, ""]:
        """The loss of a batch."""
        read = self.task.read(out, len(y), strict=False)
        if isinstance(self.task, Classification):  # its own mean, which adds in another order than a mean of losses
            return F.cross_entropy(read, y)
        return self.task.loss(read, y).mean()


@dataclass(frozen=True)
class ValidationScore:
    """The task's mean score on a split.

    Attributes:
        split: validation samples.
        batch_size: of the passes.
        task: reads the outputs.
    """

    split: Split
    batch_size: int
    task: Task

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """The score, as `core.fit` takes it."""
        batches = self.split.batches(self.batch_size)
        out = self.task.join(read_outputs(network, batches.inputs, self.task.read))
        return {"score": float(self.task.score(out, self.split.y).double().mean())}
