"""A pilot a seed, trained, driven and repaired; and the bundled one on the same kind of roads."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from deepwright.corruptions.driving import (
    Agent,
    Demonstrations,
    Outcome,
    PurePursuit,
    Road,
    RoadSim,
    Scenario,
    bundled_pilot,
    by_cell,
    collect,
    evaluate,
    imitate,
    repair,
    tiny_pilot,
)
from deepwright.studies.driving.foretelling import CLEAN, Cell, foretold, ranked

PERTURBATIONS = (
    "gaussian_noise",
    "gaussian_blur",
    "increase_brightness",
    "decrease_brightness",
    "decrease_contrast",
    "histogram_equalisation",
    "fog_mapping",
    "snow",
    "cutout",
    "translate",
)
LOW, HIGH = 2, 5
HELD_OUT = "translate"
ANGLE, LIMIT, CLOSER = 35.0, 4.0, 2.0
_APART = 10_000  # road seeds of one seed


@dataclass(frozen=True)
class Sizes:
    """How much is collected, trained and driven."""

    collected: int = 16
    roads: int = 8
    recorded: int = 4
    first: int = 4
    second: int = 6
    again: int = 5
    perturbations: tuple[str, ...] = PERTURBATIONS


WHOLE = Sizes()
QUICK = Sizes(2, 2, 1, 1, 1, 1, ("decrease_contrast", "translate"))


def cells_of(sizes: Sizes, severities: Sequence[int] = (LOW, HIGH)) -> list[Cell]:
    """Every perturbation at every severity.

    Args:
        sizes: of the study.
        severities: which ones.
    """
    return [(name, severity) for name in sizes.perturbations for severity in severities]


def pilot_trial(seed: int, quick: bool) -> dict[str, Any]:
    """Train a pilot and its controls, drive it, foretell, repair it.

    Args:
        seed: of roads, worlds, starts and perturbations.
        quick: small.
    """
    sizes = QUICK if quick else WHOLE
    sim = RoadSim(min(sizes.collected, sizes.roads))
    pilot, data, controls = _trained(sim, seed, sizes)
    outcomes = _drive(sim, pilot, _roads(seed, 2, sizes.roads), cells_of(sizes), seed)
    rows = foretold(pilot, _recorded(sim, seed, sizes), cells_of(sizes), seed)
    straight = evaluate(sim, _Blind(pilot, data), _scenarios(_roads(seed, 2, sizes.roads), [CLEAN], seed))
    return {
        "pictures": len(data),
        "rows": _joined(rows, outcomes),
        "ranks": ranked(rows, outcomes),
        "controls": {**controls, "blind": _rate(straight)},
        "repair": _repaired(sim, pilot, data, outcomes, seed, sizes),
    }


def bundled_trial(seed: int, quick: bool) -> dict[str, Any]:
    """The bundled pilot under the same perturbations, on half as many roads.

    Args:
        seed: of roads, worlds and perturbations.
        quick: small.
    """
    sizes = QUICK if quick else WHOLE
    n = max(1, sizes.roads // 2)
    sim, pilot = RoadSim(n), bundled_pilot()
    outcomes = _drive(sim, pilot, _roads(seed, 2, n), cells_of(sizes), seed)
    rows = foretold(pilot, _recorded(sim, seed, sizes), cells_of(sizes), seed)
    return {"rows": _joined(rows, outcomes), "ranks": ranked(rows, outcomes)}


class _Blind:
    """A pilot that is always shown the mean of what it was trained on."""

    def __init__(self, pilot: nn.Module, data: Demonstrations) -> None:
        self.pilot, self.picture = pilot, data.pictures.mean(0, keepdim=True)

    def __call__(self, pictures: Tensor) -> Tensor:
        return self.pilot(self.picture).expand(len(pictures), -1)


def _roads(seed: int, use: int, n: int) -> list[Road]:
    """Of one use (training, DAgger, test, recording, repair), so that none is driven for two."""
    return [Road.random(seed * _APART + 100 * use + i, max_angle=ANGLE) for i in range(n)]


def _trained(sim: RoadSim, seed: int, sizes: Sizes) -> tuple[nn.Module, Demonstrations, dict[str, float]]:
    """Imitation under steering noise, then one round of DAgger; beside it the same imitation without noise."""
    expert, first = PurePursuit(sim), _roads(seed, 0, sizes.collected)
    test = _scenarios(_roads(seed, 2, sizes.roads), [CLEAN], seed)
    found: dict[str, float] = {}
    for name, noise in (("without steering noise", 0.0), ("with steering noise", 0.15)):
        pilot = tiny_pilot(seed=seed)
        data = collect(sim, expert, first, noise=noise, seed=seed)
        imitate(pilot, data, epochs=sizes.first, seed=seed)
        found[name] = _rate(evaluate(sim, pilot.eval(), test, max_xte=LIMIT))
    data += collect(sim, expert, _roads(seed, 1, sizes.collected), dagger=pilot, seed=seed + 1)
    imitate(pilot.train(), data, epochs=sizes.second, seed=seed + 1)
    return pilot.eval(), data, found


def _recorded(sim: RoadSim, seed: int, sizes: Sizes) -> Demonstrations:
    """Pictures of other roads with the expert's steering, for errors without driving."""
    return collect(sim, PurePursuit(sim), _roads(seed, 3, sizes.recorded), seed=seed + 2)


def _scenarios(roads: Sequence[Road], cells: Sequence[Cell], seed: int) -> list[Scenario]:
    return [
        Scenario(road, None if cell == CLEAN else cell[0], cell[1], seed * _APART + i)
        for cell in cells
        for i, road in enumerate(roads)
    ]


def _drive(sim: RoadSim, agent: Agent, roads: Sequence[Road], cells: Sequence[Cell], seed: int) -> list[Outcome]:
    return evaluate(sim, agent, _scenarios(roads, [CLEAN, *cells], seed), max_xte=LIMIT)


def _rate(outcomes: Sequence[Outcome]) -> float:
    return sum(o.failed for o in outcomes) / len(outcomes)


def _joined(rows: list[dict[str, Any]], outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """What was foretold of each cell beside what came of it."""
    driven = {c.cell: c for c in by_cell(outcomes, CLOSER)}
    found = []
    for row in rows:
        cell = driven[row["cell"]]
        assert cell.failures is not None
        assert cell.tighter is not None
        rates = {"failures": cell.failures.value, "closer": cell.tighter.value, "max xte": cell.mean_max_xte}
        found.append({**row, **rates, "n": cell.n})
    return found


def _repaired(
    sim: RoadSim, pilot: nn.Module, data: Demonstrations, outcomes: list[Outcome], seed: int, sizes: Sizes
) -> dict[str, Any] | None:
    """The repair at the highest severity; beside it as much training on the same pictures, unperturbed."""
    cells = cells_of(sizes, (HIGH,))
    roads = _roads(seed, 4, sizes.roads)
    failed = [o for o in outcomes if o.scenario.cell in (CLEAN, *cells)]
    if not any(o.failed and o.scenario.perturbation != HELD_OUT for o in failed):
        return None
    options = {"epochs": sizes.again, "seed": seed}
    found = repair(sim, pilot, data, failed, roads, hold_out=[HELD_OUT], max_xte=LIMIT, **options)
    longer = copy.deepcopy(pilot).train()
    imitate(longer, data, **options)
    control = evaluate(sim, longer.eval(), [o.scenario for o in found.before], max_xte=LIMIT)
    rates = [{c.cell: c for c in by_cell(part)} for part in (found.before, found.after, control)]
    rows = []
    for cell in rates[0]:
        before, after, clean = (part[cell] for part in rates)
        row = {name: c.failures.value for name, c in zip(("before", "after", "control"), (before, after, clean))}
        rows.append({"cell": cell, "role": found.role(cell), **row, "max xte": after.mean_max_xte})
    return {"trained": list(found.trained), "rows": rows}
