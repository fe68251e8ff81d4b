"""DeepFool: step to the nearest linearised decision boundary until it is crossed. Source: arXiv 1511.04599."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import column, norms
from deepwright.adversarial.victim import Batch, Best, Victim
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_whole


class DeepFool(Attack):
    """delta += |f_k| / ||w_k||_q^q * dual(w_k) for the nearest class k, f_k = z_k - z_y, w_k its gradient.

    All rows of the Jacobian come from one vectorised backward pass; fooled samples are dropped.

    Args:
        eps: budget that counts as success; the search is for the smallest norm.
        norm: "l2" or "linf".
        steps: iterations.
        candidates: classes with the highest logits that are looked at.
        overshoot: how far beyond the boundary.
        options: of `Attack`: task, success, bounds.
    """

    needs_classes = "it steps over the boundary between two classes"
    refused = {
        "loss": "differences of logits are what it linearises",
        "targeted": "it steps over the nearest boundary, whichever class lies behind",
        "early_stop": "it ends at the boundary",
        "seed": "it begins at x and draws nothing",
    }

    def __init__(
        self,
        eps: float | Tensor = math.inf,
        norm: str = "l2",
        steps: int = 50,
        candidates: int = 10,
        overshoot: float = 0.02,
        **options: Any,
    ) -> None:
        super().__init__(eps, norm, **options)
        if norm == "l1":
            raise InputError("norm", given="'l1'", expected="'l2' or 'linf' for DeepFool")
        require_whole(1, steps=steps)
        require_whole(2, candidates=candidates)
        require_number(0, infinite=True, overshoot=overshoot)
        self.steps, self.candidates, self.overshoot = int(steps), int(candidates), float(overshoot)

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y, _eps, mask, callback = batch.x, batch.y, batch.eps, batch.mask, batch.callback
        total = torch.zeros_like(x)
        point = x.clone()
        rows = batch.rows
        used = torch.zeros(len(x), dtype=torch.long, device=x.device)
        for step in range(self.steps + 1):
            out, z, jacobian, classes = self._jacobian(victim, point[rows], y[rows], rows)
            lost = ~(torch.isfinite(z).all(1) & torch.isfinite(jacobian).flatten(2).all(2).all(0))
            victim.broken[rows] |= lost  # no direction to go: it stays where it is
            active = ~victim.succeeded(out, y[rows]) & ~lost
            rows, z, jacobian, classes = rows[active], z[active], jacobian[:, active], classes[active]
            if len(rows) == 0 or step == self.steps:
                break
            used[rows] += 1
            total[rows] += self._move(z, jacobian, classes, y[rows], None if mask is None else mask[rows])
            moved = (x[rows] + (1 + self.overshoot) * total[rows]).clamp(*self.bounds)
            # To the nearest numbers of the inputs' precision: rounded towards x, the last small steps would be lost.
            point[rows] = moved.to(victim.x.dtype).to(x.dtype)
            if callback is not None:
                callback(step, best.success)
        self._offer_minimal(victim, batch, point, best, self.steps)
        best.steps = used

    def _jacobian(self, victim: Victim, x: Tensor, y: Tensor, rows: Tensor) -> tuple[Any, Tensor, Tensor, Tensor]:
        """Outputs, logits z, d z_k / d x for the candidate classes (first row: the true class), and the candidates."""
        point = x.detach().requires_grad_(True)
        out = victim.outputs(point, rows)
        z = victim.logits(out)
        others = z.detach().scatter(1, y[:, None], -torch.inf)
        count = min(self.candidates, z.shape[1]) - 1
        classes = torch.cat([y[:, None], others.topk(count, dim=1).indices], 1)
        one_hot = torch.nn.functional.one_hot(classes, z.shape[1]).to(z.dtype).transpose(0, 1)
        (jacobian,) = torch.autograd.grad(z, point, one_hot, is_grads_batched=True)
        return out.detach(), z.detach(), jacobian, classes

    def _move(self, z: Tensor, jacobian: Tensor, classes: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        w = jacobian[1:] - jacobian[:1]
        if mask is not None:
            w = w * mask
        coarse = torch.finfo(z.dtype).eps if z.dtype != w.dtype else 0.0
        z = z.to(w.dtype)
        gap = (z.gather(1, classes[:, 1:]) - z.gather(1, y[:, None])).abs().T
        if coarse:  # logits in half precision are equal before the boundary is crossed
            gap = gap + coarse * z.abs().amax(1)
        flat = w.flatten(2)
        size = (flat.norm(dim=2) if self.norm == "l2" else flat.abs().sum(2)).clamp_min(1e-12)
        nearest = (gap / size).argmin(0)
        pick = torch.arange(len(y), device=y.device)
        chosen, length = w[nearest, pick], (gap / size)[nearest, pick] + 1e-6
        if self.norm == "l2":
            return chosen * column(length / norms(chosen, "l2").clamp_min(1e-12), chosen)
        return chosen.sign() * column(length, chosen)
