"""Search from both ends at once, by breadth: exact, where actions can be taken back and cost the same."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from deepwright.pathfinding.domains.domain import Domain, DomainError
from deepwright.pathfinding.search.nodes import first_of_each
from deepwright.pathfinding.search.paths import validate_path
from deepwright.pathfinding.search.result import Limits, Result


class _Side:
    """All states within some distance of one end, layer by layer."""

    def __init__(self, domain: Domain, end: Tensor) -> None:
        none = torch.zeros(1, dtype=torch.long, device=end.device)
        self.domain = domain
        self.layers = [(end[None], domain.keys(end[None]), none, none)]  # states, keys by size, parents, actions

    @property
    def size(self) -> int:
        """States of the last layer."""
        return len(self.layers[-1][0])

    def grow(self) -> int:
        """One layer more; how many children were made."""
        states, _, _, _ = self.layers[-1]
        found = self.domain.expand(states)
        row, action = found.valid.nonzero(as_tuple=True)
        children = found.states[row, action]
        keys = self.domain.keys(children)
        kept = first_of_each(children, keys, torch.zeros(len(children), device=keys.device))
        for _, known, _, _ in self.layers[-2:]:  # a child is in its parent's layer, in the one before, or new
            kept = kept[_places(known, keys[kept]) < 0]
        kept = kept[keys[kept].argsort()]
        self.layers.append((children[kept], keys[kept], row[kept], action[kept]))
        return len(row)

    def path(self, row: int) -> list[int]:
        """The actions from the end to a state of the last layer."""
        actions: list[int] = []
        for _, _, parent, action in self.layers[:0:-1]:
            actions.append(int(action[row]))
            row = int(parent[row])
        return actions[::-1]


def _places(known: Tensor, keys: Tensor) -> Tensor:
    """Where each key stands among sorted ones, -1 where it doesn't."""
    if not len(known):
        return torch.full_like(keys, -1)
    place = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
    return torch.where(known[place] == keys, place, -1)


def bidirectional(
    domain: Domain,
    start: Tensor,
    goal: Tensor,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Result:
    """A shortest path: whole layers around the start and around the goal, the smaller one first, until they meet.

    Args:
        domain: with inverses and unit costs.
        start: (*state_shape).
        goal: (*state_shape), one state.
        limits: where it gives up.

    Raises:
        DomainError: no inverses, costs that differ, or a goal that is no state.
    """
    if domain.inverse is None or not domain.unit_cost:
        expected = "actions of cost 1 that can be taken back; bwas takes any"
        raise DomainError(domain.name, given="no inverses, or costs that differ", expected=expected)
    domain.require_states(start[None], "start")
    domain.require_states(goal[None], "goal")
    begin, generated, expanded = time.perf_counter(), 2, 0
    sides = (_Side(domain, start), _Side(domain, goal))
    status = "exhausted"
    while True:
        met = _places(sides[0].layers[-1][1], sides[1].layers[-1][1])
        if bool((met >= 0).any()):
            return _joined(domain, start, goal, sides, met, (generated, expanded, time.perf_counter() - begin))
        side = min((s for s in sides), key=_size)
        if not side.size:
            break
        expanded += side.size
        generated += side.grow()
        size = sum(s.nbytes + 8 * len(s) * 3 for end in sides for s, _, _, _ in end.layers)
        limit = limits.reached(generated, time.perf_counter() - begin, size)
        if limit is not None:
            status = limit
            break
    low = float(len(sides[0].layers) + len(sides[1].layers) - 2) if status != "exhausted" else None
    return Result(status, None, float("inf"), low, generated, expanded, 0, time.perf_counter() - begin)


def _size(side: _Side) -> int:
    return side.size


def _joined(
    domain: Domain,
    start: Tensor,
    goal: Tensor,
    sides: tuple[_Side, _Side],
    met: Tensor,
    counts: tuple[int, int, float],
) -> Result:
    """The path through the first state that both sides know: the far half is taken back, action by action."""
    assert domain.inverse is not None
    row = int((met >= 0).nonzero()[0])
    there, back = sides[0].path(int(met[row])), sides[1].path(row)
    actions = [*there, *(domain.inverse[a] for a in back[::-1])]
    cost = validate_path(domain, start, goal, actions)
    generated, expanded, seconds = counts
    return Result("solved", actions, cost, cost, generated, expanded, 0, seconds)
