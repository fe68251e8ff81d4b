"""Ranking metrics of anomaly scores (larger = more anomalous), with ties handled by midranks. Torch in, floats out."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import numbers, require_within
from deepwright.core.statistics import conformal_rank
from deepwright.core.tasks import ranking


def _checked(id_scores: Tensor, ood_scores: Tensor) -> tuple[Tensor, Tensor]:
    pair = []
    for name, scores in (("id_scores", id_scores), ("ood_scores", ood_scores)):
        flat = numbers(scores, name)
        pair.append((flat.cpu() if flat.device.type == "mps" else flat).double())  # MPS has no float64
    return pair[0], pair[1].to(pair[0].device)


def _joined(negatives: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """All scores, and which of them are positives."""
    scores = torch.cat([negatives, positives])
    return scores, torch.arange(len(scores), device=scores.device) >= len(negatives)


def auroc(id_scores: Float[Tensor, " n"], ood_scores: Float[Tensor, " m"]) -> float:
    """P(OOD score > ID score) + P(equal) / 2.

    Args:
        id_scores: (n,) in-distribution scores.
        ood_scores: (m,) out-of-distribution scores.
    """
    inside, outside = _checked(id_scores, ood_scores)
    scores, positive = _joined(inside, outside)
    return ranking.auroc(scores, positive)


def fpr_at_tpr(
    id_scores: Float[Tensor, " n"], ood_scores: Float[Tensor, " m"], tpr: float = 0.95, positive: str = "id"
) -> float:
    """Share of the negatives that are taken for positives when a share `tpr` of the positives is accepted.

    positive="id" (OpenOOD's convention): the threshold is the smallest ID score tau with at least `tpr` of the ID
    scores <= tau; the result is the share of OOD scores <= tau. positive="ood": the threshold is the largest OOD score
    with at least `tpr` of the OOD scores >= it; the result is the share of ID scores >= it.

    Args:
        id_scores: (n,) in-distribution scores.
        ood_scores: (m,) out-of-distribution scores.
        tpr: in (0, 1].
        positive: "id" or "ood".
    """
    if not 0 < tpr <= 1:
        raise InputError("tpr", given=tpr, expected="in (0, 1]")
    inside, outside = _checked(id_scores, ood_scores)
    if positive == "ood":
        inside, outside = -outside, -inside
    elif positive != "id":
        raise InputError("positive", given=repr(positive), expected="'id' or 'ood'")
    return float((outside <= acceptance_threshold(inside, tpr)).double().mean())


def acceptance_threshold(scores: Float[Tensor, " n"], tpr: float) -> float:
    """The smallest score tau of the sample with at least a share `tpr` of it <= tau.

    Args:
        scores: (n,).
        tpr: the share.
    """
    ordered = scores.sort().values
    rank = -(-round(tpr * len(ordered) * 1e9) // 10**9)  # ceil, without 0.95 * 100 = 95.00000000000001
    return float(ordered[max(rank, 1) - 1])


def conformal_threshold(scores: Float[Tensor, " n"], tpr: float) -> float:
    """The threshold below which a new sample like these falls with a probability of at least `tpr`.

    The ceil((n + 1) tpr)-th smallest of n held-out scores: split conformal prediction, whatever the distribution of
    scores; the probability is over held-out and new samples together.

    Args:
        scores: (n,) held-out in-distribution scores.
        tpr: the share to accept, in (0, 1).

    Raises:
        InputError: fewer samples than the share needs; more than 1 - tpr of them have the highest score.
    """
    require_within(0.0, 1.0, ends="()", tpr=tpr)
    ordered = numbers(scores, "held-out scores").cpu().double().sort().values
    n, rank = len(ordered), conformal_rank(len(ordered), tpr)
    if rank > n:
        needed = -(-round(tpr / (1 - tpr) * 1e9) // 10**9)
        expected = f"at least {needed} to accept {tpr:.0%} of new ones"
        raise InputError("held-out samples", given=n, expected=expected, hint="more of them, or a lower tpr")
    threshold = ordered[rank - 1]
    tied = float((ordered == threshold).double().mean())
    if threshold == ordered[-1] and tied > max(1 - tpr, 1 / n):
        raise InputError(
            "held-out scores",
            given=f"{tied:.0%} of them the highest, {float(threshold):.6g}",
            expected=f"at most {1 - tpr:.0%}: no threshold accepts {tpr:.0%} and leaves anything foreign",
            hint="another detector",
        )
    return float(threshold)


def aupr(id_scores: Float[Tensor, " n"], ood_scores: Float[Tensor, " m"], positive: str = "ood") -> float:
    """Average precision sum_t (recall_t - recall_{t-1}) precision_t over distinct thresholds.

    Args:
        id_scores: (n,) in-distribution scores.
        ood_scores: (m,) out-of-distribution scores.
        positive: "id" or "ood".
    """
    inside, outside = _checked(id_scores, ood_scores)
    if positive not in ("id", "ood"):
        raise InputError("positive", given=repr(positive), expected="'id' or 'ood'")
    positives, negatives = (outside, inside) if positive == "ood" else (-inside, -outside)
    scores, positive_rows = _joined(negatives, positives)
    ones = torch.ones(1, len(scores), dtype=torch.float64, device=scores.device)
    return float(ranking.AveragePrecision(scores, positive_rows)(ones))


def detection_error(id_scores: Float[Tensor, " n"], ood_scores: Float[Tensor, " m"]) -> float:
    """The smallest mean of the two error rates over all thresholds.

    Args:
        id_scores: (n,) in-distribution scores.
        ood_scores: (m,) out-of-distribution scores.
    """
    inside, outside = _checked(id_scores, ood_scores)
    thresholds = torch.cat([inside, outside]).unique()
    missed = torch.searchsorted(outside.sort().values, thresholds, right=True).double() / len(outside)
    alarms = 1 - torch.searchsorted(inside.sort().values, thresholds, right=True).double() / len(inside)
    return float(torch.cat([(missed + alarms) / 2, missed.new_tensor([0.5])]).min())
