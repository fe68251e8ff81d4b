"""One heuristic of a puzzle: trained for so many CPU seconds, or built; then searched with, at its best weight."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from deepwright.core.randomness import derive_seed
from deepwright.pathfinding import (
    Domain,
    LearnedHeuristic,
    Limits,
    QNet,
    Result,
    Trainer,
    ValueNet,
    beam,
    bwas,
    bwqs,
    named_domain,
)
from deepwright.studies._clock import one_thread
from deepwright.studies.paths.places import ACTIONS, BALANCED, DAVI, LHBL, WALKS, built, drawn, least

WEIGHTS, WIDTHS = (1.0, 0.8, 0.7, 0.6, 0.5), (3, 10, 30, 100, 300)
SLACK, BATCH = 1.03, 10  # what paths may cost; nodes expanded at once
_UNFIT = 1e6  # more than any search evaluates
_METHODS = {DAVI: "davi", LHBL: "lhbl", BALANCED: "lhbl", WALKS: "supervised", ACTIONS: "supervised"}
_RATE = 40  # iterations a second, about: after those of all seconds the learning rate is a tenth


def learning_trial(
    arm: str,
    setting: Mapping[str, float],
    seed: int,
    seconds: float,
    domain: str,
    tuned: int,
    tested: int,
    most: int,
) -> dict[str, Any]:
    """Train one network, and choose its weight by what searches need on validation states.

    Args:
        arm: of the learned ones.
        setting: "copies", iterations from one copy of the target network to the next; "lr", Adam's; "walks", the
            longest.
        seed: of network, walks and states.
        seconds: of the processor.
        domain: its name.
        tuned: validation states.
        tested: test states.
        most: nodes generated in a search.
    """
    with one_thread():
        trainer = _trainer(arm, setting, seed, domain, seconds)
        heuristic = trainer.fit(until=_clock(seconds))
        rows = _rows(heuristic, domain, seed, (tuned, tested, most), arm == WALKS)
        return {**rows, "iterations": trainer.iteration, "states": trainer.states_seen, "built": seconds}


def bound_trial(arm: str, seed: int, domain: str, tuned: int, tested: int, most: int) -> dict[str, Any]:
    """One heuristic that is never too high, at its best weight.

    Args:
        arm: of those.
        seed: of the states.
        domain: its name.
        tuned: validation states.
        tested: test states.
        most: nodes generated in a search.
    """
    with one_thread():
        begin = time.process_time()
        heuristic = built(arm, domain)
        took = time.process_time() - begin
        return {**_rows(heuristic, domain, seed, (tuned, tested, most), False), "built": took}


def _trainer(arm: str, setting: Mapping[str, float], seed: int, name: str, seconds: float) -> Trainer:
    domain = named_domain(name)
    make = QNet if arm == ACTIONS else ValueNet
    return Trainer(
        domain,
        make(domain, 128, 2, seed=derive_seed("net", seed=seed)),
        _METHODS[arm],
        kind="q_fixed" if arm == ACTIONS else "v",
        k_max=int(setting["walks"]),
        balance=arm == BALANCED,
        check_every=20 if arm == BALANCED else 100,
        search_itrs=10 if _METHODS[arm] == "lhbl" else 1,
        batch_size=500,
        target_update=int(setting.get("copies", 1)),
        lr=setting["lr"],
        lr_decay=0.1 ** (1 / (_RATE * seconds)),
        seed=derive_seed("walks", seed=seed),
    )


def _clock(seconds: float) -> Callable[[Trainer], bool]:
    begin = time.process_time()

    def over(_: Trainer) -> bool:
        return time.process_time() - begin >= seconds

    return over


def _rows(heuristic: Any, name: str, seed: int, sizes: tuple[int, int, int], others: bool) -> dict[str, Any]:
    """The weight that validation states choose and what it does on test states; where asked, plain A* and beams too."""
    tuned, tested, most = sizes
    valid, test = (drawn(name, n, seed, what) for n, what in ((tuned, "validation"), (tested, "test")))
    domain, true = named_domain(name), (least(name, valid), least(name, test))
    weight = _chosen({w: _counts(*_weighted(domain, heuristic, w, valid, most), true[0]) for w in WEIGHTS})
    row = {"weight": weight[0], "validation": _score(weight[1])}
    row |= _counts(*_weighted(domain, heuristic, weight[0], test, most), true[1])
    if callable(heuristic):
        goals = domain.goal.expand(len(test), -1)  # type: ignore[union-attr]
        gap = heuristic(test, goals).double().numpy() - true[1]
        row |= {"mae": float(np.abs(gap).mean()), "bias": float(gap.mean())}
    if others:
        width = _chosen({b: _counts(*_beams(domain, heuristic, b, valid, most), true[0]) for b in WIDTHS})
        row["beam"] = {"width": width[0], **_counts(*_beams(domain, heuristic, width[0], test, most), true[1])}
        row["A*"] = _counts(*_weighted(domain, heuristic, 1.0, test, most), true[1])
    return row


def _weighted(domain: Domain, heuristic: Any, weight: float, states: Tensor, most: int) -> tuple[list[Result], float]:
    """Searches of actions where the heuristic judges these, else of states; with the CPU seconds of one."""
    by_actions = isinstance(heuristic, LearnedHeuristic) and heuristic.judges_actions
    search: Callable[..., Result] = bwqs if by_actions else bwas
    limits, begin = Limits(nodes=most), time.process_time()
    found = [search(domain, s, domain.goal, heuristic, batch_size=BATCH, weight=weight, limits=limits) for s in states]
    return found, (time.process_time() - begin) / len(states)


def _beams(domain: Domain, heuristic: Any, width: int, states: Tensor, most: int) -> tuple[list[Result], float]:
    """One beam a state; with the CPU seconds of one."""
    limits, begin = Limits(nodes=most), time.process_time()
    assert domain.goal is not None
    found = [beam(domain, s, domain.goal, heuristic, width=width, max_steps=100, limits=limits) for s in states]
    return found, (time.process_time() - begin) / len(states)


def _counts(found: list[Result], seconds: float, true: np.ndarray) -> dict[str, float]:
    """What searches took and found; costs are over the least of what was solved."""
    costs = np.array([r.cost for r in found])
    fine = np.isfinite(costs)
    return {
        "expanded": float(np.mean([r.nodes_expanded for r in found])),
        "evaluated": float(np.mean([r.evaluations for r in found])),
        "over": float(costs[fine].sum() / true[fine].sum()) if fine.any() else math.nan,
        "optimal": float((costs == true).mean()),
        "solved": float(fine.mean()),
        "seconds": seconds,
    }


def _score(row: dict[str, float]) -> float:
    """States evaluated; of settings that miss what is asked of paths more, the dearer their paths are."""
    if _is_near(row):
        return row["evaluated"]
    return _UNFIT * (2 - row["solved"]) * (row["over"] if row["solved"] else 10.0)


def _is_near(row: dict[str, float]) -> bool:
    return row["solved"] == 1 and row["over"] <= SLACK


def _chosen(found: dict[Any, dict[str, float]]) -> tuple[Any, dict[str, float]]:
    """The weight (or width) with the fewest evaluations among those that solve all near the least cost; where none
    does, the one that solves most, at the least cost of these."""
    near = {k: row for k, row in found.items() if _is_near(row)}

    def asked(k: Any) -> float:
        return near[k]["evaluated"]

    def badness(k: Any) -> tuple[float, float]:
        over = found[k]["over"]
        return -found[k]["solved"], math.inf if math.isnan(over) else over

    best = min(near, key=asked) if near else min(found, key=badness)
    return best, found[best]
