"""The examples of one iteration: walks, searches from where they ended, and targets."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.learning.examples import Examples, joined
from deepwright.pathfinding.learning.forests import Forest, Values, grow
from deepwright.pathfinding.learning.relabelling import hindsight
from deepwright.pathfinding.learning.settings import Training
from deepwright.pathfinding.learning.targets import action_targets, one_step_targets, path_bounds, tree_targets
from deepwright.pathfinding.learning.walks import Walks


def walked(walks: Walks, settings: Training, domain: Domain, rng: torch.Generator) -> Examples:
    """The walk's own cost as the target; of actions that of the one that begins the way back.

    Args:
        walks: instances.
        settings: of training.
        domain: whose.
        rng: on the CPU; at goals any action is taken.
    """
    if settings.kind == "v":
        return Examples(walks.states, walks.goals, walks.costs, torch.full_like(walks.lengths, -1))
    anything = torch.randint(0, domain.num_actions, (len(walks.lengths),), generator=rng).to(walks.first.device)
    return Examples(walks.states, walks.goals, walks.costs, torch.where(walks.first < 0, anything, walks.first))


def searched(walks: Walks, spares: Walks | None, settings: Training, domain: Domain, values: Values) -> Examples:
    """All that searches expand, with one-step or tree targets.

    Args:
        walks: instances.
        spares: that take the place of solved ones.
        settings: of training.
        domain: whose.
        values: h of the target network.
    """
    again = None if spares is None else (spares.states, spares.goals)
    forest = grow(domain, walks.states, walks.goals, values, settings.search_itrs, settings.weight, again)
    costs = walks.costs if spares is None else torch.cat([walks.costs, spares.costs])
    costs = costs[forest.instance]
    parts = [_examples(forest, settings, costs if settings.bounded else None)]
    if settings.her:
        parts.append(_examples(hindsight(forest, domain, values), settings, None))
    return joined(parts)


def _examples(forest: Forest, settings: Training, costs: Tensor | None) -> Examples:
    found = tree_targets(forest) if settings.method == "lhbl" else one_step_targets(forest)
    if settings.search_itrs > 1 or costs is not None:
        on = found < torch.inf
        found = torch.where(on, torch.minimum(found, path_bounds(forest, costs)), found)
    rows = (found < torch.inf).nonzero()[:, 0]
    tree = forest.tree[rows]
    return Examples(forest.states[rows], forest.goals[tree], found[rows], torch.full_like(tree, -1))


def rolled(walks: Walks, settings: Training, domain: Domain, q_values: Values, rng: torch.Generator) -> Examples:
    """States and actions along greedy ways, of which a share is taken at random, with one-step targets.

    Args:
        walks: instances.
        settings: of training.
        domain: whose.
        q_values: (states, goals) -> (B, A) of the target network.
        rng: on the CPU.
    """
    states, goals = walks.states, walks.goals
    q, found = q_values(states, goals), domain.expand(states)
    at_goal = domain.is_goal(states, goals)
    parts = []
    for _ in range(settings.search_itrs):
        on = found.valid.any(1)
        action = _chosen(q, found.valid, settings.explore, rng)
        rows = torch.arange(len(states), device=states.device)
        after, costs = found.states[rows, action], found.costs[rows, action]
        done = domain.is_goal(after, goals)
        then, ahead = domain.expand(after), q_values(after, goals)
        y = action_targets(costs, done, ahead, then.valid, at_goal)
        on &= y < torch.inf
        parts.append(Examples(states[on], goals[on], y[on], action[on]))
        go = found.valid.any(1) & ~done & ~at_goal
        states, goals, q, at_goal = after[go], goals[go], ahead[go], at_goal[go]
        found = type(then)(then.states[go], then.costs[go], then.valid[go])
        if not len(states):
            break
    return joined(parts)


def _chosen(q: Tensor, valid: Tensor, explore: float, rng: torch.Generator) -> Tensor:
    """The least Q of what can be taken, or any of it."""
    best = q.masked_fill(~valid, torch.inf).argmin(1)
    drawn = torch.rand(q.shape, generator=rng).to(q.device).masked_fill(~valid, -1).argmax(1)
    chance = (torch.rand(len(q), generator=rng) < explore).to(q.device)
    return torch.where(chance, drawn, best)
