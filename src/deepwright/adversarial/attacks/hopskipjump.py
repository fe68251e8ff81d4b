"""HopSkipJump: a gradient of the boundary from answers alone, a jump along it, and back to the boundary.

Source: "HopSkipJumpAttack: A Query-Efficient Decision-Based Attack", arXiv 1904.02144.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.attacks.boundary_search import AT_ONCE, Answers, Starting, starts, to_boundary
from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import column, norms
from deepwright.adversarial.victim import Batch, Best, Victim, selected
from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_positive, require_whole

_HALVINGS = 40  # of a jump, before it is given up


class HopSkipJump(Attack):
    """At iteration t, b = min(evaluations sqrt(t), most) random points at distance delta about the boundary point tell
    its normal v, the mean of their directions, each signed by whether it fools (and centred); the point jumps by
    ||x_t - x|| / sqrt(t) along v (in L-inf along sign v), halved until it fools, and bisection brings it back.

    Only decisions of the task are asked, so it takes networks without gradients, and those that name a class only: as
    one-hot rows, `F.one_hot(classes, count).float()`. It finds small changes; what lies beyond the budget is pulled
    back into it. Where nothing that fools is found to begin with, x stays.

    Args:
        eps: budget; none by default.
        norm: "l2" or "linf".
        iterations: most of them.
        evaluations: random points at the first.
        most: random points at any.
        queries: a sample is left alone when its next iteration may need more; None for no limit.
        gamma: the bisection's tolerance is gamma / d^(3/2) in L2, gamma / d^2 in L-inf, for d coordinates.
        tries: draws of noise until a start fools.
        starting: (x, y) -> inputs that fool, in place of noise, as (x, y) -> images of the class y when targeted.
        options: of `Attack`: task, success, targeted, bounds, seed.
    """

    refused = {"loss": "it knows decisions only", "early_stop": "it looks for the smallest change"}

    def __init__(
        self,
        eps: float | Tensor = math.inf,
        norm: str = "l2",
        iterations: int = 64,
        *,
        evaluations: int = 100,
        most: int = 10_000,
        queries: int | None = None,
        gamma: float = 1.0,
        tries: int = 100,
        starting: Starting | None = None,
        **options: Any,
    ) -> None:
        super().__init__(eps, norm, **options)
        if norm == "l1":
            raise InputError("norm", given="'l1'", expected="'l2' or 'linf' for HopSkipJump")
        require_whole(1, iterations=iterations, evaluations=evaluations, most=most, tries=tries)
        if queries is not None:
            require_whole(1, queries=queries)
        require_positive(gamma=gamma)
        self.iterations, self.evaluations, self.most = int(iterations), int(evaluations), int(most)
        self.queries, self.gamma, self.tries, self.starting = queries, float(gamma), int(tries), starting

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        answers = Answers(victim, batch)
        begun, fools = starts(answers, batch, self.name, self.seed, self.bounds, self.tries, self.starting)
        found = begun.clone()
        part = selected(_Jumping(batch, begun), fools & (norms(begun - batch.x, self.norm) > 0))
        if len(part.rows):
            part.point = to_boundary(answers, part.point, part.x, part.rows, self.norm, self._threshold(part.x))
            found[part.rows] = part.point
        steps = torch.zeros_like(batch.rows)
        for iteration in range(1, self.iterations + 1):
            part = selected(part, self._may_go_on(victim, part, iteration))
            if len(part.rows) == 0:
                break
            self._iterate(answers, part, iteration)
            steps[part.rows] = iteration
            nearer = norms(part.point - part.x, self.norm) < norms(found[part.rows] - part.x, self.norm)
            found[part.rows] = torch.where(column(nearer, part.x), part.point, found[part.rows])
            if batch.callback is not None:
                batch.callback(iteration - 1, fools)
        self._offer_minimal(victim, batch, found, best, 0)
        best.steps = steps

    def _threshold(self, x: Tensor) -> Tensor:
        d = x[0].numel()
        return torch.full_like(x.flatten(1)[:, 0], self.gamma / (d**1.5 if self.norm == "l2" else d**2))

    def _draws(self, iteration: int) -> int:
        return int(min(self.evaluations * math.sqrt(iteration), self.most))

    def _may_go_on(self, victim: Victim, part: _Jumping, iteration: int) -> Tensor:
        """Which samples are sure to stay within their queries in the next iteration, and in the last look."""
        if self.queries is None or len(part.rows) == 0:
            return torch.ones_like(part.rows, dtype=torch.bool)
        bisections = math.ceil(math.log2(1 / min(float(self._threshold(part.x[:1])[0]), 1.0))) + 1
        need = self._draws(iteration) + _HALVINGS + bisections + 1
        return victim.queries[part.rows] + need * victim.eot <= self.queries

    def _iterate(self, answers: Answers, part: _Jumping, iteration: int) -> None:
        x, d = part.x, part.x[0].numel()
        distance = norms(part.point - x, self.norm)
        threshold = self._threshold(x)
        if iteration == 1:
            span = self.bounds[1] - self.bounds[0]
            reach = torch.full_like(distance, 0.1 * span) if math.isfinite(span) else 0.1 * distance
        else:
            reach = (math.sqrt(d) if self.norm == "l2" else d) * threshold * distance
        way = self._normal(answers, part, reach, iteration)
        length = distance / math.sqrt(iteration)
        landed, open_ = part.point.clone(), torch.ones_like(part.rows, dtype=torch.bool)
        for _ in range(_HALVINGS):
            rows = open_.nonzero().flatten()
            if len(rows) == 0:
                break
            moved = (part.point[rows] + column(length[rows], x) * way[rows]).clamp(*self.bounds)
            fools = answers(moved, part.rows[rows])
            landed[rows] = torch.where(column(fools, x), moved, landed[rows])
            open_[rows] = ~fools
            length = torch.where(open_, length / 2, length)
        part.point = to_boundary(answers, landed, x, part.rows, self.norm, threshold)

    def _normal(self, answers: Answers, part: _Jumping, reach: Tensor, iteration: int) -> Tensor:
        """The estimated direction, of length 1 (in L-inf of signs)."""
        x, draws = part.x, self._draws(iteration)
        streams = Streams(self.seed, part.ids, f"{self.name}-draws", iteration, x.device)
        signed, plain = torch.zeros_like(x), torch.zeros_like(x)
        share = torch.zeros_like(reach)
        together = max(1, AT_ONCE // len(x))
        for first in range(0, draws, together):
            points = []
            for _ in range(min(together, draws - first)):
                if self.norm == "l2":
                    v = streams.normal(*x.shape[1:]).to(x.dtype)
                else:
                    v = streams.uniform(*x.shape[1:], low=-1.0, high=1.0).to(x.dtype)
                v = v if part.mask is None else v * part.mask
                v = v / column(norms(v, "l2").clamp_min(1e-30), v)
                points.append((part.point + column(reach, v) * v).clamp(*self.bounds))
            fools = answers(torch.cat(points), part.rows.repeat(len(points))).reshape(len(points), len(x))
            for point, fooled in zip(points, fools):  # one by one, so that sums don't depend on the batch
                v = (point - part.point) / column(reach.clamp_min(1e-30), x)
                sign = torch.where(fooled, 1.0, -1.0).to(x.dtype)
                signed += column(sign, x) * v
                plain += v
                share += sign
        mean = share / draws
        alike = mean.abs() == 1  # all points answer alike: their mean is all there is to go by
        v = torch.where(column(alike, x), signed, signed - column(mean, x) * plain)
        if self.norm == "linf":
            return v.sign()
        return v / column(norms(v, "l2").clamp_min(1e-30), v)


class _Jumping:
    """The samples that have a start, and where each is."""

    def __init__(self, batch: Batch, point: Tensor) -> None:
        self.rows, self.x, self.mask, self.point = batch.rows, batch.x, batch.mask, point
        self.ids = batch.ids.to(batch.x.device)
