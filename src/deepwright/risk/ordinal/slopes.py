"""Terms of softmax probabilities whose slopes are known: one pass gives the value and the gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

Sloped = Callable[[Tensor, slice], tuple[Tensor | None, Tensor]]
"""Of some rows' probabilities (n, K, *positions) a value and its slopes, all in operations that autograd knows.

Without a value it is half of the sum of probabilities times slopes, as of any form of the second degree.
"""

_IN_CACHE = 2**18  # numbers that are worked on at once on a CPU: its second cache holds a few such arrays


def of_softmax(z: Tensor, sloped: Sloped) -> Tensor:
    """The value at softmax(z), with the gradient by the logits from the known slopes.

    Autograd would keep what each operation of the formula needs and walk back over all of it. Here the slopes G by the
    probabilities P are found beside the value, a few rows at a time so that what lies between stays in the cache, and
    dz = P (G - sum_k P_k G_k) is all that is kept. A second derivative takes the way through autograd.

    Args:
        z: (N, K, *positions) logits.
        sloped: gives, of some rows, either their part of one sum over all rows, or one value a position
            (n, *positions) of which each depends on that position's probabilities only; and its slopes.
    """
    if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and z.requires_grad):
        p = z.softmax(1)
        found, slopes = sloped(p, slice(None))
        return (p * slopes).sum() / 2 if found is None else found
    value: Tensor = _Sloped.apply(z, sloped)[0]
    return value


def _both(z: Tensor, sloped: Sloped, rows: slice) -> tuple[Tensor, Tensor]:
    p = z[rows].softmax(1)
    value, slopes = sloped(p, rows)
    mean = (p * slopes).sum(1, keepdim=True)
    value = mean.sum() / 2 if value is None else value
    return value, (slopes - mean) * p if torch.is_grad_enabled() else slopes.sub_(mean).mul_(p)


def _parts(z: Tensor) -> Iterator[slice]:
    rows = len(z)
    at_once = max(1, _IN_CACHE // max(1, z[0].numel())) if z.device.type == "cpu" and rows else max(1, rows)
    return (slice(begin, begin + at_once) for begin in range(0, max(1, rows), at_once))


class _Sloped(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, sloped: Sloped) -> tuple[Tensor, Tensor]:
        values, slopes = [], torch.empty_like(z)
        for rows in _parts(z):
            value, slopes[rows] = _both(z, sloped, rows)
            values.append(value)
        return (torch.stack(values).sum(0) if values[0].ndim == 0 else torch.cat(values)), slopes

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Sloped], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(inputs[0], output[1])
        ctx.sloped = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        z, slopes = ctx.saved_tensors
        if torch.is_grad_enabled():
            slopes = _both(z, ctx.sloped, slice(None))[1]
        grad = grads[0]
        return (grad if grad.ndim == 0 else grad[:, None]) * slopes, None
