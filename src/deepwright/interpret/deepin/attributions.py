"""Explanations after the fact, for comparison: integrated gradients and permutation SHAP, and how far to trust them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole

Model = nn.Module | Callable[[Tensor], Tensor]


def integrated_gradients(
    model: Model, x: Float[Tensor, "rows variables"], baseline: Tensor | None = None, steps: int = 64
) -> Float[Tensor, "rows variables"]:
    """Attributions that sum to f(x) - f(baseline): gradients along the straight way, by the midpoint rule.

    Args:
        model: (n, p) -> (n,) or (n, 1); of several outputs give a function that picks one.
        x: rows.
        baseline: (p,) where the way begins; zeros by default, the means of standardised columns.
        steps: along the way.

    Raises:
        InputError: several outputs a row.
    """
    require_whole(1, steps=steps)
    origin = torch.zeros_like(x[0]) if baseline is None else baseline.to(x)
    total = torch.zeros_like(x)
    for k in range(steps):
        at = (origin + (k + 0.5) / steps * (x - origin)).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(_single(model(at), len(x)).sum(), at)
        total += gradient
    return (x - origin) * total / steps


def permutation_shap(
    model: Model,
    x: Float[Tensor, "rows variables"],
    background: Float[Tensor, "others variables"],
    permutations: int = 8,
    seed: int = 0,
) -> Float[Tensor, "rows variables"]:
    """Shapley values by walks through orders of the variables and back (antithetic), from rows of a background.

    Each walk replaces a background row's values by the row's own, one variable after another; what the output gains at
    a step is the variable's. They sum to f(x) less the mean output of the background rows that were drawn.

    Args:
        model: (n, p) -> (n,) or (n, 1).
        x: rows.
        background: rows whose values stand in.
        permutations: orders, each walked both ways.
        seed: of orders and background rows.
    """
    require_whole(1, permutations=permutations)
    made = generator(seed, "shap")
    n, p = x.shape
    total = torch.zeros_like(x)
    with torch.no_grad():
        for _ in range(permutations):
            order = torch.randperm(p, generator=made)
            rows = torch.randint(len(background), (n,), generator=made)
            for way in (order, order.flip(0)):
                current = background[rows.to(background.device)].to(x).clone()
                before = _single(model(current), n)
                for j in way.tolist():
                    current[:, j] = x[:, j]
                    after = _single(model(current), n)
                    total[:, j] += after - before
                    before = after
    return total / (2 * permutations)


def deletion_curve(
    model: Model, x: Tensor, y: Tensor, importances: Tensor, insert: bool = False, fill: Tensor | None = None
) -> Tensor:
    """(p + 1,) mean squared errors as variables are taken away (or put back), the most important first.

    What is taken away is set to `fill`, which is off the data where variables hang together: read it beside a planted
    truth.

    Args:
        model: (n, p) -> (n,) or (n, 1).
        x: rows.
        y: (n,) targets.
        importances: (p,).
        insert: begin with all taken away.
        fill: (p,) stands for a variable that is away; zeros by default.
    """
    order = importances.argsort(descending=True, stable=True).tolist()
    blank = (torch.zeros_like(x[0]) if fill is None else fill.to(x)).expand_as(x)
    current, other = (blank.clone(), x) if insert else (x.clone(), blank)
    with torch.no_grad():
        errors = [(_single(model(current), len(x)) - y).square().mean()]
        for j in order:
            current[:, j] = other[:, j]
            errors.append((_single(model(current), len(x)) - y).square().mean())
    return torch.stack(errors)


def _single(out: Tensor, n: int) -> Tensor:
    if out.numel() != n:
        raise InputError(
            "model", given=f"outputs of shape {tuple(out.shape)}", expected=f"one number for each of {n} rows"
        )
    return out.reshape(n)
