"""Batch weighted Q*: the queue holds actions that weren't taken yet, so that only children worth it are made."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole, require_within
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.heuristic import Heuristic, QHeuristic, adds_up, rounded_down
from deepwright.pathfinding.search.q_values import require_judge_of_actions
from deepwright.pathfinding.search.result import Limits, Result
from deepwright.pathfinding.search.stepwise import OnStep, require_ends, run
from deepwright.pathfinding.search.weighted import Weighted


def bwqs(
    domain: Domain,
    start: Tensor,
    goal: Tensor,
    heuristic: QHeuristic,
    *,
    batch_size: int = 1000,
    weight: float = 1.0,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    ties: str = "newest",
    random_share: float = 0.0,
    seed: int = 0,
    trace: bool = False,
    on_step: OnStep | None = None,
) -> Result:
    """Take the `batch_size` actions of least weight * g + Q at once, until nothing cheaper can be left.

    One answer of the heuristic, for all actions of a state, stands for as many answers about its children. What `bwas`
    promises holds where Q(s, a) <= c(s, a) + h*(T(s, a)). `nodes_expanded` counts the actions that were taken.

    Args:
        domain: whose states.
        start: (*state_shape).
        goal: one.
        heuristic: Q; an infinite one says that there is no way by that action. What it says of actions that can't be
            taken doesn't count.
        batch_size: how many actions are taken at once.
        weight: of the path's cost; 0 looks at Q alone.
        limits: where it gives up.
        ties: of equal f the least Q, and of these the "newest" first; or the oldest ("fifo"), whatever its Q.
        random_share: of each batch this share, never the first, is taken at random: such actions don't raise the lower
            bound.
        seed: of what is taken at random.
        trace: keep a row an iteration.
        on_step: told the nodes, the lower bound and the least cost after each iteration.

    Raises:
        InputError: numbers out of range, states that aren't the domain's, a heuristic that gives no numbers.

    Source: F. Agostinelli et al., "Q* search: heuristic search with deep Q-networks", 2024.
    """
    require_whole(1, batch_size=batch_size)
    require_within(0.0, 1.0, weight=weight)
    require_within(0.0, 1.0, ends="[)", random_share=random_share)
    if ties not in ("newest", "fifo"):
        raise InputError("ties", given=repr(ties), expected='"newest" or "fifo"')
    require_ends(domain, start, goal)
    require_judge_of_costs(heuristic)
    search = WeightedEdges(domain, start, goal, batch_size, weight, ties, random_share, seed)
    return run(search, heuristic, limits, domain.num_actions, trace, on_step)


def require_judge_of_costs(heuristic: Heuristic | QHeuristic) -> None:
    """Refuse what judges states alone, and policies: chances aren't costs.

    Args:
        heuristic: any.

    Raises:
        InputError: with the search that takes it.
    """
    require_judge_of_actions(heuristic)
    if adds_up(heuristic):
        raise InputError("heuristic", given="a policy", expected="Q: costs of actions and all after", hint="use beam")


class WeightedEdges(Weighted):
    """`Weighted` with entries node * actions + action. Goals are known when they are made, and aren't kept as nodes."""

    _last: int | None = None  # the action that leads from `end` to the goal
    _reopened: Tensor

    def propose(self) -> tuple[Tensor, Tensor]:
        """See `Search.propose`: new states, and those to which there is a cheaper way now."""
        self._reopened = torch.empty(0, dtype=torch.int64, device=self.start.device)
        first = not self.nodes.count
        super().propose()
        if first and bool(self.domain.is_goal(self.start[None], self.goals(1))):
            self.best, self.end = 0.0, 0
        states = torch.cat([self.nodes.states[self._reopened], self._new[0]])
        return states, self.goals(len(states))

    def absorb(self, values: Tensor) -> None:
        """See `Search.absorb`.

        Args:
            values: (B, A).
        """
        states, keys, g, parent, action = self._new
        node = self._reopened
        if len(states):
            fresh = self.nodes.add(states, keys, g, values[len(node) :].amin(1), parent, action)
            node = torch.cat([node, fresh])
        if len(node):
            self._push_edges(node, values)

    def path(self) -> list[int] | None:
        """See `Search.path`."""
        if self.end < 0:
            return None
        return self.nodes.path(self.end) + ([] if self._last is None else [self._last])

    def _owner(self, entry: Tensor) -> Tensor:
        return entry // self.domain.num_actions

    def _next(self) -> Tensor:
        """The entries whose actions are taken now: neither stale nor behind the best path."""
        _, entry, version = self._take()
        node = self._owner(entry)
        return entry[(version == self.nodes.version[node]) & (self.nodes.g[node] < self.best)]

    def _expand(self, node: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `Weighted._expand`, with entries for nodes."""
        owner, action = self._owner(node), node % self.domain.num_actions
        children, costs, valid = self.domain.step(self.nodes.states[owner], action)
        self.expanded += len(node)
        self.generated += int(valid.sum())
        row = valid.nonzero()[:, 0]
        return children[row], costs[row], row, action[row]

    def _settle(self, children: Tensor, costs: Tensor, row: Tensor, action: Tensor, node: Tensor) -> tuple[Tensor, ...]:
        """See `Weighted._settle`; goals end here."""
        owner = self._owner(node)
        ends = self.domain.is_goal(children, self.goals(len(children)))
        g = self.nodes.g[owner[row]] + costs.double()
        if bool(ends.any()):
            reached = g.masked_fill(~ends, torch.inf)
            at = int(reached.argmin())
            if float(reached[at]) < self.best:
                self.best, self.end, self._last = float(reached[at]), int(owner[row[at]]), int(action[at])
        on = ~ends & (g < self.best)
        return super()._settle(children[on], costs[on], row[on], action[on], owner)

    def _push(self, node: Tensor) -> None:
        self._reopened = node  # their actions are judged again, which costs less than to keep all answers

    def _push_edges(self, node: Tensor, q: Tensor) -> None:
        row, action = (q < torch.inf).nonzero(as_tuple=True)
        owner, q = node[row], q[row, action]
        f = rounded_down(self.weight * self.nodes.g[owner] + q.double())
        self.queue.push(f, q, owner * self.domain.num_actions + action, self.nodes.version[owner])
