"""Whether a domain keeps its word."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.domain import Children, Domain, DomainError


def check_domain(domain: Domain, n: int = 1000, seed: int = 0, states: Tensor | None = None) -> int:
    """Try what a domain promises on random states, and name the first that breaks it.

    The same answers twice and in other batches; states, costs and flags of the right shapes and ranges; costs above
    zero, 1 each with `unit_cost`; an action's inverse leads back at the same cost; states that differ have different
    keys; goals are goals; no lower bound above zero at a goal, or one that falls by more than an action costs.

    Args:
        domain: any.
        n: how many states are tried.
        seed: of them.
        states: those that are tried, where the domain can't be walked backwards.

    Returns:
        How many different states were tried.

    Raises:
        DomainError: what is broken, with the state.
    """
    require_whole(1, n=n)
    goals = None
    if states is None:
        steps = torch.arange(n) % 50
        states, goals = domain.sample_instances(steps, seed)
        _check_goals(domain, goals)
    domain.require_states(states)
    found = domain.expand(states)
    _check_shapes(domain, states, found)
    _check_repeats(domain, states, found)
    _check_costs(domain, states, found)
    _check_ways_back(domain, states, found)
    if goals is not None:
        _check_bounds(domain, states, goals, found)
    return _check_keys(domain, torch.cat([states, found.states[found.valid]]))


def _fail(domain: Domain, why: str, state: Tensor, action: int | None = None) -> DomainError:
    taken = "" if action is None else f", action {action}"
    return DomainError(f"{domain.name}: {why}", given=f"state {state.flatten().tolist()}{taken}")


def _check_goals(domain: Domain, goals: Tensor) -> None:
    domain.require_states(goals, "goals")
    wrong = ~domain.is_goal(goals, goals)
    if bool(wrong.any()):
        raise _fail(domain, "a goal isn't one", goals[wrong][0])
    bound = domain.lower_bound(goals, goals)
    if bool((bound > 0).any()):
        raise _fail(domain, "the lower bound at a goal is above zero", goals[bound > 0][0])


def _check_shapes(domain: Domain, states: Tensor, found: Children) -> None:
    want = (len(states), domain.num_actions)
    if found.states.shape != (*want, *domain.state_shape) or found.states.dtype != domain.state_dtype:
        raise DomainError(
            f"{domain.name}: children",
            given=f"{tuple(found.states.shape)} of {found.states.dtype}",
            expected=f"{(*want, *domain.state_shape)} of {domain.state_dtype}",
        )
    if found.costs.shape != want or found.valid.shape != want or found.valid.dtype != torch.bool:
        raise DomainError(
            f"{domain.name}: costs and flags",
            given=f"{tuple(found.costs.shape)}, {tuple(found.valid.shape)} of {found.valid.dtype}",
            expected=f"{want}, and {want} of torch.bool",
        )
    if domain.always_valid and not bool(found.valid.all()):
        row, action = (~found.valid).nonzero()[0].tolist()
        raise _fail(domain, "an action that can't be taken, though `always_valid`", states[row], action)
    if bool(found.valid.any()):
        domain.require_states(found.states[found.valid], "children")


def _check_repeats(domain: Domain, states: Tensor, found: Children) -> None:
    again = domain.expand(states)
    alone = domain.expand(states[:1])
    for other, rows in ((again, slice(None)), (alone, slice(0, 1))):
        valid = found.valid[rows]
        same = (other.valid == valid).all() and (other.states[valid] == found.states[rows][valid]).all()
        if not bool(same and (other.costs[valid] == found.costs[rows][valid]).all()):
            raise _fail(domain, "children differ between calls, or between batches", states[0])


def _check_costs(domain: Domain, states: Tensor, found: Children) -> None:
    wrong = found.valid & ~((found.costs > 0) & found.costs.isfinite())
    if domain.unit_cost:
        wrong |= found.valid & (found.costs != 1)
    if bool(wrong.any()):
        row, action = wrong.nonzero()[0].tolist()
        raise _fail(domain, f"a cost of {float(found.costs[row, action]):g}", states[row], action)


def _check_ways_back(domain: Domain, states: Tensor, found: Children) -> None:
    if domain.inverse is None:
        return
    rows, actions = found.valid.nonzero(as_tuple=True)
    back = torch.tensor(domain.inverse, device=states.device)[actions]
    there, costs, valid = domain.step(found.states[rows, actions], back)
    same = valid & (there == states[rows]).flatten(1).all(1) & (costs == found.costs[rows, actions])
    if not bool(same.all()):
        i = int((~same).nonzero()[0])
        raise _fail(domain, "the inverse doesn't lead back at the same cost", states[rows[i]], int(actions[i]))


def _check_bounds(domain: Domain, states: Tensor, goals: Tensor, found: Children) -> None:
    bound = domain.lower_bound(states, goals)
    rows, actions = found.valid.nonzero(as_tuple=True)
    after = domain.lower_bound(found.states[rows, actions], goals[rows])
    falls = bound[rows] - after > found.costs[rows, actions] * (1 + 1e-5)
    if bool(falls.any()):
        i = int(falls.nonzero()[0])
        raise _fail(domain, "the lower bound falls by more than the action costs", states[rows[i]], int(actions[i]))


def _check_keys(domain: Domain, states: Tensor) -> int:
    order = domain.keys(states).argsort(stable=True)
    flat, keys = states[order].flatten(1), domain.keys(states)[order]
    alike = keys[1:] == keys[:-1]
    differing = (flat[1:] != flat[:-1]).any(1)
    if bool((alike & differing).any()):
        raise _fail(domain, "two states share a key", states[order][1:][alike & differing][0])
    return int((~alike).sum()) + 1
