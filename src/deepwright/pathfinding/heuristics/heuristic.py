"""Estimates of the cost to a goal, for whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.pathfinding.domains.domain import Domain


@runtime_checkable
class Heuristic(Protocol):
    """h(s, g), an estimate of the least cost from states to their goals.

    Attributes:
        admissible: whether it is known never to be above the least cost.
    """

    @property
    def admissible(self) -> bool:
        """See above."""

    def __call__(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """One number a state, zero or more.

        Args:
            states: (B, *state_shape).
            goals: (B, ...).
        """


@runtime_checkable
class QHeuristic(Protocol):
    """Q(s, a, g), an estimate of what an action costs and of all that comes after it: c(s, a) + h(T(s, a), g).

    One call serves every action of a state, whose children needn't be made.

    Attributes:
        admissible: whether it is known never to be above the least cost of a way that begins with the action.
    """

    @property
    def admissible(self) -> bool:
        """See above."""

    def values(self, states: Tensor, goals: Tensor) -> Float[Tensor, "b a"]:
        """One number a state and action, zero or more; what stands at an action that can't be taken says nothing.

        Args:
            states: (B, *state_shape).
            goals: (B, ...).
        """


def judges_actions(heuristic: Heuristic | QHeuristic) -> bool:
    """Whether it says Q. A class that can do either says by `judges_actions` what an object of it does.

    Args:
        heuristic: any.
    """
    return isinstance(heuristic, QHeuristic) and bool(getattr(heuristic, "judges_actions", True))


def adds_up(heuristic: Heuristic | QHeuristic) -> bool:
    """Whether what it says of actions adds up along paths, as -log p of a policy does, and is no cost to the goal.

    Args:
        heuristic: any.
    """
    return bool(getattr(heuristic, "along_paths", False))


class ZeroHeuristic:
    """h = 0: the search is Dijkstra's."""

    admissible = True

    def __call__(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """Zeros.

        Args:
            states: (B, *state_shape).
            goals: (B, ...).
        """
        return torch.zeros(len(states), device=states.device)


class LowerBoundHeuristic:
    """The lower bound that a domain knows: Manhattan distance, gaps, lights over five.

    Args:
        domain: see `Domain.lower_bound`.
    """

    admissible = True

    def __init__(self, domain: Domain) -> None:
        self.domain = domain

    def __call__(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """The domain's.

        Args:
            states: (B, *state_shape).
            goals: (B, ...).
        """
        return self.domain.lower_bound(states, goals)


class MaxHeuristic:
    """The largest of several, which is admissible if all are.

    Args:
        parts: one or more.
    """

    def __init__(self, parts: Sequence[Heuristic]) -> None:
        if not parts:
            raise InputError("parts", given="none", expected="one heuristic or more")
        self.parts = tuple(parts)

    @property
    def admissible(self) -> bool:
        """Whether all parts are."""
        return all(part.admissible for part in self.parts)

    def __call__(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """The largest.

        Args:
            states: (B, *state_shape).
            goals: (B, ...).
        """
        return torch.stack([part(states, goals) for part in self.parts]).amax(0)


def estimates(heuristic: Heuristic, states: Tensor, goals: Tensor, batch_size: int) -> Float[Tensor, " b"]:
    """A heuristic's numbers in batches, looked at before anybody believes them.

    Args:
        heuristic: any.
        states: (B, *state_shape).
        goals: (B, ...).
        batch_size: of a call.

    Raises:
        InputError: no number a state, or NaN. Infinity says that there is no way.
    """
    parts = [heuristic(s, g) for s, g in zip(states.split(batch_size), goals.split(batch_size))]
    found = torch.cat(parts) if parts else torch.zeros(0, device=states.device)
    if found.shape != (len(states),):
        raise InputError("heuristic", given=f"shape {tuple(found.shape)}", expected=f"({len(states)},), one a state")
    if bool(found.isnan().any()):
        row = int(found.isnan().nonzero()[0])
        raise InputError("heuristic", given=f"NaN for the state {states[row].flatten().tolist()}", expected="numbers")
    return rounded_down(found).clamp_min(0) + 0.0  # -0.0 is 0: bits are sorted


def rounded_down(exact: Tensor) -> Tensor:
    """In float32, never above: sums that are above the true ones are no lower bounds.

    Args:
        exact: of any floating point or whole numbers.
    """
    f = exact.float()
    return torch.where(f.double() > exact, torch.nextafter(f, torch.full_like(f, -torch.inf)), f)
