"""One door to all searches, for one instance or for many that share each call of the heuristic."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import unknown_name
from deepwright.core.journal import Journal
from deepwright.core.requirements import require_same_length, require_whole
from deepwright.core.resume import OtherWorkError
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.heuristic import adds_up, judges_actions
from deepwright.pathfinding.search.beams import Layers, beam, greedy
from deepwright.pathfinding.search.both_ways import bidirectional
from deepwright.pathfinding.search.deepening import idastar
from deepwright.pathfinding.search.edges import WeightedEdges, bwqs, require_judge_of_costs
from deepwright.pathfinding.search.paths import validate_path
from deepwright.pathfinding.search.q_values import require_judge_of_states
from deepwright.pathfinding.search.result import Limits, Result
from deepwright.pathfinding.search.stepwise import AnyHeuristic, Search, advance, answers
from deepwright.pathfinding.search.weighted import Weighted, bwas

_JUDGED, _PROBES = "judged", 64
ALGORITHMS: dict[str, Callable[..., Result]] = {
    "bwas": bwas,
    "bwqs": bwqs,
    "beam": beam,
    "greedy": greedy,
    "bidirectional": bidirectional,
    "idastar": idastar,
}
"""Searches by name."""


def solve(
    domain: Domain, start: Tensor, goal: Tensor, heuristic: AnyHeuristic, algorithm: str = "bwas", **options: Any
) -> Result:
    """Search by name.

    Args:
        domain: whose states.
        start: (*state_shape).
        goal: one.
        heuristic: h; or Q, which "bwqs" needs and beams take.
        algorithm: see `ALGORITHMS`.
        options: of the search that is named.

    Raises:
        InputError: a name that isn't known, or what the search refuses.
    """
    if algorithm not in ALGORITHMS:
        raise unknown_name("algorithm", algorithm, ALGORITHMS)
    if algorithm == "bwqs":
        require_judge_of_costs(heuristic)
    elif algorithm not in ("beam", "greedy"):
        require_judge_of_states(heuristic)
    return ALGORITHMS[algorithm](domain, start, goal, heuristic, **options)


def solve_many(
    domain: Domain,
    starts: Tensor,
    goals: Tensor,
    heuristic: AnyHeuristic,
    algorithm: str = "bwas",
    *,
    batch_size: int = 100,
    weight: float = 1.0,
    at_once: int = 32,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    seed: int = 0,
    file: Path | str | None = None,
    heuristic_identity: str | None = None,
    on_result: Callable[[int, Result], None] | None = None,
) -> list[Result]:
    """Search for many paths side by side: one call of the heuristic serves them all, in each step.

    What comes out is what each search alone finds, but for rounding in a network's larger batches, and for seconds:
    they run from the start of an instance to its end, with the others beside it. With a file each result is written as
    soon as it is there, and read back at the next start.

    Args:
        domain: whose states.
        starts: (B, *state_shape).
        goals: (B, ...) one a start.
        heuristic: h or Q.
        algorithm: "bwas", "bwqs", "beam" or "greedy".
        batch_size: how many of each instance are expanded at once; the width of a beam.
        weight: of the path's cost, where the search has one.
        at_once: how many instances are under way.
        limits: of each instance.
        seed: of what is drawn.
        file: of JSON lines, one a result; refused where it holds results of other instances, options or heuristics.
        heuristic_identity: what names the heuristic in the file, such as its weights' digest; what it says of the first
            starts counts besides.
        on_result: told the number of an instance and its result when it ends.

    Raises:
        InputError: numbers out of range, or states that aren't the domain's.
        OtherWorkError: a file of other work.
    """
    require_whole(1, batch_size=batch_size, at_once=at_once)
    require_same_length(starts, goals, "starts and goals")
    domain.require_states(starts, "starts")
    domain.require_goals(goals)
    make, by_actions = _maker(domain, algorithm, heuristic, batch_size, weight, seed)
    actions = domain.num_actions if by_actions else None
    settings = {
        "domain": domain,
        "instances": [starts.cpu(), goals.cpu()],
        "heuristic": [type(heuristic).__name__, heuristic_identity],
        "options": [algorithm, batch_size, weight, limits.nodes, limits.seconds, limits.bytes, seed],
    }
    journal = Journal(file, settings, kind="paths")
    try:
        if file is not None:
            n = min(_PROBES, len(starts))
            _require_same_judge(journal, answers(heuristic, starts[:n], goals[:n], actions, _PROBES))
        numbers = [int(name) for name in journal.rows if name != _JUDGED]
        done = {i: _read(domain, starts, goals, i, journal.rows[str(i)]) for i in numbers}
        waiting = [i for i in range(len(starts)) if i not in done]
        pool = _Pool(heuristic, actions, limits, make, starts, goals)
        for number, result in pool.results(waiting, at_once):
            done[number] = result
            journal.add(str(number), _row(result))
            if on_result is not None:
                on_result(number, result)
    finally:
        journal.close()
    return [done[i] for i in range(len(starts))]


Maker = Callable[[Tensor, Tensor], Search]


def _maker(
    domain: Domain, algorithm: str, heuristic: AnyHeuristic, batch_size: int, weight: float, seed: int
) -> tuple[Maker, bool]:
    """What begins a search, and whether it asks for actions."""
    if algorithm in ("bwas", "bwqs"):
        by_actions = algorithm == "bwqs"
        (require_judge_of_costs if by_actions else require_judge_of_states)(heuristic)
        kind_of = WeightedEdges if by_actions else Weighted
        return lambda start, goal: kind_of(domain, start, goal, batch_size, weight, "newest", 0.0, seed), by_actions
    if algorithm not in ("beam", "greedy"):
        raise unknown_name("algorithm for many instances", algorithm, ("bwas", "bwqs", "beam", "greedy"))

    by_actions = judges_actions(heuristic)

    def layers(start: Tensor, goal: Tensor) -> Search:
        width = 1 if algorithm == "greedy" else batch_size
        made = Layers(domain, start, goal, width, 0.0, 0.0, True, False, 1000, seed)
        made.by_actions, made.summed = by_actions, adds_up(heuristic)
        return made

    return layers, by_actions


class _Pool:
    """Searches under way. One that ends makes place for the next instance."""

    def __init__(
        self,
        heuristic: AnyHeuristic,
        actions: int | None,
        limits: Limits,
        make: Maker,
        starts: Tensor,
        goals: Tensor,
    ) -> None:
        self.heuristic, self.actions, self.limits = heuristic, actions, limits
        self.make, self.starts, self.goals = make, starts, goals

    def results(self, waiting: list[int], at_once: int) -> Any:
        """Numbers and results, as they come.

        Args:
            waiting: numbers of instances.
            at_once: how many run side by side.
        """
        queue, active = waiting[::-1], dict[int, Any]()
        while queue or active:
            while queue and len(active) < at_once:
                number = queue.pop()
                active[number] = (self.make(self.starts[number], self.goals[number]), time.perf_counter())
            advance([search for search, _ in active.values()], self.heuristic, self.actions)
            for number, (search, begin) in list(active.items()):
                seconds = time.perf_counter() - begin
                status = search.over() or self.limits.reached(search.generated, seconds, search.size)
                if status is not None:
                    del active[number]
                    yield number, search.result(status, self.heuristic.admissible, seconds, [])


def _require_same_judge(journal: Journal, values: Tensor) -> None:
    """Refuse a file whose heuristic judged the first starts otherwise; rounding aside, as machines differ in it."""
    told = [v if v < float("inf") else None for v in values.double().flatten().tolist()]
    known = journal.rows.get(_JUDGED)
    if known is None:
        journal.add(_JUDGED, told)
        return
    now, before = (torch.tensor([float("inf") if v is None else v for v in row]) for row in (told, known))
    if now.shape != before.shape or not torch.allclose(now, before, rtol=1e-3, atol=1e-3):
        raise OtherWorkError(journal.path or Path(), "paths", ["heuristic"])


def _row(result: Result) -> dict[str, Any]:
    """As plain JSON, which knows no infinity."""
    row = result.to_dict()
    return row | {"cost": None if result.actions is None else result.cost}


def _read(domain: Domain, starts: Tensor, goals: Tensor, number: int, row: dict[str, Any]) -> Result:
    """A stored result, whose path is replayed."""
    kept = {name: value for name, value in row.items() if name != "bound"}
    if kept["actions"] is None:
        kept["cost"] = float("inf")
    else:
        validate_path(domain, starts[number], goals[number], kept["actions"])
    return Result(**kept)
