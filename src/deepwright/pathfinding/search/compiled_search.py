"""Batch weighted A* on compiled loops: the same search as `weighted.Weighted`, of domains that `moves_of` knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError, MissingExtraError, unknown_name
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.search.compiled_moves import Moves, moves_of
from deepwright.pathfinding.search.result import Limits
from deepwright.pathfinding.search.stepwise import Search

ENGINES = ("auto", "numba", "torch")
_FIRST, _PAUSE = 4096, 200_000  # nodes at first; children between two looks at the limits


def chosen_moves(engine: str, domain: Domain, start: Tensor, random_share: float) -> Moves | None:
    """What compiled loops need, or None where torch searches.

    Args:
        engine: "auto" takes numba where it is installed and can do it.
        domain: see `moves_of`.
        start: on the CPU for numba.
        random_share: none for numba.

    Raises:
        InputError: numba was asked for and can't do it.
        MissingExtraError: numba was asked for and isn't installed.
    """
    if engine not in ENGINES:
        raise unknown_name("engine", str(engine), ENGINES)
    if engine == "torch":
        return None
    able = start.device.type == "cpu" and not random_share
    moves = moves_of(domain) if able else None
    if moves is None and engine == "numba":
        raise InputError(
            "engine",
            given=f"'numba' for {domain.name} on {start.device}, random_share {random_share}",
            expected="permutations, sliding tiles or Lights Out, on the CPU, nothing at random",
            hint="engine='auto'",
        )
    if moves is None:
        return None
    from deepwright.pathfinding.search import compiled

    if engine == "numba" and not compiled.FOUND:
        raise MissingExtraError("numba", "plan", "engine='numba'")
    return moves if compiled.FOUND else None


class CompiledWeighted(Search):
    """One search in NumPy arrays.

    Args:
        domain: see `bwas`.
        start: see `bwas`.
        goal: see `bwas`.
        batch_size: see `bwas`.
        weight: see `bwas`.
        ties: see `bwas`.
        moves: of the domain.
        blind: h = 0, so that nobody need be asked.
        stepwise: come back after each batch all the same.
    """

    def __init__(
        self,
        domain: Domain,
        start: Tensor,
        goal: Tensor,
        batch_size: int,
        weight: float,
        ties: str,
        moves: Moves,
        blind: bool,
        stepwise: bool,
    ) -> None:
        from deepwright.pathfinding.search import compiled

        super().__init__(domain, start, goal, batch_size)
        self.loops, self.weight, self.newest, self.blind = compiled, weight, ties == "newest", blind
        self._pause = 0 if stepwise else _PAUSE
        self._most = batch_size * domain.num_actions
        self._cells = start.numel()
        self._goal, self._goal_key = goal.numpy().ravel(), np.uint64(_keys(domain, goal)[0])
        self._moves = (moves.first, moves.to, moves.source, moves.valid)
        self._switches = (moves.toggles, moves.blank, domain.num_values, domain.num_actions)
        self._hashes = domain._hash.table.numpy().view(np.uint64).ravel()
        real = np.zeros(2, dtype=np.float32)
        self._scratch = (real, real.view(np.uint32))
        self._batch = (np.empty(batch_size, np.int32), np.empty(batch_size, np.int32), *self._scratch)
        self._fresh = (np.empty(self._most, np.int32), np.empty(self._most, np.int64))
        self._reopened = (np.empty(self._most, np.int32), np.empty(self._most, np.int64))
        self._child = np.empty(self._cells, np.uint8)
        self._sizes, self._costs = np.zeros(compiled.SIZES, np.int64), np.array([np.inf, 0.0])
        self._sizes[[compiled.GENERATED, compiled.END]] = 1, -1
        self._table = np.full(2, -1, np.int64)
        self._allocate(max(_FIRST, 2 * self._most))

    def room(self, limits: Limits) -> None:
        """See `Search.room`.

        Args:
            limits: nodes count after each batch, bytes before too many can have come.
        """
        children = self._pause
        if limits.bytes is not None:
            children = min(children, max(limits.bytes - self.size, 0) // (self._bytes_a_node + 16))
        self._until = self.generated + children
        if limits.nodes is not None:
            self._until = min(self._until, limits.nodes)

    def propose(self) -> tuple[Tensor, Tensor]:
        """See `Search.propose`."""
        sizes, loops = self._sizes, self.loops
        if not sizes[loops.COUNT]:
            self._begin()
        else:
            self._search()
        self.generated, self.expanded = int(sizes[loops.GENERATED]), int(sizes[loops.EXPANDED])
        self.best, self.low = float(self._costs[loops.BEST]), float(self._costs[loops.LOW])
        self._asked = self._fresh[0][: 0 if self.blind else sizes[loops.NEW]]
        states = torch.from_numpy(self._states[self._asked]).view(-1, *self.domain.state_shape)
        return states, self.goals(len(states))

    def absorb(self, values: Tensor) -> None:
        """See `Search.absorb`.

        Args:
            values: (B,).
        """
        if self.blind:
            self.evaluated = int(self._sizes[self.loops.COUNT])
            return
        self._h[self._asked] = values.detach().cpu().numpy()
        self.loops.push(self._asked, len(self._asked), *self._pushed())

    def over(self) -> str | None:
        """See `Search.over`."""
        found = self.best < float("inf")
        if not self._sizes[self.loops.HEAP]:
            if found and self.weight == 1:  # nothing is left that could be cheaper
                self.low = max(self.low, self.best)
            return "solved" if found else "exhausted"
        return "solved" if found and self.low >= self.weight * self.best else None

    def path(self) -> list[int] | None:
        """See `Search.path`."""
        node, actions = int(self._sizes[self.loops.END]), []
        if node < 0:
            return None
        while self._tree[0][node] >= 0:
            actions.append(int(self._tree[1][node]))
            node = int(self._tree[0][node])
        return actions[::-1]

    @property
    def size(self) -> int:
        """See `Search.size`."""
        return int(self._sizes[self.loops.COUNT]) * self._bytes_a_node + int(self._sizes[self.loops.HEAP]) * 16

    @property
    def _bytes_a_node(self) -> int:
        return self._cells + 8 + 4 + 4 + 4 + 4 + 2 + round(8 / self.loops.LOAD)

    def _begin(self) -> None:
        """The start as the first node."""
        self._states[0], self._keys[0] = self.start.numpy().ravel(), _keys(self.domain, self.start)[0]
        self._g[0], self._tree[0][0], self._tree[1][0], self._last[0] = 0, -1, -1, -1
        self._fresh[0][0] = 0
        loops = self.loops
        self._sizes[[loops.COUNT, loops.NEW]] = 1
        loops.fill(self._table, self._keys, 1)
        if self.blind:
            loops.push(self._fresh[0], 1, *self._pushed())

    def _search(self) -> None:
        """On until the loop has more to say than that it needs room."""
        while self.loops.search(self._until, self.blind, *self._arguments()) == self.loops.GROW:
            needed = int(max(self._sizes[self.loops.COUNT], self._sizes[self.loops.HEAP])) + self._most
            self._allocate(2 * needed)

    def _arguments(self) -> tuple[Any, ...]:
        nodes = (self._states, self._keys, self._g, self._last)
        loop = (self._batch, self._sizes, self._costs, self._heap, nodes, self._tree, self._table, self._moves)
        ends = (self._goal, self._goal_key, self._fresh, self._reopened, self._child)
        return (*loop, self._switches, self._hashes, *ends, self._h, self.weight, self.newest)

    def _pushed(self) -> tuple[Any, ...]:
        arrays = (self._sizes, self._heap, self._g, self._h, self._last)
        return (*arrays, self.weight, self.newest, self._scratch)

    def _allocate(self, size: int) -> None:
        """Room for so many nodes and entries; what is there stays."""
        kept = self._arrays() if self._sizes[self.loops.COUNT] else ()
        self._states = np.empty((size, self._cells), np.uint8)
        self._keys, self._g, self._last = np.empty(size, np.uint64), np.empty(size, np.int32), np.empty(size, np.int32)
        self._h = np.zeros(size, np.float32)
        self._tree = (np.empty(size, np.int32), np.empty(size, np.int16))
        self._heap = (np.empty(size, np.uint64), np.empty(size, np.int32), np.empty(size, np.int32))
        for old, new in zip(kept, self._arrays()):
            new[: len(old)] = old
        slots = 1 << int(np.ceil(np.log2(size / self.loops.LOAD)))
        self._table = np.full(slots, -1, np.int64)
        self.loops.fill(self._table, self._keys, self._sizes[self.loops.COUNT])

    def _arrays(self) -> tuple[Any, ...]:
        return (self._states, self._keys, self._g, self._last, self._h, *self._tree, *self._heap)


def _keys(domain: Domain, state: Tensor) -> Any:
    return domain.keys(state[None]).numpy().view(np.uint64)
