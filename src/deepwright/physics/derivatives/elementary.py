"""Layer norm from elementary operations: PyTorch's own kernel has a wrong third derivative.

The gradient, with respect to parameters, of a second derivative with respect to inputs passes through the derivative
of the kernel's double backward. On torch 2.13 that is off by tens of per cent, without a word (group and RMS norm are
right); the same formula written out is right, as the tests say. Inside `ElementaryLayerNorm()` the function is
replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes.

    Args:
        x: values.
        normalized_shape: shape of the axes that the mean is taken over.
        weight: a factor of each, or None.
        bias: what is added to each, or None.
        eps: added to the variance.
    """
    axes = tuple(range(-len(normalized_shape), 0))
    centred = x - x.mean(axes, keepdim=True)
    out = centred * (centred.square().mean(axes, keepdim=True) + eps).rsqrt()
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


class ElementaryLayerNorm(TorchFunctionMode):
    """Replace the kernel while this is on."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in (F.layer_norm, torch.layer_norm):
            return func(*args, **(kwargs or {}))
        given = {("x" if k == "input" else k): v for k, v in (kwargs or {}).items() if k != "cudnn_enable"}
        return layer_norm(*args[:5], **given)
