"""One heuristic of the 8-puzzle: trained for so many CPU seconds, or built; then searched with, at its best weight."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.randomness import derive_seed, generator
from deepwright.pathfinding import (
    Heuristic,
    Limits,
    LinearConflict,
    LowerBoundHeuristic,
    MaxHeuristic,
    NPuzzle,
    PatternDatabase,
    Result,
    TableHeuristic,
    Trainer,
    ValueNet,
    bwas,
    partition,
)
from deepwright.studies._clock import one_thread

DAVI, LHBL, WALKS, PLAIN = "DAVI", "LHBL", "walks' lengths", "DAVI, plain walks"
MANHATTAN, CONFLICT, PATTERNS = "Manhattan", "linear conflict", "two pattern databases"
LEARNED, BOUNDS = (DAVI, LHBL, WALKS), (MANHATTAN, CONFLICT, PATTERNS)
WEIGHTS = (1.0, 0.8, 0.7, 0.6, 0.5)
SLACK, BATCH, MOST = 1.03, 10, 20_000  # what paths may cost; nodes expanded at once; generated at most
_METHODS = {DAVI: "davi", LHBL: "lhbl", WALKS: "supervised", PLAIN: "davi"}
_LONGEST, _RATE = 100, 40  # steps of a walk; iterations a second, about: by the end lr has fallen to a tenth


@lru_cache(maxsize=1)
def exact(size: int) -> TableHeuristic:
    """Least costs of all boards: 181,440 of the 8-puzzle.

    Args:
        size: of the board's side.
    """
    return TableHeuristic(NPuzzle(size))


def boards(size: int, n: int, seed: int, what: str) -> Tensor:
    """Boards that are drawn with equal chances from all that can be reached: (n, size^2).

    Args:
        size: of the board's side.
        n: how many.
        seed: of the draws.
        what: they are for.
    """
    puzzle, rng = NPuzzle(size), generator(seed, "boards", what)
    drawn = torch.stack([torch.randperm(size**2, generator=rng) for _ in range(n)]).to(torch.uint8)
    assert puzzle.goal is not None
    odd = ~puzzle.is_solvable(drawn, puzzle.goal.expand(n, -1))
    first = (drawn == 1) | (drawn == 2)  # exchanging two tiles changes the parity
    return torch.where(odd[:, None] & first, 3 - drawn, drawn)


def learning_trial(
    arm: str, copies: int, lr: float, seed: int, size: int, seconds: float, tuned: int, tested: int
) -> dict[str, Any]:
    """Train one network, and choose its checkpoint and weight by expansions on validation boards.

    Args:
        arm: of the learned ones.
        copies: iterations from one copy of the target network to the next.
        lr: Adam's.
        seed: of network, walks and boards.
        size: of the board's side.
        seconds: of the processor.
        tuned: validation boards.
        tested: test boards.
    """
    with one_thread():
        puzzle = NPuzzle(size)
        trainer = Trainer(
            puzzle,
            ValueNet(puzzle, 128, 2, seed=derive_seed("net", seed=seed)),
            _METHODS[arm],
            k_max=_LONGEST,
            balance=False,
            search_itrs=10 if arm == LHBL else 1,
            batch_size=500,
            target_update=copies,
            walk="plain" if arm == PLAIN else "direct",
            lr=lr,
            lr_decay=0.1 ** (1 / (_RATE * seconds)),
            seed=derive_seed("walks", seed=seed),
        )
        found: list[dict[str, Any]] = []
        for share in (0.5, 1.0):
            heuristic = trainer.fit(until=_clock(seconds * 0.5))
            best = _best(heuristic, boards(size, tuned, seed, "validation"))
            found.append({"seconds": share * seconds, **best, **_errors(heuristic, size, seed)})
            if share == 0.5:
                kept = {name: t.clone() for name, t in trainer.net.state_dict().items()}
        chosen = min(range(2), key=lambda i: found[i]["validation"])
        if chosen == 0:
            trainer.net.load_state_dict(kept)
        test = _searched(trainer.heuristic(), found[chosen]["weight"], boards(size, tested, seed, "test"))
        return {
            **found[chosen],
            **test,
            "course": found,
            "end": {name: found[-1][name] for name in ("mae", "bias", "validation")},
            "iterations": trainer.iteration,
            "states": trainer.states_seen,
        }


def bound_trial(arm: str, seed: int, size: int, tuned: int, tested: int) -> dict[str, Any]:
    """One heuristic that is never too high, at its best weight.

    Args:
        arm: of the three.
        seed: of the boards.
        size: of the board's side.
        tuned: validation boards.
        tested: test boards.
    """
    with one_thread():
        begin = time.process_time()
        heuristic = _made(arm, size)
        built = time.process_time() - begin
        best = _best(heuristic, boards(size, tuned, seed, "validation"))
        test = _searched(heuristic, best["weight"], boards(size, tested, seed, "test"))
        return {**best, **_errors(heuristic, size, seed), **test, "built": built}


def _made(arm: str, size: int) -> Heuristic:
    puzzle = NPuzzle(size)
    if arm == MANHATTAN:
        return LowerBoundHeuristic(puzzle)
    if arm == CONFLICT:
        return LinearConflict(puzzle)
    return MaxHeuristic([PatternDatabase(puzzle, (*tiles, 0)) for tiles in partition(size, size**2 // 2)])


def _clock(seconds: float) -> Callable[[Trainer], bool]:
    begin = time.process_time()

    def over(_: Trainer) -> bool:
        return time.process_time() - begin >= seconds

    return over


def _runs(heuristic: Heuristic, weight: float, states: Tensor) -> list[Result]:
    puzzle = NPuzzle(_side(states))
    assert puzzle.goal is not None
    limits = Limits(nodes=MOST)
    return [bwas(puzzle, s, puzzle.goal, heuristic, batch_size=BATCH, weight=weight, limits=limits) for s in states]


def _least(states: Tensor) -> np.ndarray:
    table = exact(_side(states))
    return np.asarray(table(states, table.goal.expand(len(states), -1)).double().numpy())


def _side(states: Tensor) -> int:
    return math.isqrt(states.shape[1])


def _best(heuristic: Heuristic, states: Tensor) -> dict[str, Any]:
    """The weight with the fewest expansions among those whose paths cost at most `SLACK` times the least."""
    least, found = _least(states).sum(), []
    for weight in WEIGHTS:
        runs = _runs(heuristic, weight, states)
        expanded = float(np.mean([r.nodes_expanded for r in runs]))
        found.append((expanded, weight, sum(r.cost for r in runs) / least))
    near = [row for row in found if row[2] <= SLACK]
    expanded, weight, over = min(near) if near else min(found, key=_cost_of)
    return {"validation": expanded, "weight": weight, "validation cost": over}


def _cost_of(row: Sequence[float]) -> float:
    return row[2]


def _searched(heuristic: Heuristic, weight: float, states: Tensor) -> dict[str, float]:
    runs, least = _runs(heuristic, weight, states), _least(states)
    costs = np.array([r.cost for r in runs])
    return {
        "expanded": float(np.mean([r.nodes_expanded for r in runs])),
        "evaluated": float(np.mean([r.evaluations for r in runs])),
        "over": float(costs.sum() / least.sum()),
        "optimal": float((costs == least).mean()),
        "solved": float(np.isfinite(costs).mean()),
    }


def _errors(heuristic: Heuristic, size: int, seed: int) -> dict[str, float]:
    states = boards(size, 5000, seed, "errors")
    said = heuristic(states, exact(size).goal.expand(len(states), -1)).double().numpy()
    gap = said - _least(states)
    return {"mae": float(np.abs(gap).mean()), "bias": float(gap.mean())}
