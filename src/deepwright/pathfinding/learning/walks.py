"""Random walks from goals: states whose way to a goal is known to be no longer than the walk."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.pathfinding.domains.domain import Domain, DomainError
from deepwright.pathfinding.learning.free_walks import free_walk

WALKS = ("direct", "plain")


@dataclass(frozen=True)
class Walks:
    """Where walks ended.

    Attributes:
        states: (B, *state_shape).
        goals: (B, ...), whence they came, or where they led.
        costs: (B,) of the way along the walk from the state to the goal.
        first: (B,) the action that begins this way; -1 where it has none.
        lengths: (B,) how many actions were taken.
    """

    states: Tensor
    goals: Tensor
    costs: Float[Tensor, " b"]
    first: Int[Tensor, " b"]
    lengths: Int[Tensor, " b"]

    def __getitem__(self, rows: slice) -> Walks:
        return Walks(self.states[rows], self.goals[rows], self.costs[rows], self.first[rows], self.lengths[rows])


def backward_walks(
    domain: Domain,
    steps: Int[Tensor, " b"],
    rng: torch.Generator,
    walk: str = "direct",
    goals: Tensor | None = None,
) -> Walks:
    """Walks from goals, which their inverses lead back to.

    Args:
        domain: whose actions have inverses.
        steps: how long each walk is, on the device where they are made. One that comes to where it can't go on ends.
        rng: on the CPU.
        walk: "direct": no action takes back the one before, and none is drawn that can't be taken; "plain": any is
            drawn, and what can't be taken is a step that leads nowhere.
        goals: whence they begin; the domain draws them where not given.

    Raises:
        DomainError: actions can't be taken back.
        InputError: another kind of walk.
    """
    if domain.inverse is None:
        raise DomainError(
            f"{domain.name} can't be walked backwards", given="no `inverse`", expected="forward walks, with `begin`"
        )
    began = domain.starts(len(steps), rng).to(steps.device) if goals is None else goals
    states, costs, last, lengths = _walk(domain, began, steps, rng, walk)
    back = torch.tensor([*domain.inverse, -1], device=steps.device)
    return Walks(states, began, costs, back[last], lengths)


def forward_walks(
    domain: Domain, begin: Tensor, steps: Int[Tensor, " b"], rng: torch.Generator, walk: str = "direct"
) -> Walks:
    """Walks from where one begins to a state of which a goal is made.

    Args:
        domain: any; where it has no inverses an action may lead back.
        begin: (B, *state_shape).
        steps: how long each walk is.
        rng: on the CPU.
        walk: as in `backward_walks`.

    Raises:
        InputError: another kind of walk.
    """
    ends, costs, _, lengths, first = _walk(domain, begin, steps, rng, walk, keep_first=True)
    return Walks(begin, goals_from(domain, ends), costs, first, lengths)


def goals_from(domain: Domain, states: Tensor) -> Tensor:
    """Goals that these states reach: the domain's `goal_from_state`, or the states themselves.

    Args:
        domain: whose.
        states: (B, *state_shape).

    Raises:
        DomainError: such a goal isn't one that its state reaches.
    """
    made = getattr(domain, "goal_from_state", None)
    goals: Tensor = states.clone() if made is None else made(states)
    if len(states) and not bool(domain.is_goal(states, goals).all()):
        row = int((~domain.is_goal(states, goals)).nonzero()[0])
        raise DomainError(
            f"{domain.name}: a goal made from a state isn't reached by it",
            given=f"state {states[row].flatten().tolist()}",
            expected="`goal_from_state`",
        )
    return goals


def _walk(
    domain: Domain, begin: Tensor, steps: Tensor, rng: torch.Generator, walk: str, keep_first: bool = False
) -> tuple[Tensor, ...]:
    """Ends, costs, last actions and lengths (and first actions). The longest come first, so that what goes on is a
    part at the front that grows shorter."""
    if walk not in WALKS:
        raise InputError("walk", given=repr(walk), expected=" or ".join(map(repr, WALKS)))
    if len(steps) and int(steps.min()) < 0:
        raise InputError("steps", given=int(steps.min()), expected="0 or more")
    device, actions = steps.device, domain.num_actions
    order = steps.argsort(descending=True, stable=True)
    if domain.always_valid and domain.unit_cost and actions > 1:
        home, wanted = order.argsort(), steps[order]
        ends, last, first = free_walk(domain, begin[order], wanted, rng, walk)
        found = (ends[home], steps.float(), last[home], steps.clone())
        return (*found, first[home]) if keep_first else found
    states, wanted = begin[order].clone(), steps[order]
    costs, last = torch.zeros(len(steps), device=device), torch.full_like(wanted, -1)
    first, lengths = last.clone(), torch.zeros_like(wanted)
    # how many walks take a step of each number: those that are longer
    counts = (len(steps) - torch.bincount(wanted, minlength=1).cumsum(0)).tolist()[:-1] if len(steps) else []
    back = torch.tensor([*domain.inverse, actions], device=device) if domain.inverse is not None else None
    places = torch.arange(len(steps), device=device) * actions
    for n in counts:
        children = domain.expand(states[:n])
        action, going = _drawn(children.valid, None if back is None else back[last[:n]], rng, walk)
        place = places[:n] + action
        chosen = children.states.flatten(0, 1)[place]
        if bool(going.all()):
            states[:n], last[:n] = chosen, action
        else:
            states[:n] = torch.where(going.view(-1, *[1] * (states.ndim - 1)), chosen, states[:n])
            last[:n] = torch.where(going, action, last[:n])
        if keep_first:
            first[:n] = torch.where(going & (lengths[:n] == 0), action, first[:n])
        if not domain.unit_cost:
            costs[:n] += torch.where(going, children.costs.flatten()[place], 0)
        lengths[:n] += going
    home = order.argsort()
    paid = lengths[home].float() if domain.unit_cost else costs[home]
    walked = (states[home], paid, last[home], lengths[home])
    return (*walked, first[home]) if keep_first else walked


def _drawn(valid: Tensor, back: Tensor | None, rng: torch.Generator, walk: str) -> tuple[Tensor, Tensor]:
    """One action a row, and whether it can be taken. In `back` an action that there isn't stands for none."""
    n, actions = valid.shape
    if walk == "plain":
        action = torch.randint(0, actions, (n,), generator=rng).to(valid.device)
        return action, valid.gather(1, action[:, None])[:, 0]
    drawn = torch.rand(n, actions, generator=rng).to(valid.device).masked_fill_(~valid, -1)
    if back is not None:
        wide = torch.cat([drawn, drawn.new_empty(n, 1)], 1)
        drawn = wide.scatter_(1, back[:, None], -1)[:, :actions]
    most = drawn.max(1)
    return most.indices, most.values >= 0
