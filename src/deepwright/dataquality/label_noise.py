"""How many labels are wrong: the noise that no temperature of the classifier explains."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_finite, require_same_length
from deepwright.core.statistics import Interval

_COARSE = torch.logspace(-0.6, 1.4, 21, dtype=torch.float64)
_RATES = torch.cat([torch.zeros(1, dtype=torch.float64), torch.logspace(-5, -0.01, 42, dtype=torch.float64)])
_FINE, _FINE_RATES = 9, 101
_WIDENED = 5  # times that the fine rates are spread, till the interval ends within them
_DROP = 1.9207  # half of the 95 % quantile of chi square with one degree of freedom


@dataclass(frozen=True)
class LabelNoise:
    """Uniform noise of labels.

    Attributes:
        rate: share of wrong labels, with its 95 % profile-likelihood interval. Where it isn't identified, NaN in an
            interval up to 1.
        temperature: of the classifier's probabilities.
        wrong: (N,) probability that each label is wrong; NaN where the rate isn't identified.
        identified: whether these labels and this classifier tell the rate: the interval ends before the rates that were
            tried do (0.98 (K - 1) / K; at (K - 1) / K a label says nothing), and so does the temperature (25).
    """

    rate: Interval
    temperature: float
    wrong: Float[Tensor, " n"]
    identified: bool


def fit_label_noise(probabilities: Float[Tensor, "n classes"], labels: Int64[Tensor, " n"]) -> LabelNoise:
    """The most likely share of labels that were drawn anew, beside the classifier's own doubt.

    With q the classifier's probabilities at temperature T, the given label has the probability
    (1 - e) q + e (1 - q) / (K - 1). T and e are those of the largest likelihood: what the classifier isn't sure of is
    explained by T, what it is sure of and contradicts the label by e. Confident errors of the classifier count as
    wrong labels.

    Args:
        probabilities: of a classifier that didn't learn these labels.
        labels: as they were given.

    Raises:
        InputError: rows that aren't probabilities, labels out of range, no samples.
    """
    logs = require_probabilities(probabilities, labels).clamp_min(1e-30).log()
    labels = labels.to(logs.device).long()
    others = logs.shape[1] - 1
    rates = _RATES * min(1.0, others / logs.shape[1])  # at (K - 1) / K a label says nothing
    temperature, profile = _profile(logs, labels, _COARSE, rates, others)
    rate = float(rates[int(profile.argmax())])
    about = max(6 * math.sqrt((rate + 1 / len(logs)) / len(logs)), 0.3 * rate)  # six deviations, and the coarse step
    cap, step = float(rates[-1]), math.log10(float(_COARSE[1] / _COARSE[0]))
    near = math.log10(temperature) + torch.linspace(-step, step, _FINE, dtype=torch.float64)
    for _ in range(_WIDENED):
        low, high = max(0.0, rate - about), min(cap, rate + about)
        rates = torch.linspace(low, high, _FINE_RATES, dtype=torch.float64)
        t, profile = _profile(logs, labels, 10**near, rates, others)
        inside = rates[profile >= profile.max() - _DROP]
        ends = float(inside.min()), float(inside.max())
        if (ends[0] > low or low == 0) and (ends[1] < high or high == cap):
            break
        about *= 3
    if ends[1] >= cap or temperature >= float(_COARSE[-1]):
        low = ends[0] if temperature < float(_COARSE[-1]) else 0.0
        unknown = torch.full_like(logs[:, 0], math.nan)
        return LabelNoise(Interval(math.nan, low, 1.0), t, unknown, identified=False)
    rate = float(rates[int(profile.argmax())])
    q = _own(logs, labels, t)
    noise = rate * (1 - q) / others
    wrong = noise / ((1 - rate) * q + noise).clamp_min(1e-300)
    return LabelNoise(Interval(rate, *ends), t, wrong, identified=True)


def _profile(logs: Tensor, labels: Tensor, temperatures: Tensor, rates: Tensor, others: int) -> tuple[float, Tensor]:
    """The likeliest temperature, and the log-likelihood of each rate at the best temperature for it."""
    found = torch.stack([_likelihood(_own(logs, labels, t), rates, others) for t in temperatures.tolist()])
    return float(temperatures[int(found.max(1).values.argmax())]), found.max(0).values


def _own(logs: Tensor, labels: Tensor, temperature: float) -> Tensor:
    return (logs / temperature).log_softmax(1).gather(1, labels[:, None])[:, 0].exp()


def _likelihood(own: Tensor, rates: Tensor, others: int) -> Tensor:
    """Log-likelihood of each rate."""
    found = [((1 - e) * own + e * (1 - own) / others).clamp_min(1e-300).log().sum() for e in rates.tolist()]
    return torch.stack(found).cpu()


def require_probabilities(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Probabilities in float64, refused with their labels where either isn't what it is called.

    Args:
        probabilities: (N, classes), rows that sum to 1.
        labels: (N,) classes.

    Raises:
        InputError: anything else.
    """
    if probabilities.ndim != 2 or not probabilities.is_floating_point() or probabilities.shape[1] < 2:
        given = f"{probabilities.dtype} of shape {tuple(probabilities.shape)}"
        raise InputError("probabilities", given=given, expected="floats (N, classes), two classes or more")
    require_same_length(probabilities, labels, "probabilities and labels")
    if not len(labels):
        raise InputError("probabilities", given="no sample", expected="at least one")
    require_finite(probabilities, "probabilities")
    p = probabilities.double()
    if float(p.min()) < -1e-6 or float((p.sum(1) - 1).abs().max()) > 1e-3:
        raise InputError("probabilities", given="rows that don't sum to 1", expected="probabilities", hint="a softmax")
    if labels.ndim != 1 or _is_no_count(labels) or int(labels.min()) < 0 or int(labels.max()) >= p.shape[1]:
        given = f"{labels.dtype}" if _is_no_count(labels) else f"{labels.dtype}, {labels.min()} to {labels.max()}"
        raise InputError("labels", given=given, expected=f"whole numbers (N,), 0 to {p.shape[1] - 1}")
    return p


def _is_no_count(labels: Tensor) -> bool:
    return labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool
