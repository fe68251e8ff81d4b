"""FAB-T: minimal-norm attack along linearised boundaries to several target classes. Source: arXiv 1907.02044."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.attacks.apgd import likely_targets
from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import column, hyperplane_step, norms
from deepwright.adversarial.victim import Batch, Best, Victim
from deepwright.core.requirements import require_number, require_whole, require_within
from deepwright.core.tasks.class_losses import gap


class FABT(Attack):
    """Minimal-norm search for each of the likeliest other classes t.

    Linearise z_t - z_y at x_k, project x_k and x_0 on its zero set within the box, step to a convex combination (weight
    d_k / (d_k + d_0), at most alpha_max), over-shoot by eta; on success pull back towards x_0 by beta.

    Args:
        eps: budget that counts as success; the search itself is for the smallest norm.
        norm: "linf", "l2" or "l1".
        steps: iterations for each target.
        targets: most likely other classes.
        alpha_max: largest weight of the clean input.
        eta: over-shoot.
        beta: what is left of the way after a success.
        options: of `Attack`: task, success, early_stop, bounds.
    """

    needs_clean = True
    needs_classes = "it linearises the difference of two class logits"
    refused = {
        "loss": "differences of logits are what it linearises",
        "targeted": "it leaves y towards each of the likeliest classes",
        "seed": "it begins at x and draws nothing",
    }

    def __init__(
        self,
        eps: float | Tensor = math.inf,
        norm: str = "linf",
        steps: int = 100,
        targets: int = 9,
        alpha_max: float = 0.1,
        eta: float = 1.05,
        beta: float = 0.9,
        **options: Any,
    ) -> None:
        super().__init__(eps, norm, **options)
        require_whole(1, steps=steps, targets=targets)
        require_within(0, 1, alpha_max=alpha_max, beta=beta)
        require_number(1, infinite=True, eta=eta)
        self.steps, self.targets = int(steps), int(targets)
        self.alpha_max, self.beta, self.eta = float(alpha_max), float(beta), float(eta)

    @property
    def name(self) -> str:
        """FAB-T."""
        return "FAB-T"

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y, eps, mask = batch.x, batch.y, batch.eps, batch.mask
        rows, out = batch.rows, batch.out
        wrong = victim.succeeded(out, y)
        best.offer(rows, x, victim.loss(out, y, rows), wrong, 0)
        closest = x.clone()
        distance = torch.where(wrong, 0.0, torch.inf).to(x.dtype)
        order = likely_targets(victim.logits(out), y, self.targets)
        for t in range(order.shape[1]):
            # A sample with an example within its budget isn't searched further, unless the norm itself is wanted.
            todo = (distance > 0) & ((distance > eps) | torch.isinf(eps) | (not self.early_stop))
            rows = todo.nonzero().flatten()
            if len(rows) == 0:
                break
            self._towards(victim, x, y, order[:, t], mask, rows, closest, distance)
        found = torch.isfinite(distance)
        candidate = torch.where(column(found, x), closest, x)
        self._offer_minimal(victim, batch, candidate, best, self.steps)

    def _towards(
        self,
        victim: Victim,
        x: Tensor,
        y: Tensor,
        target: Tensor,
        mask: Tensor | None,
        rows: Tensor,
        closest: Tensor,
        distance: Tensor,
    ) -> None:
        origin, label, goal = x[rows], y[rows], target[rows]
        start = origin.flatten(1)
        part_mask = None if mask is None else mask[rows].expand_as(origin).flatten(1)
        point = origin.clone()

        def towards_goal(out: Any, y: Tensor) -> Tensor:
            return gap(victim.logits(out), y, goal)

        for _ in range(self.steps):
            value, gradient, _ = victim.gradient(point, label, rows, towards_goal)
            w = gradient.flatten(1)
            if part_mask is not None:
                w = w * part_mask
            here = point.flatten(1)
            c = value - (w * here).sum(1)
            from_here = hyperplane_step(here, w, c, self.norm, self.bounds)
            from_start = hyperplane_step(start, w, c, self.norm, self.bounds)
            near, far = norms(from_here, self.norm), norms(from_start, self.norm)
            alpha = (near / (near + far).clamp_min(1e-12)).clamp_max(self.alpha_max)[:, None]
            moved = (1 - alpha) * (here + self.eta * from_here) + alpha * (start + self.eta * from_start)
            if part_mask is not None:
                moved = torch.where(part_mask > 0, moved, start)
            point = moved.clamp(*self.bounds).reshape(origin.shape)
            success = victim.succeeded(victim.out(point, rows), label)
            length = norms(point - origin, self.norm)
            closer = success & (length < distance[rows])
            closest[rows] = torch.where(column(closer, point), point, closest[rows])
            distance[rows] = torch.where(closer, length, distance[rows])
            pulled = origin + self.beta * (point - origin)
            point = torch.where(column(success, point), pulled, point)
