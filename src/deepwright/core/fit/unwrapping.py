"""The network inside a step, for gradients with respect to its inputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def unwrapped(network: nn.Module) -> Iterator[nn.Module]:
    """The module itself, in the precision of its training, inside the block.

    A step is given Fabric's wrapper, which in mixed precision lets nobody but `fabric.backward` differentiate, and in
    data-parallel training shares what every pass changes. A step that asks for gradients of its inputs asks the module.

    Args:
        network: as a step is given it; one that isn't wrapped is given back.
    """
    from lightning_fabric.wrappers import is_wrapped

    if not is_wrapped(network):
        yield network
        return
    inside = network.module
    assert isinstance(inside, nn.Module)
    with network._strategy.precision.forward_context():  # type: ignore[union-attr, operator]
        yield inside
