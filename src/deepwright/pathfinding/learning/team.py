"""The processes that train one network: each makes instances of its own, and gradients are summed over all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.devices import Compute
from deepwright.core.errors import InputError


class Team:
    """One process among others that do the same, or the only one.

    Args:
        compute: how many devices; None, or one of them, is this process alone.
        net: that is trained, brought to this process's device.

    Attributes:
        rank: of this process.
        size: how many there are.

    Raises:
        InputError: devices that aren't there.
    """

    def __init__(self, compute: Compute | None, net: nn.Module) -> None:
        self.rank, self.size = 0, 1
        self._fabric: Any = None
        if compute is None:
            return
        from lightning_fabric import Fabric

        fabric: Any = Fabric(**compute.fabric(net))
        fabric.launch()
        net.to(fabric.device)
        self.rank, self.size = int(fabric.global_rank), int(fabric.world_size)
        self._fabric = fabric if self.size > 1 else None

    @property
    def salt(self) -> tuple[int, ...]:
        """What tells this process's draws from those of the others; nothing where it is alone."""
        return (self.rank,) if self.size > 1 else ()

    def sums(self, *numbers: float) -> list[float]:
        """Each number, summed over all processes.

        Args:
            numbers: of this process.
        """
        if self._fabric is None:
            return list(numbers)
        held = torch.tensor(numbers, dtype=torch.float64)
        found: list[float] = self._reduced(held).tolist()
        return found

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process.

        Args:
            flag: of this process.
        """
        return flag if self._fabric is None else self.sums(float(flag))[0] > 0

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Each gradient becomes the sum over all processes; one that a process lacks is zero there.

        Args:
            parameters: of the network.
        """
        if self._fabric is None:
            return
        learning = [p for p in parameters if p.requires_grad]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in learning])
        for p, part in zip(learning, self._reduced(flat).split([p.numel() for p in learning])):
            p.grad = part.view_as(p).clone()

    def require_alike(self, told: str, what: str) -> None:
        """Refuse processes that don't begin alike.

        Args:
            told: of this process.
            what: it says, in the error.

        Raises:
            InputError: another process says something else.
        """
        if self._fabric is not None and self.any(self._fabric.broadcast(told) != told):
            raise InputError(what, given="others in another process", expected="the same seed in all")

    def _reduced(self, held: Tensor) -> Tensor:
        assert self._fabric is not None
        on = held.to(self._fabric.device)
        reduced: Tensor = self._fabric.all_reduce(on, reduce_op="sum")
        return reduced.to(held.device)
