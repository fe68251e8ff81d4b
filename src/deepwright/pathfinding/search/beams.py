"""Beam search: layer after layer, only the most promising states of each."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.randomness import generator
from deepwright.core.requirements import require_number, require_whole, require_within
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.heuristic import adds_up, judges_actions
from deepwright.pathfinding.search.nodes import Nodes, first_of_each
from deepwright.pathfinding.search.result import Limits, Result
from deepwright.pathfinding.search.stepwise import AnyHeuristic, OnStep, Search, require_ends, run


def beam(
    domain: Domain,
    start: Tensor,
    goal: Tensor,
    heuristic: AnyHeuristic,
    *,
    width: int = 1000,
    temperature: float = 0.0,
    random_share: float = 0.0,
    avoid_revisits: bool = True,
    rollout: bool = False,
    max_steps: int = 1000,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    seed: int = 0,
    trace: bool = False,
    on_step: OnStep | None = None,
) -> Result:
    """Expand a whole layer, keep the `width` children of least cost of the action + h (or least Q), and so on.

    With a policy those are kept whose paths are likeliest; a `temperature` of 1 draws paths without replacement with
    the chances that the policy gives them.

    A state is kept once a layer, by its cheapest way. It ends at the first layer with a goal, and says nothing of
    how much cheaper a way could be; "missed" says that it ended without one. With a heuristic of actions children are
    made in the order of their Q until the layer is full: what can't be taken, is alike or was there before takes no
    place, and of alike ones the first stays.

    Args:
        domain: whose states.
        start: (*state_shape).
        goal: one.
        heuristic: h, Q or a policy.
        width: states of a layer.
        temperature: above zero, a layer is drawn without replacement with chances that go as exp(-score / temperature).
        random_share: of each layer this share is drawn from what would be left out, all alike.
        avoid_revisits: leave out states of earlier layers.
        rollout: make all `max_steps` layers without a look at goals, and take the cheapest goal among all states.
        max_steps: layers.
        limits: where it gives up.
        seed: of what is drawn.
        trace: keep a row a layer.
        on_step: told the nodes, 0 and the least cost after each layer.

    Raises:
        InputError: numbers out of range, states that aren't the domain's, a heuristic that gives no numbers.
    """
    require_whole(1, width=width, max_steps=max_steps)
    require_number(0, temperature=temperature)
    require_within(0.0, 1.0, random_share=random_share)
    require_ends(domain, start, goal)
    layers = Layers(domain, start, goal, width, temperature, random_share, avoid_revisits, rollout, max_steps, seed)
    layers.by_actions, layers.summed = judges_actions(heuristic), adds_up(heuristic)
    actions = domain.num_actions if layers.by_actions else None
    return run(layers, heuristic, limits, actions, trace, on_step)


def greedy(domain: Domain, start: Tensor, goal: Tensor, heuristic: AnyHeuristic, **options: object) -> Result:
    """Always the best child: a beam of width 1.

    Args:
        domain: whose states.
        start: (*state_shape).
        goal: one.
        heuristic: h or Q.
        options: of `beam`, but the width.
    """
    return beam(domain, start, goal, heuristic, width=1, **options)  # type: ignore[arg-type]


class Layers(Search):
    """One beam.

    Attributes:
        by_actions: whether actions are judged, before they are taken.
        summed: whether these judgements add up along paths.

    Args:
        domain: see `beam`.
        start: see `beam`.
        goal: see `beam`.
        width: see `beam`.
        temperature: see `beam`.
        random_share: see `beam`.
        avoid_revisits: see `beam`.
        rollout: see `beam`.
        max_steps: see `beam`.
        seed: see `beam`.
    """

    by_actions = summed = False

    def __init__(
        self,
        domain: Domain,
        start: Tensor,
        goal: Tensor,
        width: int,
        temperature: float,
        random_share: float,
        avoid_revisits: bool,
        rollout: bool,
        max_steps: int,
        seed: int,
    ) -> None:
        super().__init__(domain, start, goal, width)
        self.width, self.temperature, self.random_share = width, temperature, random_share
        self.avoid_revisits, self.rollout, self.max_steps = avoid_revisits, rollout, max_steps
        self.rng = generator(seed, "beam")
        self.nodes, self.layer, self.steps, self.end = Nodes(domain, start.device), torch.empty(0), 0, -1
        self._found: tuple[Tensor, ...] = ()

    def propose(self) -> tuple[Tensor, Tensor]:
        """See `Search.propose`: the children of the layer; or its states, where actions are judged."""
        if not self.nodes.count:
            self._begin()
            return self.start[None][:0], self.goals(0)
        self.steps += 1
        self.expanded += len(self.layer)
        if self.by_actions:
            return self.nodes.states[self.layer], self.goals(len(self.layer))
        self._found = self._children(*self._all_actions())
        return self._found[0], self.goals(len(self._found[0]))

    def absorb(self, values: Tensor) -> None:
        """See `Search.absorb`.

        Args:
            values: (B,) or (B, A).
        """
        if not self.steps:
            return
        if self.by_actions:
            row, action = (values < torch.inf).nonzero(as_tuple=True)
            score = values[row, action]
            if self.summed:
                score = score + self.nodes.h[self.layer[row]]
            order = self._ordered(score)
            self._found = self._filled(self.layer[row[order]], action[order])
            told = self._sums(values) if self.summed else None
            self._enter(torch.arange(len(self._found[0]), device=self.start.device), told)
        else:
            paid = self._found[2] - self.nodes.g[self._found[3]]
            score = (paid + values.double()).float()
            ways = (score < torch.inf).nonzero()[:, 0]
            self._enter(ways[self._ordered(score[ways])[: self.width]])

    def over(self) -> str | None:
        """See `Search.over`."""
        last = self.steps >= self.max_steps or not len(self.layer)
        if self.rollout and last:
            self._look_back()
        if self.end >= 0:
            return "solved"
        return "missed" if last else None

    def _look_back(self) -> None:
        """At the end of a rollout, or where it gives up."""
        if self.end < 0:
            self._look(torch.arange(self.nodes.count, device=self.start.device))

    def path(self) -> list[int] | None:
        """See `Search.path`."""
        return self.nodes.path(self.end) if self.end >= 0 else None

    @property
    def size(self) -> int:
        """See `Search.size`."""
        return self.nodes.count * self.nodes.bytes_a_node

    def result(self, status: str, admissible: bool, seconds: float, rows: list[dict[str, float]]) -> Result:
        """See `Search.result`; a beam knows no lower bound.

        Args:
            status: see `Result`.
            admissible: of no use here.
            seconds: that it took.
            rows: the trace.
        """
        if self.rollout:
            self._look_back()
        return super().result(status, False, seconds, rows)

    def _begin(self) -> None:
        first, zero = self.start[None], torch.zeros(1, device=self.start.device)
        self.layer = self.nodes.add(first, self.domain.keys(first), zero.double(), zero, zero.long() - 1, zero.long())
        if not self.rollout:
            self._look(self.layer)

    def _all_actions(self) -> tuple[Tensor, Tensor]:
        each = torch.arange(self.domain.num_actions, device=self.start.device)
        return self.layer.repeat_interleave(len(each)), each.repeat(len(self.layer))

    def _children(self, parent: Tensor, action: Tensor) -> tuple[Tensor, ...]:
        """What actions lead to, each state once: states, keys, g, parents, actions."""
        if self.by_actions:
            states, costs, valid = self.domain.step(self.nodes.states[parent], action)
        else:
            found = self.domain.expand(self.nodes.states[self.layer])
            states, costs, valid = (t.flatten(0, 1) for t in (found.states, found.costs, found.valid))
        self.generated += int(valid.sum())
        states, costs, parent, action = states[valid], costs[valid], parent[valid], action[valid]
        g, keys = self.nodes.g[parent] + costs.double(), self.domain.keys(states)
        kept = first_of_each(states, keys, g)
        if self.avoid_revisits:
            kept = kept[self.nodes.find(states[kept], keys[kept]) < 0]
        return states[kept], keys[kept], g[kept], parent[kept], action[kept]

    def _filled(self, parent: Tensor, action: Tensor) -> tuple[Tensor, ...]:
        """Children of actions in their order, until the layer is full or none is left."""
        at, found = self.width, self._children(parent[: self.width], action[: self.width])
        while len(found[0]) < self.width and at < len(parent):
            end = at + self.width - len(found[0])
            more = self._children(parent[at:end], action[at:end])
            found = tuple(torch.cat(pair) for pair in zip(found, more))
            order = torch.arange(len(found[0]), device=self.start.device)
            kept, at = first_of_each(found[0], found[1], order), end
            found = tuple(t[kept] for t in found)
        return found

    def _sums(self, values: Tensor) -> Tensor:
        """What was said of all actions of the paths to the children that were found. The nodes of a layer follow one
        another."""
        parent, action = self._found[3], self._found[4]
        return self.nodes.h[parent] + values[parent - self.layer[0], action]

    def _enter(self, kept: Tensor, told: Tensor | None = None) -> None:
        states, keys, g, parent, action = (t[kept] for t in self._found)
        h = torch.zeros(len(g), device=g.device) if told is None else told
        self.layer = self.nodes.add(states, keys, g, h, parent, action)
        if not self.rollout:
            self._look(self.layer)

    def _look(self, node: Tensor) -> None:
        """Whether there are goals among nodes, and the cheapest of them."""
        ends = self.domain.is_goal(self.nodes.states[node], self.goals(len(node)))
        if bool(ends.any()):
            g = self.nodes.g[node].masked_fill(~ends, torch.inf)
            self.best, self.end = float(g.min()), int(node[g.argmin()])

    def _ordered(self, score: Tensor) -> Tensor:
        """The scored in the order in which they make the next layer, which has `width` places."""
        n = min(self.width, len(score))
        if self.temperature > 0:  # Gumbel's top k: a sample without replacement
            even = torch.rand(len(score), generator=self.rng, dtype=torch.float64).to(score.device)
            score = score.double() / self.temperature + even.log().neg().log()
        order = score.argsort(stable=True)
        drawn = min(int(self.random_share * n), len(score) - n)
        if not drawn:
            return order
        behind = order[n - drawn :]
        others = torch.randperm(len(behind), generator=self.rng)[:drawn].to(score.device)
        rest = torch.ones(len(behind), dtype=torch.bool, device=score.device)
        rest[others] = False
        return torch.cat([order[: n - drawn], behind[others], behind[rest]])
