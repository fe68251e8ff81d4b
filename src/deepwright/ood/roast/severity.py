"""How bad it is to be told wrongly: severities of mistaking one state for another, and an entity's risk under attack.

Source: "ROAST: Risk-aware Outlier-exposure for Adversarial Selective Training of Anomaly Detectors Against Evasion
Attacks", arXiv 2603.26093.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

MEASURES = ("severity", "exposure_normalized", "flip_rate")
"""What risk is, of forecasts under attack."""
_MMOL = 35.0  # a median of glucose below it is no mg/dL: everybody would be low


@dataclass(frozen=True)
class SeverityMatrix:
    """What it costs that state `i` is taken for state `j`, over states that are ordered ranges of the target.

    Attributes:
        edges: between the states, rising.
        weights: one row an actual state, one column a predicted one; 0 where nothing is lost.
        normal: the state that an edge's own value belongs to: edges below it are counted to the state above them.
        event_edges: edges of windows with an event (a meal); the same by default.
        names: of the states.
        least_median: of the targets, below which they are in another unit; none by default.
    """

    edges: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    normal: int = 0
    event_edges: tuple[float, ...] | None = None
    names: tuple[str, ...] = ()
    least_median: float = -math.inf

    def __post_init__(self) -> None:
        states = len(self.edges) + 1
        for edges in (self.edges, self.event_edges or self.edges):
            if len(edges) != states - 1 or any(not a < b for a, b in itertools.pairwise(edges)) or not edges:
                raise InputError("edges", given=edges, expected=f"{states - 1} or more rising numbers")
        if len(self.weights) != states or any(len(row) != states for row in self.weights):
            raise InputError("weights", given=f"{len(self.weights)} rows", expected=f"{states} x {states} numbers")
        if any(not (math.isfinite(w) and w >= 0) for row in self.weights for w in row):
            raise InputError("weights", given="a negative or infinite one", expected="finite numbers of 0 or more")
        require_whole(0, normal=self.normal)
        if self.normal >= states or (self.names and len(self.names) != states):
            raise InputError("states", given=f"{self.names}, normal={self.normal}", expected=f"{states} of them")

    @classmethod
    def glucose(cls, hi: str | float = "meal") -> SeverityMatrix:
        """Low below 70 mg/dL, high above `hi`: low taken for high 64, normal for high 32, low for normal 16, ...

        Args:
            hi: "meal" for 180 where a meal lies within the window and 125 elsewhere, as published; or one number.

        Raises:
            InputError: another word, a number that isn't above 70.
        """
        if isinstance(hi, str) and hi != "meal":
            raise InputError("hi", given=repr(hi), expected="'meal', or a number of mg/dL")
        usual, eaten = (125.0, 180.0) if isinstance(hi, str) else (float(hi), float(hi))
        weights = ((0.0, 16.0, 64.0), (2.0, 0.0, 32.0), (8.0, 4.0, 0.0))
        return cls((70.0, usual), weights, 1, (70.0, eaten), ("low", "normal", "high"), _MMOL)

    def states(self, values: Float[Tensor, "n ..."], event: Bool[Tensor, " n"] | None = None) -> Int64[Tensor, "n ..."]:
        """The state of each value.

        Args:
            values: of the target.
            event: of each window; none by default.
        """
        found = self._counted(values, self.edges)
        if event is None or self.event_edges is None:
            return found
        after = self._counted(values, self.event_edges)
        return torch.where(event.to(values.device).view(-1, *[1] * (values.ndim - 1)), after, found)

    def _counted(self, values: Tensor, edges: tuple[float, ...]) -> Tensor:
        of = torch.tensor(edges, dtype=values.dtype, device=values.device)
        passed = values[..., None] > of
        passed[..., : self.normal] = values[..., None] >= of[: self.normal]
        return passed.sum(-1)

    def of(self, actual: Tensor, predicted: Tensor) -> Tensor:
        """The severity of each pair of states.

        Args:
            actual: states.
            predicted: states.
        """
        return self._table(actual)[actual, predicted]

    def worst(self, actual: Tensor) -> Tensor:
        """The largest severity that can be reached from each state.

        Args:
            actual: states.
        """
        return self._table(actual).amax(1)[actual]

    def _table(self, beside: Tensor) -> Tensor:
        return torch.tensor(self.weights, dtype=torch.float64, device=beside.device)


@dataclass(frozen=True)
class RiskProfile:
    """What an attack does to an entity's forecasts, window by window.

    Attributes:
        series: risk of each window, in the order of time.
        mean: risk of the entity; NaN where no harm can be reached, which is no robustness.
        flip_rate: share of its windows in which some forecast is harmful.
        measure: what `mean` is.
    """

    series: Float[Tensor, " n"]
    mean: float
    flip_rate: float
    measure: str = "severity"

    @property
    def mean_log(self) -> float:
        """Mean of log(1 + risk), by which entities are ranked: one window of a catastrophe doesn't decide."""
        if self.measure != "severity":
            return self.mean
        return float(self.series.log1p().mean())


def risk_profile(
    y_true: Float[Tensor, "n horizon"],
    y_adv: Float[Tensor, "n horizon"],
    severity: SeverityMatrix,
    mode: str = "severity",
    event: Bool[Tensor, " n"] | None = None,
) -> RiskProfile:
    """R = S(y, f(x_adv)) (f(x_adv) - y)^2, the mean over the steps of a forecast.

    "severity" is its mean, as published: an entity that is in a bad state most of the time can't be flipped to it, and
    looks robust. "exposure_normalized" divides by the same with the largest severity that can be reached from the
    actual state; "flip_rate" is the share of windows with a harmful forecast. None of them cures that altogether:
    compare with how rough an entity's benign series is (`roughness`).

    Args:
        y_true: what came.
        y_adv: what is forecast under attack.
        severity: of mistaking states.
        mode: of `MEASURES`.
        event: whether each window has one, see `SeverityMatrix`.

    Raises:
        InputError: an unknown mode, unlike shapes, no window, numbers that aren't finite.
    """
    if mode not in MEASURES:
        raise InputError("mode", given=repr(mode), expected=" or ".join(map(repr, MEASURES)))
    if y_true.shape != y_adv.shape or y_true.ndim != 2 or not len(y_true):
        given = f"shapes {tuple(y_true.shape)} and {tuple(y_adv.shape)}"
        raise InputError("forecasts", given=given, expected="(N, horizon) twice, with N of 1 or more")
    for name, values in (("y_true", y_true), ("y_adv", y_adv)):
        if not bool(torch.isfinite(values).all()):
            raise InputError(name, given="missing or infinite values", expected="finite numbers")
    middle = float(y_true.median())
    if middle < severity.least_median:
        given, expected = f"a median of {middle:.3g}", f"{severity.least_median:g} or more: another unit?"
        raise InputError("y_true", given=given, expected=expected, hint="glucose in mmol/L times 18.016 is in mg/dL")
    truth, told = y_true.double(), y_adv.double().to(y_true.device)
    actual, taken = severity.states(truth, event), severity.states(told, event)
    weight, far = severity.of(actual, taken), (told - truth).square()
    series, flips = (weight * far).mean(1), float((weight > 0).any(1).double().mean())
    if mode == "flip_rate":
        return RiskProfile(series, flips, flips, mode)
    if mode == "severity":
        return RiskProfile(series, float(series.mean()), flips, mode)
    most = float((severity.worst(actual) * far).sum())
    return RiskProfile(series, float((weight * far).sum()) / most if most > 0 else math.nan, flips, mode)


def roughness(y_true: Float[Tensor, "n horizon"], benign: Float[Tensor, "n horizon"]) -> RiskProfile:
    """How far benign forecasts of the next step are off: a risk that looks at no attack.

    Args:
        y_true: what came.
        benign: what is forecast without an attack.
    """
    error = (benign[:, 0] - y_true[:, 0]).double()
    return RiskProfile(error.square(), float(error.square().mean().sqrt()), 0.0, "roughness")


def min_perturbation(flipped: Bool[Tensor, "budgets n"], eps: Any) -> float:
    """Median over windows of the smallest budget that flips a forecast; infinite where half are never flipped.

    Args:
        flipped: whether each budget does, rising.
        eps: the budgets, rising.

    Raises:
        InputError: unlike lengths, budgets that don't rise.
    """
    budgets = torch.as_tensor(eps, dtype=torch.float64)
    if flipped.ndim != 2 or len(budgets) != len(flipped) or not bool((budgets.diff() > 0).all()):
        raise InputError("eps", given=budgets.tolist(), expected=f"{len(flipped)} rising budgets")
    reached = flipped.to(torch.int8).cummax(0).values.bool()
    smallest = torch.where(reached, budgets[:, None].to(flipped.device), math.inf).amin(0)
    return float(smallest.sort().values[(len(smallest) - 1) // 2])
