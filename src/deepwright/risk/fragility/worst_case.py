"""What an index says of populations other than the audited one: worst cases, bounds, the curve over targets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number
from deepwright.risk.fragility.index import kl_roots, log_weights, tilted_weights
from deepwright.risk.fragility.misjudgment_scores import require_scores, to_float64


def fragility_curve(
    xi: Float[Tensor, " n"], taus: Float[Tensor, " t"], weights: Tensor | None = None
) -> Float[Tensor, " t"]:
    """FI at each target: non-increasing and convex in tau.

    Args:
        xi: (N,) misjudgment scores.
        taus: (t,) targets, brought to where the scores are.
        weights: (N,) nonnegative; uniform when None.
    """
    xi = require_scores(xi)
    if taus.ndim != 1 or len(taus) == 0:
        raise InputError("taus", given=f"shape {tuple(taus.shape)}", expected="(t,): one target or more")
    taus = to_float64(taus).to(xi.device)
    log_p = log_weights(weights, xi)
    return torch.cat([kl_roots(xi[None], t[None], log_p) for t in taus])


def worst_case_weights(xi: Float[Tensor, " n"], tau: float = 0.0, weights: Tensor | None = None) -> Float[Tensor, " n"]:
    """The reweighting w at which the guarantee is tight: sum w_i xi_i = tau + FI KL(w || p). The cases to review first.

    Where FI is 0 all weight lies on the largest score; where it is infinite the weights are the sample's own.

    Args:
        xi: (N,) misjudgment scores.
        tau: target.
        weights: (N,) nonnegative; uniform when None.
    """
    xi = require_scores(xi)
    require_number(infinite=True, tau=tau)
    log_p = log_weights(weights, xi)
    k = kl_roots(xi[None], torch.tensor([tau], dtype=torch.float64, device=xi.device), log_p)[0]
    if not bool(torch.isfinite(k)):
        return torch.full_like(xi, 1 / len(xi)) if log_p is None else log_p.exp()
    if float(k) == 0:
        top = (xi == xi.max()).double()
        return top / top.sum()
    return tilted_weights(xi, k, log_p)


def worst_case_mean(xi: Float[Tensor, " n"], rho: float, weights: Tensor | None = None) -> Float[Tensor, ""]:
    """sup { E_q[xi] : KL(q || p) <= rho } = min_k k rho + phi(k); at most tau + FI(tau) rho for every tau.

    Found by bisection on theta = 1/k until KL(w(theta) || p) = rho.

    Args:
        xi: (N,) misjudgment scores.
        rho: the largest divergence, 0 or more.
        weights: (N,) nonnegative; uniform when None.
    """
    require_number(0, rho=rho)
    xi = require_scores(xi)
    log_p = log_weights(weights, xi)
    log_p = torch.full_like(xi, -math.log(len(xi))) if log_p is None else log_p
    spread = float(xi.max() - xi.min())
    if spread == 0 or rho == 0:
        return (log_p.exp() * xi).sum()
    low, high = 0.0, 1 / spread

    def tilt(theta: float) -> tuple[Tensor, float]:
        log_w = (theta * xi + log_p).log_softmax(-1)
        w = log_w.exp()
        return w, float((w * (log_w - log_p).nan_to_num(0.0)).sum())

    while tilt(high)[1] < rho and high < 1e9 / spread:
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if tilt(middle)[1] < rho else (low, middle)
    return (tilt(high)[0] * xi).sum()


def tail_bound(index: float, t: float) -> float:
    """The share of cases with xi >= tau + t is at most exp(-t / FI), for every t >= 0.

    Args:
        index: FI(tau).
        t: how far above the target.

    Raises:
        InputError: an index or a distance below 0.
    """
    require_number(0, infinite=True, index=index, t=t)
    return 0.0 if index == 0 and t > 0 else math.exp(-t / index) if index > 0 else 1.0


def expected_cost_bound(index: float, tau: float, cost_per_score: float, shift: float) -> float:
    """Largest expected cost per case when the population drifts and a unit of score costs so much.

    Args:
        index: FI(tau).
        tau: target.
        cost_per_score: cost of a unit of score.
        shift: KL divergence of the drifted population from the audited one.
    """
    return cost_per_score * (tau + index * shift) if math.isfinite(index) else math.inf


@dataclass(frozen=True)
class SurrogateBound:
    """FI(xi, tau) <= FI(loss, tau + offset): what lowering the loss's index guarantees.

    CE - log 2 >= 1 - 2 p_y >= probability margin (tangent of -log at 1/2); hinge - 1 >= score margin.

    Attributes:
        name: the loss.
        score: the misjudgment score that it bounds.
        offset: what to add to the target.
    """

    name: str
    score: str
    offset: float

    def bound(self, losses: Float[Tensor, " n"], tau: float = 0.0) -> Float[Tensor, ""]:
        """The bound on FI(xi, tau) from per-sample losses.

        Args:
            losses: (N,).
            tau: target.
        """
        losses = to_float64(losses)
        return kl_roots(losses[None], torch.tensor([tau + self.offset], dtype=torch.float64, device=losses.device))[0]


CROSS_ENTROPY_BOUND = SurrogateBound("cross_entropy", "prob_margin", math.log(2))


HINGE_BOUND = SurrogateBound("hinge", "score_margin", 1.0)
