"""One instance by any of the searches, or many of them, whose results are kept as they come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.journal import Journal
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.heuristic import Heuristic, QHeuristic
from deepwright.pathfinding.search.beams import beam
from deepwright.pathfinding.search.both_ways import bidirectional
from deepwright.pathfinding.search.deepening import idastar
from deepwright.pathfinding.search.edges import bwqs
from deepwright.pathfinding.search.result import Limits, Result
from deepwright.pathfinding.search.weighted import bwas

ALGORITHMS = ("bwas", "bwqs", "beam", "greedy", "idastar", "bidirectional")


def solve(
    domain: Domain,
    start: Tensor,
    goal: Tensor,
    heuristic: Heuristic | QHeuristic | None = None,
    algorithm: str = "bwas",
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    **options: Any,
) -> Result:
    """A path from a start to a goal; it is replayed before it is called one.

    Args:
        domain: whose states.
        start: (*state_shape).
        goal: one.
        heuristic: h; Q for "bwqs"; none for "bidirectional".
        algorithm: one of `ALGORITHMS`; "greedy" is a beam of width 1.
        limits: where it gives up.
        options: of the search of that name.

    Raises:
        InputError: another algorithm, a heuristic of the wrong kind, bad input of any kind.
    """
    if algorithm not in ALGORITHMS:
        raise unknown_name("algorithm", algorithm, list(ALGORITHMS))
    if algorithm == "bidirectional":
        if heuristic is not None or options:
            raise InputError(
                "bidirectional", given="a heuristic or options", expected="neither: it is exact by breadth"
            )
        return bidirectional(domain, start, goal, limits=limits)
    if heuristic is None:
        raise InputError("heuristic", given="none", expected="one", hint="ZeroHeuristic() is h = 0")
    if algorithm == "bwqs":
        if not isinstance(heuristic, QHeuristic):
            hint = "ActionValues(domain, heuristic) makes one"
            raise InputError("heuristic", given=type(heuristic).__name__, expected="values of actions", hint=hint)
        return bwqs(domain, start, goal, heuristic, limits=limits, **options)
    if not callable(heuristic):
        raise InputError("heuristic", given=type(heuristic).__name__, expected="values of states")
    if algorithm == "greedy":
        if "width" in options:
            raise InputError("greedy", given="a width", expected="none, or the algorithm 'beam'")
        return beam(domain, start, goal, heuristic, width=1, limits=limits, **options)
    searches: dict[str, Callable[..., Result]] = {"bwas": bwas, "beam": beam, "idastar": idastar}
    return searches[algorithm](domain, start, goal, heuristic, limits=limits, **options)


def solve_many(
    domain: Domain,
    starts: Tensor,
    goals: Tensor,
    heuristic: Heuristic | QHeuristic | None = None,
    algorithm: str = "bwas",
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    file: Path | str | None = None,
    **options: Any,
) -> list[Result]:
    """One instance after another; with `file` each result is kept there, and those that are there aren't done again.

    Args:
        domain: whose states.
        starts: (n, *state_shape).
        goals: (n, ...).
        heuristic: see `solve`.
        algorithm: see `solve`.
        limits: of each search.
        file: of the results, a journal of JSON lines.
        options: of the search.

    Raises:
        InputError: as many goals as starts are asked for; a file of other instances, another algorithm or options.
    """
    if len(goals) != len(starts):
        raise InputError("goals", given=f"{len(goals)} for {len(starts)} starts", expected="one each")
    identity = {
        "domain": domain.name,
        "starts": starts,
        "goals": goals,
        "heuristic": heuristic,
        "algorithm": algorithm,
        "limits": limits,
        "options": options,
    }
    journal = Journal(file, identity, kind="paths")
    try:
        for number in range(len(starts)):
            if str(number) not in journal.rows:
                result = solve(domain, starts[number], goals[number], heuristic, algorithm, limits=limits, **options)
                journal.add(str(number), _row(result))
        return [_result(journal.rows[str(number)]) for number in range(len(starts))]
    finally:
        journal.close()


def _row(result: Result) -> dict[str, Any]:
    """Plain data, of which a result is made again."""
    kept = {name: value for name, value in result.to_dict().items() if name != "bound"}
    return {**kept, "cost": str(result.cost)}


def _result(row: dict[str, Any]) -> Result:
    return Result(**{**row, "cost": float(row["cost"])})
