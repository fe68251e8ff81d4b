"""Residuals through `torch.compile`, and the proof that they are the same."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from deepwright.physics.solve.block import Block


def checked_compile(model: nn.Module, block: Block) -> Callable[..., Tensor]:
    """A compiled residual that gave the plain one's numbers and gradients once, or the plain one.

    Args:
        model: of the problem.
        block: whose residual, on its points.
    """
    own = [p for p in model.parameters() if p.requires_grad]

    def both(function: Callable[..., Tensor]) -> list[Tensor]:
        r = function(model, *block.tensors)
        return [
            r.detach(),
            *(g for g in torch.autograd.grad(r.square().sum(), own, allow_unused=True) if g is not None),
        ]

    plain = both(block.residual)
    limit = 1e-10 if plain[0].dtype == torch.float64 else 1e-5
    try:
        fast = torch.compile(block.residual, dynamic=False)
        gap = max(float((a - b).norm() / b.norm().clamp_min(1e-30)) for a, b in zip(both(fast), plain))
    except Exception as error:  # whatever a compiler may raise
        fast, gap, why = None, math.inf, str(error).splitlines()[0][:120]
    else:
        why = f"it differs by {gap:.1g}"
    if fast is None or not gap <= limit:
        warnings.warn(f"block {block.name!r} runs uncompiled: {why}", stacklevel=3)
        return block.residual
    return fast
