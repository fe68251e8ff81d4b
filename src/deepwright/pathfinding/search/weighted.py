"""Batch weighted A*: many nodes expanded at once, so that one pass of a network serves them all."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole, require_within
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.heuristic import Heuristic, estimates
from deepwright.pathfinding.search.engines import CompiledSearch, compilable
from deepwright.pathfinding.search.nodes import Nodes, first_of_each
from deepwright.pathfinding.search.paths import validate_path
from deepwright.pathfinding.search.queue import Queue
from deepwright.pathfinding.search.result import Limits, Result

_ENTRY = 28  # bytes of an entry of the queue


def bwas(
    domain: Domain,
    start: Tensor,
    goal: Tensor,
    heuristic: Heuristic,
    *,
    batch_size: int = 1000,
    weight: float = 1.0,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    ties: str = "newest",
    engine: str = "auto",
    random_share: float = 0.0,
    seed: int = 0,
    trace: bool = False,
    on_step: Callable[[int, float, float], None] | None = None,
) -> Result:
    """Expand the `batch_size` nodes of least f = weight * g + h at once, until nothing cheaper can be left.

    With h <= h* and 0 < weight <= 1 the path costs at most h*(start) / weight, and `lower_bound` at most h*(start):
    each node of a cheapest path that waits has weight * g + h <= h*(start). States that were met before aren't shown to
    the heuristic again; a cheaper way to one reopens it.

    Args:
        domain: whose states.
        start: (*state_shape).
        goal: one.
        heuristic: h; an infinite one says that there is no way from there.
        batch_size: how many nodes are expanded at once.
        weight: of the path's cost; 0 looks at h alone.
        limits: where it gives up.
        ties: of equal f the least h, and of these the "newest" node first; or the oldest ("fifo"), whatever its h.
        engine: "tensors"; "compiled" by numba, for domains whose `moves` are a table; or "auto", the latter where it
            can be had. Costs and bounds are the same.
        random_share: of each batch this share is taken at random; such a batch doesn't raise the lower bound.
        seed: of what is taken at random.
        trace: keep a row an iteration.
        on_step: told the nodes, the lower bound and the least cost after each iteration.

    Raises:
        InputError: numbers out of range, states that aren't the domain's, a heuristic that gives no numbers.

    Source: F. Agostinelli et al., "Solving the Rubik's cube with deep reinforcement learning and search", Nature
    Machine Intelligence 1, 2019.
    """
    require_whole(1, batch_size=batch_size)
    require_within(0.0, 1.0, weight=weight)
    require_within(0.0, 1.0, ends="[)", random_share=random_share)
    if ties not in ("newest", "fifo"):
        raise InputError("ties", given=repr(ties), expected='"newest" or "fifo"')
    domain.require_states(start[None], "start")
    if engine not in ("auto", "tensors", "compiled"):
        raise unknown_name("engine", engine, ["auto", "tensors", "compiled"])
    plain = ties == "newest" and not random_share
    moves = compilable(domain, start) if plain and engine != "tensors" else None
    if moves is not None:
        return CompiledSearch(domain, moves, start, goal, heuristic, batch_size, weight).run(limits, trace, on_step)
    if engine == "compiled":
        expected = "numba (pip install deepwright[plan]), a domain with `moves` on the CPU, the newest first, no draws"
        raise InputError("engine", given=f"compiled, for {domain.name}", expected=expected)
    return _Search(domain, start, goal, heuristic, batch_size, weight, ties, random_share, seed).run(
        limits, trace, on_step
    )


class _Search:
    """One search: its nodes, its queue, and what it knows of the best path."""

    def __init__(
        self,
        domain: Domain,
        start: Tensor,
        goal: Tensor,
        heuristic: Heuristic,
        batch_size: int,
        weight: float,
        ties: str,
        random_share: float,
        seed: int,
    ) -> None:
        self.domain, self.start, self.goal, self.heuristic = domain, start, goal, heuristic
        self.batch_size, self.weight = batch_size, weight
        self.random_share, self.rng = random_share, generator(seed, "random nodes")
        self.nodes, self.queue = Nodes(domain, start.device), Queue(start.device, ties == "newest")
        self.generated, self.expanded, self.evaluated = 1, 0, 0
        self.best, self.end, self.low = float("inf"), -1, 0.0

    def run(self, limits: Limits, trace: bool, on_step: Callable[[int, float, float], None] | None) -> Result:
        begin, rows = time.perf_counter(), []
        zero = torch.zeros(1, device=self.start.device)
        self._enter(self.start[None], self.domain.keys(self.start[None]), zero.double(), zero.long() - 1, zero.long())
        status = "exhausted"
        while len(self.queue):
            self._iterate()
            if trace:
                rows.append({"nodes": self.generated, "lower bound": self.low, "cost": self.best})
            if on_step is not None:
                on_step(self.generated, self.low, self.best)
            if self.end >= 0 and self.low >= self.weight * self.best:
                break
            size = self.nodes.count * self.nodes.bytes_a_node + len(self.queue) * _ENTRY
            limit = limits.reached(self.generated, time.perf_counter() - begin, size)
            if limit is not None and len(self.queue):
                status = limit
                break
        return self._result(status, time.perf_counter() - begin, rows)

    def _iterate(self) -> None:
        f, node, version = self._take()
        fresh = version == self.nodes.version[node]
        f, node = f[fresh], node[fresh]
        if not len(node):
            return
        states = self.nodes.states[node]
        ends = self.domain.is_goal(states, self._goals(len(node)))
        if bool(ends.any()):
            g = self.nodes.g[node].masked_fill(~ends, torch.inf)
            if float(g.min()) < self.best:
                self.best, self.end = float(g.min()), int(node[g.argmin()])
        on = ~ends & (self.nodes.g[node] < self.best)  # costs are above zero: behind these nothing is cheaper
        self._expand(node[on], states[on])

    def _take(self) -> tuple[Tensor, Tensor, Tensor]:
        """The next entries, with what they say about the lower bound."""
        n = self.batch_size
        if not self.random_share:
            f, node, version = self.queue.pop(n)
            self._raise_bound(f, node, version)
            return f, node, version
        drawn = torch.rand(n, generator=self.rng) < self.random_share
        first = self.queue.pop(max(n - int(drawn.sum()), 1))
        self._raise_bound(*first)
        extra = self.queue.draw(int(drawn.sum()), self.rng)
        return tuple(torch.cat(pair) for pair in zip(first, extra))  # type: ignore[return-value]

    def _raise_bound(self, f: Tensor, node: Tensor, version: Tensor) -> None:
        """The least f that waits is a lower bound, if its entry isn't stale."""
        fresh = version == self.nodes.version[node]
        if bool(fresh.any()):
            self.low = max(self.low, float(f[fresh][0]))

    def _expand(self, node: Tensor, states: Tensor) -> None:
        if not len(node):
            return
        found = self.domain.expand(states)
        row, action = found.valid.nonzero(as_tuple=True)
        self.expanded += len(node)
        self.generated += len(row)
        if not len(row):
            return
        g = self.nodes.g[node[row]] + found.costs[row, action].double()
        children = found.states[row, action]
        keys = self.domain.keys(children)
        kept = first_of_each(children, keys, g)
        children, keys, g, row, action = children[kept], keys[kept], g[kept], row[kept], action[kept]
        known = self.nodes.find(children, keys)
        old = known >= 0
        self._reopen(known[old], g[old], node[row[old]], action[old])
        new = ~old
        self._enter(children[new], keys[new], g[new], node[row[new]], action[new])

    def _reopen(self, node: Tensor, g: Tensor, parent: Tensor, action: Tensor) -> None:
        cheaper = g < self.nodes.g[node]
        node, g = node[cheaper], g[cheaper]
        if not len(node):
            return
        self.nodes.g[node] = g
        self.nodes.parent[node], self.nodes.action[node] = parent[cheaper].int(), action[cheaper].short()
        self.nodes.version[node] += 1
        self._push(node)

    def _enter(self, states: Tensor, keys: Tensor, g: Tensor, parent: Tensor, action: Tensor) -> None:
        if len(states):
            h = estimates(self.heuristic, states, self._goals(len(states)), max(self.batch_size, 1000))
            self.evaluated += len(states)
            self._push(self.nodes.add(states, keys, g, h, parent, action))

    def _push(self, node: Tensor) -> None:
        """Enter what there may be a way from; f is rounded down, as sums above the true ones are no lower bounds."""
        node = node[self.nodes.h[node] < torch.inf]
        exact = self.weight * self.nodes.g[node] + self.nodes.h[node].double()
        f = exact.float()
        f = torch.where(f.double() > exact, torch.nextafter(f, torch.full_like(f, -torch.inf)), f)
        self.queue.push(f, self.nodes.h[node], node, self.nodes.version[node])

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
        if not len(self.queue):  # nothing is left that could be cheaper
            self.low = max(self.low, cost) if self.weight == 1 else self.low
        status = "solved" if status == "exhausted" else status
        return Result(status, actions, cost, min(self.low, cost) if admissible else None, *counts)
