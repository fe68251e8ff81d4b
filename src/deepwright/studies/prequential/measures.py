"""What is read from mean curves, and again from each resample of the seeds: costs, slopes, switches and rival rules."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepwright.core.randomness import derive_seed
from deepwright.core.statistics import Interval
from deepwright.interpret import (
    Envelope,
    LossCurve,
    by_accuracy,
    by_coin,
    by_crossing,
    by_separability,
    by_training_speed,
    intermediate_lines,
    memorising,
)
from deepwright.interpret.prequential.crossings import last_crossing
from deepwright.interpret.prequential.forecasts import interval_with_ends
from deepwright.studies.prequential.trials import ORIGINAL, OWN, joined

RESAMPLES = 1000
_STOPPED = 40  # networks of each feature that stop early
RULES = {
    "forecast": "code length, raw losses",
    "forecast calibrated": "code length, calibrated losses",
    "stopped": "code length, also of networks that stop early, raw losses",
    "stopped calibrated": "code length, also of networks that stop early, calibrated losses",
    "crossing": "where the losses on the original data cross",
    "speed": "where the digit's own loss is halved",
    "coin": "code length, with a coin for the colour",
    "accuracy": "the more accurate feature throughout",
    "separability": "the more linear feature throughout",
}
"""Rule -> its name in tables. Each names a number of samples; 0 and infinity are allowed."""


@dataclass(frozen=True)
class Drawn:
    """A number of the mean curves, and of each resample of the seeds.

    Attributes:
        value: of all seeds.
        draws: one a resample.
    """

    value: float
    draws: np.ndarray

    @property
    def interval(self) -> Interval:
        """With its 95 % percentiles, of which one may be infinite."""
        return interval_with_ends(self.value, self.draws)

    def map(self, change: Callable[..., Any], *others: Drawn) -> Drawn:
        """A function of this number and others, resample by resample.

        Args:
            change: of arrays.
            others: its further arguments.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            value = change(np.float64(self.value), *(np.float64(o.value) for o in others))
            return Drawn(float(value), np.asarray(change(self.draws, *(o.draws for o in others))))


Setting = dict[str, Drawn]
"""All numbers of one setting, by name."""


def settings_of(
    rows: Sequence[Mapping[str, Any]], feature: str, settings: Sequence[Any], seed: int = 0
) -> dict[Any, Setting]:
    """All numbers of every setting; a resample takes the same seeds everywhere.

    Args:
        rows: of each seed, what its trial found.
        feature: "colour" or "watermark", which stands against the digit.
        settings: shares, or sizes of banks.
        seed: of the resamples.
    """
    drawn = np.random.default_rng(derive_seed("seeds", seed=seed)).integers(0, len(rows), (RESAMPLES, len(rows)))
    picks = [np.arange(len(rows)), *(drawn if len(rows) > 1 else [])]
    found: dict[Any, Setting] = {}
    for setting in settings:
        word = f"{setting:g}"
        curves = [joined([r[name] for r in rows], word) for name in (f"{feature} {word}", "digit")]
        curves.append(joined([r[f"learned {word}"] for r in rows]))
        linear = [
            np.array([r.get(name, math.nan) for r in rows]) for name in (f"linear {feature} {word}", "linear digit")
        ]
        each = [
            _numbers([c.resampled(p) for c in curves], feature, [float(v[p].mean()) for v in linear]) for p in picks
        ]
        found[setting] = {k: Drawn(each[0][k], np.array([e[k] for e in each[1:]])) for k in each[0]}
    return found


def _numbers(curves: Sequence[LossCurve], feature: str, linear: Sequence[float]) -> dict[str, float]:
    """Of one resample, in bits and samples; "lead" is the digit's fall of accuracy less the rival's."""
    (rival, digit, learned), (linear_rival, linear_digit) = curves, linear
    found: dict[str, float] = {}
    for end, word in (("", ""), (", calibrated", " calibrated")):
        for name, curve in ((feature, rival), ("digit", digit)):
            found[f"cost {name}{word}"] = curve.cost(test=OWN + end).value
            found[f"slope {name}{word}"] = curve.asymptote(ORIGINAL + end)
    drops = {name: np.nanmean(v, 0) for name, v in learned.reliance.items()}
    lead = drops["digit"] - drops[feature]
    found["observed"] = last_crossing(learned.sizes, lead)
    # where the watermark is the dear one, the switch goes the other way
    found["observed back"] = last_crossing(learned.sizes, -lead)
    for word in ("", " calibrated"):
        found[f"forecast{word}"] = _forecast(found, feature, "digit", word)
        found[f"forecast back{word}"] = _forecast(found, "digit", feature, word)
    for end, word in (("", ""), (", calibrated", " calibrated")):
        found[f"stopped{word}"] = _stopped({feature: rival, "digit": digit}, end).taken_by("digit")
    found["crossing"] = by_crossing(rival, digit, ORIGINAL)
    found["speed"] = by_training_speed(digit, own=OWN)
    slopes = found[f"slope {feature}"], found["slope digit"]
    found["coin"] = by_coin(found["cost digit"], *slopes, float(learned.sizes[-1]))
    found["accuracy"] = by_accuracy(rival, digit, ORIGINAL)
    if not math.isnan(linear_rival):
        found["separability"] = by_separability(linear_rival, linear_digit)
    return found


def _stopped(curves: Mapping[str, LossCurve], end: str) -> Envelope:
    """The envelope of what both features' networks are when they stop early, and of memorising: as published."""
    lines = [memorising()]
    for name, curve in curves.items():
        lines += intermediate_lines(curve, name, ORIGINAL + end, OWN + end, _STOPPED)
    return Envelope(lines)


def _forecast(found: Mapping[str, float], first: str, second: str, word: str) -> float:
    """From how many samples on the second feature's line is the lower one; infinite where it never is."""
    less = found[f"slope {first}{word}"] - found[f"slope {second}{word}"]
    dearer = found[f"cost {second}{word}"] - found[f"cost {first}{word}"]
    return max(0.0, dearer) / less if less > 0 else math.inf


def octaves(samples: Drawn, most: float) -> Drawn:
    """log2 of samples, clipped to what was measured: 1 to `most`.

    Args:
        samples: 0 and infinity among them.
        most: the largest size.
    """

    def octaves(n: Any) -> Any:
        return np.log2(np.clip(n, 1.0, most))

    return samples.map(octaves)


def gap(a: Drawn, b: Drawn) -> Drawn:
    """One number less another, resample by resample.

    Args:
        a: the one.
        b: the other.
    """
    return a.map(operator.sub, b)


def miss(rule: Drawn, observed: Drawn, most: float) -> Drawn:
    """By how many octaves a rule misses the observed switch, both clipped to what was measured.

    Args:
        rule: samples that it names.
        observed: the switch.
        most: the largest size.
    """
    return gap(octaves(rule, most), octaves(observed, most)).map(np.abs)
