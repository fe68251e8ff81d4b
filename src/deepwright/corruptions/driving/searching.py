"""Looking for failures: every perturbation at growing severity, and a genetic search over roads and perturbations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.pareto import polynomial_mutation, simulated_binary_crossover, survivors, tournament
from deepwright.core.randomness import derive_seed
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.corruptions.driving.agents import Agent
from deepwright.corruptions.driving.evaluation import evaluate
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.scenarios import LATE, Outcome, Scenario
from deepwright.corruptions.driving.simulators import Simulator

_NODES = 8
_LENGTHS = (15.0, 40.0)
_SAMPLES = 50  # points at which two roads are compared
_DRAWS = 500  # of a valid road


def grid_search(
    sim: Simulator,
    agent: Agent,
    roads: Sequence[Road | None],
    perturbations: Sequence[str],
    severities: Sequence[float] = (1, 2, 3, 4, 5),
    *,
    max_xte: float = 4.0,
    timeout: float = 62.0,
    seed: int = 0,
    checkpoint: Path | str | None = None,
) -> list[Outcome]:
    """Drive clean, then each perturbation at growing severity, on each road up to the severity at which it first fails.

    Args:
        sim: in which it is driven.
        agent: see `evaluate`.
        roads: each with a seed of its own.
        perturbations: names.
        severities: growing, up to 5; between two levels where each perturbation has something there.
        max_xte: see `evaluate`.
        timeout: see `evaluate`.
        seed: of worlds and perturbations.
        checkpoint: a folder of finished blocks.

    Returns:
        all outcomes, in a fixed order: clean, then severity by severity.

    Raises:
        InputError: nothing to drive, severities that don't grow.
    """
    if not perturbations or isinstance(perturbations, str):
        raise InputError("perturbations", given=repr(perturbations), expected="names of at least one")
    if not roads:
        raise InputError("roads", given="none", expected="at least one")
    if not severities or list(severities) != sorted(set(severities)):
        raise InputError("severities", given=repr(severities), expected="growing ones up to 5")
    options: dict[str, Any] = {"max_xte": max_xte, "timeout": timeout, "checkpoint": checkpoint}
    seeds = [derive_seed("grid", i, seed=seed) for i in range(len(roads))]
    clean = [Scenario(road, seed=own) for road, own in zip(roads, seeds)]
    found = evaluate(sim, agent, clean, **options)
    alive = [(name, i) for name in perturbations for i in range(len(roads))]
    for severity in severities:
        if not alive:
            break
        outcomes = evaluate(sim, agent, [Scenario(roads[i], name, severity, seeds[i]) for name, i in alive], **options)
        found += outcomes
        alive = [pair for pair, outcome in zip(alive, outcomes) if not outcome.failed]
    return found


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        outcomes: of all candidates, in the order in which they were driven.
        failures: distinct ones: another perturbation, or a road of another shape.
        generations: driven.
    """

    outcomes: list[Outcome]
    failures: list[Outcome]
    generations: int


def search(
    sim: Simulator,
    agent: Agent,
    perturbations: Sequence[str],
    *,
    budget: int = 200,
    population: int = 20,
    max_angle: float = 90.0,
    max_xte: float = 4.0,
    timeout: float = 62.0,
    apart: float = 5.0,
    seed: int = 0,
    checkpoint: Path | str | None = None,
) -> SearchResult:
    """NSGA-II over roads (eight angles, eight lengths), a perturbation and its severity, for failures.

    Objectives, all maximised: mean |xte|, quickness (how early on the road it fails), criticality (1 for a failure, 2
    where time ran out), max |xte|. Roads that aren't valid are drawn again and never driven.

    Args:
        sim: that takes roads.
        agent: see `evaluate`.
        perturbations: names.
        budget: episodes in all.
        population: of a generation.
        max_angle: degrees at a node.
        max_xte: see `evaluate`.
        timeout: see `evaluate`.
        apart: metres, on average over their points, by which roads of distinct failures differ.
        seed: of the search, of worlds and perturbations.
        checkpoint: a folder of finished blocks; an interrupted search goes on there.

    Raises:
        InputError: a simulator with roads of its own, numbers out of their range.

    Source: K. Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002.
    """
    require_whole(2, population=population)
    require_whole(population, budget=budget)
    require_within(0, 180, max_angle=max_angle)
    require_positive(apart=apart)
    if not perturbations or isinstance(perturbations, str):
        raise InputError("perturbations", given=repr(perturbations), expected="names of at least one")
    if not sim.capabilities.custom_road:
        raise InputError("sim", given=f"{type(sim).__name__} has roads of its own", expected="one that takes roads")
    rng = np.random.default_rng(derive_seed("driving search", seed=seed))
    low = np.array([-max_angle] * _NODES + [_LENGTHS[0]] * _NODES + [0.0, 1.0])
    high = np.array([max_angle] * _NODES + [_LENGTHS[1]] * _NODES + [float(len(perturbations)), 6.0])
    space = _Space(low, high, tuple(perturbations), rng)
    genomes = np.stack([space.fresh() for _ in range(population)])
    parents, values = np.zeros((0, len(low))), np.zeros((0, 4))
    outcomes: list[Outcome] = []
    generations = 0
    while True:
        scenarios = [
            space.scenario(g, derive_seed("episode", len(outcomes) + i, seed=seed)) for i, g in enumerate(genomes)
        ]
        driven = evaluate(sim, agent, scenarios, max_xte=max_xte, timeout=timeout, checkpoint=checkpoint)
        outcomes += driven
        generations += 1
        parents = np.concatenate([parents, genomes])
        values = np.concatenate([values, -np.array([objectives(o) for o in driven])])
        stay = survivors(values, population)
        parents, values = parents[stay], values[stay]
        left = budget - len(outcomes)
        if left <= 0:
            return SearchResult(outcomes, distinct(outcomes, apart), generations)
        genomes = space.children(parents, values)[:left]


def objectives(outcome: Outcome) -> tuple[float, float, float, float]:
    """(mean |xte|, quickness, criticality, max |xte|), each larger where it is worse; zeros where nothing was driven.

    Args:
        outcome: of an episode.
    """
    if not outcome.counts or not len(outcome.xte):
        return 0.0, 0.0, 0.0, 0.0
    criticality = float(outcome.ended == LATE) + 1 - float(outcome.passed)
    return outcome.mean_xte, outcome.quickness, criticality, outcome.max_xte


def distinct(outcomes: Sequence[Outcome], apart: float) -> list[Outcome]:
    """The failures of which no earlier one has the same perturbation and nearly the same road.

    Args:
        outcomes: of episodes on roads.
        apart: metres, on average over points, both roads laid on their starts and headings.
    """
    kept: list[tuple[Outcome, np.ndarray]] = []
    for outcome in outcomes:
        if not outcome.failed or outcome.scenario.road is None:
            continue
        shape = _shape(outcome.scenario.road)
        same = (o for o, other in kept if np.linalg.norm(shape - other, axis=1).mean() < apart)
        if not any(o.scenario.perturbation == outcome.scenario.perturbation for o in same):
            kept.append((outcome, shape))
    return [outcome for outcome, _ in kept]


def _shape(road: Road) -> np.ndarray:
    """Points at equal shares of its length, its start at the origin and its first direction along x."""
    at = np.linspace(0, road.length, _SAMPLES)
    points = np.stack([np.interp(at, road.arc, road.points[:, k]) for k in (0, 1)], 1) - road.points[0]
    cosine, sine = np.cos(road.heading), np.sin(road.heading)
    return points @ np.array([[cosine, -sine], [sine, cosine]])


class _Space:
    """Genomes: eight angles, eight lengths, number of the perturbation, severity; the last two are cut to whole."""

    def __init__(self, low: np.ndarray, high: np.ndarray, names: tuple[str, ...], rng: np.random.Generator) -> None:
        self.low, self.high, self.names, self.rng = low, high, names, rng

    def scenario(self, genome: np.ndarray, seed: int) -> Scenario:
        name = self.names[min(int(genome[-2]), len(self.names) - 1)]
        return Scenario(self._road(genome), name, min(int(genome[-1]), 5), seed)

    def fresh(self) -> np.ndarray:
        for _ in range(_DRAWS):
            genome = self.rng.uniform(self.low, self.high)
            if self._road(genome).is_valid():
                return genome
        given = f"none in {_DRAWS} draws"
        raise InputError("a valid road", given=given, expected="one", hint="lower max_angle")

    def children(self, parents: np.ndarray, values: np.ndarray) -> np.ndarray:
        """As many as parents; a child whose road isn't valid is replaced by a fresh genome."""
        n = len(parents)
        a, b = (parents[tournament(values, n, self.rng)] for _ in range(2))
        first, _ = simulated_binary_crossover(a, b, self.low, self.high, self.rng)
        mutated = polynomial_mutation(first, self.low, self.high, self.rng, probability=2 / len(self.low))
        return np.stack([g if self._road(g).is_valid() else self.fresh() for g in mutated])

    def _road(self, genome: np.ndarray) -> Road:
        return Road.from_angles(genome[:_NODES].tolist(), genome[_NODES : 2 * _NODES].tolist())
