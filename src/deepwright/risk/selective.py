"""Selective prediction: what the errors are of the samples that are kept when the least sure ones are handed on."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import numbers, require_finite, require_same_length, require_within


def aurc(confidence: Float[Tensor, " n"], errors: Shaped[Tensor, " n"]) -> float:
    """Area under the risk-coverage curve: (1 / n) sum_i r(c_i), with r(c) the mean error where the confidence is >= c.

    Samples of one confidence are kept or handed on together, so that their order says nothing.

    Args:
        confidence: (N,) larger = kept longer.
        errors: (N,) booleans, or any loss of 0 or more.

    Raises:
        InputError: no sample, other lengths, NaN, errors below 0.

    Source: "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", arXiv 1805.08206.
    """
    return float(_risks(*require_ranked(confidence, errors)).mean())


def excess_aurc(confidence: Float[Tensor, " n"], errors: Shaped[Tensor, " n"]) -> float:
    """E-AURC: `aurc` less that of a confidence which ranks the samples by their errors, the least that can be.

    Args:
        confidence: (N,) larger = kept longer.
        errors: (N,) booleans, or any loss of 0 or more.

    Raises:
        InputError: as `aurc`.

    Source: arXiv 1805.08206; the best ranking's area is summed here, not approximated by r + (1 - r) ln(1 - r).
    """
    sure, wrong = require_ranked(confidence, errors)
    best = wrong.sort().values.cumsum(0) / torch.arange(1, len(wrong) + 1, device=wrong.device)
    return max(0.0, float(_risks(sure, wrong).mean() - best.mean()))


def risk_at_coverage(confidence: Float[Tensor, " n"], errors: Shaped[Tensor, " n"], coverage: float) -> float:
    """Mean error of the ceil(coverage n) most confident samples, and of those as confident as the last of them.

    Args:
        confidence: (N,) larger = kept longer.
        errors: (N,) booleans, or any loss of 0 or more.
        coverage: share of the samples to keep, in (0, 1].

    Raises:
        InputError: as `aurc`; a share outside (0, 1].

    Source: "Selective Classification for Deep Neural Networks", arXiv 1705.08500.
    """
    require_within(0, 1, ends="(]", coverage=coverage)
    sure, wrong = require_ranked(confidence, errors)
    kept = max(1, math.ceil(round(coverage * len(sure), 9)))  # 0.95 * 100 isn't 95.00000000000001 samples
    return float(wrong[sure >= sure.sort(descending=True).values[kept - 1]].mean())


def _risks(confidence: Tensor, errors: Tensor) -> Float[Tensor, " n"]:
    """The risk at each sample's own confidence."""
    ordered, order = confidence.sort(descending=True)
    means = errors[order].cumsum(0) / torch.arange(1, len(errors) + 1, device=errors.device)
    last = torch.searchsorted(-ordered, -ordered, right=True) - 1  # of its run of equal confidences
    return means[last]


def require_ranked(confidence: Tensor, errors: Tensor) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Confidences and errors beside them in double precision, both checked.

    Args:
        confidence: (N,) larger = kept longer.
        errors: (N,) booleans, or any loss of 0 or more.

    Raises:
        InputError: as `aurc`.
    """
    sure = numbers(confidence, "confidence").double()
    wrong = require_finite(numbers(errors, "errors").double(), "errors")
    require_same_length(sure, wrong, "confidence and errors")
    if bool((wrong < 0).any()):
        raise InputError("errors", given=f"{float(wrong.min()):.4g}", expected="0 or more")
    return sure, wrong.to(sure.device)
