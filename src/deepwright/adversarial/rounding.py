"""Half-precision inputs: attacks work in float32, and what the network sees is rounded so that the ball still holds."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """The precision in which an attack computes.

    Args:
        dtype: of the inputs.
    """
    return torch.float32 if dtype in _HALF else dtype


def towards(point: Float[Tensor, "n ..."], x: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
    """`point` in the precision of x: of the two numbers beside it, the nearer one unless it lies farther from x.

    No coordinate gets farther from x by it: every norm ball and box around x that holds `point` holds the result.

    Args:
        point: in the working precision.
        x: the clean inputs.
    """
    if point.dtype == x.dtype:
        return point
    near, clean = point.to(x.dtype), x.to(point.dtype)
    beyond = (near.to(point.dtype) - clean).abs() > (point - clean).abs()
    # The bits of a float, read as an integer, count up with its size whatever its sign is.
    smaller = (near.to(point.dtype) > point) != torch.signbit(near)
    neighbour = (near.view(torch.int16) + torch.where(smaller, -1, 1).to(torch.int16)).view(x.dtype)
    return torch.where(beyond, neighbour, near)


class _Towards(torch.autograd.Function):
    """Rounding that lets gradients through."""

    @staticmethod
    def forward(ctx: Any, point: Tensor, x: Tensor) -> Tensor:
        ctx.dtype = point.dtype
        return towards(point, x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].to(ctx.dtype), None


def rounded(point: Float[Tensor, "n ..."], x: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
    """`towards`, with the gradient of the identity.

    Args:
        point: in the working precision.
        x: the clean inputs.
    """
    return point if point.dtype == x.dtype else _Towards.apply(point, x)
