"""Calibration: does a confidence of 0.8 mean 80 % right? Errors, the reliability diagram, temperature scaling."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.inference import require_labels


@dataclass(frozen=True)
class Reliability:
    """Bins of confidence: how many, how confident, how often right (NaN where a bin is empty)."""

    edges: Tensor
    count: Tensor
    confidence: Tensor
    accuracy: Tensor

    @property
    def ece(self) -> float:
        """Expected calibration error: mean |accuracy - confidence| weighted by the bins' counts."""
        gap = (self.accuracy - self.confidence).abs().nan_to_num(0.0)
        return float((self.count / self.count.sum() * gap).sum())


def reliability(
    logits: Float[Tensor, "n classes"], labels: Int64[Tensor, " n"], bins: int = 15, adaptive: bool = False
) -> Reliability:
    """Bin the samples by the confidence of their prediction.

    Args:
        logits: (N, K).
        labels: (N,).
        bins: number of bins.
        adaptive: bins of equal count instead of equal width.

    Source: "On Calibration of Modern Neural Networks", arXiv 1706.04599; adaptive bins: arXiv 1904.01685.
    """
    if bins < 1:
        raise InputError("bins", given=bins, expected="1 or more")
    require_labels(labels, logits.shape[1], len(logits))
    labels, device = labels.to(logits.device), logits.device
    confidence, predicted = logits.double().softmax(1).max(1)
    right = (predicted == labels).double()
    if adaptive:
        edges = torch.quantile(confidence, torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=device))
        rank = confidence.argsort().argsort()
        index = (rank * bins) // len(confidence)
    else:
        edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=device)
        index = ((confidence * bins).ceil().long() - 1).clamp(0, bins - 1)  # bins (a, b], as the source has them
    count = torch.bincount(index, minlength=bins).double()
    both = torch.stack([confidence, right])
    mean = both.new_zeros(2, bins).index_add_(1, index, both) / count
    return Reliability(edges, count, mean[0], mean[1])


def ece(
    logits: Float[Tensor, "n classes"], labels: Int64[Tensor, " n"], bins: int = 15, adaptive: bool = False
) -> float:
    """Expected calibration error in [0, 1].

    Args:
        logits: (N, K).
        labels: (N,).
        bins: see `reliability`.
        adaptive: see `reliability`.
    """
    return reliability(logits, labels, bins, adaptive).ece


def brier(logits: Float[Tensor, "n classes"], labels: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Per-sample Brier score sum_k (p_k - 1[k = y])^2 in [0, 2].

    Args:
        logits: (N, K).
        labels: (N,).
    """
    labels = labels.to(logits.device)
    p = logits.double().softmax(1)
    return (p**2).sum(1) - 2 * p.gather(1, labels[:, None])[:, 0] + 1


def nll(logits: Float[Tensor, "n classes"], labels: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Per-sample negative log likelihood in nats.

    Args:
        logits: (N, K).
        labels: (N,).
    """
    return F.cross_entropy(logits.double(), labels.to(logits.device), reduction="none")


def fit_temperature(logits: Float[Tensor, "n classes"], labels: Int64[Tensor, " n"]) -> float:
    """The T > 0 that minimises the likelihood loss of logits / T on held-out data.

    The loss is convex in 1 / T; the root of its derivative is bracketed and bisected on log T in [-5, 5].

    Args:
        logits: (N, K).
        labels: (N,).
    """
    require_labels(labels, logits.shape[1], len(logits))
    z = logits.double()
    true = z.gather(1, labels.to(z.device)[:, None])[:, 0]

    def slope(log_temperature: float) -> float:
        p = (z * float(torch.tensor(-log_temperature).exp())).softmax(1)
        return float(((p * z).sum(1) - true).mean())  # d loss / d (1/T): positive when T should grow

    low, high = -5.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return float(torch.tensor((low + high) / 2).exp())
