"""What a network is to say: one step, a whole tree, or an action looked ahead."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.pathfinding.learning.forests import Forest


def one_step_targets(forest: Forest) -> Float[Tensor, " n"]:
    """y(s) = 0 if s is a goal, else min_a c(s, a) + h(T(s, a)), of expanded nodes; infinity at all others and at dead
    ends.

    Args:
        forest: whose expanded nodes count; each child's h is the stored one.

    Source: F. Agostinelli et al., "Solving the Rubik's cube with deep reinforcement learning and search", Nature
    Machine Intelligence 1, 2019 (deep approximate value iteration).
    """
    child = forest.parent >= 0
    found = torch.full_like(forest.h, torch.inf)
    found.scatter_reduce_(0, forest.parent[child], (forest.cost + forest.h)[child], "amin")
    return _at_goals(found, forest)


def tree_targets(forest: Forest) -> Float[Tensor, " n"]:
    """b(n) = 0 at a goal, h(n) at a leaf, else min over all children of c + b(child); infinity at leaves and dead ends.

    One sweep from the deepest nodes up. A child that the search left aside, since its state was there already, is a
    leaf with its own h.

    Args:
        forest: the trees.

    Source: limited-horizon Bellman-based learning, as in "The DeepXube Software Package", arXiv 2603.23873.
    """
    found = backed_up(forest, forest.h)
    return _at_goals(found.masked_fill(~forest.expanded, torch.inf), forest)


def path_bounds(forest: Forest, walked: Float[Tensor, " i"] | None = None) -> Float[Tensor, " n"]:
    """The least cost of a way to a goal that the trees hold, infinity where they hold none: above it nothing can be.

    Args:
        forest: the trees.
        walked: of each instance the cost of the walk that led to its root, which is the way back.
    """
    found = backed_up(forest, torch.full_like(forest.h, torch.inf))
    if walked is not None:
        roots = forest.parent < 0
        found[roots] = torch.minimum(found[roots], walked[forest.tree[roots]])
    return found


def backed_up(forest: Forest, leaf: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Least costs from each node through its tree to a goal or a leaf.

    Args:
        forest: the trees.
        leaf: what stands at leaves.
    """
    found = leaf.masked_fill(forest.expanded, torch.inf).masked_fill(forest.goal, 0)
    order = forest.depth.argsort(descending=True, stable=True)
    counts = torch.bincount(forest.depth).flip(0).tolist() if len(order) else []
    for rows in order.split(counts)[:-1]:  # roots have no parent
        found.scatter_reduce_(0, forest.parent[rows], forest.cost[rows] + found[rows], "amin")
    return found


def action_targets(
    costs: Float[Tensor, " b"],
    done: Bool[Tensor, " b"],
    q: Float[Tensor, "b a"],
    valid: Bool[Tensor, "b a"],
    at_goal: Bool[Tensor, " b"],
) -> Float[Tensor, " b"]:
    """y(s, a) = c(s, a) + min over a' that can be taken of Q(s', a'); c where s' is a goal, 0 where s is; infinity
    where s' is a dead end.

    Args:
        costs: of the action that was taken.
        done: whether it led to a goal.
        q: of the next state.
        valid: what can be taken there.
        at_goal: whether the state itself is one.
    """
    after = q.masked_fill(~valid, torch.inf).amin(1).masked_fill(done, 0)
    return (costs + after).masked_fill(at_goal, 0)


def _at_goals(found: Tensor, forest: Forest) -> Tensor:
    """Zero at goals that are roots or were expanded: these are trained on, too."""
    return found.masked_fill(forest.goal & (forest.expanded | (forest.parent < 0)), 0)
