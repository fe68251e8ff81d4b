"""Whether a path is one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.pathfinding.domains.domain import Domain


class InvalidPathError(InputError):
    """A path that doesn't lead from the start to the goal.

    Attributes:
        step: the action at which it breaks; the number of actions where all can be taken and the goal isn't reached.
        reason: why.

    Args:
        step: see above.
        reason: see above.
    """

    def __init__(self, step: int, reason: str) -> None:
        self.step, self.reason = step, reason
        super().__init__(f"the path breaks at step {step}", given=reason, expected="actions that lead to the goal")


def validate_path(domain: Domain, start: Tensor, goal: Tensor, actions: Sequence[int]) -> float:
    """Take every action, one after another, and say what the path costs.

    Args:
        domain: whose actions.
        start: (*state_shape).
        goal: one.
        actions: their numbers.

    Raises:
        InvalidPathError: an action that isn't there or can't be taken, or an end that is no goal.
    """
    cost, state = 0.0, start[None]
    for number, action in enumerate(actions):
        if not 0 <= action < domain.num_actions:
            raise InvalidPathError(number, f"action {action} of {domain.num_actions}")
        state, paid, valid = domain.step(state, torch.tensor([action], device=start.device))
        if not bool(valid):
            raise InvalidPathError(number, f"action {action} can't be taken")
        cost += float(paid)
    if not bool(domain.is_goal(state, goal[None])):
        raise InvalidPathError(len(actions), "its end is no goal")
    return cost


def states_along(domain: Domain, start: Tensor, actions: Sequence[int]) -> Tensor:
    """(len(actions) + 1, *state_shape): where a path leads.

    Args:
        domain: whose actions.
        start: (*state_shape).
        actions: that can all be taken.
    """
    states = [start]
    for action in actions:
        states.append(domain.step(states[-1][None], torch.tensor([action], device=start.device))[0][0])
    return torch.stack(states)
