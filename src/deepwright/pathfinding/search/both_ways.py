"""Search from both ends, until no way can be cheaper than the cheapest meeting."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.domain import Domain, DomainError
from deepwright.pathfinding.heuristics.heuristic import Heuristic
from deepwright.pathfinding.search.result import Limits, Result
from deepwright.pathfinding.search.stepwise import OnStep, Search, require_ends, run
from deepwright.pathfinding.search.weighted import Weighted


def bidirectional(
    domain: Domain,
    start: Tensor,
    goal: Tensor,
    heuristic: Heuristic,
    *,
    batch_size: int = 1000,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    trace: bool = False,
    on_step: OnStep | None = None,
) -> Result:
    """Batch A* from the start and from the goal by turns, the side with the shorter queue first.

    With h <= h* either way the path costs least. As long as it isn't found, each side has a node of it in its queue
    with its true g, and these two haven't met: so its cost is at least the least f of either side; and, where h = 0,
    at least the sum of both least g, and 1 more where each action costs 1. The search ends when the largest of these is
    the cost of the cheapest meeting.

    Args:
        domain: whose actions have inverses, of the same cost.
        start: (*state_shape).
        goal: a state.
        heuristic: h(s, goal), which is asked for h(s, start) as well.
        batch_size: how many nodes are expanded at once.
        limits: where it gives up.
        trace: keep a row an iteration.
        on_step: told the nodes, the lower bound and the least cost after each iteration.

    Raises:
        InputError: numbers out of range, states that aren't the domain's, a heuristic that gives no numbers.
        DomainError: no inverses, or a goal that is more than a state.
    """
    require_whole(1, batch_size=batch_size)
    if domain.inverse is None or type(domain).is_goal is not Domain.is_goal:
        given = "no inverses" if domain.inverse is None else "a goal that is more than a state"
        raise DomainError(f"{domain.name} can't be searched from both ends", given=given, expected="`inverse`, a state")
    require_ends(domain, start, goal)
    return run(BothEnds(domain, start, goal, batch_size), heuristic, limits, None, trace, on_step)


class _Side(Weighted):
    """One end's search, which is told what the other has met. Its goal is the other's start."""

    blind, least = True, 0.0  # whether all h are 0; the least f that waits

    def __init__(self, domain: Domain, start: Tensor, goal: Tensor, batch_size: int) -> None:
        super().__init__(domain, start, goal, batch_size, 1.0, "newest", 0.0, 0)
        self.touched: list[Tensor] = []

    def absorb(self, values: Tensor) -> None:
        self.blind = self.blind and not bool(values.any())
        super().absorb(values)

    def _push(self, node: Tensor) -> None:
        self.touched.append(node)
        super()._push(node)

    def look(self) -> None:
        """Find the least f that waits."""
        f, entry, version = self.queue.pop(1)
        while len(f) and not bool(version == self.nodes.version[entry]):
            f, entry, version = self.queue.pop(1)
        if len(f):
            self.least = float(f)
            self.queue.push(f, self.nodes.h[entry], entry, version)


class BothEnds(Search):
    """Two searches and where they meet.

    Args:
        domain: see `bidirectional`.
        start: see `bidirectional`.
        goal: see `bidirectional`.
        batch_size: see `bidirectional`.
    """

    def __init__(self, domain: Domain, start: Tensor, goal: Tensor, batch_size: int) -> None:
        super().__init__(domain, start, goal, batch_size)
        self.sides = [_Side(domain, a, b, batch_size) for a, b in ((start, goal), (goal, start))]
        self.meeting, self.turn, self.generated = (-1, -1), 0, 2

    def propose(self) -> tuple[Tensor, Tensor]:
        """See `Search.propose`: of one side; of both at first."""
        if not self.sides[0].nodes.count:
            parts = [side.propose() for side in self.sides]
            states, goals = (torch.cat(both) for both in zip(*parts))
            return states, goals
        self.turn = int(len(self.sides[1].queue) < len(self.sides[0].queue))
        side = self.sides[self.turn]
        side.best = self.best
        return side.propose()

    def absorb(self, values: Tensor) -> None:
        """See `Search.absorb`.

        Args:
            values: (B,).
        """
        if not self.sides[0].nodes.count:
            for side, value in zip(self.sides, values.split(1)):
                side.absorb(value)
        else:
            self.sides[self.turn].absorb(values)
        self.generated = sum(side.generated for side in self.sides)
        self.expanded = sum(side.expanded for side in self.sides)
        self._raise_bound()

    def over(self) -> str | None:
        """See `Search.over`."""
        found = self.best < float("inf")
        if not all(len(side.queue) for side in self.sides):
            if found:
                self.low = max(self.low, self.best)
            return "solved" if found else "exhausted"
        return "solved" if found and self.low >= self.best else None

    def path(self) -> list[int] | None:
        """See `Search.path`."""
        here, there = self.meeting
        if here < 0:
            return None
        inverse = self.domain.inverse
        assert inverse is not None
        back = self.sides[1].nodes.path(there)
        return self.sides[0].nodes.path(here) + [inverse[action] for action in reversed(back)]

    @property
    def size(self) -> int:
        """See `Search.size`."""
        return sum(side.size for side in self.sides)

    def _raise_bound(self) -> None:
        one, two = self.sides
        for side in (one, two):
            side.look()
            if side.touched:
                self._meet(side, torch.cat(side.touched))
                side.touched = []
        self.low = max(self.low, one.least, two.least)
        if one.blind and two.blind:
            self.low = max(self.low, one.least + two.least + float(self.domain.unit_cost))

    def _meet(self, side: _Side, node: Tensor) -> None:
        """Look for new or cheaper nodes of one side among the other's."""
        other = self.sides[1] if side is self.sides[0] else self.sides[0]
        states = side.nodes.states[node]
        there = other.nodes.find(states, self.domain.keys(states))
        node, there = node[there >= 0], there[there >= 0]
        if not len(node):
            return
        cost = side.nodes.g[node] + other.nodes.g[there]
        at = int(cost.argmin())
        if float(cost[at]) < self.best:
            pair = int(node[at]), int(there[at])
            self.best, self.meeting = float(cost[at]), pair if side is self.sides[0] else pair[::-1]
