"""Half-precision inputs: attacks work in float32, and what the network sees is rounded so that the ball still holds."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.adversarial.projections import column, norms
from deepwright.core.errors import InputError

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


_OFF = 1e-4  # of a level: what is nearer counts as on it (float32 has errors of 2e-5 at 255 levels)


def require_on_levels(x: Float[Tensor, "n ..."], levels: int) -> None:
    """Refuse inputs that lie between levels: rounding would move them without an attack.

    Args:
        x: the clean inputs.
        levels: above zero.

    Raises:
        InputError: inputs between levels.
    """
    scaled = x.to(working_dtype(x.dtype)) * levels
    off = float((scaled - scaled.round()).abs().amax())
    coarse = levels * torch.finfo(x.dtype).eps
    if off > max(10 * _OFF, coarse):
        raise InputError(
            "quantize",
            given=f"{levels}, and inputs up to {off:.2g} of a level beside the levels",
            expected="inputs on the levels",
            hint=f"x = (x * {levels}).round() / {levels} first",
        )


def on_levels(
    point: Float[Tensor, "n ..."],
    x: Float[Tensor, "n ..."],
    levels: int,
    eps: Float[Tensor, " n"],
    norm: str,
    bounds: tuple[float, float],
) -> Float[Tensor, "n ..."]:
    """`point` on the nearest levels; where they leave the ball or the box, on those beside it towards x.

    Args:
        point: within the ball.
        x: the clean inputs, on levels.
        levels: above zero.
        eps: radius of each sample's ball.
        norm: "linf", "l2" or "l1".
        bounds: the box.
    """
    origin = (x * levels).round()
    moved = point * levels - origin
    near = moved.round()
    inner = moved.sign() * (moved.abs() + _OFF).floor()
    fits = norms(near, norm) <= eps * levels * (1 + _OFF / levels)
    found = (origin + near) / levels
    fits = fits & ((found >= bounds[0]) & (found <= bounds[1])).flatten(1).all(1)
    chosen = torch.where(column(fits, x), near, inner)
    return torch.where(chosen == 0, x, (origin + chosen) / levels)
