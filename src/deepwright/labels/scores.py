"""Which unlabelled samples to label next, by what a network says about each alone. Higher = label first."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError

Score = Callable[[Tensor], Tensor]


def least_confidence(logits: Float[Tensor, "n classes"]) -> Float[Tensor, " n"]:
    """1 - max_c p_c."""
    return 1 - _checked(logits).softmax(1).amax(1)


def entropy(logits: Float[Tensor, "n classes"]) -> Float[Tensor, " n"]:
    """- sum_c p_c ln p_c, from log-softmax so that p = 0 costs nothing."""
    log_p = _checked(logits).log_softmax(1)
    return -(log_p.exp() * log_p).nan_to_num(0.0).sum(1)


def margin(logits: Float[Tensor, "n classes"]) -> Float[Tensor, " n"]:
    """1 - (p_(1) - p_(2)): a small lead of the first class over the second."""
    top = _checked(logits).softmax(1).topk(2, 1).values
    return 1 - (top[:, 0] - top[:, 1])


def bald(logits: Float[Tensor, "passes n classes"]) -> Float[Tensor, " n"]:
    """H(mean_t p_t) - mean_t H(p_t) over stochastic passes or snapshots (arXiv 1703.02910).

    Raises:
        InputError: fewer than two passes, or passes that are all the same (nothing in the network is random).
    """
    if logits.ndim != 3 or len(logits) < 2:
        raise InputError("passes", given=f"shape {tuple(logits.shape)}", expected="(T, N, classes) with T >= 2")
    if bool((logits == logits[:1]).all()):
        raise InputError(
            "passes", given="all the same", expected="dropout passes or snapshots that differ",
            hint="a network without dropout needs snapshots of several epochs",
        )  # fmt: skip
    p = logits.double().softmax(2)
    mean = p.mean(0)
    return (-(mean * mean.clamp_min(1e-300).log()).sum(1) + (p * p.clamp_min(1e-300).log()).sum(2).mean(0)).to(
        logits.dtype
    )


def _checked(logits: Tensor) -> Tensor:
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise InputError("logits", given=f"shape {tuple(logits.shape)}", expected="(N, classes), two classes or more")
    bad = torch.isnan(logits).any(1)
    if bool(bad.any()):
        raise InputError("logits", given=f"NaN for samples {bad.nonzero().flatten()[:5].tolist()}", expected="numbers")
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def top(scores: Float[Tensor, " n"], candidates: Tensor, k: int) -> Tensor:
    """The k candidates of highest score; ties go to the lower index."""
    order = torch.argsort(scores[candidates], descending=True, stable=True)
    return candidates[order[:k]]
