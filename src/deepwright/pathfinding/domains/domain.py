"""What a domain is: states and goals as arrays, and what can be done to a whole batch of them at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.identity import digest
from deepwright.core.randomness import generator
from deepwright.pathfinding.domains.hashing import StateHash


class DomainError(InputError):
    """A domain breaks its contract, or is asked for what it hasn't."""


@dataclass(frozen=True)
class Children:
    """What every action does to every state of a batch.

    Attributes:
        states: (B, A, *state_shape).
        costs: (B, A) float32, above zero where valid.
        valid: (B, A): where it is false the action can't be taken, and state and cost say nothing.
    """

    states: Tensor
    costs: Float[Tensor, "b a"]
    valid: Bool[Tensor, "b a"]


class Domain(ABC):
    """A pathfinding problem. A domain of your own writes `expand` and `is_goal`, and says what the attributes say.

    All arrays are tensors, (B, *state_shape) of `state_dtype` with whole numbers below `num_values`; a domain works
    where its states live. `check_domain` tries whether one keeps its word.

    Attributes:
        name: with its size, as "npuzzle.4": what a trained heuristic is bound to.
        state_shape: of one state.
        state_dtype: an integer type, uint8 where it suffices.
        num_values: numbers in a state are below it.
        num_actions: how many actions there are, valid or not.
        inverse: for each action the one that takes it back (with the same cost); None where there is no such thing.
        unit_cost: whether every action costs 1.
        always_valid: whether every action can be taken in every state.
        goal: the state that is sought where no other is named, None where there is no such state.
    """

    name: str
    state_shape: tuple[int, ...]
    state_dtype: torch.dtype = torch.uint8
    num_values: int
    num_actions: int
    inverse: tuple[int, ...] | None = None
    unit_cost: bool = True
    always_valid: bool = False
    goal: Tensor | None = None

    @abstractmethod
    def expand(self, states: Tensor) -> Children:
        """Every action on every state.

        Args:
            states: (B, *state_shape).
        """

    def is_goal(self, states: Tensor, goals: Tensor) -> Bool[Tensor, " b"]:
        """Whether each state is one of its goal's: by default, whether both are equal.

        Args:
            states: (B, *state_shape).
            goals: (B, ...) one a state.
        """
        return (states == goals).flatten(1).all(1)

    def lower_bound(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """Costs below which no path to the goal is; zeros where the domain knows none.

        Args:
            states: (B, *state_shape).
            goals: (B, ...) one a state.
        """
        return torch.zeros(len(states), device=states.device)

    def step(self, states: Tensor, actions: Int[Tensor, " b"]) -> tuple[Tensor, Tensor, Tensor]:
        """One action a state: next states, costs, and whether it could be taken (else the state stays).

        Args:
            states: (B, *state_shape).
            actions: of 0..num_actions - 1.
        """
        found, rows = self.expand(states), torch.arange(len(states), device=states.device)
        valid = found.valid[rows, actions]
        told = valid.view(-1, *[1] * len(self.state_shape))
        return torch.where(told, found.states[rows, actions], states), found.costs[rows, actions], valid

    def follow(self, states: Tensor, actions: Int[Tensor, "b t"]) -> Tensor:
        """Where several actions lead, one after another: (B, *state_shape). One that can't be taken is left out.

        Args:
            states: (B, *state_shape).
            actions: of each state in their order; `num_actions` is none.
        """
        for column in actions.unbind(1):
            on = (column < self.num_actions).nonzero()[:, 0]
            after, _, _ = self.step(states[on], column[on])
            states = states.index_copy(0, on, after)
        return states

    def starts(self, n: int, rng: torch.Generator) -> Tensor:
        """Goals from which walks are begun: (n, *state_shape), the domain's own goal by default.

        Args:
            n: how many.
            rng: on the CPU.

        Raises:
            DomainError: it has none.
        """
        if self.goal is None:
            raise DomainError(f"{self.name} has no goal state of its own", expected="`starts`, or a goal that is named")
        return self.goal.expand(n, *self.state_shape).clone()

    def sample_instances(self, steps: Int[Tensor, " b"], seed: int) -> tuple[Tensor, Tensor]:
        """States that are random walks away from a goal, and these goals.

        No step takes back the one before or can't be taken, so that long walks lead far. A walk that comes to a state
        without such a step ends there.

        Args:
            steps: how long each walk is.
            seed: of the walks.

        Raises:
            DomainError: actions can't be taken back, so that walks from the goal say nothing about the way to it.
        """
        if self.inverse is None:
            raise DomainError(f"{self.name} can't be walked backwards", expected="`inverse`, or instances of your own")
        rng = generator(seed, "walks", self.name)
        goals = self.starts(len(steps), rng).to(steps.device)
        states, last = goals.clone(), torch.full_like(steps, -1)
        back = torch.tensor(self.inverse, device=steps.device)
        for number in range(int(steps.max()) if len(steps) else 0):
            found = self.expand(states)
            weights = found.valid.float()
            moved = last >= 0
            weights[moved.nonzero()[:, 0], back[last[moved]]] = 0
            going = (steps > number) & (weights.sum(1) > 0)
            drawn = torch.rand(weights.shape, generator=rng).to(steps.device).log() / weights  # Gumbel's race
            action = drawn.masked_fill(weights == 0, -torch.inf).argmax(1)
            chosen = found.states[torch.arange(len(steps), device=steps.device), action]
            states = torch.where(going.view(-1, *[1] * len(self.state_shape)), chosen, states)
            last = torch.where(going, action, last)
        return states, goals

    def keys(self, states: Tensor) -> Int[Tensor, " b"]:
        """A 64-bit number a state: equal states have equal ones, others equal ones about never.

        Args:
            states: (B, *state_shape).
        """
        return self._hash(states)

    @property
    def _hash(self) -> StateHash:
        made: StateHash | None = self.__dict__.get("_made_hash")
        if made is None:
            made = self.__dict__["_made_hash"] = StateHash(self.state_shape, self.num_values)
        return made

    def require_states(self, states: Tensor, what: str = "states") -> None:
        """Refuse what can't be states of this domain. A domain that knows more of its states looks closer.

        Args:
            states: (B, *state_shape).
            what: what they are called in the error.

        Raises:
            DomainError: another shape or dtype, or numbers out of range.
        """
        expected = f"(B, {', '.join(map(str, self.state_shape))}) of {self.state_dtype}"
        if states.shape[1:] != self.state_shape or states.dtype != self.state_dtype:
            raise DomainError(
                f"{what} of {self.name}", given=f"{tuple(states.shape)} of {states.dtype}", expected=expected
            )
        wrong = ((states < 0) | (states >= self.num_values)).flatten(1).any(1)
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            raise DomainError(
                f"{what} of {self.name}",
                given=f"{states[row].tolist()} in row {row}",
                expected=f"whole numbers in 0..{self.num_values - 1}",
            )

    def require_goals(self, goals: Tensor, what: str = "goals") -> None:
        """Refuse what can't be goals: by default what can't be states, where a goal is a state to be equal to.

        Args:
            goals: (B, ...).
            what: what they are called in the error.

        Raises:
            DomainError: no tensor, another shape or dtype, or numbers out of range.
        """
        if not isinstance(goals, Tensor):
            raise DomainError(f"{what} of {self.name}", given=type(goals).__name__, expected="a tensor")
        if type(self).is_goal is Domain.is_goal:
            self.require_states(goals, what)

    def fingerprint(self) -> str | None:
        """A digest of what actions do, which a trained heuristic is bound to; None where nothing is known of it.

        By default of walks from the domain's own goal: two domains of one name, size and goal, one of whose actions or
        costs differs there, differ.
        """
        if self.goal is None:
            return None
        rng, states = generator(0, "fingerprint"), self.goal.expand(64, *self.state_shape).clone()
        told: dict[str, Tensor] = {}
        for number in range(16):
            found = self.expand(states)
            kept = found.valid.view(*found.valid.shape, *[1] * len(self.state_shape))
            told |= {f"costs {number}": found.costs.masked_fill(~found.valid, 0), f"valid {number}": found.valid}
            told[f"states {number}"] = torch.where(kept, found.states, torch.zeros_like(found.states))
            drawn = torch.rand(found.valid.shape, generator=rng).to(states.device).masked_fill(~found.valid, -1)
            most = drawn.max(1)
            after = found.states[torch.arange(len(states), device=states.device), most.indices]
            states = torch.where((most.values >= 0).view(-1, *[1] * len(self.state_shape)), after, states)
        return str(digest({name: t.cpu() for name, t in told.items()}))

    def to_text(self, state: Tensor) -> str:
        """One state as people read it.

        Args:
            state: (*state_shape).
        """
        return " ".join(map(str, state.flatten().tolist()))

    def __resume_identity__(self) -> tuple[type, dict[str, Any]]:
        """What work in the domain depends on: its class and attributes, but for what it remembers on the way."""
        kept = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return type(self), kept

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"
