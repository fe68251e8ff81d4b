"""Batch weighted A*: many nodes expanded at once, so that one pass of a network serves them all."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole, require_within
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.heuristic import Heuristic, ZeroHeuristic, rounded_down
from deepwright.pathfinding.search.compiled_search import CompiledWeighted, chosen_moves
from deepwright.pathfinding.search.nodes import Nodes, first_of_each
from deepwright.pathfinding.search.queue import Queue
from deepwright.pathfinding.search.result import Limits, Result
from deepwright.pathfinding.search.stepwise import OnStep, Search, require_ends, run

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
    random_share: float = 0.0,
    seed: int = 0,
    engine: str = "auto",
    trace: bool = False,
    on_step: OnStep | None = None,
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
        random_share: of each batch this share, never the first, is taken at random: such nodes don't raise the lower
            bound.
        seed: of what is taken at random.
        engine: "numba" compiles the search of permutations, sliding tiles and Lights Out on the CPU; "torch" takes
            every domain on every device; "auto" the first where it can.
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
    require_ends(domain, start, goal)
    moves = chosen_moves(engine, domain, start, random_share)
    search: Search
    if moves is None:
        search = Weighted(domain, start, goal, batch_size, weight, ties, random_share, seed)
    else:
        blind, stepwise = type(heuristic) is ZeroHeuristic, trace or on_step is not None
        search = CompiledWeighted(domain, start, goal, batch_size, weight, ties, moves, blind, stepwise)
    return run(search, heuristic, limits, None, trace, on_step)


class Weighted(Search):
    """One search: its nodes, its queue, and what it knows of the best path.

    Args:
        domain: see `bwas`.
        start: see `bwas`.
        goal: see `bwas`.
        batch_size: see `bwas`.
        weight: see `bwas`.
        ties: see `bwas`.
        random_share: see `bwas`.
        seed: see `bwas`.
    """

    def __init__(
        self,
        domain: Domain,
        start: Tensor,
        goal: Tensor,
        batch_size: int,
        weight: float,
        ties: str,
        random_share: float,
        seed: int,
    ) -> None:
        super().__init__(domain, start, goal, batch_size)
        self.weight, self.random_share, self.rng = weight, random_share, generator(seed, "random nodes")
        self.nodes, self.queue = Nodes(domain, start.device), Queue(start.device, ties == "newest")
        self.end = -1
        self._new: tuple[Tensor, ...] = ()

    def propose(self) -> tuple[Tensor, Tensor]:
        """See `Search.propose`: children that weren't met before."""
        if not self.nodes.count:
            zero = torch.zeros(1, device=self.start.device)
            first = self.start[None]
            self._new = (first, self.domain.keys(first), zero.double(), zero.long() - 1, zero.long())
        else:
            node = self._next()
            self._new = self._settle(*self._expand(node), node)
        return self._new[0], self.goals(len(self._new[0]))

    def absorb(self, values: Tensor) -> None:
        """See `Search.absorb`.

        Args:
            values: (B,).
        """
        states, keys, g, parent, action = self._new
        if len(states):
            self._push(self.nodes.add(states, keys, g, values, parent, action))

    def over(self) -> str | None:
        """See `Search.over`."""
        found = self.best < float("inf")
        if not len(self.queue):
            if found and self.weight == 1:  # nothing is left that could be cheaper
                self.low = max(self.low, self.best)
            return "solved" if found else "exhausted"
        return "solved" if found and self.low >= self.weight * self.best else None

    def path(self) -> list[int] | None:
        """See `Search.path`."""
        return self.nodes.path(self.end) if self.end >= 0 else None

    @property
    def size(self) -> int:
        """See `Search.size`."""
        return self.nodes.count * self.nodes.bytes_a_node + len(self.queue) * _ENTRY

    def _next(self) -> Tensor:
        """The nodes that are expanded now: neither stale, nor goals, nor behind the best path."""
        _, node, version = self._take()
        node = node[version == self.nodes.version[node]]
        if not len(node):
            return node
        ends = self.domain.is_goal(self.nodes.states[node], self.goals(len(node)))
        if bool(ends.any()):
            g = self.nodes.g[node].masked_fill(~ends, torch.inf)
            if float(g.min()) < self.best:
                self.best, self.end = float(g.min()), int(node[g.argmin()])
        return node[~ends & (self.nodes.g[node] < self.best)]  # costs are above zero: behind these nothing is cheaper

    def _take(self) -> tuple[Tensor, Tensor, Tensor]:
        """The next entries, with what they say about the lower bound."""
        n = self.batch_size
        if not self.random_share:
            first = self.queue.pop(n)
            self._raise_bound(*first)
            return first
        drawn = torch.rand(n, generator=self.rng) < self.random_share
        first = self.queue.pop(max(n - int(drawn.sum()), 1))
        self._raise_bound(*first)
        extra = self.queue.draw(int(drawn.sum()), self.rng)
        return tuple(torch.cat(pair) for pair in zip(first, extra))  # type: ignore[return-value]

    def _raise_bound(self, f: Tensor, entry: Tensor, version: Tensor) -> None:
        """The least f that waits is a lower bound, if its entry isn't stale."""
        fresh = version == self.nodes.version[self._owner(entry)]
        if bool(fresh.any()):
            self.low = max(self.low, float(f[fresh][0]))

    def _owner(self, entry: Tensor) -> Tensor:
        """The nodes whose entries these are."""
        return entry

    def _expand(self, node: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Children, costs of their actions, rows of their parents in `node`, actions."""
        found = self.domain.expand(self.nodes.states[node])
        row, action = found.valid.nonzero(as_tuple=True)
        self.expanded += len(node)
        self.generated += len(row)
        return found.states[row, action], found.costs[row, action], row, action

    def _settle(self, children: Tensor, costs: Tensor, row: Tensor, action: Tensor, node: Tensor) -> tuple[Tensor, ...]:
        """Reopen nodes to which there is a cheaper way now; states, keys, g, parents and actions of what is new."""
        g, keys = self.nodes.g[node[row]] + costs.double(), self.domain.keys(children)
        kept = first_of_each(children, keys, g)
        children, keys, g, parent, action = children[kept], keys[kept], g[kept], node[row[kept]], action[kept]
        known = self.nodes.find(children, keys)
        old, new = known >= 0, known < 0
        self._reopen(known[old], g[old], parent[old], action[old])
        return children[new], keys[new], g[new], parent[new], action[new]

    def _reopen(self, node: Tensor, g: Tensor, parent: Tensor, action: Tensor) -> None:
        cheaper = g < self.nodes.g[node]
        node, g = node[cheaper], g[cheaper]
        if not len(node):
            return
        self.nodes.g[node] = g
        self.nodes.parent[node], self.nodes.action[node] = parent[cheaper].int(), action[cheaper].short()
        self.nodes.version[node] += 1
        self._push(node)

    def _push(self, node: Tensor) -> None:
        """Enter what there may be a way from."""
        node = node[self.nodes.h[node] < torch.inf]
        h = self.nodes.h[node]
        f = rounded_down(self.weight * self.nodes.g[node] + h.double())
        self.queue.push(f, h, node, self.nodes.version[node])
