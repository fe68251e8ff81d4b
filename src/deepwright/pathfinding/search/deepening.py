"""Iterative deepening A*: optimal paths in little memory, many nodes at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.heuristic import Heuristic, estimates
from deepwright.pathfinding.search.paths import validate_path
from deepwright.pathfinding.search.result import Limits, Result
from deepwright.pathfinding.search.stepwise import require_ends

_SLACK = 1e-9  # float64 sums of the same costs in another order


@dataclass(frozen=True)
class _Block:
    """Nodes of one depth that are looked at together, with where they came from."""

    states: Tensor
    g: Tensor
    action: Tensor
    parent: Tensor
    before: _Block | None

    def path(self, row: int) -> list[int]:
        """The actions from the start to one of them."""
        actions: list[int] = []
        block: _Block = self
        while block.before is not None:
            actions.append(int(block.action[row]))
            row, block = int(block.parent[row]), block.before
        return actions[::-1]


def idastar(
    domain: Domain,
    start: Tensor,
    goal: Tensor,
    heuristic: Heuristic,
    *,
    batch_size: int = 1000,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Result:
    """Search depth first up to a bound on g + h, and raise it to the least that was above it, until there is a way.

    It holds `batch_size` nodes and their siblings a depth, and no table of states: what is met again is looked at
    again, but for the step straight back. With few loops and a strong bound that is cheap; with h = 0 it is not.

    Args:
        domain: whose states.
        start: (*state_shape).
        goal: one.
        heuristic: h, never above the least cost.
        batch_size: nodes that are expanded at once.
        limits: where it gives up.

    Raises:
        InputError: a heuristic that may be too high, states that aren't the domain's.

    Source: R. Korf, "Depth-first iterative-deepening: an optimal admissible tree search", Artificial Intelligence 27,
    1985.
    """
    require_whole(1, batch_size=batch_size)
    if not heuristic.admissible:
        given = f"{type(heuristic).__name__}, which may be above the least cost"
        raise InputError("heuristic", given=given, expected="an admissible one", hint="bwas takes any")
    require_ends(domain, start, goal)
    return _Deepening(domain, start, goal, heuristic, batch_size, limits).run()


class _Deepening:
    """One search: what was counted, and the bound."""

    def __init__(
        self, domain: Domain, start: Tensor, goal: Tensor, heuristic: Heuristic, batch_size: int, limits: Limits
    ) -> None:
        self.domain, self.start, self.goal, self.heuristic = domain, start, goal, heuristic
        self.batch_size, self.limits, self.begin = batch_size, limits, time.perf_counter()
        self.generated, self.expanded, self.evaluated = 1, 0, 0
        self.limit: str | None = None
        back = None if domain.inverse is None else [*domain.inverse, -1]
        self.back = None if back is None else torch.tensor(back, device=start.device)

    def run(self) -> Result:
        low = float(self._h(self.start[None])[0])
        while low < float("inf"):
            end, above = self._pass(low)
            if end is not None:
                cost = validate_path(self.domain, self.start, self.goal, end)
                return self._result("solved", end, cost, min(low, cost))
            if self.limit is not None:
                return self._result(self.limit, None, float("inf"), low)
            low = above
        return self._result("exhausted", None, float("inf"), None)

    def _result(self, status: str, actions: list[int] | None, cost: float, low: float | None) -> Result:
        counts = (self.generated, self.expanded, self.evaluated, time.perf_counter() - self.begin)
        return Result(status, actions, cost, low, *counts)

    def _pass(self, bound: float) -> tuple[list[int] | None, float]:
        """A way that costs at most the bound, if there is one; else the least f above it."""
        none = torch.full((1,), -1, dtype=torch.long, device=self.start.device)
        stack = [_Block(self.start[None], torch.zeros(1, dtype=torch.float64, device=none.device), none, none, None)]
        above = float("inf")
        while stack:
            block = stack.pop()
            ends = self.domain.is_goal(block.states, self._goals(len(block.states))).nonzero()[:, 0]
            if len(ends):
                return block.path(int(ends[block.g[ends].argmin()])), above
            child, least = self._children(block, bound)
            above = min(above, least)
            for first in range(0, len(child.states), self.batch_size):
                rows = slice(first, first + self.batch_size)
                stack.append(
                    _Block(child.states[rows], child.g[rows], child.action[rows], child.parent[rows], child.before)
                )
            self.limit = self.limits.reached(self.generated, time.perf_counter() - self.begin, self._size(stack))
            if self.limit is not None:
                return None, above
        return None, above

    def _children(self, block: _Block, bound: float) -> tuple[_Block, float]:
        """Those within the bound, the most promising last, where the stack takes from; and the least f above it."""
        found = self.domain.expand(block.states)
        valid = found.valid
        if self.back is not None:
            actions = torch.arange(self.domain.num_actions, device=valid.device)
            valid = valid & (actions[None] != self.back[block.action][:, None])
        row, action = valid.nonzero(as_tuple=True)
        self.expanded += len(block.states)
        self.generated += len(row)
        states, g = found.states[row, action], block.g[row] + found.costs[row, action].double()
        f = g + self._h(states).double()
        within = f <= bound + _SLACK * max(bound, 1)
        order = f[within].argsort(descending=True, stable=True)
        kept = within.nonzero()[:, 0][order]
        least = float(f[~within].min()) if bool((~within).any()) else float("inf")
        return _Block(states[kept], g[kept], action[kept], row[kept], block), least

    def _h(self, states: Tensor) -> Tensor:
        self.evaluated += len(states)
        return estimates(self.heuristic, states, self._goals(len(states)), 10_000)

    def _goals(self, n: int) -> Tensor:
        return self.goal.expand(n, *self.goal.shape)

    def _size(self, stack: list[_Block]) -> int:
        """Bytes of the blocks that wait, and of those that they came from."""
        held: dict[int, _Block] = {}
        for block in stack:
            here: _Block | None = block
            while here is not None and id(here) not in held:
                held[id(here)], here = here, here.before
        return sum(block.states.nbytes + 24 * len(block.states) for block in held.values())
