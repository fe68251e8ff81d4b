"""Fields known at some places only: what lies between them, filled in smoothly."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def fill_in(
    values: Float[Tensor, "b k x y z"], known: Float[Tensor, "b 1 x y z"], periodic: bool, sweeps: int = 12
) -> Float[Tensor, "b k x y z"]:
    """Values between known places, nearly harmonic: coarse grids know all in the end, finer ones smooth what they get.

    Args:
        values: 0 where unknown.
        known: 1 or 0.
        periodic: axes wrap, else edges repeat.
        sweeps: of smoothing on each grid.
    """
    known = known.to(values)
    axes = [i for i in range(2, 5) if values.shape[i] > 1]
    if not axes or bool((known > 0).all()):
        return values
    if all(values.shape[i] % 2 == 0 for i in axes):
        coarse, weight = values, known
        for i in axes:
            coarse, weight = (t.unflatten(i, (-1, 2)).sum(i + 1) for t in (coarse, weight))
        guess = fill_in(coarse / weight.clamp_min(1), (weight > 0).to(known), periodic, sweeps)
        for i in axes:
            guess = guess.repeat_interleave(2, i)
    else:
        total = tuple(range(2, 5))
        guess = (values.sum(total, keepdim=True) / known.sum(total, keepdim=True).clamp_min(1)).expand_as(values)
    for _ in range(sweeps):
        u = torch.where(known > 0, values, guess)
        parts = [_beside(u, i, step, periodic) for i in axes for step in (1, -1)]
        guess = torch.stack(parts).mean(0)
    return torch.where(known > 0, values, guess)


def _beside(u: Tensor, axis: int, step: int, periodic: bool) -> Tensor:
    """Every value's neighbour along an axis; at an edge that doesn't wrap, the value itself."""
    moved = u.roll(step, axis)
    if periodic:
        return moved
    index = torch.arange(u.shape[axis], device=u.device)
    edge = index == (0 if step == 1 else u.shape[axis] - 1)
    return torch.where(edge.reshape(-1, *[1] * (u.ndim - 1 - axis)), u, moved)
