"""Beam search: a layer of states, the best of their children, and so on; quick, and without any promise."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from deepwright.core.randomness import generator
from deepwright.core.requirements import require_number, require_whole, require_within
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.heuristic import Heuristic, estimates
from deepwright.pathfinding.search.nodes import first_of_each
from deepwright.pathfinding.search.paths import validate_path
from deepwright.pathfinding.search.result import Limits, Result


@dataclass(frozen=True)
class _Layer:
    """States of one depth: their costs, and where they came from in the layer before."""

    states: Tensor
    g: Tensor
    parent: Tensor
    action: Tensor


def beam(
    domain: Domain,
    start: Tensor,
    goal: Tensor,
    heuristic: Heuristic,
    *,
    width: int = 1000,
    depth: int = 1000,
    temperature: float = 0.0,
    random_share: float = 0.0,
    avoid_revisits: bool = True,
    seed: int = 0,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Result:
    """Keep the `width` children of least c + h, layer after layer, until one of them is a goal.

    No layer holds a state twice. The path is replayed, and nothing is known of how good it is; without one the status
    is "missed", which says nothing of whether there is a way. A `width` of 1 is greedy descent.

    Args:
        domain: whose states.
        start: (*state_shape).
        goal: one.
        heuristic: h; an infinite one says that there is no way from there.
        width: states of a layer.
        depth: layers at most.
        temperature: above 0 the layer is drawn without replacement, with chances exp(-(c + h) / temperature).
        random_share: this share of a layer is taken at random from the other children.
        avoid_revisits: leave out states of earlier layers.
        seed: of what is drawn.
        limits: where it gives up.

    Raises:
        InputError: numbers out of range, states that aren't the domain's, a heuristic that gives no numbers.

    Source: W. Kool et al., "Stochastic beams and where to find them", 2019, for the draws without replacement.
    """
    require_whole(1, width=width, depth=depth)
    require_number(0.0, temperature=temperature)
    require_within(0.0, 1.0, ends="[)", random_share=random_share)
    domain.require_states(start[None], "start")
    begin, rng = time.perf_counter(), generator(seed, "beam")
    goals = goal.expand(1, *goal.shape)
    none = torch.zeros(1, dtype=torch.long, device=start.device)
    layers = [_Layer(start[None], none.double(), none, none)]
    seen, counts, status = domain.keys(start[None]), [1, 0, 0], "missed"
    end = 0 if bool(domain.is_goal(start[None], goals)) else -1
    while end < 0 and len(layers) <= depth:
        found = _children(domain, layers[-1], seen if avoid_revisits else seen[:0], counts)
        if not len(found[0].states):
            break
        layer, c, keys = found
        ends = domain.is_goal(layer.states, goal.expand(len(layer.states), *goal.shape)).nonzero()[:, 0]
        if len(ends):
            layers.append(layer)
            end = int(ends[layer.g[ends].argmin()])
            break
        h = estimates(heuristic, layer.states, goal.expand(len(layer.states), *goal.shape), 10_000)
        counts[2] += len(h)
        kept = _kept(c + h, width, temperature, random_share, rng)
        layers.append(_Layer(layer.states[kept], layer.g[kept], layer.parent[kept], layer.action[kept]))
        seen = torch.cat([seen, keys[kept]]).sort().values if avoid_revisits else seen
        size = sum(part.states.nbytes + 24 * len(part.states) for part in layers) + seen.nbytes
        limit = limits.reached(counts[0], time.perf_counter() - begin, size)
        if limit is not None:
            status = limit
            break
    if end < 0:
        return Result(status, None, float("inf"), None, counts[0], counts[1], counts[2], time.perf_counter() - begin)
    actions = _path(layers, end)
    cost = validate_path(domain, start, goal, actions)
    return Result("solved", actions, cost, None, counts[0], counts[1], counts[2], time.perf_counter() - begin)


def _children(domain: Domain, layer: _Layer, seen: Tensor, counts: list[int]) -> tuple[_Layer, Tensor, Tensor]:
    """All that can be reached from a layer and wasn't seen, once each and by its cheapest way; costs of the last step;
    keys."""
    found = domain.expand(layer.states)
    row, action = found.valid.nonzero(as_tuple=True)
    counts[0] += len(row)
    counts[1] += len(layer.states)
    states, c = found.states[row, action], found.costs[row, action]
    g, keys = layer.g[row] + c.double(), domain.keys(states)
    kept = first_of_each(states, keys, g)
    if len(seen):
        place = torch.searchsorted(seen, keys[kept]).clamp(max=len(seen) - 1)
        kept = kept[seen[place] != keys[kept]]
    return _Layer(states[kept], g[kept], row[kept], action[kept]), c[kept], keys[kept]


def _kept(score: Tensor, width: int, temperature: float, random_share: float, rng: torch.Generator) -> Tensor:
    """Which children stay: the best, or drawn ones (the largest of Gumbel's keys), and a few at random."""
    able = (score < torch.inf).nonzero()[:, 0]
    if len(able) <= width:
        return able
    key = -score[able].double()
    if temperature > 0:
        uniform = torch.rand(len(able), generator=rng, dtype=torch.float64).clamp_min(1e-300).to(score.device)
        key = key / temperature - (-uniform.log()).log()
    order = key.argsort(descending=True, stable=True)
    some = min(int(random_share * width), len(able) - width)
    first, rest = order[: width - some], order[width - some :]
    drawn = rest[torch.randperm(len(rest), generator=rng)[:some].to(rest.device)]
    return able[torch.cat([first, drawn])]


def _path(layers: list[_Layer], end: int) -> list[int]:
    actions: list[int] = []
    for layer in layers[:0:-1]:
        actions.append(int(layer.action[end]))
        end = int(layer.parent[end])
    return actions[::-1]
