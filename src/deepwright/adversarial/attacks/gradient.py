"""Projected gradient attacks: FGSM, R-FGSM, BIM and PGD with restarts, in L-inf, L2 and L1.

Sources: arXiv 1412.6572 (FGSM), 1607.02533 (BIM), 1706.06083 (PGD), 2001.03994 (one random step).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.aim import LossFunction
from deepwright.adversarial.engine import Attack
from deepwright.adversarial.options import switch
from deepwright.adversarial.projections import ascend, column, random_start
from deepwright.adversarial.victim import Batch, Best, Victim, selected
from deepwright.core.requirements import require_positive, require_whole


class PGD(Attack):
    """x <- P(x + alpha * step(gradient)), from a random start, best of several restarts.

    With `early_stop` a sample is dropped as soon as it is fooled; the flags of success don't depend on it.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations of each restart.
        alpha: step length; 2.5 eps / steps by default.
        random_start: begin uniformly in the ball.
        restarts: random starts; a fooled sample isn't attacked again.
        options: of `Attack`: task, loss, success, targeted, early_stop, bounds, seed.
    """

    def __init__(
        self,
        eps: float | Tensor,
        norm: str = "linf",
        steps: int = 20,
        alpha: float | None = None,
        random_start: bool = True,
        restarts: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(eps, norm, **options)
        require_whole(1, steps=steps, restarts=restarts)
        if alpha is not None:
            require_positive(infinite=True, alpha=alpha)
        self.steps, self.restarts, self.alpha = int(steps), int(restarts), None if alpha is None else float(alpha)
        self.random_start = switch("random_start", random_start)

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        everything = batch.rows
        for restart in range(self.restarts):
            rows = everything if restart == 0 else (~best.success).nonzero().flatten()
            if len(rows) == 0:
                return
            self._descend(victim, batch, best, rows, restart)

    def _descend(self, victim: Victim, batch: Batch, best: Best, rows: Tensor, restart: int) -> None:
        x, ids, callback = batch.x, batch.ids, batch.callback
        part = self._part(batch, rows)
        point = part.x
        if self.random_start:
            start = random_start(part.x, part.eps, self.norm, self._streams(ids[rows.cpu()], x, restart))
            point = self._project(part.x + start, part.x, part.eps, part.mask)
        # On a GPU, asking who is still active waits for the device: do it every tenth step only.
        every = 1 if x.device.type == "cpu" else 10
        for step in range(self.steps):
            function = self._objective(step)
            loss, gradient, out = victim.gradient(point, part.y, part.rows, function)
            success = victim.succeeded(out, part.y)
            if function is not None:  # it may change from step to step: tries are compared by the one loss
                loss = victim.loss(out, part.y, part.rows)
            best.offer(part.rows, point, loss, success, step)
            if callback is not None:
                callback(step, best.success)
            if self.early_stop and step % every == 0 and bool(success.any()):
                active = ~best.success[part.rows]
                if not bool(active.any()):
                    return
                part, point, gradient = part.keep(active), point[active], gradient[active]
            point = self._step(point, gradient, part)
        loss, success = victim.judge(point, part.y, part.rows)
        best.offer(part.rows, point, loss, success, self.steps)

    def _part(self, batch: Batch, rows: Tensor) -> _Part:
        """Some of a batch, with the length of each sample's step."""
        eps = batch.eps
        alpha = eps * (2.5 / self.steps) if self.alpha is None else torch.full_like(eps, self.alpha)
        return _Part(batch.x, batch.y, eps, alpha, batch.mask, rows, self.bounds)

    def _objective(self, step: int) -> LossFunction | None:
        """What is followed at a step in place of the loss by which tries are compared, if not that itself."""
        return None

    def _step(self, point: Tensor, gradient: Tensor, part: _Part) -> Tensor:
        if part.mask is not None:
            gradient = gradient * part.mask
        moved = point + ascend(gradient, part.alpha, self.norm, point, self.bounds)
        if self.norm == "linf" and part.mask is None:  # two clips in place: the hot path of most audits
            return torch.clamp(moved, part.floor, part.ceiling)
        return self._project(moved, part.x, part.eps, part.mask)


class _Part:
    """The samples still under attack."""

    def __init__(
        self,
        x: Tensor,
        y: Any,
        eps: Tensor,
        alpha: Tensor,
        mask: Tensor | None,
        rows: Tensor,
        bounds: tuple[float, float],
    ) -> None:
        self.rows, self.x, self.y, self.eps, self.alpha = rows, x[rows], y[rows], eps[rows], alpha[rows]
        self.mask = None if mask is None else mask[rows]
        e = column(self.eps, self.x)
        self.floor, self.ceiling = (self.x - e).clamp_min(bounds[0]), (self.x + e).clamp_max(bounds[1])

    def keep(self, active: Tensor) -> _Part:
        """The active ones."""
        return selected(self, active)


class BIM(PGD):
    """Iterated FGSM: no random start, 10 steps.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations.
        alpha: step length; 2.5 eps / steps by default.
        options: of `Attack`: task, loss, success, targeted, early_stop, bounds.
    """

    refused = {"seed": "it begins at x and draws nothing"}

    def __init__(
        self, eps: float | Tensor, norm: str = "linf", steps: int = 10, alpha: float | None = None, **options: Any
    ) -> None:
        super().__init__(eps, norm, steps, alpha, random_start=False, restarts=1, **options)


class FGSM(Attack):
    """One full step: x + eps * step(gradient). It takes what `Attack` takes, but no early_stop and no seed."""

    refused = {"early_stop": "it takes one step", "seed": "it begins at x and draws nothing"}
    start = False
    length = 1.0

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y, eps, mask, ids = batch.x, batch.y, batch.eps, batch.mask, batch.ids
        rows = batch.rows
        point = x
        if self.start:
            point = self._project(x + random_start(x, eps, self.norm, self._streams(ids, x)), x, eps, mask)
        loss, gradient, out = victim.gradient(point, y, rows)
        best.offer(rows, point, loss, victim.succeeded(out, y), 0)
        if mask is not None:
            gradient = gradient * mask
        step = ascend(gradient, eps * self.length, self.norm, point, self.bounds)
        moved = self._project(point + step, x, eps, mask)
        best.offer(rows, moved, *victim.judge(moved, y, rows), 1)


class RFGSM(FGSM):
    """Uniform start in the ball, one step of 1.25 eps, projected. It takes what `Attack` takes, but no early_stop."""

    refused = {"early_stop": "it takes one step"}
    start = True
    length = 1.25
