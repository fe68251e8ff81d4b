"""Up the tree by sums, down it by additions: radial operators in O(N), forwards and backwards."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def ball_sums(x: Float[Tensor, "... leaves"], q: int, depth: int) -> list[Tensor]:
    """Plain sums over the balls of each depth, the whole first.

    Args:
        x: values on q^depth leaves.
        q: branching.
        depth: of the tree.
    """
    sums = [x]
    for _ in range(depth):
        x = x.unflatten(-1, (-1, q)).sum(-1)
        sums.append(x)
    return sums[::-1]


class RadialPass(torch.autograd.Function):
    """y = q^-l sum_s c_s lift(ball sums of depth s of x); its transpose is the same pass with c transposed."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, c: Tensor, q: int) -> Tensor:
        """Mix channels at each depth and push down.

        Args:
            x: (..., in, leaves).
            c: (out, in, levels).
            q: branching.
        """
        depth = c.shape[-1] - 1
        sums = ball_sums(x, q, depth)
        c = c * float(q) ** -depth
        y = _mixed(sums[0], c[..., 0])
        for s in range(1, depth + 1):
            below = _mixed(sums[s], c[..., s])
            below.unflatten(-1, (-1, q)).add_(y[..., None])
            y = below
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        """Keep x and c: the sums are cheaper to form again than to hold.

        Args:
            ctx: of autograd.
            inputs: of `forward`.
            output: of it.
        """
        x, c, ctx.q = inputs
        ctx.save_for_backward(x, c)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Gradients by x and by c, themselves differentiable.

        Args:
            ctx: of autograd.
            g: gradient by y.
        """
        x, c = ctx.saved_tensors
        depth = c.shape[-1] - 1
        by_x = RadialPass.apply(g, c.transpose(0, 1), ctx.q) if ctx.needs_input_grad[0] else None
        by_c = None
        if ctx.needs_input_grad[1]:
            pairs = zip(ball_sums(g, ctx.q, depth), ball_sums(x, ctx.q, depth), strict=True)
            levels = [torch.einsum("...on,...in->oi", above, below) for above, below in pairs]
            by_c = torch.stack(levels, -1) * float(ctx.q) ** -depth
        return by_x, by_c, None


def _mixed(sums: Tensor, c: Tensor) -> Tensor:
    """(out, in) times (..., in, balls), as a new tensor."""
    return sums * c[0, 0] if c.shape == (1, 1) else c @ sums


def radial_pass(x: Tensor, c: Tensor, q: int) -> Tensor:
    """See `RadialPass`.

    Args:
        x: (..., in, leaves).
        c: (out, in, levels): increments of the kernel.
        q: branching.
    """
    found: Tensor = RadialPass.apply(x, c, q)
    return found
