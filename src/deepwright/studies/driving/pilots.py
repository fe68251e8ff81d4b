"""A pilot a seed, trained as the paper's spec asks, and the roads of each use, so that none is driven for two."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from deepwright.corruptions.driving import (
    Agent,
    Demonstrations,
    Outcome,
    Pilot,
    PurePursuit,
    Road,
    RoadSim,
    Scenario,
    collect,
    evaluate,
    imitate,
    tiny_pilot,
)

Cell = tuple[str, int]
CLEAN: Cell = ("clean", 0)
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
GEOMETRY = "translate"
ANGLE, LIMIT, CLOSER = 35.0, 4.0, 2.0
COLLECTED, DAGGER, TEST, RECORDED, REPAIRED, CHOOSING = range(6)
_APART = 10_000  # road seeds of one seed


@dataclass(frozen=True)
class Sizes:
    """How much is collected, trained and driven.

    Attributes:
        collected: roads of the imitation, and of DAgger.
        roads: that are driven in each cell.
        recorded: roads of the recorded pictures.
        first: epochs of the imitation.
        second: epochs with DAgger's pictures.
        again: epochs of further training.
        budget: episodes of a search.
        nodes: of a road, 25 m apart.
        cars: side by side.
        parts: weather, perturbed parts: how many of each.
        perturbations: of the campaign.
        severities: of the campaign.
    """

    collected: int = 16
    roads: int = 6
    recorded: int = 3
    first: int = 4
    second: int = 6
    again: int = 4
    budget: int = 40
    nodes: int = 8
    cars: int = 16
    parts: int | None = None
    perturbations: tuple[str, ...] = PERTURBATIONS
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)

    @property
    def cells(self) -> list[Cell]:
        """Every perturbation at every severity."""
        return [(name, severity) for name in self.perturbations for severity in self.severities]


WHOLE = Sizes()
QUICK = Sizes(2, 2, 1, 1, 1, 1, 4, 5, 4, 1, ("decrease_contrast", "translate"), (LOW, HIGH))


def sizes(quick: bool) -> Sizes:
    """Those of a run.

    Args:
        quick: small.
    """
    return QUICK if quick else WHOLE


def world(quick: bool) -> RoadSim:
    """The simulator in which all is driven.

    Args:
        quick: small.
    """
    return RoadSim(sizes(quick).cars)


def roads(seed: int, use: int, n: int, quick: bool) -> list[Road]:
    """Of one use.

    Args:
        seed: of the study.
        use: one of this module's.
        n: how many.
        quick: short ones.
    """
    nodes = sizes(quick).nodes
    return [Road.random(seed * _APART + 100 * use + i, max_angle=ANGLE, nodes=nodes) for i in range(n)]


def scenarios(some: Sequence[Road], cells: Sequence[Cell], seed: int) -> list[Scenario]:
    """Every road in every cell.

    Args:
        some: roads.
        cells: perturbations and severities.
        seed: of the study.
    """
    return [
        Scenario(road, None if cell == CLEAN else cell[0], cell[1], seed * _APART + i)
        for cell in cells
        for i, road in enumerate(some)
    ]


def driven(
    sim: RoadSim, agent: Agent, some: Sequence[Road], cells: Sequence[Cell], seed: int, frozen: bool = False
) -> list[Outcome]:
    """Drive every road in every cell.

    Args:
        sim: in which it is driven.
        agent: at the wheel.
        some: roads.
        cells: perturbations and severities.
        seed: of the study.
        frozen: see `evaluate`.
    """
    return evaluate(sim, agent, scenarios(some, cells, seed), max_xte=LIMIT, frozen=frozen)


def rate(outcomes: Sequence[Outcome]) -> float:
    """Share of episodes that failed.

    Args:
        outcomes: of episodes.
    """
    return sum(o.failed for o in outcomes) / len(outcomes)


@dataclass(frozen=True)
class Trained:
    """A pilot and what it learned from.

    Attributes:
        pilot: in eval mode.
        data: the expert's actions on all its pictures.
        first: the pilot before DAgger, in eval mode.
        without: trained as `first`, on pictures that were collected without steering noise.
    """

    pilot: Pilot
    data: Demonstrations
    first: Pilot
    without: Pilot


@functools.lru_cache(maxsize=2)
def trained(seed: int, quick: bool) -> Trained:
    """Imitation under steering noise, then one round of DAgger; beside it the same imitation without noise.

    Args:
        seed: of roads, worlds and starts.
        quick: small.
    """
    size, sim = sizes(quick), world(quick)
    expert, seen = PurePursuit(sim), roads(seed, COLLECTED, size.collected, quick)
    networks, data = {}, None
    for noise in (0.0, 0.15):
        networks[noise] = tiny_pilot(seed=seed)
        data = collect(sim, expert, seen, noise=noise, seed=seed)
        imitate(networks[noise], data, epochs=size.first, seed=seed)
        networks[noise].eval()
    assert data is not None
    pilot = tiny_pilot(seed=seed)
    pilot.load_state_dict(networks[0.15].state_dict())
    data += collect(sim, expert, roads(seed, DAGGER, size.collected, quick), dagger=networks[0.15], seed=seed + 1)
    imitate(pilot, data, epochs=size.second, seed=seed + 1)
    return Trained(pilot.eval(), data, networks[0.15], networks[0.0])


@functools.lru_cache(maxsize=4)
def recorded(seed: int, quick: bool, use: int = RECORDED) -> Demonstrations:
    """Pictures of other roads with the expert's steering, for errors without driving.

    Args:
        seed: of the study.
        quick: small.
        use: RECORDED, or CHOOSING for those that settings are chosen on.
    """
    sim = world(quick)
    return collect(sim, PurePursuit(sim), roads(seed, use, sizes(quick).recorded, quick), seed=seed + 2 + use)
