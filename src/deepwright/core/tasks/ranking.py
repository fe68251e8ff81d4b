"""How well scores rank positives above negatives: AUROC and average precision, with ties."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def auroc(scores: Float[Tensor, " n"], positive: Bool[Tensor, " n"]) -> float:
    """P(score of a positive > score of a negative) + P(equal) / 2; both must occur."""
    negatives, positives = scores[~positive].double().sort().values, scores[positive].double()
    below = torch.searchsorted(negatives, positives, right=False)
    up_to = torch.searchsorted(negatives, positives, right=True)
    return float((below + up_to).double().mean() / (2 * len(negatives)))


class AveragePrecision:
    """sum_k (R_k - R_{k-1}) P_k over the distinct scores, for many weightings of the same samples.

    Samples are sorted once; the precision is read where a run of equal scores ends.

    Args:
        scores: (N,) larger = more positive.
        positive: (N,) the truth.
    """

    def __init__(self, scores: Float[Tensor, " n"], positive: Bool[Tensor, " n"]) -> None:
        self.order = scores.argsort(descending=True, stable=True)
        ordered = scores[self.order]
        self.positive = positive[self.order].double()
        last = torch.ones_like(positive)
        last[:-1] = ordered[1:] != ordered[:-1]
        self.ends = slice(None) if bool(last.all()) else last.nonzero().flatten()

    def __call__(self, weights: Float[Tensor, "rows n"]) -> Float[Tensor, " rows"]:
        """One value for each weighting; NaN without a positive."""
        ordered = weights[:, self.order]
        hits = (ordered * self.positive).cumsum(1)[:, self.ends]
        taken = ordered.cumsum(1)[:, self.ends]
        step = torch.diff(hits, dim=1, prepend=torch.zeros_like(hits[:, :1]))
        return (step * hits / taken.clamp_min(1e-300)).sum(1) / hits[:, -1]
