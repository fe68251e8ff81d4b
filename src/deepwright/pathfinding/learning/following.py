"""Where a policy leads."""

from __future__ import annotations

from jaxtyping import Bool
from torch import Tensor

from deepwright.pathfinding.heuristics.learned import LearnedHeuristic


def followed(policy: LearnedHeuristic, states: Tensor, goals: Tensor, steps: int) -> Bool[Tensor, " b"]:
    """Which states the likeliest actions lead to their goals: (B,). States without actions stay where they are.

    Args:
        policy: of actions.
        states: (B, *state_shape).
        goals: (B, ...).
        steps: how many actions, at most.
    """
    domain = policy.domain
    solved = domain.is_goal(states, goals)
    for _ in range(steps):
        left = (~solved).nonzero()[:, 0]
        if not len(left):
            break
        surprises = policy.values(states[left], goals[left])
        after, _, _ = domain.step(states[left], surprises.argmin(1))
        states = states.index_copy(0, left, after)
        solved = solved.index_copy(0, left, domain.is_goal(after, goals[left]))
    return solved
