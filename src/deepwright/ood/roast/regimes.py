"""Regimes: whose windows a detector learns from, how it is shown attacks, and what it then finds in every entity."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_within
from deepwright.ood.metrics import auroc
from deepwright.ood.roast.cohort import Cohort, Part
from deepwright.ood.roast.exposure import OutlierExposure
from deepwright.ood.roast.windowed import Threshold, WindowDetector
from deepwright.ood.roast.windowed import threshold as threshold_of

FITTED = 2 / 3
"""Share of the training windows that a density is fitted on where labels set its threshold on the others."""
View = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Scaler:
    """Channels in deviations of the windows that it was fitted on.

    Attributes:
        centre: mean of each channel.
        spread: deviation of each; 1 where one never moves.
    """

    centre: Float[Tensor, " channels"]
    spread: Float[Tensor, " channels"]

    @classmethod
    def fitted(cls, x: Float[Tensor, "n steps channels"]) -> Scaler:
        """From windows.

        Args:
            x: benign ones of the entities that are trained on.
        """
        spread = x.std((0, 1), unbiased=False)
        return cls(x.mean((0, 1)), torch.where(spread > 0, spread, 1.0))

    def __call__(self, x: Tensor) -> Tensor:
        """Windows in deviations."""
        return (x - self.centre.to(x)) / self.spread.to(x)

    def farthest(self, x: Tensor) -> float:
        """How many deviations the mean of a channel of other windows lies away, at most.

        Args:
            x: windows.
        """
        return float(((x.mean((0, 1)) - self.centre.to(x)) / self.spread.to(x)).abs().max())


@dataclass(frozen=True)
class Setup:
    """What a detector sees, and how it is shown attacks.

    Attributes:
        detector: makes one.
        exposure: how attacks are shown; None for benign windows only.
        threshold: see `WindowDetector.set_threshold`.
        value: its number.
        view: windows -> what the detector sees; in deviations of the benign training windows by default.
        per_entity: a threshold for each entity, on its own training windows.
    """

    detector: Callable[[], WindowDetector]
    exposure: OutlierExposure | None = None
    threshold: str | Threshold = "quantile"
    value: float = 0.95
    view: View | None = None
    per_entity: bool = False

    def __post_init__(self) -> None:
        if self.per_entity and self.exposure is not None:
            expected = "exposure=None: attacked rows set one threshold for all"
            raise InputError("per_entity", given="beside an exposure", expected=expected)


@dataclass(frozen=True)
class Regime:
    """What one detector says of the later part of every entity.

    Attributes:
        trained_on: entities.
        detector: fitted.
        view: windows -> what it sees.
        thresholds: of each entity.
        benign: scores of each entity's windows.
        attacked: scores of those that the attack changed.
        seconds: of the fit.
    """

    trained_on: tuple[Any, ...]
    detector: WindowDetector
    view: View
    thresholds: dict[Any, float]
    benign: dict[Any, Tensor]
    attacked: dict[Any, Tensor]
    seconds: float
    fitted_windows: int = 0
    notes: tuple[str, ...] = field(default=())

    def recall(self, names: Iterable[Any] | None = None) -> float:
        """Mean over entities of the share of attacked windows that are alarms; NaN where nobody was attacked."""
        return _mean(self._share(self.attacked, name) for name in self._of(names))

    def false_alarms(self, names: Iterable[Any] | None = None) -> float:
        """Mean over entities of the share of benign windows that are alarms."""
        return _mean(self._share(self.benign, name) for name in self._of(names))

    def precision(self, names: Iterable[Any] | None = None) -> float:
        """Of all alarms, the attacked ones, with as many attacked windows as benign ones; NaN without an alarm."""
        of = self._of(names)
        hits = sum(int((self.attacked[n] > self.thresholds[n]).sum()) for n in of)
        false = sum(int((self.benign[n] > self.thresholds[n]).sum()) for n in of)
        return hits / (hits + false) if hits + false else math.nan

    def f1(self, names: Iterable[Any] | None = None) -> float:
        """2 P R / (P + R) of the pooled windows."""
        of = self._of(names)
        hits = sum(int((self.attacked[n] > self.thresholds[n]).sum()) for n in of)
        false = sum(int((self.benign[n] > self.thresholds[n]).sum()) for n in of)
        total = sum(len(self.attacked[n]) for n in of)
        return 2 * hits / (hits + false + total) if total else math.nan

    def auroc(self, names: Iterable[Any] | None = None) -> float:
        """Of attacked against benign windows of the entities pooled; NaN where one of them is empty."""
        of = self._of(names)
        benign, attacked = (torch.cat([scores[n] for n in of]) for scores in (self.benign, self.attacked))
        return auroc(benign, attacked) if len(benign) and len(attacked) else math.nan

    def at_rate(self, rate: float) -> Regime:
        """The same with one threshold, at which `rate` of all entities' benign windows are alarms.

        Args:
            rate: of false alarms, common to all that are compared.
        """
        require_within(0, 1, rate=rate)
        pooled = torch.cat(list(self.benign.values())).double().sort(descending=True).values
        allowed = math.floor(rate * len(pooled) + 1e-9)
        cut = float(pooled[allowed]) if allowed < len(pooled) else -math.inf
        return self.with_thresholds(dict.fromkeys(self.benign, cut))

    def with_thresholds(self, thresholds: Mapping[Any, float]) -> Regime:
        """The same with other thresholds.

        Args:
            thresholds: of each entity.
        """
        return replace(self, thresholds=dict(thresholds))

    def by_entity(self) -> dict[Any, dict[str, float]]:
        """Recall, false alarms, precision, F1 and AUROC of each entity by itself."""
        measures = ("recall", "false_alarms", "precision", "f1", "auroc")
        return {name: {m: getattr(self, m)([name]) for m in measures} for name in self.benign}

    def _of(self, names: Iterable[Any] | None) -> list[Any]:
        return list(self.benign) if names is None else list(names)

    def _share(self, scores: Mapping[Any, Tensor], name: Any) -> float:
        found = scores[name]
        return float((found > self.thresholds[name]).double().mean()) if len(found) else math.nan


def run_regime(cohort: Cohort, ids: Sequence[Any], setup: Setup, train: Mapping[Any, Part] | None = None) -> Regime:
    """Fit a detector on the earlier part of some entities, and score the later part of all.

    Args:
        cohort: everybody, attacked.
        ids: whom the detector learns from.
        setup: what it sees, and how.
        train: other windows than the cohort's to learn from.

    Raises:
        InputError: nobody to learn from, or nobody of that name.
    """
    parts = cohort.train if train is None else train
    strange = [name for name in ids if name not in parts]
    if not ids or strange:
        raise InputError("ids", given=strange or "nobody", expected="entities of the cohort")
    view = Scaler.fitted(torch.cat([parts[name].x for name in ids])) if setup.view is None else setup.view
    notes = _far_off(view, parts, ids)
    begin = time.perf_counter()
    detector, threshold, fitted = _fitted(parts, ids, setup, view)
    seconds = time.perf_counter() - begin
    thresholds = dict.fromkeys(cohort.test, threshold)
    if setup.per_entity:
        known = _own_scores(detector, parts, ids)
        for name in cohort.test:
            own = known[name] if name in known else detector.score(view(parts[name].x))
            thresholds[name] = threshold_of(own, None, "quantile", setup.value)
    benign = {name: detector.score(view(part.x)) for name, part in cohort.test.items()}
    attacked = {name: detector.score(view(part.attacked[part.differs])) for name, part in cohort.test.items()}
    return Regime(tuple(ids), detector, view, thresholds, benign, attacked, seconds, fitted, notes)


def own_regimes(cohort: Cohort, setup: Setup) -> Regime:
    """Each entity with a detector of its own.

    Args:
        cohort: everybody, attacked.
        setup: of each.
    """
    found = {name: run_regime(cohort, [name], setup) for name in cohort.train}
    some = next(iter(found.values()))
    return Regime(
        tuple(found),
        some.detector,
        some.view,
        {name: one.thresholds[name] for name, one in found.items()},
        {name: one.benign[name] for name, one in found.items()},
        {name: one.attacked[name] for name, one in found.items()},
        sum(one.seconds for one in found.values()),
        sum(one.fitted_windows for one in found.values()),
        ("scores of different detectors: an AUROC over entities compares what isn't comparable",),
    )


def _fitted(
    parts: Mapping[Any, Part], ids: Sequence[Any], setup: Setup, view: View
) -> tuple[WindowDetector, float, int]:
    detector = setup.detector()
    if setup.exposure is None:
        x = torch.cat([view(parts[name].x) for name in ids])
        detector.fit(x)
        return detector, detector.set_threshold(setup.threshold, setup.value), len(x)
    shown = setup.exposure.build(
        {name: parts[name].x for name in ids}, {name: parts[name].attacked for name in ids}, ids
    )
    if setup.exposure.mode == "mixed":
        detector.fit(view(shown.x))
        return detector, detector.set_threshold("quantile", 0.5), len(shown.x)  # contamination 0.5, as published
    early = torch.cat([_earlier(int((shown.entity == k).sum())) for k in range(len(ids))]).to(shown.y.device)
    seen = view(shown.x)
    detector.fit(seen[early], shown.y[early])
    late = ~early
    return (
        detector,
        detector.set_threshold(setup.threshold, setup.value, seen[late], shown.y[late]),
        int((early & ~shown.y).sum()),
    )


def _own_scores(detector: WindowDetector, parts: Mapping[Any, Part], ids: Sequence[Any]) -> dict[Any, Tensor]:
    """Training scores by entity: none of these windows is its own neighbour."""
    sizes = [len(parts[name].x) for name in ids]
    if len(detector.training_scores_) != sum(sizes):  # a detector that left some of them out
        return {}
    return dict(zip(ids, detector.training_scores_.split(sizes)))


def _earlier(n: int) -> Tensor:
    return torch.arange(n) < round(FITTED * n)


def _far_off(view: Any, parts: Mapping[Any, Part], ids: Sequence[Any]) -> tuple[str, ...]:
    if not isinstance(view, Scaler):
        return ()
    far = {name: view.farthest(part.x) for name, part in parts.items() if name not in ids}
    worst = max(far, key=lambda name: far[name], default=None)
    if worst is None or far[worst] < 3:
        return ()
    return (f"{worst!r} lies {far[worst]:.1f} deviations of the trained entities away: its alarms say little",)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
