"""Misjudgment scores: how wrong, and how sure of it, each prediction is."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.tasks import Classification
from deepwright.core.tasks.reading import looks_like_probabilities
from deepwright.core.tasks.targets import Labels, Rows, as_tensor

Score = str | Callable[[Tensor, Tensor], Tensor]


def require_scores(xi: Tensor, ndim: int = 1, name: str = "xi") -> Tensor:
    """Ready scores in float64: so many axes, none of them empty, no NaN and no +infinity.

    Args:
        xi: one score a sample (-infinity where nothing speaks for a mistake).
        ndim: how many axes.
        name: how the user knows them.

    Raises:
        InputError: anything else.
    """
    form = "(N,)" if ndim == 1 else "(B, N)"
    if not isinstance(xi, Tensor) or xi.ndim != ndim or xi.numel() == 0:
        given = f"shape {tuple(xi.shape)}" if isinstance(xi, Tensor) else type(xi).__name__
        raise InputError(name, given=given, expected=f"a tensor {form}, one sample or more")
    if not bool((xi < math.inf).all()):
        raise InputError(name, given="NaN or +infinity", expected="numbers")
    return to_float64(xi)


def require_probabilities(p: Tensor, name: str, hint: str | None = None) -> Tensor:
    """Rows of probabilities in float64: one sample or more, two classes or more, 0 or more, and a sum of 1 (1e-3).

    Args:
        p: (N, K).
        name: how the user knows them.
        hint: what else they might be.

    Raises:
        InputError: anything else.
    """
    if p.ndim != 2 or len(p) == 0 or p.shape[1] < 2:
        expected = "(N, K): one sample or more, two classes or more"
        raise InputError(name, given=f"shape {tuple(p.shape)}", expected=expected)
    p = to_float64(p)
    off, least = float((p.sum(1) - 1).abs().max()), float(p.min())
    if not (off <= 1e-3 and least >= -1e-6):  # NaN is neither
        given = f"rows summing to 1 +- {off:.3g}, minimum {least:.3g}"
        raise InputError(name, given=given, expected="probabilities", hint=hint)
    return p


SCORES = ("prob_margin", "score_margin", "true_prob", "brier", "loss")


def misjudgment(
    scores: Rows,
    target: Labels | None,
    score: Score = "prob_margin",
    input: str = "logits",
) -> Float[Tensor, " m"]:
    """Misjudgment scores xi in float64, differentiable.

    Args:
        scores: (N, K) logits or probabilities; (N,) or (N, 1) is expanded to two classes; (N,) losses for "loss".
        target: (N,) labels.
        score: "prob_margin" max_{j != y} p_j - p_y in [-1, 1]; "score_margin" the same on the scores themselves;
            "true_prob" 1 - 2 p_y; "brier" sum_k (p_k - 1[k = y])^2; "loss" scores are xi; or a callable.
        input: "logits", "probs" or "xi".

    Raises:
        InputError: NaN or +infinity, probabilities that don't sum to 1 (1e-3) or that were given as logits, labels out
            of range, fewer than two classes.
    """
    scores = as_tensor(scores, "scores")
    if not bool((scores < math.inf).all()):  # NaN and +inf; -inf is a class that is ruled out
        raise InputError(
            "scores",
            given="NaN or +infinity",
            expected="numbers",
            hint="look for them in the network's inputs or weights",
        )
    scores = to_float64(scores)
    if score == "loss" or input == "xi":
        return scores.reshape(-1)
    if scores.ndim == 1 or scores.shape[1] == 1:
        flat = scores.reshape(-1)
        scores = (
            torch.stack([1 - flat, flat], 1) if input == "probs" else torch.stack([torch.zeros_like(flat), flat], 1)
        )
    if scores.ndim > 2:  # dense targets: (N, K, ...) -> (N * ..., K)
        scores = scores.movedim(1, -1).reshape(-1, scores.shape[1])
        target = None if target is None else as_tensor(target, "target").reshape(-1)
    if len(scores) == 0:
        raise InputError("scores", given="0 samples", expected="at least one")
    if scores.shape[1] < 2:
        raise InputError("scores", given=f"{scores.shape[1]} classes", expected="at least two")
    if target is None:
        raise InputError("target", given="None", expected="labels")
    target = Classification(scores.shape[1]).check_targets(target, len(scores), "target").to(scores.device)
    if callable(score):
        return to_float64(score(scores, target))
    if score not in SCORES:
        raise InputError("score", given=repr(score), expected=f"one of {', '.join(SCORES)} or a callable")
    if score == "score_margin":
        return _margin(scores, target)
    if input == "probs":
        p = require_probabilities(scores, "probs", hint='input="logits"?')
    else:
        if looks_like_probabilities(scores):
            raise InputError(
                "scores",
                given="rows that are 0 or more and sum to 1: these look like probabilities",
                expected="logits",
                hint='input="probs"; logits that only look so may be shifted (scores - 1)',
            )
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


def to_float64(x: Tensor) -> Tensor:
    """In double precision; on the CPU where the device has none (MPS)."""
    return x.cpu().double() if x.device.type == "mps" else x.double()
