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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.inference import require_labels

Score = str | Callable[[Tensor, Tensor], Tensor]
SCORES = ("prob_margin", "score_margin", "true_prob", "brier", "loss")


def misjudgment(
    scores: Float[Tensor, "n classes"],
    target: Tensor,
    score: Score = "prob_margin",
    input: str = "logits",
) -> Float[Tensor, " n"]:
    """Misjudgment scores xi in float64, differentiable.

    Args:
        scores: (N, K) logits or probabilities; (N,) or (N, 1) is expanded to two classes; (N,) losses for "loss".
        target: (N,) labels.
        score: "prob_margin" max_{j != y} p_j - p_y in [-1, 1]; "score_margin" the same on the scores themselves;
            "true_prob" 1 - 2 p_y; "brier" sum_k (p_k - 1[k = y])^2; "loss" scores are xi; or a callable.
        input: "logits", "probs" or "xi".

    Raises:
        InputError: NaN, probabilities that don't sum to 1 (1e-3), labels out of range, fewer than two classes.
    """
    if torch.isnan(scores).any():
        raise InputError(
            "scores", given="NaN", expected="numbers", hint="look for NaN in the network's inputs or weights"
        )
    scores = _double(scores)
    if score == "loss" or input == "xi":
        return scores.reshape(-1)
    if scores.ndim == 1 or scores.shape[1] == 1:
        flat = scores.reshape(-1)
        scores = (
            torch.stack([1 - flat, flat], 1) if input == "probs" else torch.stack([torch.zeros_like(flat), flat], 1)
        )
    if scores.ndim > 2:  # dense targets: (N, K, ...) -> (N * ..., K)
        scores = scores.movedim(1, -1).reshape(-1, scores.shape[1])
        target = target.reshape(-1)
    if len(scores) == 0:
        raise InputError("scores", given="0 samples", expected="at least one")
    if scores.shape[1] < 2:
        raise InputError("scores", given=f"{scores.shape[1]} classes", expected="at least two")
    require_labels(target, scores.shape[1], len(scores), "target")
    target = target.to(scores.device)
    if callable(score):
        return _double(score(scores, target))
    if score not in SCORES:
        raise InputError("score", given=repr(score), expected=f"one of {', '.join(SCORES)} or a callable")
    if score == "score_margin":
        return _margin(scores, target)
    if input == "probs":
        off = float((scores.sum(1) - 1).abs().max())
        if off > 1e-3 or float(scores.min()) < -1e-6:
            raise InputError(
                "probs", given=f"rows summing to 1 +- {off:.3g}", expected="probabilities", hint='input="logits"?'
            )
        p = scores
    else:
        p = scores.softmax(1)
    true = p.gather(1, target[:, None])[:, 0]
    if score == "true_prob":
        return 1 - 2 * true
    if score == "brier":
        return (p**2).sum(1) - 2 * true + 1
    return _margin(p, target)


def _margin(scores: Tensor, target: Tensor) -> Tensor:
    true = scores.gather(1, target[:, None])[:, 0]
    others = scores.scatter(1, target[:, None], -math.inf)
    return others.amax(1) - true


def _double(x: Tensor) -> Tensor:
    return x.cpu().double() if x.device.type == "mps" else x.double()  # MPS has no float64


def fragility_index(
    scores: Tensor,
    target: Tensor | None = None,
    *,
    tau: float = 0.0,
    score: Score = "prob_margin",
    divergence: str = "kl",
    weights: Tensor | None = None,
    normalize: bool = False,
    input: str = "logits",
) -> Float[Tensor, ""]:
    """FI(tau) in float64: 0 is best, +inf means that the mean score itself misses the target.

    Differentiable with respect to `scores` by the implicit gradient dk/dxi_i = w_i k / sum_j w_j (xi_j - tau), where
    w_i is proportional to p_i exp(xi_i / k).

    Args:
        scores: (N, K) logits or probabilities with `target`, or (N,) misjudgment scores with input="xi".
        target: (N,) labels.
        tau: the expected score that is still acceptable; 0 for margins ("on average the true class wins").
        score, input: see `misjudgment`.
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
    log_p = _log_weights(weights, xi)
    _check_tau(tau, xi)
    k = _Index.apply(xi, log_p, float(tau))
    if not normalize:
        return k
    mean = xi.mean() if log_p is None else (log_p.exp() * xi).sum()
    return k / (tau - mean)


def _xi(scores: Tensor, target: Tensor | None, score: Score, input: str) -> Tensor:
    if input not in ("logits", "probs", "xi"):
        raise InputError("input", given=repr(input), expected="'logits', 'probs' or 'xi'")
    if input != "xi" and score != "loss" and target is None:
        raise InputError("target", given="None", expected="labels", hint='pass input="xi" for ready misjudgment scores')
    if scores.numel() == 0:
        raise InputError("scores", given="0 samples", expected="at least one")
    return misjudgment(scores, target, score, input)  # type: ignore[arg-type]


def _check_tau(tau: float, xi: Tensor) -> None:
    if math.isnan(tau):
        raise InputError("tau", given="NaN", expected="a number")
    low, high = float(xi.detach().min()), float(xi.detach().max())
    if not low <= tau <= high and low != high:
        verdict = "0 (every score meets it)" if tau > high else "infinite (no score meets it)"
        warnings.warn(
            f"tau = {tau:g} lies outside the scores' range [{low:.4g}, {high:.4g}]: FI is {verdict}", stacklevel=3
        )


def _log_weights(weights: Tensor | None, xi: Tensor) -> Tensor | None:
    if weights is None:
        return None
    w = _double(weights).to(xi.device).reshape(-1)
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
        k = kl_roots(xi[None], torch.tensor([tau], dtype=torch.float64, device=xi.device), log_p)[0]
        ctx.save_for_backward(xi, k, *([] if log_p is None else [log_p]))
        ctx.tau = tau
        return k

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        xi, k, *rest = ctx.saved_tensors
        if not bool(torch.isfinite(k)) or float(k) == 0.0:
            return torch.zeros_like(xi), None, None
        w = _tilted(xi, k, rest[0] if rest else None)
        return grads[0] * w * k / (w * (xi - ctx.tau)).sum(), None, None


def _tilted(xi: Tensor, k: Tensor, log_p: Tensor | None) -> Tensor:
    z = xi / k
    return torch.softmax(z if log_p is None else z + log_p, -1)


def kl_roots(
    xi: Float[Tensor, "b n"], tau: Float[Tensor, " b"], log_p: Tensor | None = None, tolerance: float = 1e-13
) -> Float[Tensor, " b"]:
    """FI of B rows at once, by Newton's method on psi(theta) = log sum_i p_i exp(theta (xi_i - tau)), theta = 1 / k.

    psi is convex with psi(0) = 0 and psi'(0) < 0, so from any point with psi' > 0 the first step lands right of the root
    and the following ones fall to it monotonically, doubling the digits. Long rows start from the root of a thinned copy.

    Args:
        xi: (B, n) float64 scores.
        tau: (B,) targets.
        log_p: (n,) or (B, n) logarithms of normalised weights; uniform when None.
        tolerance: relative, on theta.
    """
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
        thin = kl_roots(xi[rows][:, :: n // 16384], tau[rows], None, 1e-3)
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


def fragility_curve(
    xi: Float[Tensor, " n"], taus: Float[Tensor, " t"], weights: Tensor | None = None
) -> Float[Tensor, " t"]:
    """FI at each target: non-increasing and convex in tau."""
    xi, taus = _double(xi), _double(taus)
    log_p = _log_weights(weights, xi)
    return torch.cat([kl_roots(xi[None], t[None], log_p) for t in taus])


def worst_case_weights(xi: Float[Tensor, " n"], tau: float = 0.0, weights: Tensor | None = None) -> Float[Tensor, " n"]:
    """The reweighting w at which the guarantee is tight: sum w_i xi_i = tau + FI KL(w || p). The cases to review first.

    Where FI is 0 all weight lies on the largest score; where it is infinite the weights are the sample's own.
    """
    xi = _double(xi)
    log_p = _log_weights(weights, xi)
    k = kl_roots(xi[None], torch.tensor([tau], dtype=torch.float64, device=xi.device), log_p)[0]
    if not bool(torch.isfinite(k)):
        return torch.full_like(xi, 1 / len(xi)) if log_p is None else log_p.exp()
    if float(k) == 0:
        top = (xi == xi.max()).double()
        return top / top.sum()
    return _tilted(xi, k, log_p)


def worst_case_mean(xi: Float[Tensor, " n"], rho: float, weights: Tensor | None = None) -> Float[Tensor, ""]:
    """sup { E_q[xi] : KL(q || p) <= rho } = min_k k rho + phi(k); at most tau + FI(tau) rho for every tau.

    Found by bisection on theta = 1/k until KL(w(theta) || p) = rho.
    """
    if not rho >= 0:
        raise InputError("rho", given=rho, expected="0 or more")
    xi = _double(xi)
    log_p = _log_weights(weights, xi)
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
    """The share of cases with xi >= tau + t is at most exp(-t / FI), for every t >= 0."""
    return 0.0 if index == 0 and t > 0 else math.exp(-t / index) if index > 0 else 1.0


def expected_cost_bound(index: float, tau: float, cost_per_score: float, shift: float) -> float:
    """Largest expected cost per case when the population drifts by `shift` (KL) and a unit of score costs so much."""
    return cost_per_score * (tau + index * shift) if math.isfinite(index) else math.inf


@dataclass(frozen=True)
class SurrogateBound:
    """FI(xi, tau) <= FI(loss, tau + offset): what lowering the loss's index guarantees.

    CE - log 2 >= 1 - 2 p_y >= probability margin (tangent of -log at 1/2); hinge - 1 >= score margin.
    """

    name: str
    score: str
    offset: float

    def bound(self, losses: Float[Tensor, " n"], tau: float = 0.0) -> Float[Tensor, ""]:
        """The bound on FI(xi, tau) from per-sample losses."""
        losses = _double(losses)
        return kl_roots(losses[None], torch.tensor([tau + self.offset], dtype=torch.float64, device=losses.device))[0]


CROSS_ENTROPY_BOUND = SurrogateBound("cross_entropy", "prob_margin", math.log(2))
HINGE_BOUND = SurrogateBound("hinge", "score_margin", 1.0)
