"""Batch weighted Q*: edges wait in the queue, and a child is made only when its edge's turn comes."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole, require_within
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.heuristic import Heuristic, QHeuristic, estimates
from deepwright.pathfinding.search.nodes import Nodes, first_of_each
from deepwright.pathfinding.search.paths import validate_path
from deepwright.pathfinding.search.queue import Queue
from deepwright.pathfinding.search.result import Limits, Result

_ENTRY = 28  # bytes of an entry of the queue
_PASS = 10_000  # states in one call


class ActionValues:
    """Q(s, a) = c(s, a) + h(T(s, a)) of a heuristic of states: exact where h is, and as dear as making every child.

    Args:
        domain: whose actions.
        heuristic: h.
    """

    def __init__(self, domain: Domain, heuristic: Heuristic) -> None:
        self.domain, self.heuristic = domain, heuristic

    @property
    def admissible(self) -> bool:
        """Whether h is."""
        return self.heuristic.admissible

    def values(self, states: Tensor, goals: Tensor) -> Float[Tensor, "b a"]:
        """One number a state and action, infinity where the action can't be taken.

        Args:
            states: (B, *state_shape).
            goals: (B, ...).
        """
        found = self.domain.expand(states)
        b, a = found.valid.shape
        rows, _ = found.valid.nonzero(as_tuple=True)
        h = estimates(self.heuristic, found.states[found.valid], goals[rows], _PASS)
        out = torch.full((b, a), torch.inf, device=states.device)
        out[found.valid] = found.costs[found.valid] + h
        return out


def bwqs(
    domain: Domain,
    start: Tensor,
    goal: Tensor,
    heuristic: QHeuristic,
    *,
    batch_size: int = 1000,
    weight: float = 1.0,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    trace: bool = False,
    on_step: Callable[[int, float, float], None] | None = None,
) -> Result:
    """Take the `batch_size` edges of least f = weight * g + Q at once, and make their children alone.

    One call of the heuristic a stored state serves all of its actions, so that it is asked for as many states as are
    met, and no child is made whose edge waits too far back. With Q <= c + h* and 0 < weight <= 1 a path costs at most
    h*(start) / weight. Of a result `evaluations` counts states, `nodes_generated` children.

    Args:
        domain: whose states.
        start: (*state_shape).
        goal: one.
        heuristic: Q; `ActionValues` makes one of a heuristic of states.
        batch_size: how many edges at once.
        weight: of the path's cost; 0 looks at Q alone.
        limits: where it gives up.
        trace: keep a row an iteration.
        on_step: told the nodes, the lower bound and the least cost after each iteration.

    Raises:
        InputError: numbers out of range, states that aren't the domain's, a heuristic that gives no numbers.

    Source: F. Agostinelli et al., "Q* search: heuristic search with deep Q-networks", 2024.
    """
    require_whole(1, batch_size=batch_size)
    require_within(0.0, 1.0, weight=weight)
    domain.require_states(start[None], "start")
    return _EdgeSearch(domain, start, goal, heuristic, batch_size, weight).run(limits, trace, on_step)


class _EdgeSearch:
    """One search: its nodes, the edges that wait, and what it knows of the best path."""

    def __init__(
        self, domain: Domain, start: Tensor, goal: Tensor, heuristic: QHeuristic, batch_size: int, weight: float
    ) -> None:
        self.domain, self.start, self.goal, self.heuristic = domain, start, goal, heuristic
        self.batch_size, self.weight = batch_size, weight
        self.nodes, self.queue = Nodes(domain, start.device), Queue(start.device)
        self.generated, self.expanded, self.evaluated = 1, 0, 0
        self.best, self.end, self.low = float("inf"), -1, 0.0

    def run(self, limits: Limits, trace: bool, on_step: Callable[[int, float, float], None] | None) -> Result:
        begin, rows, status = time.perf_counter(), list[dict[str, float]](), "exhausted"
        zero = torch.zeros(1, device=self.start.device)
        self._add(self.start[None], self.domain.keys(self.start[None]), zero.double(), zero.long() - 1, zero.long())
        while len(self.queue) and not self._closed():
            self._iterate()
            if trace:
                rows.append({"nodes": self.generated, "lower bound": self.low, "cost": self.best})
            if on_step is not None:
                on_step(self.generated, self.low, self.best)
            size = self.nodes.count * self.nodes.bytes_a_node + len(self.queue) * _ENTRY
            limit = limits.reached(self.generated, time.perf_counter() - begin, size)
            if limit is not None and len(self.queue) and not self._closed():
                status = limit
                break
        return self._result(status, time.perf_counter() - begin, rows)

    def _closed(self) -> bool:
        return self.end >= 0 and self.low >= self.weight * self.best

    def _iterate(self) -> None:
        f, edge, version = self.queue.pop(self.batch_size)
        node, action = edge // self.domain.num_actions, edge % self.domain.num_actions
        fresh = version == self.nodes.version[node]
        if not bool(fresh.any()):
            return
        f, node, action = f[fresh], node[fresh], action[fresh]
        self.low = max(self.low, float(f[0]))
        on = self.nodes.g[node] < self.best  # costs are above zero: behind these nothing is cheaper
        node, action = node[on], action[on]
        if len(node):
            self._take(node, action)

    def _take(self, node: Tensor, action: Tensor) -> None:
        """The children of some edges."""
        children, costs, valid = self.domain.step(self.nodes.states[node], action)
        children, node, action = children[valid], node[valid], action[valid]
        self.expanded += len(torch.unique(node))
        self.generated += len(node)
        if not len(node):
            return
        g, keys = self.nodes.g[node] + costs[valid].double(), self.domain.keys(children)
        kept = first_of_each(children, keys, g)
        children, keys, g, node, action = children[kept], keys[kept], g[kept], node[kept], action[kept]
        known = self.nodes.find(children, keys)
        old = known >= 0
        cheaper = old.clone()
        cheaper[old] = g[old] < self.nodes.g[known[old]]
        self._reopen(known[cheaper], g[cheaper], node[cheaper], action[cheaper])
        self._add(children[~old], keys[~old], g[~old], node[~old], action[~old])

    def _reopen(self, node: Tensor, g: Tensor, parent: Tensor, action: Tensor) -> None:
        if len(node):
            self.nodes.g[node] = g
            self.nodes.parent[node], self.nodes.action[node] = parent.int(), action.short()
            self.nodes.version[node] += 1
            self._open(node)

    def _add(self, states: Tensor, keys: Tensor, g: Tensor, parent: Tensor, action: Tensor) -> None:
        if len(states):
            self._open(self.nodes.add(states, keys, g, torch.zeros_like(g).float(), parent, action))

    def _open(self, node: Tensor) -> None:
        """Look whether nodes are goals, and let the edges of the others wait."""
        states = self.nodes.states[node]
        ends = self.domain.is_goal(states, self._goals(len(node)))
        if bool(ends.any()):
            g = self.nodes.g[node].masked_fill(~ends, torch.inf)
            if float(g.min()) < self.best:
                self.best, self.end = float(g.min()), int(node[g.argmin()])
            node, states = node[~ends], states[~ends]
        if len(node):
            self._push(node, self._values(states))

    def _values(self, states: Tensor) -> Tensor:
        """Q of all actions, looked at before anybody believes it."""
        parts = [self.heuristic.values(s, self._goals(len(s))) for s in states.split(_PASS)]
        q = torch.cat(parts)
        self.evaluated += len(states)
        expected = (len(states), self.domain.num_actions)
        if q.shape != expected:
            raise InputError(
                "heuristic", given=f"shape {tuple(q.shape)}", expected=f"{expected}, one a state and action"
            )
        if bool(q.isnan().any()):
            row = int(q.isnan().any(1).nonzero()[0])
            raise InputError(
                "heuristic", given=f"NaN for the state {states[row].flatten().tolist()}", expected="numbers"
            )
        return q.float().clamp_min(0) + 0.0  # -0.0 is 0: bits are sorted

    def _push(self, node: Tensor, q: Tensor) -> None:
        row, action = (q < torch.inf).nonzero(as_tuple=True)
        chosen, values = node[row], q[row, action]
        exact = self.weight * self.nodes.g[chosen] + values.double()
        f = exact.float()  # rounded down, as sums above the true ones are no lower bounds
        f = torch.where(f.double() > exact, torch.nextafter(f, torch.full_like(f, -torch.inf)), f)
        edge = chosen * self.domain.num_actions + action
        self.queue.push(f, values, edge, self.nodes.version[chosen])

    def _goals(self, n: int) -> Tensor:
        return self.goal.expand(n, *self.goal.shape)

    def _result(self, status: str, seconds: float, rows: list[dict[str, float]]) -> Result:
        counts = (self.generated, self.expanded, self.evaluated, seconds, rows)
        admissible = self.heuristic.admissible and self.weight > 0
        if self.end < 0:
            low = self.low if admissible and status != "exhausted" else None
            return Result(status, None, float("inf"), low, *counts)
        actions = self.nodes.path(self.end)
        cost = validate_path(self.domain, self.start, self.goal, actions)
        if status == "exhausted":
            status = "solved"
            if not len(self.queue) and self.weight == 1:  # nothing is left that could be cheaper
                self.low = max(self.low, cost)
        return Result(status, actions, cost, min(self.low, cost) if admissible else None, *counts)
