"""Searches by states and by actions with the same exact distances, spoilt by the same noise: what asking costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.pathfinding import Domain, TableHeuristic, bwas, bwqs
from deepwright.studies._clock import one_thread
from deepwright.studies.paths.places import drawn, exact
from deepwright.studies.paths.trials import BATCH

_MIXED = 2862933555777941757  # an odd number: keys that are near each other have noise that isn't


class Spoilt:
    """h* plus noise of a standard deviation, always the same at a state; Q with half as much of its own besides.

    Args:
        domain: whose states.
        table: its exact distances.
        sd: of the noise.
        seed: of the noise.
    """

    admissible = False

    def __init__(self, domain: Domain, table: TableHeuristic, sd: float, seed: int) -> None:
        self.domain, self.table, self.sd, self.seed = domain, table, sd, seed

    def __call__(self, states: Tensor, goals: Tensor) -> Tensor:
        """(B,).

        Args:
            states: (B, *state_shape).
            goals: (B, *state_shape).
        """
        told = self.table(states, goals) + self.sd * self._noise(states, 1)[:, 0]
        return told.clamp_min(0)

    def values(self, states: Tensor, goals: Tensor) -> Tensor:
        """(B, A).

        Args:
            states: (B, *state_shape).
            goals: (B, *state_shape).
        """
        actions = self.domain.num_actions
        children = self.domain.expand(states).states.flatten(0, 1)
        h = self(children, goals.repeat_interleave(actions, 0)).view(-1, actions)
        return (1 + h + self.sd / 2 * self._noise(states, actions)).clamp_min(0)

    def _noise(self, states: Tensor, columns: int) -> Tensor:
        """Normal numbers that depend on the state, the column and the seed alone: (B, columns)."""
        own = self.domain.keys(states)[:, None] + 2 * torch.arange(columns) + 1000 * (self.seed + 1) + columns
        mixed = own * _MIXED
        mixed = (mixed ^ (mixed >> 29)) * _MIXED
        even = (((mixed >> 20) % 2**24).double() + 0.5) / 2**24
        return torch.special.ndtri(even).float()


def oracle_trial(sd: float, seed: int, domain: str, tested: int) -> dict[str, Any]:
    """Both searches at weight 1 on the same states.

    Args:
        sd: of the noise.
        seed: of states and noise.
        domain: its name.
        tested: states.
    """
    with one_thread():
        table = exact(domain)
        space = table.domain
        judge, states = Spoilt(space, table, sd, seed), drawn(domain, tested, seed, "test")
        by_states = [bwas(space, s, table.goal, judge, batch_size=BATCH) for s in states]
        by_actions = [bwqs(space, s, table.goal, judge, batch_size=BATCH) for s in states]
        least = float(table(states, table.goal.expand(len(states), -1)).sum())
        return {
            "states": float(np.mean([r.evaluations for r in by_states])),
            "actions": float(np.mean([r.evaluations for r in by_actions])),
            "cost of states": sum(r.cost for r in by_states) / least,
            "cost of actions": sum(r.cost for r in by_actions) / least,
        }
