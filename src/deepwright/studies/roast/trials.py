"""One cohort, one forecaster, one attack, and every regime of training a detector on the same attacked windows."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial import SequenceFGSM
from deepwright.core.fit import fit
from deepwright.core.randomness import derive_seed, generator, local_rng
from deepwright.core.tasks import Forecast
from deepwright.data import Windows, make_glucose_cohort, make_machine_fleet
from deepwright.ood import (
    Cohort,
    EntitySelector,
    KNNDetector,
    OutlierExposure,
    Regime,
    Setup,
    SeverityMatrix,
    attack_cohort,
    cross_validate,
    own_regimes,
    run_regime,
)
from deepwright.studies._clock import one_thread

HISTORY, HORIZON, EVERY = 12, 6, 6
RATE = 0.05
WIDE = 0.3
"""A rate of false alarms at which a detector of quiet entities isn't blind to the others."""
PENALTY = 0.03
KINDS = ("steady and labile", "steady ones overlap", "training secretly attacked", "machines", "another forecaster")
"""The cohort as it is; the failing control; the positive control; another domain; a recurrent forecaster."""
ALL, LESS, MORE = "all, benign", "less vulnerable, benign", "more vulnerable, benign"
EACH, OWN, RANDOM = "all, benign, a threshold per entity", "each its own", "random half, benign"
SHOWN = {(who, mode): f"{who}, {mode}" for who in ("all", "less vulnerable") for mode in ("mixed", "labeled")}
DRAWS = 10
_READINGS = (40.0, 400.0)
_POISONED = 0.9


class Ridge(nn.Module):
    """A linear forecaster of standardised windows.

    Args:
        x: training windows.
        y: what came.
        penalty: of the squared weights, times the number of windows.
    """

    def __init__(self, x: Tensor, y: Tensor, penalty: float) -> None:
        super().__init__()
        self.centre, self.spread = x.mean((0, 1)), x.std((0, 1)).clamp_min(1e-6)
        rows = ((x - self.centre) / self.spread).flatten(1).double()
        middle, target = rows.mean(0), y.double().mean(0)
        rows = rows - middle
        gram = rows.T @ rows + penalty * len(rows) * torch.eye(rows.shape[1], dtype=torch.float64)
        weight = torch.linalg.solve(gram, rows.T @ (y.double() - target))
        self.weight = nn.Parameter(weight.float())
        self.bias = nn.Parameter((target - middle @ weight).float())

    def forward(self, x: Tensor) -> Tensor:
        """(N, horizon)."""
        return ((x - self.centre) / self.spread).flatten(1) @ self.weight + self.bias


class Recurrent(nn.Module):
    """A GRU of 24 units on standardised windows, which forecasts the change from the last reading.

    Args:
        x: training windows, for the units.
    """

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.centre, self.spread = x.mean((0, 1)), x.std((0, 1)).clamp_min(1e-6)
        self.gru = nn.GRU(x.shape[2], 24, batch_first=True)
        self.linear = nn.Linear(24, HORIZON)

    def forward(self, x: Tensor) -> Tensor:
        """(N, horizon)."""
        state = self.gru((x - self.centre) / self.spread)[0][:, -1]
        return x[:, -1:, 0] + self.spread[0] * self.linear(state)


def streams_of(
    kind: str, seed: int, days: int
) -> tuple[dict[str, Windows], SeverityMatrix, float, tuple[float, float]]:
    """(windows by entity, severities, budget of the attack, what a reading can be).

    Args:
        kind: of `KINDS`.
        seed: of the cohort.
        days: of each patient.
    """
    if kind == "machines":
        machines = make_machine_fleet(samples=288 * days, seed=seed)
        matrix = SeverityMatrix((2.5, 4.5), ((0.0, 2.0, 8.0), (1.0, 0.0, 4.0), (2.0, 1.0, 0.0)), 1)
        return {n: s.windows(HISTORY, HORIZON, EVERY) for n, s in machines.items()}, matrix, 0.5, (0.0, 50.0)
    overlap = kind == "steady ones overlap"
    patients = make_glucose_cohort(days=days, seed=seed, overlap=overlap)
    matrix = SeverityMatrix.glucose("meal" if overlap else 180)
    windows = {n: s.windows(HISTORY, HORIZON, EVERY) for n, s in patients.items()}
    return windows, matrix, 20.0 if overlap else 10.0, _READINGS


def cohort_trial(kind: str, seed: int, days: int, epochs: int) -> dict[str, Any]:
    """Attack a cohort and measure all regimes on its later part.

    Args:
        kind: of `KINDS`.
        seed: of cohort, forecaster and draws.
        days: of each patient.
        epochs: of the recurrent forecaster.
    """
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a selector says of ties stands in `kept`
        windows, severity, eps, readings = streams_of(kind, seed, days)
        model = _forecaster(kind, windows, seed, epochs)
        attack = SequenceFGSM(eps, 0, readings, task=Forecast(HORIZON))
        cohort = attack_cohort(model, attack, windows)
        begin = time.perf_counter()
        profiles = cohort.profiles(severity)
        selector = EntitySelector().fit(profiles)
        profiling = time.perf_counter() - begin
        honest = cohort.train
        if kind == "training secretly attacked":
            cohort = _poisoned(cohort, seed)
        setup = Setup(KNNDetector, view=_view(kind))
        kept, others = selector.less_vulnerable_, selector.more_vulnerable_
        found = _regimes(cohort, kept, others, setup, seed)
        chosen = cross_validate(cohort, kept, setup, RATE)
        knowing = cross_validate(cohort, kept, setup, RATE, honest)
        wide = cross_validate(cohort, kept, setup, WIDE, honest)
        clean = [float((p.benign_forecast - p.y).square().mean().sqrt()) for p in cohort.test.values()]
        return {
            "regimes": {name: _measured(one, kept, others) for name, one in found.items()},
            "even": {"all at the rate of less": found[ALL].at_rate(found[LESS].false_alarms()).recall()},
            "steady kept": _steady(kept),
            "measures": _by_measure(cohort, severity),
            "limits": {} if kind == "machines" else _by_limit(cohort),
            "clusters": _clusters(profiles),
            "cv": {"gain": chosen.gain.value, "low": chosen.gain.low, "accepted": float(chosen.accepted)},
            "knowing": {"gain": knowing.gain.value, "accepted": float(knowing.accepted)},
            "knowing, at a wide rate": {"gain": wide.gain.value, "accepted": float(wide.accepted)},
            "seconds": {"attacks": cohort.seconds, "profiles": profiling},
            "rmse": sum(clean) / len(clean),
        }


def _forecaster(kind: str, windows: dict[str, Windows], seed: int, epochs: int) -> nn.Module:
    early = [w.cut()[0] for w in windows.values()]
    x, y = torch.cat([w.x for w in early]), torch.cat([w.y for w in early])
    if kind != "another forecaster":
        return Ridge(x, y, PENALTY).eval()
    with local_rng(derive_seed("forecaster", seed=seed)):
        network = Recurrent(x)

    def loss(out: Tensor, target: Tensor) -> Tensor:
        return (out - target).square().mean()

    fit(network, (x, y), epochs=epochs, batch_size=256, loss=loss, seed=seed, description="forecaster")
    return network.eval()


def _view(kind: str) -> Any:
    """What a detector sees: the channel that is attacked, in the spec's units."""
    unit = 1.0 if kind == "machines" else 30.0

    def view(x: Tensor) -> Tensor:
        return x[..., :1] / unit

    return view


def _poisoned(cohort: Cohort, seed: int) -> Cohort:
    """Nine tenths of the training windows of whoever isn't steady are attacked, and nobody knows."""
    train = {}
    for name, part in cohort.train.items():
        hit = torch.rand(len(part.x), generator=generator(seed, "poisoned", name)) < _POISONED
        x = part.x if name.startswith("stable") else torch.where(hit[:, None, None], part.attacked, part.x)
        train[name] = replace(part, x=x)
    return replace(cohort, train=train)


def _regimes(cohort: Cohort, kept: list[Any], others: list[Any], setup: Setup, seed: int) -> dict[str, Regime]:
    everybody = list(cohort.train)
    found = {ALL: run_regime(cohort, everybody, setup), LESS: run_regime(cohort, kept, setup)}
    found[MORE] = run_regime(cohort, others, setup)
    found[EACH] = run_regime(cohort, everybody, replace(setup, per_entity=True))
    found[OWN] = own_regimes(cohort, setup)
    for (who, mode), name in SHOWN.items():
        shown = replace(setup, exposure=OutlierExposure(mode, seed=seed), threshold="fbeta", value=1.0)
        found[name] = run_regime(cohort, everybody if who == "all" else kept, shown)
    for draw in range(DRAWS):
        order = torch.randperm(len(everybody), generator=generator(seed, "random half", draw))
        half = [everybody[i] for i in order[: len(kept)].tolist()]
        found[f"{RANDOM} {draw}"] = run_regime(cohort, half, setup)
    return found


def _measured(regime: Regime, kept: list[Any], others: list[Any]) -> dict[str, float]:
    even = regime.at_rate(RATE)
    return {
        "recall": regime.recall(),
        "false alarms": regime.false_alarms(),
        "of the excluded": regime.false_alarms(others),
        "precision": regime.precision(),
        "auroc": regime.auroc(),
        "auroc kept": regime.auroc(kept),
        "auroc excluded": regime.auroc(others),
        "even": even.recall(),
        "seconds": regime.seconds,
    }


def _steady(names: list[Any]) -> float:
    return float(sum(str(name).startswith(("stable", "steady")) for name in names))


def _by_measure(cohort: Cohort, severity: SeverityMatrix) -> dict[str, float]:
    """How many steady entities the lower half holds, by the measure of risk."""
    measures = ("severity", "exposure_normalized", "flip_rate", "roughness")
    return {m: _steady(EntitySelector().fit(cohort.profiles(severity, m)).less_vulnerable_) for m in measures}


def _by_limit(cohort: Cohort) -> dict[str, float]:
    limits: dict[str, Any] = {"meal": "meal", "180": 180.0}
    return {
        name: _steady(EntitySelector().fit(cohort.profiles(SeverityMatrix.glucose(hi))).less_vulnerable_)
        for name, hi in limits.items()
    }


def _clusters(profiles: Any) -> float:
    """Entities in the smaller of two clusters by complete linkage of warped series."""
    from scipy.cluster.hierarchy import fcluster

    selector = EntitySelector("dtw_hierarchical", min_fraction=0.0).fit(profiles)
    assert selector.linkage_ is not None
    labels = fcluster(selector.linkage_, 2, "maxclust")
    return float(min((labels == 1).sum(), (labels == 2).sum()))
