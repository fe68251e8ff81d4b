"""`bwas` in compiled loops: the same nodes, bounds and paths as in tensors, for domains whose moves are tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.pathfinding.domains.domain import KINDS, Domain, Moves
from deepwright.pathfinding.heuristics.heuristic import Heuristic, ZeroHeuristic, estimates
from deepwright.pathfinding.search.paths import validate_path
from deepwright.pathfinding.search.result import Limits, Result

_FIRST = 4096
_ENTRY = 24  # bytes of an entry of the queue


def compilable(domain: Domain, start: Tensor) -> Moves | None:
    """A domain's moves as tables, if a compiled search does exactly what one in tensors does; else None.

    Args:
        domain: any.
        start: (*state_shape).
    """
    kind = type(domain)
    said, *others = (_definer(kind, name) for name in ("moves", "expand", "is_goal"))
    own = kind.keys is Domain.keys and all(issubclass(said, other) for other in others)
    if not own or not domain.unit_cost or start.device.type != "cpu" or domain.state_dtype != torch.uint8:
        return None
    moves = domain.moves()
    if moves is None:
        return None
    from deepwright.pathfinding.search import compiled

    return moves if compiled.FOUND else None


def _definer(kind: type, name: str) -> type:
    return next(c for c in kind.__mro__ if name in vars(c))


class CompiledSearch:
    """One search: arrays that grow, and what is known of the best path.

    Args:
        domain: whose states.
        moves: its.
        start: (n,).
        goal: (n,).
        heuristic: h.
        batch_size: nodes that are expanded at once.
        weight: of the path's cost.
    """

    def __init__(
        self,
        domain: Domain,
        moves: Moves,
        start: Tensor,
        goal: Tensor,
        heuristic: Heuristic,
        batch_size: int,
        weight: float,
    ) -> None:
        from deepwright.pathfinding.search import compiled

        self.code, self.domain, self.start, self.goal, self.heuristic = compiled, domain, start, goal, heuristic
        self.batch_size, self.weight, self.evaluated = batch_size, weight, 0
        self.zero = isinstance(heuristic, ZeroHeuristic)
        self.kind, self.moves = KINDS.index(moves.kind), moves.table.cpu().numpy().astype(np.int64)
        self.random = domain.random_table.cpu().numpy()
        self.counts, self.costs = np.array([0, 0, 0, 1, 0, -1], dtype=np.int64), np.array([np.inf, 0.0])
        self.taken, self.child = np.zeros(batch_size, dtype=np.int64), np.zeros(start.numel(), dtype=np.uint8)
        self.wanted = goal.numpy().ravel()
        self.bits = np.zeros(1, dtype=np.float32)
        self.nodes: dict[str, Any] = {
            "states": np.zeros((_FIRST, start.numel()), dtype=np.uint8),
            "g": np.zeros(_FIRST),
            "h": np.zeros(_FIRST, dtype=np.float32),
            "parent": np.zeros(_FIRST, dtype=np.int32),
            "action": np.zeros(_FIRST, dtype=np.int16),
            "version": np.zeros(_FIRST, dtype=np.int32),
            "keys": np.zeros(_FIRST, dtype=np.int64),
        }
        self.table = np.full(4 * _FIRST, -1, dtype=np.int32)
        self.heap = (
            np.zeros(_FIRST, dtype=np.int64),
            np.zeros(_FIRST, dtype=np.int64),
            np.zeros(_FIRST, dtype=np.int32),
            np.zeros(_FIRST, dtype=np.int32),
        )

    def run(self, limits: Limits, trace: bool, on_step: Callable[[int, float, float], None] | None) -> Result:
        """See `bwas`.

        Args:
            limits: where it gives up.
            trace: keep a row an iteration.
            on_step: told after each iteration.
        """
        code, counts, costs, rows = self.code, self.counts, self.costs, list[dict[str, float]]()
        begin, status = time.perf_counter(), "exhausted"
        self._root()
        while counts[code.ENTRIES]:
            self._iterate()
            if trace:
                row = {"nodes": int(counts[code.CHILDREN]), "lower bound": costs[code.LOW], "cost": costs[code.BEST]}
                rows.append({name: float(value) for name, value in row.items()})
            if on_step is not None:
                on_step(int(counts[code.CHILDREN]), float(costs[code.LOW]), float(costs[code.BEST]))
            if counts[code.END] >= 0 and costs[code.LOW] >= self.weight * costs[code.BEST]:
                break
            size = int(counts[code.COUNT]) * self._bytes_a_node + int(counts[code.ENTRIES]) * _ENTRY
            limit = limits.reached(int(counts[code.CHILDREN]), time.perf_counter() - begin, size)
            if limit is not None and counts[code.ENTRIES]:
                status = limit
                break
        return self._result(status, time.perf_counter() - begin, rows)

    @property
    def _bytes_a_node(self) -> int:
        return sum(a[0].nbytes for a in self.nodes.values()) + 2 * self.table.itemsize

    def _root(self) -> None:
        n = self.nodes
        n["states"][0] = self.start.numpy().ravel()
        n["keys"][0], n["parent"][0] = int(self.domain.keys(self.start[None])[0]), -1
        self.counts[self.code.COUNT] = 1
        self.code.enter(n["keys"], self.table, 1)
        self._open(0)

    def _iterate(self) -> None:
        self._make_room()
        n, first = self.nodes, int(self.counts[self.code.COUNT])
        self.code.iterate(
            self.kind,
            self.moves,
            self.random,
            self.wanted,
            self.batch_size,
            self.weight,
            n["states"],
            n["g"],
            n["h"],
            n["parent"],
            n["action"],
            n["version"],
            n["keys"],
            self.table,
            self.heap,
            self.counts,
            self.costs,
            self.taken,
            self.child,
            self.bits,
        )
        self._open(first)

    def _open(self, first: int) -> None:
        """Ask for h of the nodes from `first` on, and let them wait."""
        n, count = self.nodes, int(self.counts[self.code.COUNT])
        if count == first:
            return
        self.evaluated += count - first
        if not self.zero:
            states = torch.from_numpy(n["states"][first:count]).view(-1, *self.domain.state_shape)
            goals = self.goal.expand(count - first, *self.goal.shape)
            n["h"][first:count] = estimates(self.heuristic, states, goals, max(self.batch_size, 1000)).numpy()
        which = np.arange(first, count)
        self.code.push_nodes(which, n["g"], n["h"], n["version"], self.heap, self.counts, self.weight, self.bits)

    def _make_room(self) -> None:
        """For all children that one batch can have."""
        more = self.batch_size * len(self.moves)
        count = int(self.counts[self.code.COUNT])
        if count + more > len(self.nodes["g"]):
            size = 2 * (count + more)
            self.nodes = {name: _grown(array, size) for name, array in self.nodes.items()}
        if 2 * (count + more) > len(self.table):
            size = len(self.table)
            while size < 4 * (count + more):
                size *= 2
            self.table = np.full(size, -1, dtype=np.int32)
            self.code.enter(self.nodes["keys"], self.table, count)
        entries = int(self.counts[self.code.ENTRIES]) + more
        if entries > len(self.heap[0]):
            a, b, c, d = (_grown(array, 2 * entries) for array in self.heap)
            self.heap = (a, b, c, d)

    def _result(self, status: str, seconds: float, rows: list[dict[str, float]]) -> Result:
        code = self.code
        low, end = float(self.costs[code.LOW]), int(self.counts[code.END])
        counted = (int(self.counts[code.CHILDREN]), int(self.counts[code.EXPANDED]), self.evaluated, seconds, rows)
        admissible = self.heuristic.admissible and self.weight > 0
        if end < 0:
            known = low if admissible and status != "exhausted" else None
            return Result(status, None, float("inf"), known, *counted)
        actions: list[int] = []
        while self.nodes["parent"][end] >= 0:
            actions.append(int(self.nodes["action"][end]))
            end = int(self.nodes["parent"][end])
        actions.reverse()
        cost = validate_path(self.domain, self.start, self.goal, actions)
        if not self.counts[code.ENTRIES] and self.weight == 1:  # nothing is left that could be cheaper
            low = max(low, cost)
        status = "solved" if status == "exhausted" else status
        return Result(status, actions, cost, min(low, cost) if admissible else None, *counted)


def _grown(array: Any, size: int) -> Any:
    new = np.zeros((size, *array.shape[1:]), dtype=array.dtype)
    new[: len(array)] = array
    return new
