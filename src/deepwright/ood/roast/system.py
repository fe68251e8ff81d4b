"""ROAST itself: attack everybody, see who is at risk, train a detector on the others, and say whether that was right.

Source: "ROAST: Risk-aware Outlier-exposure for Adversarial Selective Training of Anomaly Detectors Against Evasion
Attacks", arXiv 2603.26093.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Tensor, nn

from deepwright.core.errors import InputError, NotFittedError
from deepwright.core.requirements import require_within
from deepwright.core.results import Table
from deepwright.core.statistics import Interval, mean_interval, paired_permutation
from deepwright.ood.roast.cohort import Cohort, Part, attack_cohort
from deepwright.ood.roast.density import KNNDetector
from deepwright.ood.roast.exposure import OutlierExposure
from deepwright.ood.roast.regimes import Regime, Setup, View, own_regimes, run_regime
from deepwright.ood.roast.selection import EntitySelector
from deepwright.ood.roast.severity import RiskProfile, SeverityMatrix
from deepwright.ood.roast.windowed import WindowDetector

CV = "cv"


@dataclass(frozen=True)
class CrossValidation:
    """Whether a selection finds more than everybody does, each entity by detectors that never saw it.

    Attributes:
        gain: of recall at the common rate of false alarms, the mean over entities.
        accepted: whether its interval lies above 0.
        rate: of false alarms, over all entities.
    """

    gain: Interval
    accepted: bool
    rate: float


def cross_validate(
    cohort: Cohort, ids: list[Any], setup: Setup, rate: float = 0.05, scored: Mapping[Any, Part] | None = None
) -> CrossValidation:
    """Leave one entity out: is it better watched by a detector of the selected others, or by one of all others?

    Only the earlier parts are looked at. Both arms get one threshold each, at which the same share of all entities'
    benign windows are alarms.

    Args:
        cohort: everybody, attacked.
        ids: the selected.
        setup: of the detectors.
        rate: of false alarms.
        scored: windows of each entity that was left out; by default those that others learn from.

    Raises:
        InputError: fewer than two selected.
    """
    if len(ids) < 2:
        raise InputError("selected entities", given=len(ids), expected="2 or more to leave one out")
    arms: tuple[dict[Any, Regime], dict[Any, Regime]] = ({}, {})
    for name in cohort.train:
        here = replace(cohort, test={name: (cohort.train if scored is None else scored)[name]})
        for arm, chosen in zip(arms, (ids, list(cohort.train)), strict=True):
            arm[name] = run_regime(here, [other for other in chosen if other != name], setup)
    selected, everybody = (_joined(arm).at_rate(rate) for arm in arms)
    gains = [selected.recall([name]) - everybody.recall([name]) for name in cohort.train]
    known = [gain for gain in gains if not math.isnan(gain)]
    if len(known) < 2:
        raise InputError("attack", given=f"{len(known)} entities whose windows it changes", expected="2 or more")
    gain = mean_interval(known)
    return CrossValidation(gain, gain.low > 0, rate)


def _joined(found: Mapping[Any, Regime]) -> Regime:
    some = next(iter(found.values()))
    benign = {name: one.benign[name] for name, one in found.items()}
    attacked = {name: one.attacked[name] for name, one in found.items()}
    thresholds = {name: one.thresholds[name] for name, one in found.items()}
    return replace(some, trained_on=tuple(found), benign=benign, attacked=attacked, thresholds=thresholds)


class Roast:
    """Selective training of an anomaly detector in front of a forecaster.

    Args:
        model: windows (N, steps, channels) -> forecasts (N, horizon).
        attack: (model, x, y) -> attacked x, or an object with `x_adv`.
        severity: of mistaking states.
        selector: splits entities; "cv" takes the lowest half by risk, and keeps everybody where that doesn't find more.
        exposure: how the detector is shown attacks; None for benign windows only.
        detector: makes one.
        measure: of risk; see `Cohort.profiles`.
        view: windows -> what the detector sees; see `Setup`.
        threshold: see `WindowDetector.set_threshold`; with "mixed" exposure the median, as published.
        value: its number.
        rate: of false alarms at which regimes are compared.
        cut: share of an entity's windows that is learned from; the others are measured on.
        checkpoint: keeps attacked entities; see `attack_cohort`.

    Attributes:
        cohort_: everybody, attacked.
        profiles_: entity -> risk.
        selector_: fitted.
        cross_validation_: with "cv", what it found.
        regime_: what the detector says of the later parts.
    """

    def __init__(
        self,
        model: nn.Module,
        attack: Callable[..., Any],
        severity: SeverityMatrix,
        selector: EntitySelector | str | None = None,
        exposure: OutlierExposure | None = None,
        detector: Callable[[], WindowDetector] = KNNDetector,
        *,
        measure: str = "severity",
        view: View | None = None,
        threshold: str | Callable[[Tensor, Tensor | None], float] = "quantile",
        value: float = 0.95,
        rate: float = 0.05,
        cut: float = 0.75,
        checkpoint: Any = None,
    ) -> None:
        if isinstance(selector, str) and selector != CV:
            selector = EntitySelector(selector)
        require_within(0, 1, ends="()", rate=rate)
        self.validates = selector == CV
        self.model, self.attack, self.severity, self.measure = model, attack, severity, measure
        self.selector_ = selector if isinstance(selector, EntitySelector) else EntitySelector()
        self.setup = Setup(detector, exposure, threshold, value, view)
        self.rate, self.cut, self.checkpoint = rate, cut, checkpoint
        self.cohort_: Cohort | None = None
        self.profiles_: dict[Any, RiskProfile] = {}
        self.cross_validation_: CrossValidation | None = None
        self.regime_: Regime | None = None

    def fit(self, streams: Mapping[Any, Any]) -> Self:
        """Attack, profile, select, train.

        Args:
            streams: entity -> `data.Windows`.

        Raises:
            InputError: see `attack_cohort`, `EntitySelector.fit` and `run_regime`.
        """
        self.cohort_ = attack_cohort(self.model, self.attack, streams, cut=self.cut, checkpoint=self.checkpoint)
        self.profiles_ = self.cohort_.profiles(self.severity, self.measure)
        chosen = self.selector_.fit(self.profiles_).less_vulnerable_
        if self.validates:
            self.cross_validation_ = cross_validate(self.cohort_, chosen, self.setup, self.rate)
            chosen = chosen if self.cross_validation_.accepted else list(self.cohort_.train)
        self.regime_ = run_regime(self.cohort_, chosen, self.setup)
        return self

    @property
    def kept_(self) -> tuple[Any, ...]:
        """The entities that the detector was trained on."""
        return self._regime().trained_on

    def predict(self, x: Tensor) -> Tensor:
        """Whether each window is an alarm.

        Args:
            x: windows as the forecaster gets them.
        """
        regime = self._regime()
        return regime.detector.predict(regime.view(x))

    def regimes(self) -> dict[str, Regime]:
        """What else could have been done with the same attacked windows: everybody, the others, each its own, ...

        Raises:
            NotFittedError: before `fit`.
        """
        cohort, everybody = self._cohort(), list(self._cohort().train)
        benign = replace(self.setup, exposure=None, threshold="quantile", value=0.95)
        less, more = self.selector_.less_vulnerable_, self.selector_.more_vulnerable_
        found = {"all, benign": run_regime(cohort, everybody, benign)}
        found["less vulnerable, benign"] = run_regime(cohort, less, benign)
        if more:
            found["more vulnerable, benign"] = run_regime(cohort, more, benign)
        found["all, benign, threshold per entity"] = run_regime(cohort, everybody, replace(benign, per_entity=True))
        found["each its own"] = own_regimes(cohort, benign)
        for mode in ("mixed", "labeled"):
            shown = replace(self.setup, exposure=OutlierExposure(mode), threshold="fbeta", value=1.0)
            found[f"all, {mode}"] = run_regime(cohort, everybody, shown)
            found[f"less vulnerable, {mode}"] = run_regime(cohort, less, shown)
        return found

    def table(self, found: Mapping[str, Regime] | None = None) -> Table:
        """Regimes side by side: recall never without its false alarms, and all of them at one common rate.

        Args:
            found: of `regimes`, which are run where they aren't given.
        """
        found = self.regimes() if found is None else found
        kept = set(self.selector_.less_vulnerable_)
        excluded = [name for name in self._cohort().test if name not in kept]
        base = found["all, benign"].at_rate(self.rate)
        rows: list[list[Any]] = []
        for name, regime in found.items():
            even = regime.at_rate(self.rate)
            pairs = [(even.recall([n]), base.recall([n])) for n in even.benign]
            pairs = [(a, b) for a, b in pairs if not math.isnan(a + b)]
            these, those = [a for a, _ in pairs], [b for _, b in pairs]
            p = paired_permutation(these, those) if name != "all, benign" and pairs else None
            comparable = not regime.notes or "comparable" not in regime.notes[0]
            rows.append(
                [
                    name,
                    len(regime.trained_on),
                    regime.recall(),
                    regime.false_alarms(),
                    regime.false_alarms(excluded) if excluded else None,
                    regime.precision(),
                    regime.auroc() if comparable else None,
                    even.recall() if comparable else None,
                    p if comparable else None,
                    regime.seconds,
                ]
            )
        heads = ["regime", "entities", "recall", "false alarms", "of the excluded", "precision", "AUROC"]
        heads += [f"recall at {self.rate:.0%} false alarms", "p against all, benign", "seconds of fit"]
        cohort = self._cohort()
        caption = (
            f"{len(cohort.test)} entities, means over them on their later parts; attacks took {cohort.seconds:.1f} s. "
            "Recall at thresholds of their own compares unlike rates of false alarms: read the last but two."
        )
        return Table(heads, rows, caption)

    def _cohort(self) -> Cohort:
        if self.cohort_ is None:
            raise NotFittedError("Roast")
        return self.cohort_

    def _regime(self) -> Regime:
        if self.regime_ is None:
            raise NotFittedError("Roast")
        return self.regime_


def ranking(profiles: Mapping[Any, RiskProfile]) -> list[tuple[Any, float]]:
    """Entities by rising risk; those of unknown risk last.

    Args:
        profiles: entity -> risk.
    """
    risks = [(name, profile.mean_log) for name, profile in profiles.items()]
    return sorted(risks, key=lambda pair: math.inf if math.isnan(pair[1]) else pair[1])
