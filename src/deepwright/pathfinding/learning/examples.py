"""States with what a network is to say of them, and a store of such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Examples:
    """What one step of training sees.

    Attributes:
        states: (B, *state_shape).
        goals: (B, ...).
        targets: (B,) what is to be said.
        taken: (B,) of which action; -1 where the state is meant.
    """

    states: Tensor
    goals: Tensor
    targets: Float[Tensor, " b"]
    taken: Int[Tensor, " b"]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, rows: Tensor) -> Examples:
        return Examples(self.states[rows], self.goals[rows], self.targets[rows], self.taken[rows])


def joined(parts: Sequence[Examples]) -> Examples:
    """All of them.

    Args:
        parts: one or more.
    """
    return Examples(
        torch.cat([p.states for p in parts]),
        torch.cat([p.goals for p in parts]),
        torch.cat([p.targets for p in parts]),
        torch.cat([p.taken for p in parts]),
    )


class Replay:
    """The latest examples, of which some are drawn.

    Args:
        capacity: how many are kept.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.kept: Examples | None = None

    def add(self, new: Examples) -> None:
        """Keep these, and forget the oldest beyond the capacity.

        Args:
            new: the examples.
        """
        both = new if self.kept is None else joined([self.kept, new])
        self.kept = both[torch.arange(max(len(both) - self.capacity, 0), len(both), device=both.targets.device)]

    def draw(self, n: int, rng: torch.Generator) -> Examples:
        """Some of them, each as likely, with repetition.

        Args:
            n: how many.
            rng: on the CPU.
        """
        assert self.kept is not None
        return self.kept[torch.randint(0, len(self.kept), (n,), generator=rng).to(self.kept.targets.device)]

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors."""
        return {} if self.kept is None else dict(vars(self.kept))

    def load_state_dict(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Take it up again.

        Args:
            state: of `state_dict`.
            device: where examples live.
        """
        self.kept = Examples(**{name: t.to(device) for name, t in state.items()}) if state else None
