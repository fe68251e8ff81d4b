"""What chooses: anything that gives a fresh network for every round."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import nn

from deepwright.core.copies import copied


@runtime_checkable
class Selector(Protocol):
    """A network to train afresh in every round.

    Attributes:
        network: as it is at the start; its cost is counted.
    """

    network: nn.Module

    def fresh(self) -> nn.Module:
        """A copy of the network as it was at the start."""
        ...


class WholeSelector:
    """The network itself as its own selector: what PruneFuse is held against.

    Args:
        model: the network, in its initial state.
    """

    def __init__(self, model: nn.Module) -> None:
        self.network = model

    def fresh(self) -> nn.Module:
        """The network as it was at the start."""
        return copied(self.network)
