"""The whole experiment: what each feature costs alone, what a network relies on together, and both side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from deepwright.core.errors import InputError
from deepwright.core.results import Figure, Table
from deepwright.interpret.prequential.curves import LossCurve
from deepwright.interpret.prequential.forecasts import (
    ObservedSwitch,
    SwitchForecast,
    forecast_switch,
    observed_switch,
    ratio,
)
from deepwright.interpret.prequential.learners import Learner
from deepwright.interpret.prequential.lines import CompressionLine, Envelope, intermediate_lines, memorising
from deepwright.interpret.prequential.measuring import CALIBRATED, loss_curve
from deepwright.interpret.prequential.reliance import reliance_plan
from deepwright.interpret.prequential.stacking import FitConfig
from deepwright.interpret.prequential.views import Exchangeable, View

OWN, ORIGINAL = "isolated", "original"
"""Test sets of a feature's curve."""


@dataclass(frozen=True)
class SwitchReport:
    """What `SwitchStudy.run` found.

    Attributes:
        curves: feature -> curve of its isolated data, on the tests "isolated" and "original" (and both calibrated).
        learned: curve of the original data, with the reliance on each feature.
        seed: of the bootstraps.
        classes: of the labels.
    """

    curves: dict[str, LossCurve]
    learned: LossCurve
    seed: int = 0
    classes: int = 2

    def tests(self, calibrated: bool = False) -> dict[str, str]:
        """The names of the two test sets, as `forecast_switch` takes them.

        Args:
            calibrated: those of calibrated networks.
        """
        end = CALIBRATED if calibrated else ""
        return {"own": OWN + end, "original": ORIGINAL + end}

    def forecast(
        self, first: str, second: str, cut: str | None = "settled", calibrated: bool = False
    ) -> SwitchForecast:
        """From how many samples on the dearer of two features pays.

        Args:
            first: a feature.
            second: another.
            cut: where the integral of the costs ends.
            calibrated: by calibrated losses.
        """
        curves = self.curves[first], self.curves[second]
        tests: dict[str, Any] = self.tests(calibrated)
        return forecast_switch(*curves, (first, second), cut=cut, seed=self.seed, **tests)

    def observed(self, cheap: str, dear: str) -> ObservedSwitch:
        """From how many samples on the network relies on the second of two features more than on the first.

        Args:
            cheap: a feature.
            dear: another.
        """
        drops = self.learned.reliance
        return observed_switch(self.learned.sizes, drops[cheap], drops[dear], seed=self.seed)

    def envelope(
        self, cut: str | None = "settled", calibrated: bool = False, stopped: int = 0, classes: int | None = None
    ) -> Envelope:
        """The lowest of all features' lines, of those that stop early if asked, and of memorising.

        Args:
            cut: where the integral of the costs ends.
            calibrated: by calibrated losses.
            stopped: lines of networks that stop early, for each feature.
            classes: of the labels that memorising pays for; those that there are when None.
        """
        tests = self.tests(calibrated)
        lines = [memorising(self.classes if classes is None else classes)]
        for name, curve in self.curves.items():
            slope = curve.asymptote(tests["original"])
            lines.append(CompressionLine.of(name, curve.cost(cut, test=tests["own"]), slope, "bits"))
            if stopped:
                lines += intermediate_lines(curve, name, tests["original"], tests["own"], stopped)
        return Envelope(lines)

    def table(self, cut: str | None = "settled", calibrated: bool = False) -> Table:
        """Costs, slopes, forecast and observed switch of each two features.

        Args:
            cut: where the integral of the costs ends.
            calibrated: by calibrated losses.
        """
        rows: list[list[Any]] = []
        for pair in combinations(self.curves, 2):
            told = self.forecast(*pair, cut, calibrated)
            seen = self.observed(told.cheap.name, told.dear.name)
            sides = [cell for f in (told.cheap, told.dear) for cell in (f.name, f"{f.cost:.0f}", f"{f.slope:.3f}")]
            quotient = ratio(told, seen)
            rows.append([*sides, told.words, seen.words, None if np.isnan(quotient) else quotient])
        sides = [w for s in ("cheap", "dear") for w in (f"{s} feature", f"its bits ({s})", f"bits a label left ({s})")]
        caption = f"Costs of features, and the samples from which the dear one is used; {self.learned.runs} runs"
        return Table([*sides, "forecast", "observed", "forecast / observed"], rows, caption)

    def figure(self) -> Figure:
        """What the network relies on, by samples."""
        sizes = [float(n) for n in self.learned.sizes]
        drops = self.learned.reliance
        series = [{"name": name, "x": sizes, "y": np.nanmean(v, 0).tolist()} for name, v in drops.items()]
        title = "What the network relies on"
        return Figure("line", title, series, "training samples", "accuracy lost when permuted", log_x=True)


@dataclass(frozen=True)
class SwitchStudy:
    """Each feature alone, and all of them together.

    Attributes:
        features: name -> view in which that feature alone tells the label; the name is an attribute of `samples`.
        original: view of the data as they are.
        samples: test samples whose attributes can be exchanged.
        make_learner: seed -> network or learner.
        sizes: training samples, rising.
        runs: of each.
        seed: of everything.
        fit: how networks are trained.
        n_permutations: of each attribute.
        examples: test samples that are permuted; all when None.
    """

    features: Mapping[str, View]
    original: View
    samples: Exchangeable
    make_learner: Callable[[int], nn.Module | Learner]
    sizes: Sequence[int]
    runs: int = 5
    seed: int = 0
    fit: FitConfig = field(default_factory=FitConfig)
    n_permutations: int = 200
    examples: int | None = 200

    def __post_init__(self) -> None:
        unknown = [name for name in self.features if name not in self.samples.codes]
        if unknown or not self.features:
            expected = f"some of {', '.join(self.samples.codes)}"
            raise InputError("features", given=", ".join(unknown) or "none", expected=expected)

    def run(self, n_jobs: int = 1, cache_dir: Path | str | None = None) -> SwitchReport:
        """Train everything; what is on disk already isn't trained again.

        Args:
            n_jobs: processes.
            cache_dir: a folder for finished stacks.
        """
        plans = {
            name: reliance_plan(self.samples, name, self.n_permutations, self.seed, self.examples)
            for name in self.features
        }
        curves = {
            name: self._curve(view, {OWN: view.test, ORIGINAL: self.original.test}, None, n_jobs, cache_dir)
            for name, view in self.features.items()
        }
        learned = self._curve(self.original, {ORIGINAL: self.original.test}, plans, n_jobs, cache_dir)
        parts = (self.original.train, self.original.validation, self.original.test)
        classes = max(2, *(int(y.max()) + 1 for _, y in parts))
        return SwitchReport(curves, learned, self.seed, classes)

    def _curve(self, view: View, tests: Any, plans: Any, n_jobs: int, cache_dir: Path | str | None) -> LossCurve:
        return loss_curve(
            self.make_learner,
            view.train,
            view.validation,
            tests,
            self.sizes,
            self.runs,
            self.seed,
            fit=self.fit,
            reliance=plans,
            n_jobs=n_jobs,
            cache_dir=cache_dir,
        )
