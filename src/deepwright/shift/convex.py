"""Linear heads by convex training: weighted cross-entropy with L2 (Newton-like steps) or L1 (proximal gradient)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LOOK = 10  # steps between two looks at whether it has converged


def fit_l2(
    x: Tensor,
    y: Tensor,
    start: tuple[Tensor, Tensor],
    *,
    weights: Tensor | None = None,
    l2: float = 0.0,
    towards: tuple[Tensor, Tensor] | None = None,
    steps: int = 100,
) -> tuple[Tensor, Tensor]:
    """Minimise sum_i w_i CE_i / sum_i w_i + l2 / 2 |theta - towards|^2 by L-BFGS.

    The offset is pulled where `towards` is given, and free where the pull is to 0.

    Args:
        x: (n, d) rows.
        y: (n,) classes.
        start: weight (classes, d) and bias (classes,).
        weights: (n,) of the rows; alike by default.
        l2: strength of the pull.
        towards: the head that it pulls to; 0 by default.
        steps: of L-BFGS at most.
    """
    share = torch.full_like(x[:, 0], 1 / len(x)) if weights is None else weights / weights.sum()

    def loss(weight: Tensor, bias: Tensor) -> Tensor:
        fitted = (share * F.cross_entropy(x @ weight.T + bias, y, reduction="none")).sum()
        if l2 == 0:
            return fitted
        off = weight.square().sum() if towards is None else _apart((weight, bias), towards)
        return fitted + l2 / 2 * off

    return minimise(loss, start, steps)


def _apart(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
    return (a[0] - b[0]).square().sum() + (a[1] - b[1]).square().sum()


def minimise(loss: object, start: tuple[Tensor, Tensor], steps: int) -> tuple[Tensor, Tensor]:
    """The head with the least of a smooth loss, by L-BFGS with a strong Wolfe line search.

    Args:
        loss: (weight, bias) -> scalar.
        start: weight and bias.
        steps: at most.
    """
    with torch.enable_grad():
        weight, bias = (part.detach().clone().requires_grad_() for part in start)
        search = torch.optim.LBFGS(
            [weight, bias],
            max_iter=steps,
            max_eval=2 * steps,
            tolerance_grad=1e-7,
            tolerance_change=1e-10,
            history_size=20,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Tensor:
            search.zero_grad()
            value: Tensor = loss(weight, bias)  # type: ignore[operator]
            value.backward()
            return value

        search.step(closure)
    return weight.detach(), bias.detach()


def fit_l1(
    x: Tensor, y: Tensor, classes: int, l1: float, *, steps: int = 2000, tolerance: float = 1e-7
) -> tuple[Tensor, Tensor]:
    """Minimise mean CE + l1 |W|_1 (the offset is free) by accelerated proximal gradient with restarts.

    With two classes the optimum's rows are each other's negative, and their difference is the one of a single logit
    with the same l1: scikit-learn's `C` is 1 / (n l1). Several problems of one size are solved together.

    Args:
        x: (..., n, d) rows, about standardised.
        y: (..., n) classes.
        classes: how many.
        l1: strength.
        steps: at most.
        tolerance: stop where no parameter moves more in a step.
    """
    n = x.shape[-2]
    hot = F.one_hot(y, classes).to(x)
    z = torch.cat([x, torch.ones_like(x[..., :1])], -1)
    step = (2.0 * n / largest_square(z)).to(x)[..., None, None]  # the softmax's Hessian is at most 1/2
    shrink = l1 * step * torch.ones_like(z[..., :1, :])
    shrink[..., -1] = 0
    theta = z.new_zeros(*z.shape[:-2], classes, z.shape[-1])
    ahead, momentum = theta, torch.ones_like(step)
    for number in range(steps):
        moved = ahead - step * ((torch.softmax(z @ ahead.mT, -1) - hot).mT @ z / n)
        new = moved.sign() * (moved.abs() - shrink).clamp_min(0)
        change = new - theta
        against = ((ahead - new) * change).sum((-2, -1), keepdim=True) > 0
        momentum = torch.where(against, torch.ones_like(momentum), momentum)
        after = (1 + (1 + 4 * momentum**2).sqrt()) / 2
        ahead = new + (momentum - 1) / after * change
        theta, momentum = new, after
        if number % _LOOK == 0 and float(change.abs().max()) <= tolerance:
            break
    return theta[..., :-1].contiguous(), theta[..., -1].contiguous()


def largest_square(z: Tensor) -> Tensor:
    """(...) the largest eigenvalue of z'z.

    Args:
        z: (..., n, d) rows.
    """
    small = z.mT @ z if z.shape[-1] <= z.shape[-2] else z @ z.mT
    return torch.linalg.eigvalsh(small.double())[..., -1]
