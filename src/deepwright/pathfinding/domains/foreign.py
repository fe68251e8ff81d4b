"""Domains that were written for deepxube: lists of state objects instead of arrays."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from deepwright.core.randomness import derive_seed, local_seeds
from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.domain import Children, Domain, DomainError


class DeepXubeAdapter(Domain):
    """A domain of deepxube, or one written as these are: `expand`, `is_solved` and `sample_problem_instances` on lists.

    State objects that are equal get one number, and a state here is that number, (B, 1) int32; goals likewise. So every
    search works on it, at the speed of Python's objects, and all states that were met stay in memory. For networks and
    speed write a `Domain` of arrays. Actions are counted in the order of `get_actions_fixed`, or of each state's own.

    Args:
        domain: such an object.
        num_actions: the most that a state has, where `get_actions_fixed` doesn't say.
        unit_cost: whether every action costs 1.

    Raises:
        DomainError: methods are missing.
    """

    state_shape, state_dtype = (1,), torch.int32
    num_values = 2**31 - 1

    def __init__(self, domain: Any, num_actions: int | None = None, unit_cost: bool = True) -> None:
        missing = [n for n in ("expand", "is_solved", "sample_problem_instances") if not hasattr(domain, n)]
        if missing:
            raise DomainError(f"{type(domain).__name__}", given=f"no {', '.join(missing)}", expected="them as methods")
        if num_actions is None:
            if not hasattr(domain, "get_actions_fixed"):
                raise DomainError(f"{type(domain).__name__}", given="no get_actions_fixed", expected="num_actions=")
            num_actions = len(domain.get_actions_fixed())
        require_whole(1, num_actions=num_actions)
        self.inner, self.num_actions, self.unit_cost = domain, num_actions, unit_cost
        self.name = f"deepxube {domain!r}"
        self._states, self._goals = _Numbers(), _Numbers()

    def numbers(self, states: Sequence[Any]) -> Int[Tensor, "b 1"]:
        """States of deepxube as states here.

        Args:
            states: objects that can be compared and hashed.
        """
        return self._states.of(states)

    def goal_numbers(self, goals: Sequence[Any]) -> Int[Tensor, "b 1"]:
        """Goals of deepxube as goals here.

        Args:
            goals: any objects.
        """
        return self._goals.of([_Same(goal) for goal in goals])

    def objects(self, states: Tensor) -> list[Any]:
        """The objects of states.

        Args:
            states: (B, 1).
        """
        return [self._states.objects[i] for i in states[:, 0].tolist()]

    def expand(self, states: Tensor) -> Children:
        """See `Domain.expand`; done by the domain's own.

        Args:
            states: (B, 1).

        Raises:
            DomainError: more actions than there are.
        """
        shape = (len(states), self.num_actions)
        to, costs, valid = states.expand(shape).clone(), torch.ones(shape), torch.zeros(shape, dtype=torch.bool)
        if len(states):
            found, _, paid = self.inner.expand(self.objects(states))
            counts = torch.tensor([len(f) for f in found])
            if int(counts.max()) > self.num_actions:
                raise DomainError(self.name, given=f"{int(counts.max())} actions", expected=f"{self.num_actions}")
            valid = torch.arange(self.num_actions) < counts[:, None]
            costs[valid] = torch.tensor([float(c) for row in paid for c in row])
            to[valid.to(states.device)] = self.numbers([s for row in found for s in row])[:, 0].to(states.device)
        return Children(to[..., None], costs.to(states.device), valid.to(states.device))

    def is_goal(self, states: Tensor, goals: Tensor) -> Bool[Tensor, " b"]:
        """As the domain says.

        Args:
            states: (B, 1).
            goals: (B, 1), of `goal_numbers`.
        """
        wanted = [self._goals.objects[i].goal for i in goals[:, 0].tolist()]
        told = self.inner.is_solved(self.objects(states), wanted) if len(states) else []
        return torch.tensor([bool(t) for t in told], dtype=torch.bool, device=states.device)

    def sample_instances(self, steps: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """The domain's. The generators of Python, NumPy and torch that it draws from are seeded, and put back.

        Args:
            steps: how long each walk is.
            seed: of the walks.
        """
        with local_seeds(derive_seed("deepxube", seed=seed)):
            states, goals = self.inner.sample_problem_instances(steps.tolist())
        return self.numbers(states).to(steps.device), self.goal_numbers(goals).to(steps.device)

    def keys(self, states: Tensor) -> Int[Tensor, " b"]:
        """Numbers that differ where states do.

        Args:
            states: (B, 1).
        """
        key = states[:, 0].long() * -7046029254386353131  # odd: one to one modulo 2^64, and spread
        return key ^ (key >> 32)

    def require_states(self, states: Tensor, what: str = "states") -> None:
        """See `Domain.require_states`; states that were met.

        Args:
            states: (B, 1).
            what: what they are called in the error.
        """
        super().require_states(states, what)
        known = len((self._goals if what == "goals" else self._states).objects)
        if bool((states >= known).any()):
            raise DomainError(
                f"{what} of {self.name}", given=int(states.max()), expected=f"below {known}: use numbers()"
            )

    def to_text(self, state: Tensor) -> str:
        """What the object says of itself.

        Args:
            state: (1).
        """
        return str(self._states.objects[int(state)])


class _Numbers:
    """A number for each of the objects that differ."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self._known: dict[Hashable, int] = {}

    def of(self, objects: Sequence[Any]) -> Tensor:
        found = []
        for one in objects:
            number = self._known.setdefault(one, len(self.objects))
            if number == len(self.objects):
                self.objects.append(one)
            found.append(number)
        return torch.tensor(found, dtype=torch.int32).view(-1, 1)


class _Same:
    """A goal, which needn't be comparable: equal to itself alone."""

    def __init__(self, goal: Any) -> None:
        self.goal = goal

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.goal is other.goal

    def __hash__(self) -> int:
        return id(self.goal)
