"""Calibration of claims that come in groups: pixels of an image, detections of an image, labels of a sample.

The claims of a group err together, so they count as one where noise is concerned: intervals draw whole groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole
from deepwright.core.statistics import Interval
from deepwright.risk.calibration import Reliability, confidence_bins, less_noise, require_claims


@dataclass(frozen=True)
class GroupedCalibration:
    """How far claimed probabilities are from what came true.

    Attributes:
        reliability: of the bins; its `ece` is the plain estimate.
        debiased: the estimate without what few groups add to it, with its 95 % interval by groups.
        by_chance: the 95th percentile of the plain estimate for claims that are right on average in each bin.
        overconfidence: mean claim less the share that came true.
        groups: how many there are.
    """

    reliability: Reliability
    debiased: Interval
    by_chance: float
    overconfidence: float
    groups: int

    @property
    def ece(self) -> float:
        """The plain estimate."""
        return self.reliability.ece


def grouped_calibration(
    confidence: Float[Tensor, " n"],
    right: Bool[Tensor, " n"],
    group: Int64[Tensor, " n"],
    bins: int = 15,
    seed: int = 0,
    rows: int = 400,
) -> GroupedCalibration:
    """Expected calibration error of claims in groups, sum_b |G_b| / N, with its interval by groups.

    G_b is the sum over groups of g_cb, the sum of (right - confidence) over the claims of group c in bin b, and N_b the
    number of claims. Its standard error s_b is the root of the sum over groups of (g_cb - n_cb G_b / N_b)^2, and |G_b|
    is reduced by what noise of that size adds to it (`less_noise`). The interval is that of the reduced estimate on
    resamples of whole groups, widened to hold its point, and reaches down to 0 where the plain estimate is within what
    groups of random sign would show, which is what calibrated claims that err together look like.

    Args:
        confidence: (N,) claimed probabilities.
        right: (N,) whether what was claimed came true.
        group: (N,) the group of each claim, any whole numbers.
        bins: of equal width.
        seed: of the draws.
        rows: number of draws.

    Raises:
        InputError: no claim, probabilities outside [0, 1], other lengths.

    Source: "Verified Uncertainty Calibration", arXiv 1909.10155 (removal of the bias); A. C. Cameron, J. B. Gelbach,
    D. L. Miller, "Bootstrap-based improvements for inference with clustered errors", 2008 (groups of random sign).
    """
    require_whole(1, bins=bins, rows=rows)
    p, hit = require_claims(confidence, right)
    if group.shape != p.shape:
        raise InputError("group", given=f"shape {tuple(group.shape)}", expected=f"{tuple(p.shape)}, one a claim")
    place = group.to(p.device).unique(return_inverse=True)[1]
    groups, index = int(place.max()) + 1, confidence_bins(p, bins)
    cell = place * bins + index
    sums = torch.stack([hit.double(), p, torch.ones_like(p)])
    right_sum, sure, count = sums.new_zeros(3, groups * bins).index_add_(1, cell, sums).view(3, groups, bins)
    gaps = right_sum - sure
    total = count.sum(0)
    diagram = Reliability(
        torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=p.device),
        total,
        sure.sum(0) / total,
        right_sum.sum(0) / total,
    )
    value = float(_reduced(torch.ones(1, groups, dtype=p.dtype, device=p.device), gaps, count)[0])
    source = generator(seed, "grouped-calibration")
    drawn = torch.randint(0, groups, (rows, groups), generator=source).to(p.device)
    weights = p.new_zeros(rows, groups).scatter_add_(1, drawn, p.new_ones(rows, groups))
    low, high = _reduced(weights, gaps, count).quantile(p.new_tensor([0.025, 0.975])).tolist()
    signs = (torch.randint(0, 2, (rows, groups), generator=source) * 2 - 1).to(p)
    chance = float(((signs @ gaps).abs().sum(1) / total.sum()).quantile(0.95))
    low = 0.0 if diagram.ece <= chance else min(value, low)
    overconfidence = float(p.mean() - hit.double().mean())
    return GroupedCalibration(diagram, Interval(value, low, min(1.0, max(value, high))), chance, overconfidence, groups)


def _reduced(weights: Float[Tensor, "rows groups"], gaps: Tensor, count: Tensor) -> Float[Tensor, " rows"]:
    """The estimate of each weighting of the groups, less what noise adds to it."""
    gap, n = weights @ gaps, weights @ count
    ratio = gap / n.clamp_min(1)
    spread = (
        weights @ gaps.square() - 2 * ratio * (weights @ (gaps * count)) + ratio.square() * (weights @ count.square())
    )
    lone = (weights @ (count > 0).double()) <= 1  # one group says nothing about its noise: as large as the gap
    noise = torch.where(lone, gap.abs(), spread.clamp_min(0).sqrt()).clamp_min(1e-12)
    return (less_noise(gap.abs(), noise).where(n > 0, 0.0)).sum(1).clamp_min(0) / n.sum(1)
