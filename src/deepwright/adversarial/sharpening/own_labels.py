"""What a network says of pictures by itself: the label that a publisher wants them to keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from deepwright.adversarial.aim import Aim, loss_name, require_task
from deepwright.adversarial.probing import forward_of, probed
from deepwright.core.devices import dtype_of
from deepwright.core.tasks import Task


class Labelled(NamedTuple):
    """A network beside its own answers.

    Attributes:
        task: what its outputs mean.
        y: its predictions, in the form of targets.
        loss: inputs -> (N,) how far its outputs are from these, differentiable.
    """

    task: Task
    y: Any
    loss: Callable[[Tensor, Any], Tensor]


def labelled(model: nn.Module, x: Tensor, task: Task | None) -> Labelled:
    """The network's own labels of pictures, as an attack's engine asks for them.

    Args:
        model: frozen, where x is.
        x: pictures in [0, 1].
        task: what outputs mean; None for classes.

    Raises:
        InputError: outputs that the task can't read, a random model.
    """
    require_task(task)
    forward = forward_of(model, (), dtype_of(model, x.dtype))
    aim, _, forward = probed(Aim(task, loss_name(task, None, "ce"), None, False), forward, x, None, 1)
    assert aim.task is not None
    with torch.no_grad():
        y = aim.task.check_targets(aim.task.prediction(aim.read(forward(x), len(x))), len(x))

    def loss(point: Tensor, labels: Any) -> Tensor:
        return aim.value(aim.read(forward(point), len(point)), labels)

    return Labelled(aim.task, y, loss)
