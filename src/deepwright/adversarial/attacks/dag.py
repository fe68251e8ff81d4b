"""DAG on a class at every position: push what still has its label towards another one, until nothing has.

Source: "Adversarial Examples for Semantic Segmentation and Object Detection", arXiv 1703.08603.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.aim import Aim
from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import column
from deepwright.adversarial.victim import Batch, Best, Victim, selected
from deepwright.core.requirements import require_positive, require_whole
from deepwright.core.tasks import Segmentation


class DAG(Attack):
    """r = sum over the active positions of grad(f_{y'} - f_y), delta += gamma r / max|r|, until none is active.

    A position is active while it is predicted as y. Its y' is the label that follows y in an order of the classes drawn
    for each image; with `targeted`, y' are the targets, y what the network says at x, and a position is active until it
    has its target. Tries are compared by the task's loss. Images without a position that counts are skipped, and with
    `targeted` those that are on target already.

    Args:
        eps: budget; none by default, as in the source.
        norm: "linf", "l2" or "l1".
        steps: at most so many.
        gamma: length of the largest component of a step.
        options: of `Attack`, `task=Segmentation(...)` among them: success, targeted, bounds, seed.
    """

    applies_to = Segmentation
    needs_clean = True
    refused = {"loss": "it has an objective of its own", "early_stop": "an image is left when no position is active"}

    def __init__(
        self,
        eps: float | Tensor = math.inf,
        norm: str = "linf",
        steps: int = 200,
        gamma: float = 0.5 / 255,
        **options: Any,
    ) -> None:
        super().__init__(eps, norm, **options)
        require_whole(1, steps=steps)
        require_positive(gamma=gamma)
        self.steps, self.gamma = int(steps), float(gamma)

    def _taken(self, aim: Aim, y: Any, n: int) -> Any:
        assert isinstance(self.task, Segmentation)
        return self.task.label_maps(y, n, "y")

    def _skipped(self, out: Any, y: Any, reached: Tensor) -> Tensor | None:
        assert isinstance(self.task, Segmentation)
        blank = ~self.task.valid(y).flatten(1).any(1)
        return blank | reached if self.aim.targeted else blank

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        part = _Pushed(batch, *self._pairs(batch))
        for step in range(self.steps):
            objective = _Active(part.source, part.goal, part.valid, self.aim.targeted)
            _, gradient, out = victim.gradient(part.point, part.y, part.rows, objective)
            best.offer(part.rows, part.point, victim.loss(out, part.y, part.rows), victim.succeeded(out, part.y), step)
            if batch.callback is not None:
                batch.callback(step, best.success)
            active = objective.active(out).flatten(1).any(1)
            if not bool(active.all()):
                part, gradient = selected(part, active), gradient[active]
                if len(part.rows) == 0:
                    return
            if part.mask is not None:
                gradient = gradient * part.mask
            largest = gradient.flatten(1).abs().amax(1).clamp_min(1e-30)
            moved = part.point + self.gamma * gradient / column(largest, gradient)
            part.point = self._project(moved, part.x, part.eps, part.mask)
        best.offer(part.rows, part.point, *victim.judge(part.point, part.y, part.rows), self.steps)

    def _pairs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """(y, y', which positions count)."""
        assert isinstance(self.task, Segmentation)
        valid = self.task.valid(batch.y)
        labels = batch.y.where(valid, 0)
        if self.aim.targeted:
            return batch.out.argmax(1), labels, valid
        order = self._streams(batch.ids, batch.x).uniform(self.task.classes).argsort(1)
        follows = torch.zeros_like(order).scatter(1, order, order.roll(-1, 1))
        return labels, follows.gather(1, labels.flatten(1)).reshape(labels.shape), valid


class _Active:
    """The sum of f_{y'} - f_y over the active positions, to be raised also where targets are wanted."""

    def __init__(self, source: Tensor, goal: Tensor, valid: Tensor, targeted: bool) -> None:
        self.source, self.goal, self.valid, self.targeted = source, goal, valid, targeted

    def active(self, out: Tensor) -> Tensor:
        """(N, *positions)."""
        seen = out.argmax(1)
        return self.valid & (seen != self.goal if self.targeted else seen == self.source)

    def __call__(self, out: Tensor, y: Any) -> Tensor:
        pull = out.gather(1, self.goal[:, None])[:, 0] - out.gather(1, self.source[:, None])[:, 0]
        total = torch.where(self.active(out), pull, torch.zeros_like(pull)).flatten(1).sum(1)
        return -total if self.targeted else total  # what is given to a targeted attack is lowered


class _Pushed:
    """The images with an active position."""

    def __init__(self, batch: Batch, source: Tensor, goal: Tensor, valid: Tensor) -> None:
        self.rows, self.x, self.y, self.eps, self.mask = batch.rows, batch.x, batch.y, batch.eps, batch.mask
        self.source, self.goal, self.valid, self.point = source, goal, valid, batch.x
