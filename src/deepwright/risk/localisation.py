"""Whether the scores of detections say how well their boxes lie."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_finite, require_same_length, require_whole
from deepwright.risk.calibration import confidence_bins

_ROUNDING = 1e-6  # of an overlap


def localisation_ece(
    score: Float[Tensor, " n"], overlap: Float[Tensor, " n"], label: Int64[Tensor, " n"], bins: int = 25
) -> float:
    """Mean over classes of sum_b |sum of (overlap - score)| / N: a score should be precision times overlap (LaECE).

    Args:
        score: (N,) of the detections, in [0, 1].
        overlap: (N,) of each with the true box that it finds, 0 where it finds none.
        label: (N,) the class that is claimed.
        bins: of equal width.

    Raises:
        InputError: no detection, other lengths, scores or overlaps outside [0, 1].

    Source: "Towards Building Self-Aware Object Detectors via Reliable Uncertainty Quantification and Calibration",
    arXiv 2307.00934.
    """
    require_whole(1, bins=bins)
    p, true = require_overlaps(score, overlap, label)
    classes, place = label.to(p.device).unique(return_inverse=True)
    cell = place * bins + confidence_bins(p, bins)
    gaps = p.new_zeros(len(classes) * bins).index_add_(0, cell, true - p).view(-1, bins)
    count = torch.bincount(place, minlength=len(classes))
    return float((gaps.abs().sum(1) / count).mean())


def require_overlaps(score: Tensor, overlap: Tensor, label: Tensor) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Scores and overlaps beside them in double precision, both checked.

    Args:
        score: (N,) of the detections, in [0, 1].
        overlap: (N,) of each with the true box that it finds, 0 where it finds none.
        label: (N,) the class that is claimed.

    Raises:
        InputError: as `localisation_ece`.
    """
    require_same_length(score, overlap, "scores and overlaps")
    require_same_length(score, label, "scores and labels")
    p, true = score.detach().double(), overlap.detach().to(score.device).double()
    for name, values in (("scores", p), ("overlaps", true)):
        if len(require_finite(values, name)) == 0 or bool(((values < 0) | (values > 1 + _ROUNDING)).any()):
            given = f"{float(values.min()):.4g}..{float(values.max()):.4g}" if len(values) else "none"
            raise InputError(name, given=given, expected="one or more within [0, 1]")
    return p, true
