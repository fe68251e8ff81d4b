"""Goals that are sets of states: partial assignments, -1 where anything will do."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.atoms import AtomSpace, atoms_of
from deepwright.pathfinding.domains.domain import Children, Domain, DomainError


class PartialGoals(Domain):
    """A domain whose goals name the values of some cells: (B, cells) int16, -1 where anything will do.

    Args:
        domain: whose states and actions.
        space: its atoms; `atoms_of(domain)` where not given.
        spread: goals are states that up to so many random actions lead to.
    """

    def __init__(self, domain: Domain, space: AtomSpace | None = None, spread: int = 100) -> None:
        require_whole(0, spread=spread)
        self.inner, self.space, self.spread = domain, space or atoms_of(domain), spread
        self.name, self.state_shape, self.state_dtype = f"{domain.name} partly", domain.state_shape, domain.state_dtype
        self.num_values, self.num_actions = domain.num_values, domain.num_actions
        self.inverse, self.unit_cost = domain.inverse, domain.unit_cost

    def expand(self, states: Tensor) -> Children:
        """The domain's.

        Args:
            states: (B, *state_shape).
        """
        return self.inner.expand(states)

    def is_goal(self, states: Tensor, goals: Tensor) -> Bool[Tensor, " b"]:
        """Whether each state has the values that its goal names.

        Args:
            states: (B, *state_shape).
            goals: (B, *state_shape), -1 where anything will do.
        """
        return ((goals < 0) | (states == goals)).flatten(1).all(1)

    def lower_bound(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """Cells that are wrong over those that an action changes at most, rounded up; zeros where costs differ.

        Args:
            states: (B, *state_shape).
            goals: (B, *state_shape), -1 where anything will do.
        """
        wrong = ((goals >= 0) & (states != goals)).flatten(1).sum(1)
        return (wrong / self.space.changes).ceil() * float(self.unit_cost)

    def starts(self, n: int, rng: torch.Generator) -> Tensor:
        """States of the domain at random.

        Args:
            n: how many.
            rng: on the CPU.
        """
        steps = torch.randint(self.spread + 1, (n,), generator=rng)
        return self.inner.sample_instances(steps, int(torch.randint(2**31, (), generator=rng)))[0]

    def sample_instances(self, steps: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Walks from states of which a random share of cells, uniform in 0..1, stays as the goal.

        Args:
            steps: how long each walk is.
            seed: of all this.
        """
        states, ends = super().sample_instances(steps, seed)
        rng = generator(seed, "hidden atoms", self.name)
        share = torch.rand(len(steps), *[1] * len(self.state_shape), generator=rng)
        hidden = (torch.rand(ends.shape, generator=rng) >= share).to(ends.device)
        return states, ends.to(torch.int16).masked_fill(hidden, -1)

    def keys(self, states: Tensor) -> Tensor:
        """The domain's.

        Args:
            states: (B, *state_shape).
        """
        return self.inner.keys(states)

    def require_states(self, states: Tensor, what: str = "states") -> None:
        """The domain's; goals have -1 where anything will do.

        Args:
            states: (B, *state_shape).
            what: what they are called in the error.
        """
        if what != "goals":
            self.inner.require_states(states, what)
            return
        fits = states.shape[1:] == self.state_shape and states.dtype == torch.int16
        if not fits or bool(((states < -1) | (states >= self.num_values)).any()):
            raise DomainError(
                f"goals of {self.name}",
                given=f"{tuple(states.shape)} of {states.dtype}",
                expected=f"(B, {', '.join(map(str, self.state_shape))}) of torch.int16, -1..{self.num_values - 1}",
            )

    def require_goals(self, goals: Tensor, what: str = "goals") -> None:
        """See `Domain.require_goals`: -1 where anything will do.

        Args:
            goals: (B, *state_shape).
            what: what they are called in the error.
        """
        super().require_goals(goals, what)
        self.require_states(goals, "goals")

    def to_text(self, state: Tensor) -> str:
        """The domain's.

        Args:
            state: (*state_shape).
        """
        return self.inner.to_text(state)
