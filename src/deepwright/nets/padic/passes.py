"""Up the tree by sums, down it by additions: radial operators in O(N), forwards and backwards."""

from __future__ import annotations

import functools
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_FUSED = 16  # leaves of a subtree whose levels are one small matrix: fewer calls, and the sums are cheap


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
        c = c * float(q) ** -depth
        if c.shape[:2] == (1, 1):
            return _by_blocks(x, c[0, 0], q)
        sums = ball_sums(x, q, depth)
        y = c[..., 0] @ sums[0]
        for s in range(1, depth + 1):
            below = c[..., s] @ sums[s]
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
            if c.shape[:2] == (1, 1):
                levels = _products_by_blocks(g, x, ctx.q, depth)[None, None]
            else:
                pairs = zip(ball_sums(g, ctx.q, depth), ball_sums(x, ctx.q, depth), strict=True)
                levels = torch.stack([torch.einsum("...on,...in->oi", above, below) for above, below in pairs], -1)
            by_c = levels * float(ctx.q) ** -depth
        return by_x, by_c, None


def _by_blocks(x: Tensor, c: Tensor, q: int) -> Tensor:
    """One channel: the lowest levels as one matrix over blocks of leaves, the rest on the blocks' sums."""
    depth = len(c) - 1
    k = _fused_levels(q, depth)
    within = torch.tensordot(c[depth - k :] if k == depth else c[depth - k + 1 :], _shared(q, k, k == depth, x), 1)
    blocks = x.unflatten(-1, (-1, q**k))
    y = blocks @ within
    if k < depth:
        y = y + _by_blocks(blocks.sum(-1), c[: depth - k + 1], q)[..., None]
    return y.flatten(-2)


def _products_by_blocks(g: Tensor, x: Tensor, q: int, depth: int) -> Tensor:
    """One channel: sum over balls of (sum of g) (sum of x), for each depth."""
    k = _fused_levels(q, depth)
    above, below = g.unflatten(-1, (-1, q**k)), x.unflatten(-1, (-1, q**k))
    gram = above.flatten(0, -2).T @ below.flatten(0, -2)
    own = _shared(q, k, k == depth, x).flatten(1) @ gram.flatten()
    if k == depth:
        return own
    return torch.cat([_products_by_blocks(above.sum(-1), below.sum(-1), q, depth - k), own])


def _fused_levels(q: int, depth: int) -> int:
    """Levels whose subtree has at most `_FUSED` leaves; one at least, where there is one."""
    k = min(depth, 1)
    while k < depth and q ** (k + 1) <= _FUSED:
        k += 1
    return k


def _shared(q: int, levels: int, whole: bool, like: Tensor) -> Tensor:
    """(levels, b, b) of 0 and 1: whether two leaves of a subtree lie in one ball of each depth below its root.

    `whole` adds the root's own level in front.
    """
    if type(like) not in (Tensor, torch.nn.Parameter):  # nothing of a fake tensor is kept, nor handed to one
        return _shared_on.__wrapped__(q, levels, whole, like.device, like.dtype)
    return _shared_on(q, levels, whole, like.device, like.dtype)


@functools.lru_cache(maxsize=64)
def _shared_on(q: int, levels: int, whole: bool, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):  # what is kept must serve those who differentiate, too
        leaf = torch.arange(q**levels, device=device)
        depths = range(0 if whole else 1, levels + 1)
        balls = torch.stack([leaf // q ** (levels - s) for s in depths])
        return (balls[:, :, None] == balls[:, None]).to(dtype)


def radial_pass(x: Tensor, c: Tensor, q: int) -> Tensor:
    """See `RadialPass`.

    Args:
        x: (..., in, leaves).
        c: (out, in, levels): increments of the kernel.
        q: branching.
    """
    found: Tensor = RadialPass.apply(x, c, q)
    return found
