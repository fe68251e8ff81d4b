"""An attack for transfer: the last of so many steps on one network, whatever that network says on the way.

An attack that stops at its own network's first success leaves every sample just behind that network's boundary, and so
shows a transfer-robust accuracy that is far too high: by more than anything that a publisher can gain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from deepwright.adversarial.engine import Attack
from deepwright.adversarial.options import switch
from deepwright.adversarial.projections import ascend, random_start
from deepwright.adversarial.victim import Batch, Best, Victim
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole


def never(out: Any, y: Any) -> Bool[Tensor, " n"]:
    """No success ends the attack, and no sample is left alone because it is wrong already.

    Args:
        out: as the task reads it.
        y: targets.
    """
    return torch.zeros(len(out), dtype=torch.bool, device=out.device)


class LastIterate(Attack):
    """x <- P(x + alpha * step(gradient)), and the last point as it is: what is carried to another network.

    Its `success` is always False: ask the network that is attacked in earnest.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations.
        alpha: step length; eps / 5 by default.
        random_start: begin uniformly in the ball.
        begin: x -> where to begin, in place of x; what lies outside of the ball is projected on it.
        options: of `Attack`: task, loss, bounds, seed.
    """

    refused = {"early_stop": "its last point counts, whatever was found before", "targeted": "nothing is aimed at"}

    def __init__(
        self,
        eps: float | Tensor,
        norm: str = "linf",
        steps: int = 10,
        alpha: float | None = None,
        random_start: bool = False,
        begin: Callable[[Tensor], Tensor] | None = None,
        **options: Any,
    ) -> None:
        if "success" in options:
            expected = "none: its last point counts, whatever was found before"
            raise InputError("success", given="a test of success", expected=expected)
        super().__init__(eps, norm, success=never, **options)
        require_whole(1, steps=steps)
        if alpha is not None:
            require_positive(alpha=alpha)
        self.steps, self.alpha, self.begin = int(steps), None if alpha is None else float(alpha), begin
        self.random_start = switch("random_start", random_start)

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y, eps, mask, rows = batch.x, batch.y, batch.eps, batch.mask, batch.rows
        alpha = eps / 5 if self.alpha is None else torch.full_like(eps, self.alpha)
        point = x if self.begin is None else self._project(self.begin(x).to(x), x, eps, mask)
        if self.random_start:
            start = random_start(x, eps, self.norm, self._streams(batch.ids.cpu(), x))
            point = self._project(point + start, x, eps, mask)
        for step in range(self.steps):
            _, gradient, _ = victim.gradient(point, y, rows)
            gradient = gradient if mask is None else gradient * mask
            moved = point + ascend(gradient, alpha, self.norm, point, self.bounds)
            point = self._project(moved, x, eps, mask)
            if batch.callback is not None:
                batch.callback(step, best.success)
        best.offer(rows, point, *victim.judge(point, y, rows), self.steps)
