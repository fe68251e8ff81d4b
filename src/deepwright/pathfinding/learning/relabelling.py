"""Hindsight: what a search reached becomes the goal that it was after."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.learning.forests import Forest, Values, regoaled, subforest
from deepwright.pathfinding.learning.walks import goals_from


def hindsight(forest: Forest, domain: Domain, values: Values) -> Forest:
    """The trees that found no goal, each with a goal that its deepest expanded node reaches.

    Args:
        forest: of searches.
        domain: whose.
        values: h, asked for the new goals.

    Source: M. Andrychowicz et al., "Hindsight Experience Replay", arXiv 1707.01495.
    """
    deepest = deepest_expanded(forest)
    failed = subforest(forest, ~forest.solved & (deepest >= 0))
    chosen = forest.states[deepest[~forest.solved & (deepest >= 0)]]
    return regoaled(failed, domain, goals_from(domain, chosen), values)


def deepest_expanded(forest: Forest) -> Int[Tensor, " i"]:
    """Of each tree the expanded node that is farthest from its root, the last of these that was made; -1 where none.

    Args:
        forest: the trees.
    """
    size = len(forest.parent)
    rank = forest.depth * size + torch.arange(size, device=forest.depth.device)
    best = torch.full((len(forest.goals),), -1, dtype=torch.long, device=rank.device)
    on = forest.expanded
    best.scatter_reduce_(0, forest.tree[on], rank[on], "amax")
    return torch.where(best >= 0, best % size, -1)
