"""Estimates of actions: looked at before they are believed, or made from estimates of states."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.heuristic import Heuristic, QHeuristic, estimates, judges_actions, rounded_down


def q_estimates(
    heuristic: QHeuristic, states: Tensor, goals: Tensor, actions: int, batch_size: int
) -> Float[Tensor, "b a"]:
    """A heuristic's numbers in batches, looked at before anybody believes them.

    Args:
        heuristic: any.
        states: (B, *state_shape).
        goals: (B, ...).
        actions: of a state.
        batch_size: of a call.

    Raises:
        InputError: no number an action, or NaN. Infinity says that there is no way.
    """
    require_judge_of_actions(heuristic)
    parts = [heuristic.values(s, g) for s, g in zip(states.split(batch_size), goals.split(batch_size))]
    found = torch.cat(parts) if parts else torch.zeros(0, actions, device=states.device)
    if found.shape != (len(states), actions):
        expected = f"({len(states)}, {actions}), one an action"
        raise InputError("heuristic", given=f"shape {tuple(found.shape)}", expected=expected)
    wrong = found.isnan().any(1)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise InputError("heuristic", given=f"NaN for the state {states[row].flatten().tolist()}", expected="numbers")
    return rounded_down(found).clamp_min(0) + 0.0  # -0.0 is 0: bits are sorted


def require_judge_of_actions(heuristic: Heuristic | QHeuristic) -> None:
    """Refuse a heuristic that says h alone.

    Args:
        heuristic: any.

    Raises:
        InputError: with what makes one of the other.
    """
    if not judges_actions(heuristic):
        raise InputError(
            "heuristic",
            given=f"{type(heuristic).__name__}, which judges states",
            expected="`values` of actions",
            hint="q_from_v(domain, heuristic) makes one of the other",
        )


def require_judge_of_states(heuristic: Heuristic | QHeuristic) -> None:
    """Refuse a heuristic that says Q alone.

    Args:
        heuristic: any.

    Raises:
        InputError: with the search that takes it.
    """
    if not callable(heuristic):
        given = f"{type(heuristic).__name__}, which judges actions"
        raise InputError("heuristic", given=given, expected="h of states", hint='"bwqs" and beams take Q')


class _FromStates:
    """Q(s, a) = c(s, a) + h(T(s, a)): every child is made and judged."""

    def __init__(self, domain: Domain, heuristic: Heuristic, batch_size: int) -> None:
        self.domain, self.heuristic, self.batch_size = domain, heuristic, batch_size

    @property
    def admissible(self) -> bool:
        return self.heuristic.admissible

    def values(self, states: Tensor, goals: Tensor) -> Float[Tensor, "b a"]:
        found = self.domain.expand(states)
        row, action = found.valid.nonzero(as_tuple=True)
        children = found.states[row, action]
        far = goals[row]
        h = estimates(self.heuristic, children, far, self.batch_size)
        h = h.masked_fill(self.domain.is_goal(children, far), 0) if len(row) else h
        q = torch.full(found.valid.shape, torch.inf, dtype=torch.float64, device=states.device)
        q[row, action] = found.costs[row, action].double() + h.double()
        return q


def q_from_v(domain: Domain, heuristic: Heuristic, batch_size: int = 100_000) -> QHeuristic:
    """Judge actions by the states that they lead to. Exact where the heuristic is, and no cheaper than it.

    Args:
        domain: that says where actions lead.
        heuristic: of states.
        batch_size: states a call of it.
    """
    return _FromStates(domain, heuristic, batch_size)
