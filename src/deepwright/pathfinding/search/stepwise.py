"""What all searches share: they ask for estimates of states, take the answers, and go on. So many can ask at once."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from deepwright.pathfinding.domains.domain import Domain, DomainError
from deepwright.pathfinding.heuristics.heuristic import Heuristic, QHeuristic, estimates
from deepwright.pathfinding.search.paths import validate_path
from deepwright.pathfinding.search.q_values import q_estimates
from deepwright.pathfinding.search.result import Limits, Result

AnyHeuristic = Heuristic | QHeuristic
OnStep = Callable[[int, float, float], None]
_CALL = 1000  # states a call of a heuristic, at least


class Search(ABC):
    """One search, driven from outside: `propose` names states, `absorb` takes their estimates, until `over` says why.

    Attributes:
        generated: children, those that were met before among them.
        expanded: nodes, or edges, that were taken from the queue.
        evaluated: states whose estimates were asked for.
        best: the least cost of a path that was found.
        low: a lower bound, if the heuristic is admissible.
        weight: of the path's cost in f.

    Args:
        domain: whose states.
        start: (*state_shape).
        goal: one.
        batch_size: how many are expanded at once.
    """

    weight = 1.0

    def __init__(self, domain: Domain, start: Tensor, goal: Tensor, batch_size: int) -> None:
        self.domain, self.start, self.goal, self.batch_size = domain, start, goal, batch_size
        self.generated, self.expanded, self.evaluated = 1, 0, 0
        self.best, self.low = float("inf"), 0.0

    @abstractmethod
    def propose(self) -> tuple[Tensor, Tensor]:
        """Go on as far as is possible without estimates: the states that are to be judged, maybe none, and goals."""

    @abstractmethod
    def absorb(self, values: Tensor) -> None:
        """Take the estimates of what was proposed.

        Args:
            values: (B,) of states, or (B, A) of their actions.
        """

    @abstractmethod
    def over(self) -> str | None:
        """Why the search ended by itself: "solved", "exhausted" or "missed"; None while it goes on."""

    @abstractmethod
    def path(self) -> list[int] | None:
        """The actions of the best path."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes of nodes and queue."""

    def room(self, limits: Limits) -> None:  # noqa: B027 - most look at limits after each batch
        """Told where it will have to stop, before each batch.

        Args:
            limits: see `Limits`.
        """

    def result(self, status: str, admissible: bool, seconds: float, rows: list[dict[str, float]]) -> Result:
        """The end, with the path replayed.

        Args:
            status: see `Result`.
            admissible: whether `low` is a lower bound.
            seconds: that it took.
            rows: the trace.
        """
        counts = (self.generated, self.expanded, self.evaluated, seconds, rows)
        known = admissible and self.weight > 0
        actions = self.path()
        if actions is None:
            low = self.low if known and status != "exhausted" else None
            return Result(status, None, float("inf"), low, *counts)
        cost = validate_path(self.domain, self.start, self.goal, actions)
        return Result(status, actions, cost, min(self.low, cost) if known else None, *counts)

    def goals(self, n: int) -> Tensor:
        """The goal, n times.

        Args:
            n: how many.
        """
        return self.goal.expand(n, *self.goal.shape)


def require_ends(domain: Domain, start: Tensor, goal: Tensor) -> None:
    """Refuse a start or a goal that can't be one.

    Args:
        domain: whose.
        start: (*state_shape).
        goal: one.

    Raises:
        DomainError: no tensors, or none that the domain takes.
    """
    for what, given in (("start", start), ("goal", goal)):
        if not isinstance(given, Tensor):
            raise DomainError(f"{what} of {domain.name}", given=type(given).__name__, expected="a tensor")
    domain.require_states(start[None], "start")
    domain.require_goals(goal[None], "goal")


def answers(heuristic: AnyHeuristic, states: Tensor, goals: Tensor, actions: int | None, batch_size: int) -> Tensor:
    """Estimates of states, or of their actions.

    Args:
        heuristic: of the kind that is asked for.
        states: (B, *state_shape).
        goals: (B, ...).
        actions: how many a state has, where these are to be judged.
        batch_size: of a call, 1000 at least.
    """
    size = max(batch_size, _CALL)
    if actions is None:
        return estimates(heuristic, states, goals, size)  # type: ignore[arg-type]
    return q_estimates(heuristic, states, goals, actions, size)  # type: ignore[arg-type]


def advance(searches: list[Search], heuristic: AnyHeuristic, actions: int | None) -> None:
    """One batch of each search; their questions go to the heuristic together.

    Args:
        searches: of one domain.
        heuristic: see `answers`.
        actions: see `answers`.
    """
    asked = [search.propose() for search in searches]
    sizes = [len(states) for states, _ in asked]
    for search, n in zip(searches, sizes):
        search.evaluated += n
    batch = max(search.batch_size for search in searches)
    if len(searches) == 1:
        values = answers(heuristic, *asked[0], actions, batch)
    else:
        states, goals = (torch.cat(parts) for parts in zip(*asked))
        values = answers(heuristic, states, goals, actions, batch)
    for search, part in zip(searches, values.split(sizes)):
        search.absorb(part)


def run(
    search: Search,
    heuristic: AnyHeuristic,
    limits: Limits,
    actions: int | None = None,
    trace: bool = False,
    on_step: OnStep | None = None,
) -> Result:
    """A search to its end.

    Args:
        search: which.
        heuristic: see `answers`.
        limits: where it gives up.
        actions: see `answers`.
        trace: keep a row an iteration.
        on_step: told the nodes, the lower bound and the least cost after each iteration.
    """
    begin, rows = time.perf_counter(), []
    advance([search], heuristic, actions)
    status = search.over()
    while status is None:
        search.room(limits)
        advance([search], heuristic, actions)
        if trace:
            rows.append({"nodes": search.generated, "lower bound": search.low, "cost": search.best})
        if on_step is not None:
            on_step(search.generated, search.low, search.best)
        status = search.over() or limits.reached(search.generated, time.perf_counter() - begin, search.size)
    return search.result(status, heuristic.admissible, time.perf_counter() - begin, rows)
