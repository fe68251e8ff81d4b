"""The discrete Laplacian by differences of neighbours, in place: no padding, no convolution, one temporary.

With the replicated border a difference across the border is zero, so the border needs no code, and equal pixels give
exactly zero. The operator is symmetric: its own transpose, and so its own backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError

NEIGHBOURS = (4, 8)
_BLOCK = 1 << 17  # numbers that a pass leaves in the cache


def require_neighbours(neighbours: int) -> int:
    """Refuse a kernel that there isn't.

    Args:
        neighbours: 4 or 8.

    Raises:
        InputError: anything else.
    """
    if isinstance(neighbours, bool) or neighbours not in NEIGHBOURS:
        raise InputError("neighbours", given=repr(neighbours), expected="4 or 8")
    return neighbours


def laplacian(x: Float[Tensor, "*batch h w"], neighbours: int = 4) -> Float[Tensor, "*batch h w"]:
    """L x of each plane, border replicated, differentiable.

    Of 4 neighbours: their sum less 4 x. Of 8: half of their sum less 8 x.

    Args:
        x: planes of floats.
        neighbours: 4 or 8.
    """
    return _Stencil.apply(x, 0.0, 1.0, require_neighbours(neighbours))


def sharpened(x: Float[Tensor, "*batch h w"], strength: float, neighbours: int = 4) -> Float[Tensor, "*batch h w"]:
    """x - strength * L x of each plane, in one pass over what is in the cache, differentiable.

    Args:
        x: planes of floats.
        strength: of all of them.
        neighbours: 4 or 8.
    """
    return _Stencil.apply(x, 1.0, -strength, require_neighbours(neighbours))


class _Stencil(torch.autograd.Function):
    """keep * x + scale * L x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: float, scale: float, neighbours: int) -> Tensor:
        ctx.keep, ctx.scale, ctx.neighbours = keep, scale, neighbours
        source = x.contiguous()
        out = source.clone() if keep == 1.0 else source * keep
        planes, into = source.view(-1, *x.shape[-2:]), out.view(-1, *x.shape[-2:])
        add = _add_four if neighbours == 4 else _add_eight
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            add(into, planes, scale)
            return out
        at_once = max(1, _BLOCK // (x.shape[-2] * x.shape[-1]))
        for start in range(0, len(planes), at_once):
            add(into[start : start + at_once], planes[start : start + at_once], scale)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return _Stencil.apply(gradients[0], ctx.keep, ctx.scale, ctx.neighbours), None, None, None


def _add_four(out: Tensor, x: Tensor, scale: float) -> None:
    _second_difference(out, x, scale, -2)
    _second_difference(out, x, scale, -1)


def _add_eight(out: Tensor, x: Tensor, scale: float) -> None:
    """Half of (3 + D_h)(3 + D_w) - 9, in second differences D: 3/2 D_w x + D_h (3/2 x + D_w x / 2)."""
    across = torch.zeros_like(x)
    _second_difference(across, x, 1.0, -1)
    out.add_(across, alpha=1.5 * scale)
    _second_difference(out, across.mul_(0.5).add_(x, alpha=1.5), scale, -2)


def _second_difference(out: Tensor, x: Tensor, scale: float, dim: int) -> None:
    """out += scale * (x of the next, less 2 x, and x of the one before); over the border nothing."""
    size = x.shape[dim]
    step = x.narrow(dim, 1, size - 1) - x.narrow(dim, 0, size - 1)
    out.narrow(dim, 0, size - 1).add_(step, alpha=scale)
    out.narrow(dim, 1, size - 1).sub_(step, alpha=scale)
