"""Exact distances around a goal, by breadth or by cost, and what they are worth as a heuristic."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.domain import Domain, DomainError
from deepwright.pathfinding.heuristics.layers import goes_on, next_layer


class TableHeuristic:
    """Least costs to one goal, of all states within some cost of it; farther ones have the next larger cost.

    Made backwards from the goal, so actions must have inverses. With unit costs this is breadth-first search, and
    `sizes` says how many states there are at each distance.

    Args:
        domain: with inverses, and unit costs.
        radius: how far it goes; everywhere where not given.
        goal: (*state_shape); the domain's own where not given.
        max_states: more than these are refused.

    Raises:
        DomainError: no inverses, costs that differ, or no goal.
        InputError: more states than `max_states`.
    """

    admissible = True

    def __init__(
        self, domain: Domain, radius: int | None = None, goal: Tensor | None = None, max_states: int = 20_000_000
    ) -> None:
        if domain.inverse is None or not domain.unit_cost:
            raise DomainError(f"{domain.name}", given="no inverses, or costs that differ", expected="actions of cost 1")
        centre = domain.goal if goal is None else goal
        if centre is None:
            raise DomainError(f"{domain.name} has no goal of its own", expected="one that is named")
        if radius is not None:
            require_whole(0, radius=radius)
        self.domain, self.goal = domain, centre
        self.sizes: list[int] = []
        layer, known = centre[None], domain.keys(centre[None])
        before, keys, depths = known[:0], [], []
        while len(known):
            keys.append(known)
            depths.append(torch.full_like(known, len(self.sizes), dtype=torch.int16))
            self.sizes.append(len(known))
            if radius is not None and len(self.sizes) > radius:
                break
            met = sum(self.sizes)
            (layer, known), before = next_layer(domain, layer, known, before, met, max_states, "table"), known
        self.complete = not len(known) or not goes_on(domain, layer, known, before)
        order = torch.cat(keys).argsort()
        self._keys, self._depths = torch.cat(keys)[order], torch.cat(depths)[order]

    def __call__(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """Least costs; beyond the table the least that they can be, and infinity where it is complete.

        Args:
            states: (B, *state_shape).
            goals: (B, *state_shape), all of them the table's.

        Raises:
            InputError: another goal.
        """
        if not bool((goals == self.goal.to(goals.device)).all()):
            raise InputError("goals", given="another than the table's", expected=f"{self.goal.flatten().tolist()}")
        if self._keys.device != states.device:
            self._keys, self._depths = self._keys.to(states.device), self._depths.to(states.device)
        wanted = self.domain.keys(states)
        place = torch.searchsorted(self._keys, wanted).clamp(max=len(self._keys) - 1)
        far = torch.inf if self.complete else float(len(self.sizes))
        return torch.where(self._keys[place] == wanted, self._depths[place].float(), far)


def states_within(
    domain: Domain, radius: int | None = None, goal: Tensor | None = None, max_states: int = 2_000_000
) -> tuple[Tensor, Float[Tensor, " n"]]:
    """All states within some distance of a goal, the nearest first, and how far each is.

    Args:
        domain: with inverses and unit costs.
        radius: how far it goes; everywhere where not given.
        goal: (*state_shape); the domain's own where not given.
        max_states: more than these are refused.

    Raises:
        DomainError: no inverses, costs that differ, or no goal.
        InputError: more states than `max_states`.
    """
    sizes = TableHeuristic(domain, radius, goal, max_states).sizes  # refuses what can't be done
    centre = domain.goal if goal is None else goal
    assert centre is not None
    layer, known = centre[None], domain.keys(centre[None])
    before, layers = known[:0], [layer]
    for _ in sizes[1:]:
        (layer, known), before = next_layer(domain, layer, known, before, 0, max_states, "states"), known
        layers.append(layer)
    depths = torch.arange(len(sizes), device=centre.device).float()
    return torch.cat(layers), depths.repeat_interleave(torch.tensor(sizes, device=centre.device))


def sphere_sizes(domain: Domain, radius: int, goal: Tensor | None = None) -> list[int]:
    """How many states are 0, 1, ..., radius actions away from a goal.

    Args:
        domain: with inverses and unit costs.
        radius: how far.
        goal: the domain's own where not given.
    """
    return TableHeuristic(domain, radius, goal).sizes


def growth(
    domain: Domain, radius: int | None = None, start: Tensor | None = None, max_states: int = 20_000_000
) -> list[int]:
    """How many states can be reached in 0, 1, 2, ... actions and in no fewer, whether actions can be taken back or not.

    Args:
        domain: costs don't count.
        radius: how far; everywhere where not given.
        start: (*state_shape); the domain's goal where not given.
        max_states: more than these are refused.

    Raises:
        DomainError: no goal, where no start is given.
        InputError: more states than `max_states`.
    """
    centre = domain.goal if start is None else start
    if centre is None:
        raise DomainError(f"{domain.name} has no goal of its own", expected="a start")
    if radius is not None:
        require_whole(0, radius=radius)
    layer, sizes = centre[None], [1]
    known = domain.keys(layer)
    while radius is None or len(sizes) <= radius:
        layer, own = next_layer(domain, layer, known, known[:0], sum(sizes), max_states, "growth")
        if not len(layer):
            break
        sizes.append(len(layer))
        known = torch.cat([known, own]).sort().values
    return sizes
