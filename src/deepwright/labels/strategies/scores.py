"""Which unlabelled samples to label next, by what a network says about each alone. Higher = label first."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError

Score = Callable[[Tensor], Tensor]


_CACHED = 2**18  # elements of a block that stays in the cache through all of a score's steps


def least_confidence(logits: Float[Tensor, "n classes"]) -> Float[Tensor, " n"]:
    """1 - max_c p_c = 1 - 1 / sum_c exp(z_c - max z)."""
    return _blockwise(logits, lambda e, gaps, total: 1 - 1 / total)


def entropy(logits: Float[Tensor, "n classes"]) -> Float[Tensor, " n"]:
    """- sum_c p_c ln p_c = ln S - sum_c e_c d_c / S, with d = z - max z, e = exp d, S = sum e; p = 0 costs nothing."""
    return _blockwise(logits, lambda e, gaps, total: total.log() - torch.linalg.vecdot(e, gaps) / total)


def margin(logits: Float[Tensor, "n classes"]) -> Float[Tensor, " n"]:
    """1 - (p_(1) - p_(2)): a small lead of the first class over the second."""

    def score(e: Tensor, gaps: Tensor, total: Tensor) -> Tensor:
        first = gaps.argmax(1, keepdim=True)
        return 1 - (1 - e.scatter(1, first, -1.0).amax(1)) / total

    return _blockwise(logits, score)


def _blockwise(logits: Tensor, score: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """score(exp d, d, sum exp d) with d = z - max z, block after block: five passes over a large matrix would miss the cache."""
    parts = []
    z = _checked(logits)
    for block in z.split(max(1, _CACHED // z.shape[1])):
        gaps = (block - block.amax(1, keepdim=True)).clamp_min_(-200.0)  # exp(-200) is 0 in float32, and 0 * -inf isn't
        e = gaps.exp()
        parts.append(score(e, gaps, e.sum(1)))
    return torch.cat(parts) if parts else z.new_zeros(0)


def bald(logits: Float[Tensor, "passes n classes"]) -> Float[Tensor, " n"]:
    """H(mean_t p_t) - mean_t H(p_t) over stochastic passes or snapshots (arXiv 1703.02910).

    Raises:
        InputError: fewer than two passes, or passes that are all the same (nothing in the network is random).
    """
    if logits.ndim != 3 or len(logits) < 2:
        raise InputError("passes", given=f"shape {tuple(logits.shape)}", expected="(T, N, classes) with T >= 2")
    if bool((logits == logits[:1]).all()):
        raise InputError(
            "passes",
            given="all the same",
            expected="dropout passes or snapshots that differ",
            hint="a network without dropout needs snapshots of several epochs",
        )
    p = logits.double().softmax(2)
    mean = p.mean(0)
    return (-(mean * mean.clamp_min(1e-300).log()).sum(1) + (p * p.clamp_min(1e-300).log()).sum(2).mean(0)).to(
        logits.dtype
    )


def _checked(logits: Tensor) -> Tensor:
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise InputError("logits", given=f"shape {tuple(logits.shape)}", expected="(N, classes), two classes or more")
    if bool(torch.isnan(logits.sum())):  # one fast pass; infinities of both signs also end here, and pass
        bad = torch.isnan(logits).any(1)
        if not bool(bad.any()):
            return _single(logits)
        raise InputError("logits", given=f"NaN for samples {bad.nonzero().flatten()[:5].tolist()}", expected="numbers")
    return _single(logits)


def _single(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def top(scores: Float[Tensor, " n"], candidates: Tensor, k: int) -> Tensor:
    """The k candidates of highest score; ties go to the lower index."""
    order = torch.argsort(scores[candidates], descending=True, stable=True)
    return candidates[order[:k]]
