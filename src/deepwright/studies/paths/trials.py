"""One heuristic of a puzzle: trained for so many CPU seconds, or built; then searched with, at its best weight."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.randomness import derive_seed, generator
from deepwright.pathfinding import (
    Domain,
    Heuristic,
    LearnedHeuristic,
    Limits,
    LinearConflict,
    LowerBoundHeuristic,
    MaxHeuristic,
    NPuzzle,
    PatternDatabase,
    PermutationDomain,
    ProjectedTable,
    QNet,
    Result,
    TableHeuristic,
    Trainer,
    ValueNet,
    bwas,
    bwqs,
    named_domain,
    partition,
)
from deepwright.studies._clock import one_thread

DAVI, LHBL, WALKS = "DAVI", "LHBL", "walks' lengths"
ACTIONS = "Q, walks' lengths"
MANHATTAN, CONFLICT, PATTERNS = "Manhattan", "linear conflict", "two pattern databases"
NEAR, COLOURS = "a table of the nearest states", "a table with opposite colours alike"
LEARNED, BOUNDS = (DAVI, LHBL, WALKS), (MANHATTAN, CONFLICT, PATTERNS)
CUBE_LEARNED, CUBE_BOUNDS = (LHBL, WALKS, ACTIONS), (NEAR, COLOURS)
WEIGHTS = (1.0, 0.8, 0.7, 0.6, 0.5)
SLACK, SLACK_OF_CUBES, BATCH = 1.03, 1.1, 10  # what paths may cost; nodes expanded at once
_MOST = {"npuzzle": 20_000}  # generated at most; elsewhere 50,000
_METHODS = {DAVI: "davi", LHBL: "lhbl", WALKS: "supervised", ACTIONS: "supervised"}
_LONGEST, _RATE = {"npuzzle": 100}, 40  # steps of walks, elsewhere 20; iterations a second, about: then lr is a tenth
_RADIUS = 7  # of the table of near states of a cube


@lru_cache(maxsize=2)
def exact(name: str) -> TableHeuristic:
    """Least costs of all states: 181,440 of the 8-puzzle, 3,674,160 of the 2 x 2 x 2 cube.

    Args:
        name: of the domain.
    """
    return TableHeuristic(named_domain(name))


def drawn(name: str, n: int, seed: int, what: str) -> Tensor:
    """States with equal chances, or so: boards by lot, cubes turned 60 or 61 times.

    Args:
        name: of the domain.
        n: how many.
        seed: of the draws.
        what: they are for.
    """
    domain, rng = named_domain(name), generator(seed, "boards", what)
    assert domain.goal is not None
    if not isinstance(domain, NPuzzle):
        steps = 60 + torch.randint(2, (n,), generator=rng)
        return domain.sample_instances(steps, derive_seed("cubes", what, seed=seed))[0]
    boards = torch.stack([torch.randperm(domain.n**2, generator=rng) for _ in range(n)]).to(torch.uint8)
    odd = ~domain.is_solvable(boards, domain.goal.expand(n, -1))
    first = (boards == 1) | (boards == 2)  # exchanging two tiles changes the parity
    return torch.where(odd[:, None] & first, 3 - boards, boards)


def learning_trial(
    arm: str, copies: int, lr: float, seed: int, domain: str, seconds: float, tuned: int, tested: int
) -> dict[str, Any]:
    """Train one network, and choose its weight by what searches need on validation states.

    Args:
        arm: of the learned ones.
        copies: iterations from one copy of the target network to the next.
        lr: Adam's.
        seed: of network, walks and states.
        domain: its name.
        seconds: of the processor.
        tuned: validation states.
        tested: test states.
    """
    with one_thread():
        exact(domain)  # which isn't the training's time
        trainer = _trainer(arm, copies, lr, seed, domain, seconds)
        heuristic = trainer.fit(until=_clock(seconds))
        best = _best(heuristic, domain, drawn(domain, tuned, seed, "validation"))
        test = _tested(heuristic, best["weight"], domain, drawn(domain, tested, seed, "test"))
        work = {"iterations": trainer.iteration, "states": trainer.states_seen}
        return {**best, **_errors(heuristic, domain, seed), **test, **work}


def _trainer(arm: str, copies: int, lr: float, seed: int, name: str, seconds: float) -> Trainer:
    domain = named_domain(name)
    make = QNet if arm == ACTIONS else ValueNet
    return Trainer(
        domain,
        make(domain, 128, 2, seed=derive_seed("net", seed=seed)),
        _METHODS[arm],
        kind="q_fixed" if arm == ACTIONS else "v",
        k_max=_LONGEST.get(_kind(name), 20),
        balance=False,
        search_itrs=10 if arm == LHBL else 1,
        batch_size=500,
        target_update=copies,
        lr=lr,
        lr_decay=0.1 ** (1 / (_RATE * seconds)),
        seed=derive_seed("walks", seed=seed),
    )


def bound_trial(arm: str, seed: int, domain: str, tuned: int, tested: int) -> dict[str, Any]:
    """One heuristic that is never too high, at its best weight.

    Args:
        arm: of those.
        seed: of the states.
        domain: its name.
        tuned: validation states.
        tested: test states.
    """
    with one_thread():
        exact(domain)
        begin = time.process_time()
        heuristic = _made(arm, named_domain(domain))
        built = time.process_time() - begin
        best = _best(heuristic, domain, drawn(domain, tuned, seed, "validation"))
        test = _tested(heuristic, best["weight"], domain, drawn(domain, tested, seed, "test"))
        return {**best, **_errors(heuristic, domain, seed), **test, "built": built}


def _made(arm: str, domain: Domain) -> Heuristic:
    if isinstance(domain, PermutationDomain):
        if arm == NEAR:
            return TableHeuristic(domain, radius=_RADIUS)
        return ProjectedTable(domain, alike=[(0, 1), (2, 3), (4, 5)])
    assert isinstance(domain, NPuzzle)
    if arm == MANHATTAN:
        return LowerBoundHeuristic(domain)
    if arm == CONFLICT:
        return LinearConflict(domain)
    halves = partition(domain.n, domain.n**2 // 2)
    return MaxHeuristic([PatternDatabase(domain, (*tiles, 0)) for tiles in halves])


def _kind(name: str) -> str:
    return name.split(".")[0]


def _clock(seconds: float) -> Callable[[Trainer], bool]:
    begin = time.process_time()

    def over(_: Trainer) -> bool:
        return time.process_time() - begin >= seconds

    return over


def searches(domain: Domain, heuristic: Any, weight: float, states: Tensor) -> list[Result]:
    """One search a state: of actions where the heuristic judges these.

    Args:
        domain: whose.
        heuristic: h or Q.
        weight: of the path's cost.
        states: (n, *state_shape).
    """
    by_actions = isinstance(heuristic, LearnedHeuristic) and heuristic.judges_actions
    search: Callable[..., Result] = bwqs if by_actions else bwas
    limits = Limits(nodes=_MOST.get(_kind(domain.name), 50_000))
    return [search(domain, s, domain.goal, heuristic, batch_size=BATCH, weight=weight, limits=limits) for s in states]


def _least(name: str, states: Tensor) -> np.ndarray:
    table = exact(name)
    return np.asarray(table(states, table.goal.expand(len(states), -1)).double().numpy())


def _best(heuristic: Heuristic, name: str, states: Tensor) -> dict[str, Any]:
    """The weight with the fewest expansions (of cubes: evaluations) among those that solve all near the least cost;
    where none does the one that solves most, at the least cost of these."""
    least, found = _least(name, states), []
    for weight in WEIGHTS:
        runs = searches(named_domain(name), heuristic, weight, states)
        costs = np.array([r.cost for r in runs])
        fine = np.isfinite(costs)
        over = float(costs[fine].sum() / least[fine].sum()) if fine.any() else math.inf
        expanded = float(np.mean([r.nodes_expanded for r in runs]))
        evaluated = float(np.mean([r.evaluations for r in runs]))
        asked = expanded if _kind(name) == "npuzzle" else evaluated
        found.append({"validation": asked, "weight": weight, "over": over, "solved": float(fine.mean())})
    slack = SLACK if _kind(name) == "npuzzle" else SLACK_OF_CUBES
    near = [row for row in found if row["solved"] == 1 and row["over"] <= slack]
    best = min(near, key=_asked) if near else min(found, key=_badness)
    return {**{n: best[n] for n in ("validation", "weight")}, "validation cost": best["over"]}


def _asked(row: dict[str, float]) -> float:
    return row["validation"]


def _badness(row: dict[str, float]) -> tuple[float, float]:
    return -row["solved"], row["over"]


def _tested(heuristic: Heuristic, weight: float, name: str, states: Tensor) -> dict[str, float]:
    runs, least = searches(named_domain(name), heuristic, weight, states), _least(name, states)
    costs = np.array([r.cost for r in runs])
    fine = np.isfinite(costs)
    return {
        "expanded": float(np.mean([r.nodes_expanded for r in runs])),
        "evaluated": float(np.mean([r.evaluations for r in runs])),
        "over": float(costs[fine].sum() / least[fine].sum()) if fine.any() else math.nan,
        "optimal": float((costs == least).mean()),
        "solved": float(fine.mean()),
    }


def _errors(heuristic: Heuristic, name: str, seed: int) -> dict[str, float]:
    states = drawn(name, 5000, seed, "errors")
    said = heuristic(states, exact(name).goal.expand(len(states), -1)).double().numpy()
    gap = said - _least(name, states)
    return {"mae": float(np.abs(gap).mean()), "bias": float(gap.mean())}
