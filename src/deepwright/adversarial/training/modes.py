"""In which mode a network's layers are while a training looks for its worst inputs, and while it learns from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@contextmanager
def frozen_norms_still(model: nn.Module) -> Iterator[None]:
    """Batch norms whose parameters don't ask for gradients stand still inside the block: statistics too.

    `core.fit` puts all of a network into training mode, and statistics that move under fixed weights spoil what these
    were made for.

    Args:
        model: in training.
    """
    still = [m for m in model.modules() if isinstance(m, _NORMS) and m.training and _is_frozen(m)]
    for module in still:
        module.training = False
    try:
        yield
    finally:
        for module in still:
            module.training = True


def _is_frozen(norm: nn.Module) -> bool:
    own = list(norm.parameters(recurse=False))
    return bool(own) and not any(p.requires_grad for p in own)
