"""Small searches from many states at once, and the trees that they leave: what is trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from deepwright.pathfinding.domains.domain import Domain

Values = Callable[[Tensor, Tensor], Tensor]  # (states, goals) -> h


@dataclass(frozen=True)
class Forest:
    """Trees as arrays of nodes: each child that an expanded node can have is one, also where its state was met before.

    Attributes:
        states: (N, *state_shape).
        tree: of which instance.
        parent: the node before, -1 at roots.
        cost: of the action that led here, 0 at roots.
        depth: actions from the root.
        h: of the heuristic where it was asked (all but the roots), zero at goals.
        goal: whether the state is one of its goal's.
        expanded: whether its children are there.
        goals: (trees, ...), one a tree.
        solved: (trees,) whether a goal was found.
        instance: (trees,) which instance it was; spares are numbered after all others.
    """

    states: Tensor
    tree: Int[Tensor, " n"]
    parent: Int[Tensor, " n"]
    cost: Float[Tensor, " n"]
    depth: Int[Tensor, " n"]
    h: Float[Tensor, " n"]
    goal: Bool[Tensor, " n"]
    expanded: Bool[Tensor, " n"]
    goals: Tensor
    solved: Bool[Tensor, " i"]
    instance: Int[Tensor, " i"]


def grow(
    domain: Domain,
    starts: Tensor,
    goals: Tensor,
    values: Values,
    iterations: int,
    weight: float = 1.0,
    spares: tuple[Tensor, Tensor] | None = None,
) -> Forest:
    """Weighted A* from every start at once, one node of each tree an iteration.

    A tree whose goal is found is done; with `spares` a new one begins in its place, once. A child whose state its tree
    has already, no costlier, stays a leaf.

    Args:
        domain: whose states.
        starts: (B, *state_shape).
        goals: (B, ...).
        values: h, zero or more; it isn't asked for roots, and what it says of goals doesn't count.
        iterations: how many nodes of each tree are expanded at most.
        weight: of the path's cost.
        spares: starts and goals that take the place of what is solved.
    """
    return _Growth(domain, starts, goals, values, weight, spares).run(iterations)


class _Growth:
    """A frontier as a matrix: one row a tree, in which the least is taken."""

    def __init__(
        self,
        domain: Domain,
        starts: Tensor,
        goals: Tensor,
        values: Values,
        weight: float,
        spares: tuple[Tensor, Tensor] | None,
    ) -> None:
        self.domain, self.values, self.weight, self.spares = domain, values, weight, spares
        self.device, size = starts.device, len(starts)
        self.goals = goals if spares is None else torch.cat([goals, spares[1]])
        self.solved = torch.zeros(len(self.goals), dtype=torch.bool, device=self.device)
        self.begun = self.solved.clone()
        self.of = torch.arange(size, device=self.device)  # the tree in each row
        self.parts: list[tuple[Tensor, ...]] = []
        self.count = 0
        self.expanded: list[Tensor] = []
        shape = (size, 0)
        self.f, self.g = torch.zeros(shape, device=self.device), torch.zeros(shape, device=self.device)
        self.node = torch.zeros(shape, dtype=torch.long, device=self.device)
        self.key, self.depth = self.node.clone(), self.node.clone()
        self._plant(self.of, starts)

    def run(self, iterations: int) -> Forest:
        for number in range(iterations):
            column = self.f.shape[1] - 1 - self.f.flip(1).argmin(1)  # of equal ones the newest
            rows = torch.arange(len(self.f), device=self.device)
            rows = rows[self.f[rows, column] < torch.inf]
            if not len(rows):
                break
            self._expand(rows, column[rows], number + 1 < iterations)
        states, tree, parent, cost, depth, h, goal = (torch.cat(part) for part in zip(*self.parts))
        expanded = torch.zeros(self.count, dtype=torch.bool, device=self.device)
        if self.expanded:
            expanded[torch.cat(self.expanded)] = True
        kept = self.begun.cumsum(0) - 1  # trees that never began have no number
        instance = self.begun.nonzero()[:, 0]
        ends = self.goals[instance], self.solved[instance], instance
        return Forest(states, kept[tree], parent, cost, depth, h, goal, expanded, *ends)

    def _plant(self, rows: Tensor, starts: Tensor) -> None:
        tree, zero = self.of[rows], torch.zeros(len(rows), device=self.device)
        none = torch.zeros_like(tree)
        goal = self.domain.is_goal(starts, self.goals[tree])
        self.begun[tree] = True
        self.solved[tree] = goal
        node = self._add(starts, tree, none - 1, zero, none, zero, goal)
        f = zero.masked_fill(goal, torch.inf)
        self._columns(rows, f[:, None], zero[:, None], node[:, None], self.domain.keys(starts)[:, None], none[:, None])

    def _add(self, states: Tensor, *rest: Tensor) -> Tensor:
        self.parts.append((states, *rest))
        self.count += len(states)
        return torch.arange(self.count - len(states), self.count, device=self.device)

    def _columns(self, rows: Tensor, f: Tensor, *rest: Tensor) -> None:
        """New columns; rows that have nothing to say get entries that are never taken, nor found."""
        for name, values in zip(("f", "g", "node", "key", "depth"), (f, *rest)):
            old = getattr(self, name)
            fill = torch.inf if values.is_floating_point() else -1
            new = torch.full((len(old), values.shape[1]), fill, dtype=values.dtype, device=self.device)
            new[rows] = values
            setattr(self, name, torch.cat([old, new], 1))

    def _expand(self, rows: Tensor, column: Tensor, more: bool) -> None:
        node, g, depth = self.node[rows, column], self.g[rows, column], self.depth[rows, column]
        self.f[rows, column] = torch.inf
        tree = self.of[rows]
        found = self.domain.expand(self._states(node))
        self.expanded.append(node)
        b, a = found.valid.nonzero(as_tuple=True)
        if not len(b):
            return
        children, goals = found.states[b, a], self.goals[tree[b]]
        goal = self.domain.is_goal(children, goals)
        h = self.values(children, goals).masked_fill(goal, 0)
        made = self._add(children, tree[b], node[b], found.costs[b, a], depth[b] + 1, h, goal)
        over = torch.zeros(len(rows), dtype=torch.bool, device=self.device)
        over[b[goal]] = True
        self.solved[tree[over]] = True
        if not more:
            return
        self._enter(rows, found.valid, found.costs + g[:, None], (b, a), made, children, h, depth)
        self.f[rows[over]] = torch.inf
        if self.spares is not None:
            self._replace(rows[over])

    def _states(self, node: Tensor) -> Tensor:
        if len(self.parts) == 1:
            return self.parts[0][0][node]
        self.parts = [tuple(torch.cat(part) for part in zip(*self.parts))]
        return self.parts[0][0][node]

    def _enter(
        self,
        rows: Tensor,
        valid: Tensor,
        g: Tensor,
        at: tuple[Tensor, Tensor],
        made: Tensor,
        children: Tensor,
        h: Tensor,
        depth: Tensor,
    ) -> None:
        """Into the frontier: what its tree hasn't, or has at a higher cost, whose entry then is stale."""
        node, key, f = (torch.full(valid.shape, -1, dtype=torch.long, device=self.device) for _ in range(3))
        node[at], key[at] = made, self.domain.keys(children)
        g = g.masked_fill(~valid, torch.inf)
        f = torch.full(valid.shape, torch.inf, device=self.device)
        f[at] = self.weight * g[at] + h
        same = self.key[rows][:, None] == key[:, :, None]
        old = self.g[rows]
        known = (same & (old[:, None] <= g[:, :, None])).any(2)
        later = torch.arange(valid.shape[1], device=self.device)
        beside = (key[:, :, None] == key[:, None]) & (
            (g[:, None] < g[:, :, None]) | ((g[:, None] == g[:, :, None]) & (later < later[:, None]))
        )
        f = f.masked_fill(known | beside.any(2), torch.inf)
        stale = (same & (old[:, None] > g[:, :, None]) & valid[:, :, None]).any(1)
        self.f[rows] = self.f[rows].masked_fill(stale, torch.inf)
        self._columns(rows, f, g, node, key, (depth[:, None] + 1).expand_as(node))

    def _replace(self, rows: Tensor) -> None:
        """A new tree where one was solved, if the row hasn't had its second."""
        assert self.spares is not None
        size = len(self.f)
        rows = rows[self.of[rows] < size]
        if not len(rows):
            return
        for name in ("g", "key"):  # the old tree's entries are nothing to the new one
            getattr(self, name)[rows] = torch.inf if name == "g" else -1
        self.of[rows] += size
        self._plant(rows, self.spares[0][rows])


def subforest(forest: Forest, trees: Bool[Tensor, " i"]) -> Forest:
    """Some trees of a forest, numbered anew.

    Args:
        forest: all of them.
        trees: which.
    """
    kept = trees[forest.tree]
    place = kept.cumsum(0) - 1
    number = trees.cumsum(0) - 1
    parent = forest.parent[kept]
    return Forest(
        forest.states[kept],
        number[forest.tree[kept]],
        torch.where(parent >= 0, place[parent.clamp_min(0)], -1),
        forest.cost[kept],
        forest.depth[kept],
        forest.h[kept],
        forest.goal[kept],
        forest.expanded[kept],
        forest.goals[trees],
        forest.solved[trees],
        forest.instance[trees],
    )


def regoaled(forest: Forest, domain: Domain, goals: Tensor, values: Values) -> Forest:
    """The same trees with other goals: flags and estimates are asked for anew.

    Args:
        forest: the trees.
        domain: whose.
        goals: (instances, ...), the new ones.
        values: h.
    """
    own = goals[forest.tree]
    goal = domain.is_goal(forest.states, own)
    h = torch.zeros_like(forest.h)
    asked = (forest.parent >= 0) & ~goal
    if bool(asked.any()):
        h[asked] = values(forest.states[asked], own[asked])
    solved = torch.zeros(len(goals), dtype=torch.bool, device=goal.device)
    solved[forest.tree[goal]] = True
    return replace(forest, h=h, goal=goal, goals=goals, solved=solved)
