"""Steps without a useful gradient, differentiated through something like them. Source: arXiv 1802.00420 (BPDA)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class _Bpda(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable, backward: Callable) -> Tensor:
        ctx.backward_function = backward
        ctx.save_for_backward(x)
        return function(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            point = x.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(ctx.backward_function(point), point, gradients[0])
        return gradient, None, None


def bpda(
    function: Callable[[Tensor], Tensor], surrogate: Callable[[Tensor], Tensor] = lambda x: x * 1
) -> Callable[[Tensor], Tensor]:
    """A step with another function's gradient, for `through=` of an attack.

    Args:
        function: the step as it is: rounding, JPEG, a median filter.
        surrogate: stands in its place on the way back; the identity by default.
    """
    return lambda x: _Bpda.apply(x, function, surrogate)
