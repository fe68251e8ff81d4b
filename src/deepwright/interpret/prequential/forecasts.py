"""From how many samples on the dearer feature pays, as costs and slopes foretell it, and as reliance shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval
from deepwright.interpret.prequential.crossings import last_crossing, upward_crossings
from deepwright.interpret.prequential.curves import LossCurve, percentile_interval, run_draws


@dataclass(frozen=True)
class Feature:
    """What is known of a feature: its name, what it costs, and what it leaves a label of the original data, in bits."""

    name: str
    cost: Interval
    slope: Interval


@dataclass(frozen=True)
class SwitchForecast:
    """N* = (K_dear - K_cheap) / (l_cheap - l_dear).

    Attributes:
        cheap: the feature that costs less.
        dear: the one that costs more.
        samples: N*, with the 95 % interval of the bootstrap over runs. Infinite where the dear feature never pays.
        verdict: "switch"; "none" where the dear feature never pays (it leaves as much or more); "no forecast" where
            that isn't known, so that N* has no upper end.
        largest: the largest size at which both were measured.
    """

    cheap: Feature
    dear: Feature
    samples: Interval
    verdict: str
    largest: float

    @property
    def words(self) -> str:
        """The forecast, as a person reads it."""
        if self.verdict == "none":
            return f"none: {self.dear.name} costs more and leaves no less than {self.cheap.name}"
        if self.verdict == "no forecast":
            low = f" (not below {self.samples.low:.0f})" if math.isfinite(self.samples.low) else ""
            return f"no forecast: which of the two leaves less isn't known{low}"
        ends = f" [{self.samples.low:.0f}, {self.samples.high:.0f}]" if self.samples.known else ", of one run"
        beyond = f", extrapolated x {self.samples.value / self.largest:.1f}"
        return f"{self.samples.value:.0f}{ends}{beyond if self.samples.value > self.largest else ''}"


@dataclass(frozen=True)
class ObservedSwitch:
    """Where reliance on the dear feature overtakes that on the cheap one.

    Attributes:
        samples: the last crossing, interpolated in log N, with the bootstrap's 95 % interval. Infinite where the cheap
            feature is still relied on at the largest size, 0 where it is at none.
        crossings: all of them, of the mean drops.
        largest: the largest size that was measured.
    """

    samples: Interval
    crossings: tuple[float, ...]
    largest: float

    @property
    def words(self) -> str:
        """The switch, as a person reads it."""
        if self.samples.value == math.inf:
            return f"> {self.largest:.0f}"
        if self.samples.value == 0:
            return "before the smallest size"
        ends = f" [{self.samples.low:.0f}, {self.samples.high:.0f}]" if self.samples.known else ""
        several = f", the last of {len(self.crossings)}" if len(self.crossings) > 1 else ""
        return f"{self.samples.value:.0f}{ends}{several}"


def forecast_switch(
    first: LossCurve,
    second: LossCurve,
    names: tuple[str, str],
    *,
    own: str | None = None,
    original: str | None = None,
    cut: str | None = "settled",
    bootstrap: int = 1000,
    seed: int = 0,
) -> SwitchForecast:
    """The forecast for two features; which is the cheap one follows from their mean curves.

    Args:
        first: curve of one feature's isolated data.
        second: of the other's; of as many runs: a resample takes the same ones of both.
        names: of the two.
        own: test set that costs are read from; the first of each curve when None.
        original: test set that slopes are read from, at the largest size; the first of each curve when None.
        cut: where the integral of the costs ends.
        bootstrap: resamples of the runs.
        seed: of the resamples.

    Raises:
        InputError: curves of different numbers of runs.
    """
    if first.runs != second.runs:
        raise InputError("curves", given=f"{first.runs} and {second.runs} runs", expected="as many")

    def read(curve: LossCurve) -> tuple[float, float]:
        return curve.cost(cut, test=own).value, curve.asymptote(original)

    points = np.array([read(first), read(second)])
    rows = run_draws(first, bootstrap, seed, second)
    drawn = np.array([[read(curve.resampled(r)) for curve in (first, second)] for r in rows]).reshape(-1, 2, 2)
    order = [0, 1] if tuple(points[0]) <= tuple(points[1]) else [1, 0]
    features = [
        Feature(names[i], *(percentile_interval(float(points[i, k]), drawn[:, i, k]) for k in (0, 1))) for i in order
    ]
    value = float(_crossing(points[order][None])[0])
    samples = interval_with_ends(value, _crossing(drawn[:, order]))
    largest = float(min(first.sizes[-1], second.sizes[-1]))
    return SwitchForecast(features[0], features[1], samples, _verdict(samples), largest)


def _crossing(pairs: np.ndarray) -> np.ndarray:
    """(draws, [cheap, dear], [cost, slope]) -> (draws,) N*; infinite where it never comes, 0 where it has come."""
    dearer, less = pairs[:, 1, 0] - pairs[:, 0, 0], pairs[:, 0, 1] - pairs[:, 1, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(less > 0, np.maximum(dearer, 0.0) / less, math.inf)


def interval_with_ends(value: float, drawn: np.ndarray) -> Interval:
    """A value with the 95 % percentiles of draws of which some may be infinite; no ends where there are no draws.

    Args:
        value: of all runs.
        drawn: of the resamples.
    """
    if len(drawn) < 2:
        return Interval(value, -math.inf, math.inf)
    low = float(np.quantile(drawn, 0.025, method="lower"))
    high = float(np.quantile(drawn, 0.975, method="higher"))
    return Interval(value, min(low, value), max(high, value))


def _verdict(samples: Interval) -> str:
    if samples.low == -math.inf:  # one run
        return "switch" if math.isfinite(samples.value) else "none"
    if samples.low == math.inf:
        return "none"
    return "switch" if math.isfinite(samples.high) else "no forecast"


def observed_switch(
    sizes: np.ndarray, cheap: np.ndarray, dear: np.ndarray, bootstrap: int = 1000, seed: int = 0
) -> ObservedSwitch:
    """Where the mean fall of accuracy without the dear feature overtakes that without the cheap one.

    Args:
        sizes: (sizes,) samples.
        cheap: (runs, sizes) falls without the cheap feature.
        dear: (runs, sizes) falls without the dear one.
        bootstrap: resamples of the runs.
        seed: of the resamples.

    Raises:
        InputError: shapes that differ.
    """
    if cheap.shape != dear.shape or cheap.ndim != 2 or cheap.shape[1] != len(sizes):
        given = f"shapes {cheap.shape} and {dear.shape} at {len(sizes)} sizes"
        raise InputError("falls of accuracy", given=given, expected="(runs, sizes) of both")
    curve = LossCurve(np.asarray(sizes, dtype=np.float64), ("lead",), (dear - cheap)[None], (dear - cheap)[None])
    crossings = upward_crossings(curve.sizes, curve.mean())
    drawn = [last_crossing(curve.sizes, curve.resampled(rows).mean()) for rows in run_draws(curve, bootstrap, seed)]
    value = last_crossing(curve.sizes, curve.mean())
    return ObservedSwitch(interval_with_ends(value, np.array(drawn)), tuple(crossings), float(curve.sizes[-1]))


def ratio(forecast: SwitchForecast, observed: ObservedSwitch) -> float:
    """Forecast over observed switch; NaN where there is no forecast, or one of them isn't a number above 0.

    Args:
        forecast: of the two features.
        observed: of the same.
    """
    if forecast.verdict != "switch":
        return math.nan
    a, b = forecast.samples.value, observed.samples.value
    return a / b if math.isfinite(a) and math.isfinite(b) and a > 0 and b > 0 else math.nan
