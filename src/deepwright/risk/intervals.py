"""Intervals of numbers: how often claimed ones hold the truth, and conformal ones for a point predictor.

A network that gives one number claims no uncertainty. Its errors on samples that it never saw say how wide intervals
must be, and split conformal prediction makes that a guarantee on average over exchangeable samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_finite, require_within
from deepwright.core.statistics import Interval, conformal_rank, weighted_bootstrap, wilson
from deepwright.risk.calibration import less_noise

LEVELS = (0.5, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Coverage:
    """How often the intervals of one level hold the truth, and how wide they are.

    Attributes:
        level: that was claimed.
        held: share of the targets inside, with its interval.
        width: mean width.
    """

    level: float
    held: Interval
    width: float


def coverage(low: Float[Tensor, " n"], high: Float[Tensor, " n"], y: Float[Tensor, " n"], level: float) -> Coverage:
    """Share of the targets that lie within their intervals, ends included.

    Args:
        low: (N,) lower ends.
        high: (N,) upper ends.
        y: (N,) targets.
        level: that was claimed.

    Raises:
        InputError: other lengths, no target.
    """
    require_within(0, 1, ends="()", level=level)
    if low.ndim != 1 or low.shape != high.shape or low.shape != y.shape or len(y) == 0:
        shapes = ", ".join(str(tuple(t.shape)) for t in (low, high, y))
        raise InputError("intervals", given=f"ends and targets of shapes {shapes}", expected="(N,) each, one or more")
    inside = (low <= y.to(low)) & (y.to(low) <= high)
    return Coverage(level, wilson(int(inside.sum()), len(y)), float((high - low).double().mean()))


def conformal_half_width(errors: Float[Tensor, " n"], level: float) -> float:
    """q such that prediction -+ q holds a new target with probability `level` or more, for exchangeable samples.

    The ceil((n + 1) level)-th smallest absolute error; infinite where so few errors can't give that level.

    Args:
        errors: (N,) prediction - target on samples that the network never saw.
        level: wanted, within (0, 1).

    Raises:
        InputError: NaN or infinity among the errors, another shape.

    Source: "Distribution-Free Predictive Inference For Regression", arXiv 1604.04173.
    """
    require_within(0, 1, ends="()", level=level)
    if errors.ndim != 1:
        raise InputError("errors", given=f"shape {tuple(errors.shape)}", expected="(N,)")
    size = require_finite(errors, "errors").double().abs().sort().values
    rank = conformal_rank(len(size), level)
    return float(size[rank - 1]) if rank <= len(size) else math.inf


def miscoverage(held: Mapping[float, Bool[Tensor, "n outputs"]], seed: int = 0, resamples: int = 500) -> Interval:
    """Mean over levels and outputs of |share held - level|, less what few samples add to it, with its 95 % interval.

    Args:
        held: level -> (N, outputs) whether the interval of that level holds the target.
        seed: of the resamples, which are of whole samples.
        resamples: how many.

    Raises:
        InputError: no level.

    Source: "Accurate Uncertainties for Deep Learning Using Calibrated Regression", arXiv 1807.00263 (the error).
    """
    if not held:
        raise InputError("levels", given="none", expected="at least one")
    levels = torch.tensor(sorted(held), dtype=torch.float64)
    inside = torch.stack([held[level].double() for level in sorted(held)], 1)  # (n, levels, outputs)
    n = len(inside)
    claimed = levels.to(inside.device)[None, :, None]
    noise = (claimed * (1 - claimed) / n).sqrt()

    def error(w: Tensor) -> dict[str, Tensor]:
        share = (w @ inside.flatten(1) / w.sum(1, keepdim=True)).reshape(len(w), *inside.shape[1:])
        return {"error": less_noise((share - claimed).abs(), noise.expand_as(share)).mean((1, 2)).clamp_min(0)}

    if n == 1:
        value = float(error(torch.ones(1, 1, dtype=torch.float64))["error"][0])
        return Interval(value, 0.0, 1.0)
    found = weighted_bootstrap(n, error, resamples=resamples, seed=seed, shares={"error": n}, device=inside.device)
    return found["error"]
