"""Auto-PGD: PGD with momentum and a step length that each sample halves for itself. Source: arXiv 2003.01690."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.adversarial.aim import LossFunction
from deepwright.adversarial.attacks.climbing import Climb
from deepwright.adversarial.attacks.sparse import SparseClimb, adapts_every, plan
from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import ascend, column, greedy, random_start
from deepwright.adversarial.victim import Batch, Best, Victim, selected
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.tasks.class_losses import targeted_dlr

C = TypeVar("C", bound=Climb)


def checkpoints(steps: int) -> list[int]:
    """w_j = ceil(p_j T) with p_0 = 0, p_1 = .22, p_{j+1} = p_j + max(p_j - p_{j-1} - .03, .06).

    Args:
        steps: T.
    """
    p = [0.0, 0.22]
    while p[-1] < 1:
        p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
    return sorted({min(math.ceil(value * steps - 1e-9), steps) for value in p})


class APGD(Attack):
    """z = P(x_k + alpha dir(g)); x_{k+1} = P(x_k + .75 (z - x_k) + .25 (x_k - x_{k-1})), alpha from 2 eps downwards.

    At each checkpoint a sample halves alpha and goes back to its best point when the loss rose on too few of the last
    steps, or when neither alpha nor the best loss changed since the last one.
    In L1 the ascent is another: few coordinates a step, in balls of 3, 2 and 1 eps (`attacks.sparse`).

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations of each restart.
        restarts: random starts.
        rho: share of rising steps below which alpha is halved; not looked at in L1.
        options: of `Attack`: task, loss (for classes "ce" or "dlr"), success, targeted, early_stop, bounds, seed.
    """

    def __init__(
        self,
        eps: float | Tensor,
        norm: str = "linf",
        steps: int = 100,
        restarts: int = 1,
        rho: float = 0.75,
        **options: Any,
    ) -> None:
        super().__init__(eps, norm, **options)
        require_whole(1, steps=steps, restarts=restarts)
        require_within(0, 1, ends="(]", rho=rho)
        self.steps, self.restarts, self.rho = int(steps), int(restarts), float(rho)

    @property
    def name(self) -> str:
        """APGD-CE, APGD-DLR, ..."""
        return f"APGD-{self.loss_name.upper()}"

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        everything = batch.rows
        for restart in range(self.restarts):
            rows = everything if restart == 0 else (~best.success).nonzero().flatten()
            if len(rows):
                self._ascend(victim, batch, best, rows, restart, None)

    def _ascend(
        self, victim: Victim, batch: Batch, best: Best, rows: Tensor, restart: int, other: Tensor | None
    ) -> None:
        way = self._ascend_sparsely if self.norm == "l1" else self._ascend_with_inertia
        way(victim, batch, best, rows, restart, other)

    def _ascend_with_inertia(
        self, victim: Victim, batch: Batch, best: Best, rows: Tensor, restart: int, other: Tensor | None
    ) -> None:
        s = self._begun(_Climb, victim, batch, best, rows, restart, other)
        s.previous = s.point
        marks = checkpoints(self.steps)
        for step in range(1, self.steps + 1):
            s = self._standing(s, best, step)
            if len(s.rows) == 0:
                return
            gradient = s.gradient if s.mask is None else s.gradient * s.mask
            forward = s.point + ascend(gradient, s.alpha, self.norm, s.point, self.bounds)
            z = self._project(forward, s.x, s.eps, s.mask)
            inertia = 0.75 if step > 1 else 1.0
            moved = s.point + inertia * (z - s.point) + (1 - inertia) * (s.point - s.previous)
            s.previous, s.point = s.point, self._project(moved, s.x, s.eps, s.mask)
            before = s.loss
            self._look(victim, s, best, step)
            s.rises += (s.loss > before).long()
            if batch.callback is not None:
                batch.callback(step, best.success)
            if step in marks[1:] and step < self.steps:
                s.adapt(step - marks[marks.index(step) - 1], self.rho)

    def _ascend_sparsely(
        self, victim: Victim, batch: Batch, best: Best, rows: Tensor, restart: int, other: Tensor | None
    ) -> None:
        """In L1: the linear optimum first, then `SparseClimb` through balls that shrink to the budget's."""
        s = self._begun(SparseClimb, victim, batch, best, rows, restart, other)
        s.point = self._project(s.x + greedy(s.gradient, s.eps, s.x, self.bounds), s.x, s.eps, s.mask)
        self._look(victim, s, best, 1)
        done, before = 1, 1.0
        for multiple, steps in plan(self.steps - 1):
            s.enter(multiple)
            for k in range(steps):
                s = self._standing(s, best, k)
                if len(s.rows) == 0:
                    return
                enters = k == 0 and multiple < before
                moved = s.point if enters else s.point + s.step(self.bounds)
                s.point = self._project(moved, s.x, s.radius, s.mask)
                done += 1
                self._look(victim, s, best if multiple == 1 else None, done)
                if enters:
                    s.forget()
                elif (k + 1) % adapts_every(steps) == 0:
                    s.adapt()
                if batch.callback is not None:
                    batch.callback(done, best.success)
            before = multiple

    def _begun(
        self,
        kind: type[C],
        victim: Victim,
        batch: Batch,
        best: Best,
        rows: Tensor,
        restart: int,
        other: Tensor | None,
    ) -> C:
        """Some samples at their random starts, looked at."""
        mask, other = (None if t is None else t[rows] for t in (batch.mask, other))
        s = kind(batch.x[rows], batch.y[rows], batch.eps[rows], mask, other, rows)
        start = random_start(s.x, s.eps, self.norm, self._streams(batch.ids[rows.cpu()], batch.x, restart))
        s.point = self._project(s.x + start, s.x, s.eps, s.mask)
        self._look(victim, s, best, 0)
        return s

    def _standing(self, s: C, best: Best, step: int) -> C:
        """The samples that aren't fooled, asked for now and then on an accelerator: each time waits for it."""
        if not self.early_stop or step % (1 if s.rows.device.type == "cpu" else 10):
            return s
        active = ~best.success[s.rows]
        return s if bool(active.all()) else selected(s, active)

    def _look(self, victim: Victim, s: Climb, best: Best | None, step: int) -> None:
        """Loss and gradient where it stands; offered where it stands within the budget."""
        s.loss, s.gradient, out = victim.gradient(s.point, s.y, s.rows, self._objective(victim, s.other))
        if s.mask is not None and isinstance(s, SparseClimb):
            s.gradient = s.gradient * s.mask
        if best is not None:
            best.offer(s.rows, s.point, s.loss, victim.succeeded(out, s.y), step)
        s.record()

    def _objective(self, victim: Victim, other: Tensor | None) -> LossFunction | None:
        """What is raised: the aim's loss, or the targeted DLR from y to another class."""
        if other is None:
            return None
        return lambda out, y: targeted_dlr(victim.logits(out), y, other)


class _Climb(Climb):
    """Of the ascent with inertia."""

    def begin(self) -> None:
        self.alpha = 2 * self.eps
        self.alpha_before = self.alpha.clone()
        self.previous = self.x
        self.top_before = self.top.clone()
        self.rises = torch.zeros(len(self.x), dtype=torch.long, device=self.x.device)

    def adapt(self, length: int, rho: float) -> None:
        few = self.rises < rho * length
        stuck = (self.alpha == self.alpha_before) & (self.top <= self.top_before)
        halve = few | stuck
        self.alpha_before, self.top_before = self.alpha.clone(), self.top.clone()
        self.alpha = torch.where(halve, self.alpha / 2, self.alpha)
        wide = column(halve, self.x)
        self.point = torch.where(wide, self.top_point, self.point)
        self.previous = torch.where(wide, self.top_point, self.previous)
        self.gradient = torch.where(wide, self.top_gradient, self.gradient)
        self.loss = torch.where(halve, self.top, self.loss)
        self.rises.zero_()


class APGDT(APGD):
    """APGD on the targeted DLR loss, from one start for each of the `targets` most likely other classes.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations for each target.
        targets: how many other classes.
        rho: as for `APGD`.
        options: of `Attack`: task, success, targeted, early_stop, bounds, seed.
    """

    needs_clean = True
    needs_classes = "it aims at the likeliest other classes"
    refused = {"loss": "the targeted DLR is its objective"}

    def __init__(
        self,
        eps: float | Tensor,
        norm: str = "linf",
        steps: int = 100,
        targets: int = 9,
        rho: float = 0.75,
        **options: Any,
    ) -> None:
        super().__init__(eps, norm, steps, restarts=1, rho=rho, **options)
        require_whole(1, targets=targets)
        self.targets = int(targets)

    @property
    def name(self) -> str:
        """APGD-T."""
        return "APGD-T"

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y = batch.x, batch.y
        rows, out = batch.rows, batch.out
        best.offer(rows, x, victim.loss(out, y, rows), victim.succeeded(out, y), 0)
        order = likely_targets(victim.logits(out), y, self.targets)
        for t in range(order.shape[1]):
            rows = (~best.success).nonzero().flatten()
            if len(rows) == 0:
                return
            self._ascend(victim, batch, best, rows, t, order[:, t])


def likely_targets(
    z: Float[Tensor, "n classes"], y: Int64[Tensor, " n"], count: int
) -> Int64[Tensor, "n count_or_fewer"]:
    """The classes with the highest logits, without the true one.

    Args:
        z: class logits.
        y: true classes.
        count: how many; all others where there are fewer.
    """
    others = z.scatter(1, y[:, None], -torch.inf)
    return others.topk(min(count, z.shape[1] - 1), dim=1).indices
