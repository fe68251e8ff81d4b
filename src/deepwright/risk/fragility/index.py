"""The Fragility Index: tail risk of confident misjudgments.

For misjudgment scores xi_i with weights p_i and a target tau,

    FI(tau) = inf { k >= 0 : E_q[xi] <= tau + k KL(q || p) for every reweighting q << p },

so that a population which differs from the audit sample by KL exceeds the expected score tau by at most FI * KL.
With phi(k) = k log sum_i p_i exp(xi_i / k) it is the root of phi(k) = tau: 0 when max xi <= tau, infinite when mean
xi >= tau > ... and otherwise unique. Multiplying all scores by c multiplies FI by c, so softer probabilities lower it
without improving anything: compare `normalize=True` (FI / (tau - mean xi)) at matched temperature.

Source: "Fragility-aware Classification for Understanding Risk and Improving Generalization", arXiv 2502.13024; the
closed forms are those of robust satisficing (arXiv 2408.09157).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.tasks.targets import Labels, Rows
from deepwright.risk.fragility.misjudgment_scores import Score, misjudgment, require_scores, to_float64


def fragility_index(
    scores: Rows,
    target: Labels | None = None,
    *,
    tau: float = 0.0,
    score: Score = "prob_margin",
    divergence: str = "kl",
    weights: Tensor | None = None,
    normalize: bool = False,
    input: str = "logits",
) -> Float[Tensor, ""]:
    """FI(tau) in float64: 0 is best, +inf means that the mean score itself misses the target, normalised or not.

    Differentiable with respect to `scores` by the implicit gradient dk/dxi_i = w_i k / sum_j w_j (xi_j - tau), where
    w_i is proportional to p_i exp(xi_i / k).

    Args:
        scores: (N, K) logits or probabilities with `target`, or (N,) misjudgment scores with input="xi".
        target: (N,) labels.
        tau: the expected score that is still acceptable; 0 for margins ("on average the true class wins").
        score: see `misjudgment`.
        input: see `misjudgment`.
        divergence: "kl". A Wasserstein index needs the network, not its scores: `wasserstein_interval`.
        weights: (N,) nonnegative.
        normalize: FI / (tau - mean xi), free of the scale of the scores.

    Raises:
        InputError: names the argument that is wrong.
    """
    if divergence != "kl":
        raise InputError(
            "divergence",
            given=repr(divergence),
            expected="'kl'",
            hint="within score space the Wasserstein index is a function of the mean alone and says nothing new; "
            "use wasserstein_interval(network, x, y) or linear_wasserstein_index(weight, ...)",
        )
    xi = _xi(scores, target, score, input)
    log_p = log_weights(weights, xi)
    _check_tau(tau, xi)
    k = _Index.apply(xi, log_p, float(tau))
    if not normalize:
        return k
    return normalised(k, tau - (xi.mean() if log_p is None else (log_p.exp() * xi).sum()))


def normalised(k: Float[Tensor, "..."], gap: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """FI / (tau - mean xi): 0 where FI is, +inf where the mean misses the target.

    Args:
        k: FI.
        gap: tau - mean xi.
    """
    met = gap > 0
    ratio = k / torch.where(met, gap, 1.0)
    return torch.where(met | (k == 0), ratio, math.inf)


def _xi(scores: Rows, target: Labels | None, score: Score, input: str) -> Tensor:
    if input not in ("logits", "probs", "xi"):
        raise InputError("input", given=repr(input), expected="'logits', 'probs' or 'xi'")
    if input != "xi" and score != "loss" and target is None:
        raise InputError("target", given="None", expected="labels", hint='pass input="xi" for ready misjudgment scores')
    if len(scores) == 0:
        raise InputError("scores", given="0 samples", expected="at least one")
    return misjudgment(scores, target, score, input)


def _check_tau(tau: float, xi: Tensor) -> None:
    if math.isnan(tau):
        raise InputError("tau", given="NaN", expected="a number")
    low, high = float(xi.detach().min()), float(xi.detach().max())
    if not low <= tau <= high and low != high:
        verdict = "0 (every score meets it)" if tau > high else "infinite (no score meets it)"
        warnings.warn(
            f"tau = {tau:g} lies outside the scores' range [{low:.4g}, {high:.4g}]: FI is {verdict}", stacklevel=3
        )


def log_weights(weights: Tensor | None, xi: Tensor) -> Tensor | None:
    """Logarithms of normalised weights beside the scores (None stays None, for uniform ones).

    Args:
        weights: (N,) nonnegative.
        xi: (..., N) the scores.
    """
    if weights is None:
        return None
    w = to_float64(weights).to(xi.device).reshape(-1)
    if len(w) != xi.shape[-1] or not torch.isfinite(w).all() or (w < 0).any() or float(w.sum()) <= 0:
        raise InputError(
            "weights",
            given=f"{len(w)} values, minimum {float(w.min()):.3g}",
            expected=f"{xi.shape[-1]} nonnegative, not all zero",
        )
    return (w / w.sum()).log()


class _Index(torch.autograd.Function):
    """k(xi) with its implicit gradient."""

    @staticmethod
    def forward(ctx: Any, xi: Tensor, log_p: Tensor | None, tau: float) -> Tensor:
        k = _roots(xi[None], torch.tensor([tau], dtype=torch.float64, device=xi.device), log_p)[0]
        ctx.save_for_backward(xi, k, *([] if log_p is None else [log_p]))
        ctx.tau = tau
        return k

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        xi, k, *rest = ctx.saved_tensors
        if not bool(torch.isfinite(k)) or float(k) == 0.0:
            return torch.zeros_like(xi), None, None
        w = tilted_weights(xi, k, rest[0] if rest else None)
        return grads[0] * w * k / (w * (xi - ctx.tau)).sum(), None, None


def tilted_weights(xi: Tensor, k: Tensor, log_p: Tensor | None) -> Tensor:
    """Weights proportional to p_i exp(xi_i / k).

    Args:
        xi: (..., N) scores.
        k: the index.
        log_p: logarithms of the sample's weights; uniform when None.
    """
    z = xi / k
    return torch.softmax(z if log_p is None else z + log_p, -1)


def kl_roots(
    xi: Float[Tensor, "b n"], tau: Float[Tensor, " b"], log_p: Tensor | None = None, tolerance: float = 1e-13
) -> Float[Tensor, " b"]:
    """FI of B rows at once, by Newton's method on psi(theta) = log sum_i p_i exp(theta (xi_i - tau)), theta = 1 / k.

    psi is convex with psi(0) = 0 and psi'(0) < 0, so from any point with psi' > 0 the first step lands right of the
    root and the following ones fall to it monotonically, doubling the digits. Long rows start from the root of a
    thinned copy.

    Args:
        xi: (B, n) float64 scores.
        tau: (B,) targets.
        log_p: (n,) or (B, n) logarithms of normalised weights; uniform when None.
        tolerance: relative, on theta.

    Raises:
        InputError: scores of another rank, without samples, or that are NaN; targets that aren't one a row.
    """
    xi = require_scores(xi, 2)
    if tau.shape != xi.shape[:1] or bool(torch.isnan(tau).any()):
        given = "NaN" if tau.shape == xi.shape[:1] else f"{tuple(tau.shape)} for {len(xi)} rows of scores"
        raise InputError("tau", given=given, expected="a number for each row of scores")
    return _roots(xi, tau.double(), log_p, tolerance)


def _roots(xi: Tensor, tau: Tensor, log_p: Tensor | None = None, tolerance: float = 1e-13) -> Tensor:
    n = xi.shape[1]
    live = None if log_p is None else torch.isfinite(log_p).expand_as(xi)
    top = (xi if live is None else xi.masked_fill(~live, -math.inf)).amax(1)
    mean = xi.mean(1) if log_p is None else (log_p.exp() * xi).sum(1)
    result = torch.where(top <= tau, 0.0, math.inf).to(torch.float64)
    rows = ((top > tau) & (mean < tau)).nonzero().flatten()
    if len(rows) == 0:
        return result
    whole = len(rows) == len(xi)
    x = (xi if whole else xi[rows]) - tau[rows, None]
    lp = None if log_p is None else log_p.expand_as(xi)[rows]
    at_top = x == x.masked_fill(
        torch.zeros_like(x, dtype=torch.bool) if lp is None else ~torch.isfinite(lp), -math.inf
    ).amax(1, True)
    share = at_top.double().mean(1) if lp is None else (lp.exp() * at_top).sum(1)
    ceiling = -share.log() / x.masked_fill(~at_top, 0.0).amax(1)  # psi(ceiling) >= 0
    theta = ceiling.clone()
    if n > 65536 and lp is None:
        thin = _roots(xi[rows][:, :: n // 16384], tau[rows], None, 1e-3)
        theta = torch.where(torch.isfinite(thin) & (thin > 0), 1 / thin, theta).minimum(ceiling)
    buffer = torch.empty_like(x)
    for _ in range(100):
        torch.mul(x, theta[:, None], out=buffer)
        if lp is not None:
            buffer += lp
        shift = buffer.amax(1, True)
        buffer.sub_(shift).exp_()
        total = buffer.sum(1)
        psi = total.log() + shift[:, 0] - (math.log(n) if lp is None else 0.0)
        slope = torch.linalg.vecdot(buffer, x) / total
        step = torch.where(
            slope > 0, psi / slope, -theta
        )  # left of psi's minimum: double theta and come from the right
        theta = (theta - step).minimum(ceiling)
        if bool((step.abs() <= tolerance * theta).all()):
            break
    result[rows] = 1 / theta
    return result
