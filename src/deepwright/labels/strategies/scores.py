"""Which unlabelled samples to label next, by what a network says about each alone. Higher = label first.

Each score takes logits of classes, or raw outputs with the task that reads them. Where a sample makes several choices
(a label each, a position each) its score is their mean.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.tasks import Task
from deepwright.labels.strategies.given import finite_logits, numbers, require_count, rows
from deepwright.labels.strategies.reading import choices

Score = Callable[[Tensor, Task | None], Tensor]
_Formula = Callable[[Tensor, Tensor, Tensor], Tensor]

_CACHED = 2**18  # elements of a block that stays in the cache through all of a score's steps


def least_confidence(logits: Float[Tensor, "n ..."], task: Task | None = None) -> Float[Tensor, " n"]:
    """1 - max_c p_c = 1 - 1 / sum_c exp(z_c - max z).

    Args:
        logits: of the pool, or raw outputs.
        task: how to read them; None takes them as logits of classes.

    Raises:
        InputError: NaN, probabilities for logits, fewer than two classes, or a task without probabilities.
    """
    return _scored(logits, task, lambda e, gaps, total: 1 - 1 / total)


def entropy(logits: Float[Tensor, "n ..."], task: Task | None = None) -> Float[Tensor, " n"]:
    """- sum_c p_c ln p_c = ln S - sum_c e_c d_c / S, with d = z - max z, e = exp d, S = sum e; p = 0 costs nothing.

    Args:
        logits: of the pool, or raw outputs.
        task: how to read them; None takes them as logits of classes.

    Raises:
        InputError: NaN, probabilities for logits, fewer than two classes, or a task without probabilities.
    """
    return _scored(logits, task, lambda e, gaps, total: total.log() - torch.linalg.vecdot(e, gaps) / total)


def margin(logits: Float[Tensor, "n ..."], task: Task | None = None) -> Float[Tensor, " n"]:
    """1 - (p_(1) - p_(2)): a small lead of the first class over the second.

    Args:
        logits: of the pool, or raw outputs.
        task: how to read them; None takes them as logits of classes.

    Raises:
        InputError: NaN, probabilities for logits, fewer than two classes, or a task without probabilities.
    """

    def score(e: Tensor, gaps: Tensor, total: Tensor) -> Tensor:
        first = gaps.argmax(1, keepdim=True)
        return 1 - (1 - e.scatter(1, first, -1.0).amax(1)) / total

    return _scored(logits, task, score)


def bald(passes: Float[Tensor, "passes n ..."], task: Task | None = None) -> Float[Tensor, " n"]:
    """H(mean_t p_t) - mean_t H(p_t) over stochastic passes or snapshots (arXiv 1703.02910).

    Args:
        passes: logits, or raw outputs, of each pass.
        task: how to read them; None takes them as logits of classes.

    Raises:
        InputError: fewer than two passes, or passes that are all the same (nothing in the network is random).
    """
    kind = passes.dtype if isinstance(passes, Tensor) and passes.is_floating_point() else torch.float32
    passes = numbers(passes, "passes", "a tensor (T, N, classes)")
    if passes.ndim < 2 or len(passes) < 2 or (task is None and passes.ndim != 3):
        raise InputError("passes", given=f"shape {tuple(passes.shape)}", expected="(T, N, classes) with T >= 2")
    if bool((passes == passes[:1]).all()):
        raise InputError(
            "passes",
            given="all the same",
            expected="dropout passes or snapshots that differ",
            hint="a network without dropout needs snapshots of several epochs",
        )
    read = [choices(out, task) for out in passes]
    each = read[0][1]
    p = torch.stack([finite_logits(part, "passes") for part, _ in read]).double().softmax(2)
    gained = _entropy(p.mean(0)) - _entropy(p).mean(0)
    return _a_sample(gained, each).to(kind)


def _entropy(p: Tensor) -> Tensor:
    return -(p * p.clamp_min(1e-300).log()).sum(-1)


def _scored(out: Tensor, task: Task | None, score: _Formula) -> Tensor:
    table, each = choices(out, task)
    return _a_sample(_blockwise(table, score), each)


def _a_sample(values: Tensor, each: int) -> Tensor:
    """The mean over a sample's choices."""
    return values if each == 1 else values.reshape(-1, each).mean(1)


def _blockwise(logits: Tensor, score: _Formula) -> Tensor:
    """score(exp d, d, sum exp d) with d = z - max z, a block at a time.

    Five passes over a large matrix would miss the cache.
    """
    parts = []
    z = finite_logits(logits)
    for block in z.split(max(1, _CACHED // z.shape[1])):
        gaps = (block - block.amax(1, keepdim=True)).clamp_min_(-200.0)  # exp(-200) is 0 in float32, and 0 * -inf isn't
        e = gaps.exp()
        parts.append(score(e, gaps, e.sum(1)))
    return torch.cat(parts) if parts else z.new_zeros(0)


def top(scores: Float[Tensor, " n"], candidates: Int64[Tensor, " m"], k: int) -> Int64[Tensor, " k"]:
    """The k candidates of highest score, where the scores are; ties go to the lower index.

    Args:
        scores: of the pool.
        candidates: indices that may be chosen.
        k: how many.

    Raises:
        InputError: more than there are, or none.
    """
    candidates = rows(candidates, len(scores), "candidates", scores.device)
    require_count(k, len(candidates))
    order = torch.argsort(scores[candidates], descending=True, stable=True)
    return candidates[order[:k]]
