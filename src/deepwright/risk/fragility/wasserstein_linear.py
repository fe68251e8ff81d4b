"""Linear classifiers of least Wasserstein fragility where no classical solver fits: many classes, labels that may flip.

The cost of moving a sample is ||x - x'|| + kappa * 1[y != y']. On unbounded inputs

    FI_W(tau) = min { k : max_{j, l} ||w_j - w_l||_* <= k,
                      mean_i max( L(x_i, y_i), max_{y' != y_i} L(x_i, y') - kappa k ) <= tau }.

Both constraints are convex in (W, k) jointly: an augmented Lagrangian with L-BFGS inside finds the minimum. Maxima are
rounded by a log-sum-exp whose width is far below the tolerance.

Source: arXiv 2502.13024; "Regularization via Mass Transportation" (JMLR 2019).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy import optimize
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.risk.fragility.linear_problem import DUAL

_WIDTH = 1e-6  # of every rounded corner where nothing else is said


def label_losses(scores: Float[Tensor, "n classes"], loss: str, width: float = _WIDTH) -> Float[Tensor, "n classes"]:
    """L(x_i, y') for every label y': cross-entropy, or the multiclass hinge max(0, 1 + max_{j != y'} z_j - z_y')."""
    if loss == "cross_entropy":
        return scores.logsumexp(1, keepdim=True) - scores
    top = scores.topk(2, dim=1)
    first = torch.arange(scores.shape[1]) == top.indices[:, :1]
    rival = torch.where(first, top.values[:, 1:], top.values[:, :1])
    gap = 1 + rival - scores
    return F.softplus(gap, beta=1 / width, threshold=40)


def robust_losses(
    scores: Float[Tensor, "n classes"],
    labels: Tensor,
    loss: str,
    k: Tensor | float,
    kappa: float,
    width: float = _WIDTH,
) -> Float[Tensor, " n"]:
    """max(L(x_i, y_i), max_{y' != y_i} L(x_i, y') - kappa k) per sample.

    Args:
        scores: (n, K).
        labels: (n,) classes.
        loss: "cross_entropy" or "hinge".
        k: the index.
        kappa: cost of a flip.
        width: of rounded corners.
    """
    values = label_losses(scores, loss, width)
    own = values.gather(1, labels[:, None])
    if np.isinf(kappa):
        return own[:, 0]
    flips = (values - kappa * k).scatter(1, labels[:, None], own)
    return width * torch.logsumexp(flips / width, 1)


def pair_gaps(weight: Float[Tensor, "rows d"]) -> Float[Tensor, "pairs d"]:
    """w_j - w_l of every pair j < l; one row stands for the gap of two classes."""
    if len(weight) == 1:
        return weight
    first, second = torch.triu_indices(len(weight), len(weight), 1)
    return weight[first] - weight[second]


def solve(
    x: np.ndarray,
    labels: np.ndarray,
    *,
    loss: str,
    norm: float,
    kappa: float,
    tau: float,
    start: np.ndarray,
    d: int,
    tolerance: float = 1e-7,
    rounds: int = 40,
) -> tuple[np.ndarray, float]:
    """(W, k): the weights (rows, columns of x) of least k.

    Args:
        x: (n, d) inputs, with a column of ones behind them when there is a bias.
        labels: (n,) class indices.
        loss: "cross_entropy" or "hinge".
        norm: of the input space: 1, 2 or inf.
        kappa: the cost of flipping a label; inf where labels are certain.
        tau: the target, above the smallest mean loss.
        start: (rows, columns) to begin from; one row for two classes.
        d: how many columns count in the norm.
        tolerance: largest violation of a constraint, relative to tau.
        rounds: of multiplier updates at most.

    Raises:
        InputError: no weights meet the target.
    """
    inputs, y = torch.from_numpy(x).double(), torch.from_numpy(labels).long()
    shape = start.shape

    def scores(w: Tensor) -> Tensor:
        z = inputs @ w.T
        return z if shape[0] > 1 else torch.cat([torch.zeros_like(z), z], 1)

    def constraints(w: Tensor, k: Tensor) -> Tensor:
        """Values that must not be above zero; the first is the target's."""
        mean = robust_losses(scores(w), y, loss, k, kappa, width).mean() - tau
        gaps = pair_gaps(w[:, :d])
        if norm == 1:  # every entry of a gap lies within [-k, k]
            caps = torch.cat([gaps.flatten() - k, -gaps.flatten() - k])
        elif norm == 2:
            caps = (gaps.square().sum(1) + width**2).sqrt() - k
        else:
            caps = (gaps.square() + width**2).sqrt().sum(1) - k
        return torch.cat([mean[None], caps])

    sharpest = 1e-5
    width = 0.03  # the corners sharpen as the multipliers settle: far fewer steps than sharp corners from the start
    multipliers = torch.zeros(len(constraints(torch.from_numpy(start), torch.tensor(1.0))), dtype=torch.float64)
    largest = pair_gaps(torch.from_numpy(start[:, :d])).norm(p=DUAL[norm], dim=1).max()
    theta = np.append(start.ravel(), max(float(largest), 1e-3))
    weight, worst = 10.0, np.inf

    def lagrangian(point: np.ndarray) -> tuple[float, np.ndarray]:
        p = torch.from_numpy(point).requires_grad_(True)
        c = constraints(p[:-1].view(shape), p[-1])
        value = p[-1] + 0.5 * weight * (c + multipliers / weight).clamp_min(0).square().sum()
        (gradient,) = torch.autograd.grad(value, p)
        return float(value.detach()), gradient.numpy()

    for _ in range(rounds):
        options = {"maxiter": 400, "maxfun": 600, "ftol": 1e-15, "gtol": 1e-3 * width, "maxcor": 40}
        theta = optimize.minimize(lagrangian, theta, jac=True, method="L-BFGS-B", options=options).x
        with torch.no_grad():
            c = constraints(torch.from_numpy(theta[:-1]).view(shape), torch.tensor(theta[-1]))
            updated = (multipliers + weight * c).clamp_min(0)
            violation = float(c.clamp_min(0).max())
            settled = float((updated - multipliers).abs().max()) <= 1e-6 * max(1.0, float(updated.max()))
            multipliers = updated
        if violation <= tolerance * max(tau, 1e-3) and settled and width <= sharpest:
            break
        width = max(width / 3, sharpest)
        if violation > 0.3 * worst:
            weight = min(weight * 4, 1e7)
        worst = min(worst, violation)
    if violation > 1e-4 * max(tau, 1e-3):
        raise InputError(
            "target", given=tau, expected="a target that the robust mean loss can reach", hint="raise target or kappa"
        )
    return theta[:-1].reshape(shape), float(theta[-1])
