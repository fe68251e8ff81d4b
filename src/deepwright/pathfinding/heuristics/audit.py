"""How far a heuristic is from the exact distances, where these are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.heuristic import Heuristic, estimates

_SLACK = 1e-4  # of the exact distance, or of an action's cost: what isn't called above
_ROUNDED = 1e-6  # of h: float32
_MOST = 1_000_000  # states and children at once


@dataclass(frozen=True)
class HeuristicAudit:
    """What was found; nothing of it is a promise about states that weren't looked at.

    Attributes:
        states: how many were compared.
        unreachable: states without a way to the goal, which are left out of all that follows.
        hopeless: share of the compared at which the heuristic says infinity; these are left out of all means.
        overestimated: share of the compared that are above the exact distance.
        overestimation: mean of how much these are above.
        worst_overestimation: the most that one is above.
        mae: mean absolute error.
        bias: mean error; below zero where the heuristic says too little.
        calibration: slope of h over h* through the origin; 1 is right, below 1 says too little.
        inconsistent: share of edges along which h falls (with inverses also rises) by more than they cost.
        worst_inconsistency: the most that it falls by beyond the cost.
        edges: how many were looked at.
        by_depth: of each exact distance (rounded) the count, the mean of h, mae and bias.
    """

    states: int
    unreachable: int
    hopeless: float
    overestimated: float
    overestimation: float
    worst_overestimation: float
    mae: float
    bias: float
    calibration: float
    inconsistent: float
    worst_inconsistency: float
    edges: int
    by_depth: list[dict[str, float]]

    @property
    def admissible_here(self) -> bool:
        """Whether nothing was above; of other states it says nothing."""
        return self.overestimated == 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def audit_heuristic(
    h: Heuristic,
    domain: Domain,
    exact: Callable[[Tensor, Tensor], Tensor],
    states: Tensor | None = None,
    goals: Tensor | None = None,
    *,
    n: int = 10_000,
    k_max: int = 100,
    batch_size: int = 10_000,
    seed: int = 0,
) -> HeuristicAudit:
    """Hold a heuristic against exact distances.

    Args:
        h: any heuristic.
        domain: whose states.
        exact: (states, goals) -> least costs, infinity where there is no way: a complete `TableHeuristic`, say.
        states: (B, *state_shape); random walks where not given, which see far states more rarely than near ones.
        goals: (B, ...); the domain's own where not given.
        n: how many walks.
        k_max: of 0 to so many steps.
        batch_size: states in one call.
        seed: of the walks.

    Raises:
        InputError: a table that is cut off, a domain without a goal, nothing to compare.
    """
    require_whole(1, n=n, k_max=k_max, batch_size=batch_size)
    if getattr(exact, "complete", True) is False:
        expected = "a complete one: beyond its radius it says only that it is farther"
        raise InputError("exact", given="a table that is cut off", expected=expected)
    if states is None:
        steps = torch.arange(n) % (k_max + 1)
        states, goals = domain.sample_instances(steps, seed)
    elif goals is None:
        if domain.goal is None:
            raise InputError("goals", given="none", expected=f"one a state: {domain.name} has none of its own")
        goals = domain.goal.to(states.device).expand(len(states), *domain.goal.shape)
    domain.require_states(states)
    domain.require_goals(goals)
    if len(goals) != len(states):
        raise InputError("goals", given=f"{len(goals)} for {len(states)} states", expected="one a state")
    truth = exact(states, goals).double()
    reached = truth < torch.inf
    if not bool(reached.any()):
        raise InputError("states", given="none from which there is a way to the goal", expected="some")
    unreachable = int((~reached).sum())
    states, goals, truth = states[reached], goals[reached], truth[reached]
    said = estimates(h, states, goals, batch_size).double()
    return HeuristicAudit(
        states=len(states),
        unreachable=unreachable,
        **_errors(said, truth),
        **_falls(h, domain, states, goals, said, batch_size),
    )


def _errors(said: Tensor, truth: Tensor) -> dict[str, Any]:
    error = said - truth
    above = error > _SLACK * truth
    fine = said < torch.inf
    over = error[above & fine]
    told, right, off = said[fine], truth[fine], error[fine]
    square = float((right * right).sum())
    return {
        "hopeless": float((~fine).double().mean()),
        "overestimated": float(above.double().mean()),
        "overestimation": float(over.mean()) if len(over) else 0.0,
        "worst_overestimation": float(error[above].max()) if bool(above.any()) else 0.0,
        "mae": float(off.abs().mean()) if len(off) else float("inf"),
        "bias": float(off.mean()) if len(off) else float("inf"),
        "calibration": float((told * right).sum()) / square if square else 1.0,
        "by_depth": _by_depth(told, right),
    }


def _by_depth(said: Tensor, truth: Tensor) -> list[dict[str, float]]:
    depth = truth.round().long()
    if not len(depth):
        return []
    depths, place, count = depth.unique(return_inverse=True, return_counts=True)

    def mean(values: Tensor) -> list[float]:
        sums = torch.zeros(len(count), dtype=torch.double, device=values.device).index_add_(0, place, values)
        return (sums / count).tolist()

    columns = depths.tolist(), count.tolist(), mean(said), mean((said - truth).abs()), mean(said - truth)
    names = ("depth", "count", "h", "mae", "bias")
    return [dict(zip(names, map(float, row))) for row in zip(*columns)]


def _falls(
    h: Heuristic, domain: Domain, states: Tensor, goals: Tensor, said: Tensor, batch_size: int
) -> dict[str, Any]:
    """h(s) <= c + h(s') along every edge that leaves the states, and where actions have inverses along these too."""
    edges, broken, worst = 0, 0, 0.0
    part = max(_MOST // max(domain.num_actions, 1), 1)
    for s, g, own in zip(states.split(part), goals.split(part), said.split(part)):
        found = domain.expand(s)
        rows, actions = found.valid.nonzero(as_tuple=True)
        after = estimates(h, found.states[rows, actions], g[rows], batch_size).double()
        fall = torch.where(own[rows] == after, 0.0, own[rows] - after)  # infinity minus infinity is NaN
        costs = found.costs[rows, actions].double()
        fall = (fall if domain.inverse is None else fall.abs()) - costs
        beyond = fall > _SLACK * costs + _ROUNDED * own[rows].clamp_max(1e30)
        edges, broken = edges + len(rows), broken + int(beyond.sum())
        worst = max(worst, float(fall[beyond].max()) if bool(beyond.any()) else 0.0)
    return {"edges": edges, "inconsistent": broken / edges if edges else 0.0, "worst_inconsistency": worst}
