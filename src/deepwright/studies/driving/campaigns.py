"""Each pilot driven under every perturbation at every severity, beside what could be known of it without driving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.corruptions import Guided, InputGradient, get
from deepwright.corruptions.driving import Agent, Demonstrations, Outcome, by_cell, search, worst_families
from deepwright.studies.driving.foretelling import foretold, ranked
from deepwright.studies.driving.pilots import (
    ANGLE,
    CLEAN,
    CLOSER,
    GEOMETRY,
    HIGH,
    LIMIT,
    TEST,
    Cell,
    driven,
    rate,
    recorded,
    roads,
    sizes,
    trained,
    world,
)

BLIND, FIRST, WITHOUT, FINAL = "blind", "with steering noise", "without steering noise", "with DAgger"
KINDS = ("rain", "snow", "smoke")
STILL, MOVING, NOISE = "held still", "moving", "gaussian_noise"
REGIONS = ("top_n", "random_n", "bottom_n")
INSIDE, SHARE = ("decrease_contrast", "gaussian_noise"), 0.3
GENETIC, RANDOM = "NSGA-II", "random"
_POPULATION = 10


def campaign_trial(seed: int, quick: bool) -> dict[str, Any]:
    """Drive a pilot in every cell, and its controls on clean roads.

    Args:
        seed: of roads, worlds, starts and perturbations.
        quick: small.
    """
    size, sim, own = sizes(quick), world(quick), trained(seed, quick)
    test = roads(seed, TEST, size.roads, quick)
    outcomes = driven(sim, own.pilot, test, [CLEAN, *size.cells], seed)
    rows = foretold(own.pilot, recorded(seed, quick), size.cells, seed)
    controls: dict[str, Agent] = {FIRST: own.first, WITHOUT: own.without, BLIND: _Blind(own.pilot, own.data)}
    hard = [o for o in outcomes if o.scenario.severity in (0, HIGH)]
    return {
        "pictures": len(own.data),
        "rows": _joined(rows, outcomes),
        "ranks": ranked(rows, outcomes),
        "controls": {name: rate(driven(sim, agent, test, [CLEAN], seed)) for name, agent in controls.items()},
        "worst": worst_families(hard, hold_out=[GEOMETRY]) if any(_mendable(o) for o in hard) else [],
    }


def _mendable(outcome: Outcome) -> bool:
    return outcome.failed and outcome.scenario.perturbation not in (None, GEOMETRY)


class _Blind:
    """A pilot that is always shown the mean of what it was trained on."""

    def __init__(self, pilot: nn.Module, data: Demonstrations) -> None:
        self.pilot, self.picture = pilot, data.pictures.mean(0, keepdim=True)

    def __call__(self, pictures: Tensor) -> Tensor:
        return self.pilot(self.picture).expand(len(pictures), -1)


def _joined(rows: list[dict[str, Any]], outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """What was foretold of each cell beside what came of it."""
    at = {c.cell: c for c in by_cell(outcomes, CLOSER)}
    found = []
    for row in rows:
        cell = at[row["cell"]]
        assert cell.failures is not None
        assert cell.tighter is not None
        rates = {"failures": cell.failures.value, "closer": cell.tighter.value, "max xte": cell.mean_max_xte}
        found.append({**row, **rates, "n": cell.n})
    return found


def moving_trial(seed: int, quick: bool) -> dict[str, dict[str, dict[str, float]]]:
    """The same weather held still and moving, and noise that is drawn once and in each frame, at the highest severity.

    Args:
        seed: of the pilot, roads and perturbations.
        quick: small.
    """
    size, sim, pilot = sizes(quick), world(quick), trained(seed, quick).pilot
    test = roads(seed, TEST, size.roads, quick)
    cells: list[Cell] = [(f"{how}_{kind}", HIGH) for kind in KINDS[: size.parts] for how in ("static", "dynamic")]
    outcomes = driven(sim, pilot, test, cells, seed)
    found = {
        kind: {
            name: _driven_so([o for o in outcomes if o.scenario.perturbation == f"{how}_{kind}"])
            for name, how in ((STILL, "static"), (MOVING, "dynamic"))
        }
        for kind in KINDS[: size.parts]
    }
    found["noise"] = {
        name: _driven_so(driven(sim, pilot, test, [(NOISE, HIGH)], seed, frozen))
        for name, frozen in ((STILL, True), (MOVING, False))
    }
    return found


def _driven_so(outcomes: Sequence[Outcome]) -> dict[str, float]:
    return {"failures": rate(outcomes), "max xte": sum(o.max_xte for o in outcomes) / len(outcomes)}


class _Attacked:
    """A pilot whose pictures are perturbed where a map says, with noise that is new in each frame."""

    def __init__(self, pilot: nn.Module, guided: Guided, seed: int) -> None:
        self.pilot, self.guided, self.seed, self.frame = pilot, guided, seed, 0

    def __call__(self, pictures: Tensor) -> Tensor:
        self.frame += 1
        return self.pilot(self.guided(pictures, HIGH, self.seed, self.frame))


def guided_trial(seed: int, quick: bool) -> dict[str, dict[str, dict[str, float]]]:
    """As many pixels perturbed where the pilot looks, where it doesn't, and anywhere.

    Args:
        seed: of the pilot, roads and perturbations.
        quick: small.
    """
    size, sim, pilot = sizes(quick), world(quick), trained(seed, quick).pilot
    test, data = roads(seed, TEST, size.roads, quick), recorded(seed, quick)
    looks = InputGradient(pilot, score=_steering)
    with torch.no_grad():
        clean = pilot(data.pictures)[:, 0]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in INSIDE[: size.parts]:
        for region in REGIONS:
            guided = Guided(get(name), looks, region, SHARE)
            seen = guided(data.pictures, HIGH, seed)
            with torch.no_grad():
                drift = float((pilot(seen)[:, 0] - clean).abs().mean())
            outcomes = driven(sim, _Attacked(pilot, guided, seed), test, [CLEAN], seed)
            change = float((seen - data.pictures).abs().mean())
            found.setdefault(name, {})[region] = {"drift": drift, "change": change, **_driven_so(outcomes)}
    return found


def _steering(answer: Tensor) -> Tensor:
    return answer[:, 0]


def search_trial(seed: int, way: str, quick: bool) -> dict[str, Any]:
    """Failures found in as many episodes; a first generation of the whole budget is a random search of the same space.

    Args:
        seed: of the pilot, the search and the worlds.
        way: NSGA-II or random.
        quick: small.
    """
    size = sizes(quick)
    population = size.budget if way == RANDOM else min(_POPULATION, size.budget // 2)
    found = search(
        world(quick),
        trained(seed, quick).pilot,
        size.perturbations,
        budget=size.budget,
        population=population,
        max_angle=ANGLE,
        max_xte=LIMIT,
        seed=seed,
    )
    failed = [o for o in found.outcomes if o.failed]
    return {
        "failures": len(failed),
        "distinct": len(found.failures),
        "perturbations": len({o.scenario.perturbation for o in failed}),
        "mild": sum(o.scenario.severity <= 2 for o in found.failures),
        "episodes": len(found.outcomes),
    }
