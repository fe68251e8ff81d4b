"""The three puzzles: which states are searched from, what they cost at least, and what is built for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from deepwright.core.randomness import derive_seed, generator
from deepwright.pathfinding import (
    Heuristic,
    LinearConflict,
    LowerBoundHeuristic,
    MaxHeuristic,
    NPuzzle,
    Pancakes,
    PatternDatabase,
    ProjectedTable,
    RubiksCube,
    TableHeuristic,
    bwas,
    named_domain,
    partition,
)

MANHATTAN, CONFLICT, PATTERNS = "Manhattan", "linear conflict", "two pattern databases"
COLOURS, NEAR = "a table with opposite colours alike", "a table of the nearest states"
GAPS, LARGEST = "gaps", "a pattern database of the largest pancakes"
DAVI, LHBL, WALKS, ACTIONS = "DAVI", "LHBL", "walks' lengths", "Q, walks' lengths"
BALANCED = "LHBL, balanced walks"
_RADIUS = 7  # of the table of near states
_TOLD_APART = 5  # pancakes of the pattern database


@dataclass(frozen=True)
class Place:
    """One puzzle of the study.

    Attributes:
        words: as a page says it.
        learned: arms that are trained.
        bounds: arms that are built, the plainest first.
    """

    words: str
    learned: tuple[str, ...]
    bounds: tuple[str, ...]


BOARDS = Place("8-puzzle", (DAVI, LHBL, WALKS), (MANHATTAN, CONFLICT, PATTERNS))
CUBES = Place("2 x 2 x 2 cube", (LHBL, BALANCED, WALKS), (COLOURS, NEAR))
STACKS = Place("ten pancakes", (LHBL, WALKS, ACTIONS), (GAPS, LARGEST))
PLACES = (BOARDS, CUBES, STACKS)


def drawn(name: str, n: int, seed: int, what: str) -> Tensor:
    """States: cubes are turned 60 or 61 times, boards and stacks drawn with equal chances.

    Args:
        name: of the domain.
        n: how many.
        seed: of the draws.
        what: they are for.
    """
    domain, rng = named_domain(name), generator(seed, "boards", what)
    assert domain.goal is not None
    if isinstance(domain, RubiksCube):
        steps = 60 + torch.randint(2, (n,), generator=rng)
        return domain.sample_instances(steps, derive_seed("cubes", what, seed=seed))[0]
    states = torch.stack([torch.randperm(len(domain.goal), generator=rng) for _ in range(n)]).to(torch.uint8)
    if not isinstance(domain, NPuzzle):
        return states
    odd = ~domain.is_solvable(states, domain.goal.expand(n, -1))
    first = (states == 1) | (states == 2)  # exchanging two tiles changes the parity
    return torch.where(odd[:, None] & first, 3 - states, states)


@lru_cache(maxsize=2)
def exact(name: str) -> TableHeuristic:
    """Least costs of all states of a small domain.

    Args:
        name: of the domain.
    """
    return TableHeuristic(named_domain(name))


def least(name: str, states: Tensor) -> np.ndarray:
    """What states cost at least: of a table of all, or by A* with a bound.

    Args:
        name: of the domain.
        states: (n, *state_shape).
    """
    domain = named_domain(name)
    if isinstance(domain, NPuzzle):
        table = exact(name)
        return np.asarray(table(states, table.goal.expand(len(states), -1)).double().numpy())
    return np.array(_searched(name, tuple(map(tuple, states.tolist()))))


@lru_cache(maxsize=64)
def _searched(name: str, states: Sequence[Sequence[int]]) -> list[float]:
    """By A*, with its proof."""
    domain = named_domain(name)
    assert domain.goal is not None
    sharpest = _bound(GAPS if isinstance(domain, Pancakes) else NEAR, name)
    costs = []
    for state in states:
        found = bwas(domain, torch.tensor(state, dtype=torch.uint8), domain.goal, sharpest, batch_size=10)
        assert found.optimal
        costs.append(found.cost)
    return costs


def built(arm: str, name: str) -> Heuristic:
    """A heuristic that is never too high, made anew.

    Args:
        arm: of a place's `bounds`.
        name: of the domain.
    """
    domain = named_domain(name)
    if isinstance(domain, NPuzzle):
        return _of_boards(arm, domain)
    if isinstance(domain, RubiksCube):
        return _of_cubes(arm, domain)
    assert isinstance(domain, Pancakes)
    if arm == GAPS:
        return LowerBoundHeuristic(domain)
    small = range(max(2, len(domain.generators) + 1 - _TOLD_APART))
    return ProjectedTable(domain, alike=[small])


@lru_cache(maxsize=1)
def _bound(arm: str, name: str) -> Heuristic:
    return built(arm, name)


def _of_boards(arm: str, domain: NPuzzle) -> Heuristic:
    if arm == MANHATTAN:
        return LowerBoundHeuristic(domain)
    if arm == CONFLICT:
        return LinearConflict(domain)
    halves = partition(domain.n, domain.n**2 // 2)
    return MaxHeuristic([PatternDatabase(domain, (*tiles, 0)) for tiles in halves])


def _of_cubes(arm: str, domain: RubiksCube) -> Heuristic:
    if arm == NEAR:
        return TableHeuristic(domain, radius=_RADIUS)
    return ProjectedTable(domain, alike=[(0, 1), (2, 3), (4, 5)])
