"""A network whose outputs are read by its task already, for what measures a network on many inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Shaped
from torch import Tensor, nn

from deepwright.core.tasks import Classification, Task


class Reader(nn.Module):
    """What a task reads from a network, as a network of its own: logits whatever the network gives.

    Args:
        network: any module.
        task: how its outputs are read.
    """

    def __init__(self, network: nn.Module, task: Task) -> None:
        super().__init__()
        self.network, self.task = network, task

    def forward(self, x: Shaped[Tensor, "n ..."] | Sequence[str]) -> Any:
        """Outputs in the task's form."""
        return self.task.read(self.network(x), len(x), strict=False)


def read_by(network: nn.Module, task: Task) -> nn.Module:
    """The network itself where it gives logits of classes already, else a `Reader` of it.

    Args:
        network: any module.
        task: how its outputs are read.
    """
    plain = isinstance(task, Classification) and task.outputs != "probabilities"
    return network if plain else Reader(network, task)
