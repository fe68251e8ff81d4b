"""The boundary attack: a random walk along the decision boundary, towards x, by answers alone.

Source: "Decision-Based Adversarial Attacks", arXiv 1712.04248.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.attacks.boundary_search import Answers, Starting, starts, to_boundary
from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import column, norms
from deepwright.adversarial.victim import Batch, Best, Victim, selected
from deepwright.core.errors import InputError
from deepwright.core.randomness import StreamBlock
from deepwright.core.requirements import require_positive, require_whole

_LOOK_EVERY = 10  # steps, at the point on the sphere itself
_SPHERES, _STEPS = 10, 30  # answers after which a step's length is judged
_FACTOR = 1.5
_TOGETHER, _NUMBERS = 32, 2**22  # steps whose numbers are drawn at once; numbers of which they are at most


class Boundary(Attack):
    """A step orthogonal to the way to x, at unchanged distance, then one towards x; kept if it still fools.

    Both lengths, relative to the distance, follow what is kept: the orthogonal step grows where more than half of the
    points on the sphere fool and shrinks below a fifth, the step towards x at a quarter and a tenth of the whole moves.
    Only decisions of the task are asked. It finds small changes in L2; what lies beyond the budget is pulled back into
    it. Where nothing that fools is found to begin with, x stays.

    Args:
        eps: budget; none by default.
        norm: "l2".
        steps: of the walk; each is one query, every tenth two.
        sphere: first length of the orthogonal step, of the distance.
        step: first length of the step towards x, of the distance.
        converged: a sample is left alone when its step towards x is shorter.
        tries: draws of noise until a start fools.
        starting: (x, y) -> inputs that fool, in place of noise.
        options: of `Attack`: task, success, targeted, bounds, seed.
    """

    refused = {"loss": "it knows decisions only", "early_stop": "it looks for the smallest change"}

    def __init__(
        self,
        eps: float | Tensor = math.inf,
        norm: str = "l2",
        steps: int = 5000,
        *,
        sphere: float = 0.01,
        step: float = 0.01,
        converged: float = 1e-7,
        tries: int = 100,
        starting: Starting | None = None,
        **options: Any,
    ) -> None:
        super().__init__(eps, norm, **options)
        if norm != "l2":
            raise InputError("norm", given=repr(norm), expected="'l2' for Boundary", hint="HopSkipJump has 'linf' too")
        require_whole(1, steps=steps, tries=tries)
        require_positive(sphere=sphere, step=step, converged=converged)
        self.steps, self.tries, self.starting = int(steps), int(tries), starting
        self.sphere, self.step, self.converged = float(sphere), float(step), float(converged)

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        answers = Answers(victim, batch)
        found, fools = starts(answers, batch, self.name, self.seed, self.bounds, self.tries, self.starting)
        walk = selected(_Walk(batch, found, self.sphere, self.step), fools & (norms(found - batch.x, "l2") > 0))
        if len(walk.rows):
            tolerance = torch.full_like(walk.step, 1e-3)
            walk.point = to_boundary(answers, walk.point, walk.x, walk.rows, "l2", tolerance)
        steps = torch.zeros_like(batch.rows)
        together = max(1, min(_TOGETHER, _NUMBERS // batch.x.numel()))
        for step in range(self.steps):
            if len(walk.rows) == 0:
                break
            if step % together == 0:
                times = range(step, min(step + together, self.steps))
                draws = StreamBlock(self.seed, batch.ids, f"{self.name}-walk", times, batch.x.device)
            self._walk_on(answers, walk, step, draws.at(step, walk.rows).normal(*batch.x.shape[1:]))
            found[walk.rows], steps[walk.rows] = walk.point, step + 1
            if batch.callback is not None:
                batch.callback(step, fools)
            going = walk.step >= self.converged
            if not bool(going.all()):
                walk = selected(walk, going)
        self._offer_minimal(victim, batch, found, best, 0)
        best.steps = steps

    def _walk_on(self, answers: Answers, walk: _Walk, step: int, drawn: Tensor) -> None:
        x = walk.x
        way = x - walk.point
        distance = norms(way, "l2").clamp_min(1e-30)
        eta = drawn.to(x.dtype) if walk.mask is None else drawn.to(x.dtype) * walk.mask
        unit = way / column(distance, x)
        eta = eta - column((eta * unit).flatten(1).sum(1), x) * unit
        eta = eta * column(walk.sphere * distance / norms(eta, "l2").clamp_min(1e-30), x)
        on_sphere = (x + (eta - way) / column((1 + walk.sphere.square()).sqrt(), x)).clamp(*self.bounds)
        left = norms(x - on_sphere, "l2").clamp_min(1e-30)
        shrink = ((walk.step * distance + left - distance).clamp_min(0) / left).clamp_max(1)
        moved = (on_sphere + (x - on_sphere) * column(shrink, x)).clamp(*self.bounds)
        if step % _LOOK_EVERY == 0:
            kept, on_it = answers(torch.cat([moved, on_sphere]), walk.rows.repeat(2)).chunk(2)
            walk.judge_sphere(on_it)
        else:
            kept = answers(moved, walk.rows)
        walk.judge_step(kept)
        nearer = kept & (norms(moved - x, "l2") < distance)
        walk.point = torch.where(column(nearer, x), moved, walk.point)


class _Walk:
    """The samples that have a start, where each is, how long its steps are and how they did."""

    def __init__(self, batch: Batch, point: Tensor, sphere: float, step: float) -> None:
        self.rows, self.x, self.mask, self.point = batch.rows, batch.x, batch.mask, point
        self.sphere, self.step = torch.full_like(batch.eps, sphere), torch.full_like(batch.eps, step)
        self.spheres, self.steps = torch.zeros_like(batch.eps), torch.zeros_like(batch.eps)
        self.on_sphere, self.kept = torch.zeros_like(batch.eps), torch.zeros_like(batch.eps)

    def judge_sphere(self, fooled: Tensor) -> None:
        """Both steps longer where most points on the sphere fool, shorter where few do."""
        self.spheres, self.on_sphere = self.spheres + 1, self.on_sphere + fooled
        full, share = self.spheres >= _SPHERES, self.on_sphere / self.spheres
        factor = _factor(share > 0.5, share < 0.2, full, self.sphere)
        self.sphere, self.step = self.sphere * factor, self.step * factor
        self.spheres, self.on_sphere = self.spheres * ~full, self.on_sphere * ~full

    def judge_step(self, kept: Tensor) -> None:
        """The step towards x longer where many moves are kept, shorter where few are."""
        self.steps, self.kept = self.steps + 1, self.kept + kept
        full, share = self.steps >= _STEPS, self.kept / self.steps
        self.step = self.step * _factor(share > 0.25, share < 0.1, full, self.step)
        self.steps, self.kept = self.steps * ~full, self.kept * ~full


def _factor(longer: Tensor, shorter: Tensor, full: Tensor, like: Tensor) -> Tensor:
    one = torch.ones_like(like)
    return torch.where(full & longer, one * _FACTOR, torch.where(full & shorter, one / _FACTOR, one))
