"""Carlini and Wagner's L2 attack. Source: arXiv 1608.04644."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import column
from deepwright.adversarial.victim import Batch, Best, Victim
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_positive, require_whole
from deepwright.core.tasks.class_losses import margin


class CarliniWagner(Attack):
    """min ||delta||^2 + c max(z_y - max_{i != y} z_i + kappa, 0) over w, by Adam; x_adv is tanh(w) scaled to the box.

    c is searched for each sample by itself; a sample whose objective stopped falling is dropped from the round.

    Args:
        eps: L2 budget that counts as success; the search is for the smallest norm.
        steps: Adam steps a round.
        lr: their length.
        rounds: binary search steps on c.
        initial_c: where they begin.
        kappa: margin wanted.
        options: of `Attack`: task, success, targeted, bounds.
    """

    needs_classes = "its objective is the margin between classes"
    preferred_loss = "margin"
    refused = {
        "loss": "the margin is its objective",
        "early_stop": "it goes on to the smallest norm",
        "seed": "it begins at x and draws nothing",
    }

    def __init__(
        self,
        eps: float | Tensor = math.inf,
        steps: int = 1000,
        lr: float = 0.01,
        rounds: int = 9,
        initial_c: float = 1e-3,
        kappa: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(eps, "l2", **options)
        if not math.isfinite(self.bounds[1] - self.bounds[0]):
            raise InputError("bounds", given=self.bounds, expected="a finite box for Carlini-Wagner")
        require_whole(1, steps=steps, rounds=rounds)
        require_positive(infinite=True, lr=lr, initial_c=initial_c)
        require_number(0, infinite=True, kappa=kappa)
        self.steps, self.rounds = int(steps), int(rounds)
        self.lr, self.initial_c, self.kappa = float(lr), float(initial_c), float(kappa)

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y, _eps, mask = batch.x, batch.y, batch.eps, batch.mask
        n = len(x)
        c = torch.full((n,), self.initial_c, device=x.device, dtype=x.dtype)
        least, most = torch.zeros_like(c), torch.full_like(c, 1e10)
        distance = torch.full_like(c, torch.inf)
        closest = x.clone()
        for _ in range(self.rounds):
            found = self._round(victim, x, y, c, mask, closest, distance)
            most = torch.where(found, torch.minimum(most, c), most)
            least = torch.where(found, least, torch.maximum(least, c))
            c = torch.where(most < 1e9, (least + most) / 2, torch.where(found, c, c * 10))
        self._offer_minimal(victim, batch, closest, best, self.steps)

    def _round(
        self, victim: Victim, x: Tensor, y: Tensor, c: Tensor, mask: Tensor | None, closest: Tensor, distance: Tensor
    ) -> Tensor:
        """Adam for one value of c a sample; updates the closest examples and says where one was found."""
        low, high = self.bounds
        rows = torch.arange(len(x), device=x.device)
        w = torch.atanh(((x - low) / (high - low) * 2 - 1) * 0.999999)
        first, second = torch.zeros_like(w), torch.zeros_like(w)
        found = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        before = torch.full((len(x),), torch.inf, device=x.device, dtype=x.dtype)
        for step in range(self.steps):
            point = w[rows].requires_grad_(True)
            part = x[rows]
            moved = (torch.tanh(point) + 1) / 2 * (high - low) + low
            if mask is not None:
                moved = torch.where(mask[rows] > 0, moved, part)
            out = victim.outputs(moved, rows)
            ahead = margin(victim.logits(out), y[rows])
            gap = ahead if victim.aim.targeted else -ahead
            squared = (moved - part).square().flatten(1).sum(1)
            objective = squared + c[rows] * (gap + self.kappa).clamp_min(0)
            (gradient,) = torch.autograd.grad(objective.sum(), point)
            with torch.no_grad():
                victim.broken[rows] |= ~torch.isfinite(objective)
                success = victim.succeeded(out, y[rows]) & (gap <= -self.kappa)
                length = squared.sqrt()
                closer = success & (length < distance[rows])
                closest[rows] = torch.where(column(closer, part), moved, closest[rows])
                distance[rows] = torch.where(closer, length, distance[rows])
                found[rows] |= success
                first[rows] = 0.9 * first[rows] + 0.1 * gradient
                second[rows] = 0.999 * second[rows] + 0.001 * gradient.square()
                speed = first[rows] / (1 - 0.9 ** (step + 1))
                w[rows] -= self.lr * speed / ((second[rows] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
                if step % max(1, self.steps // 10) == 0:  # the first look, at step 0, only takes the measure
                    going = objective < before[rows] * 0.9999
                    before[rows] = objective
                    rows = rows[going]
                    if len(rows) == 0:
                        break
        return found
