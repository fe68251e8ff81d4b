"""DAG on a class at every position or candidate: push what still has its label towards another, until nothing has.

Source: "Adversarial Examples for Semantic Segmentation and Object Detection", arXiv 1703.08603.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.aim import Aim
from deepwright.adversarial.attacks.detecting import Lost
from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import column
from deepwright.adversarial.victim import Batch, Best, Victim, selected
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole
from deepwright.core.tasks import CandidateDetection, Detection, Segmentation


class DAG(Attack):
    """r = sum over the active positions of grad(f_{y'} - f_y), delta += gamma r / max|r|, until none is active.

    A position is active while it is predicted as y. Its y' is the label that follows y in an order of the classes drawn
    for each image; with `targeted`, y' are the targets, y what the network says at x, and a position is active until it
    has its target. Tries are compared by the task's loss. Images without a position that counts are skipped, and with
    `targeted` those that are on target already.

    Of a detector the positions are the candidates that belong to an object at x; y is the object's label, and a
    candidate is active while it claims it. Success is that no object is found any more. Images without such candidates
    are skipped.

    Args:
        eps: budget; none by default, as in the source.
        norm: "linf", "l2" or "l1".
        steps: at most so many; 200, of a detector 150, by default.
        gamma: length of the largest component of a step.
        options: of `Attack`, `task=Segmentation(...)` or `CandidateDetection(...)` among them: success, targeted (not
            of a detector), bounds, seed.
    """

    applies_to = (Segmentation, CandidateDetection)
    needs_clean = True
    refused = {"loss": "it has an objective of its own", "early_stop": "an image is left when no position is active"}

    def __init__(
        self,
        eps: float | Tensor = math.inf,
        norm: str = "linf",
        steps: int | None = None,
        gamma: float = 0.5 / 255,
        **options: Any,
    ) -> None:
        super().__init__(eps, norm, **options)
        steps = (150 if isinstance(self.task, CandidateDetection) else 200) if steps is None else steps
        require_whole(1, steps=steps)
        require_positive(gamma=gamma)
        self.steps, self.gamma = int(steps), float(gamma)
        self.goes_on = isinstance(self.task, Segmentation)  # until no position is active

    def _aimed(self, task: Any, loss: Any, success: Any, targeted: bool) -> Aim:
        aim = super()._aimed(task, loss, success, targeted)
        if not isinstance(task, CandidateDetection):
            return aim
        if targeted:
            raise InputError("targeted", given=True, expected="False for a detector", hint="Mislabel(label=...)")
        return Aim(task, "vanish", success or Lost(task, 0.0), False)

    def _taken(self, aim: Aim, y: Any, n: int) -> Any:
        return self.task.label_maps(y, n, "y") if isinstance(self.task, Segmentation) else super()._taken(aim, y, n)

    def _skipped(self, out: Any, y: Any, reached: Tensor) -> Tensor | None:
        blank = ~self._labels(out, y)[1].flatten(1).any(1)
        return blank | reached if self.aim.targeted else blank

    def _labels(self, out: Any, y: Any) -> tuple[Tensor, Tensor]:
        """(N, *positions) labels, and which positions count."""
        if isinstance(self.task, Segmentation):
            valid = self.task.valid(y)
            return y.where(valid, 0), valid
        assert isinstance(self.task, CandidateDetection)
        mine, labels = self.task.belonging(out, y)
        return labels.gather(1, mine.int().argmax(2)).clamp_min(0), mine.any(2)

    def _scores(self, out: Any) -> Tensor:
        """(N, classes, *positions) of outputs."""
        return out if isinstance(self.task, Segmentation) else out[..., 4:].transpose(1, 2)

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        part = _Pushed(batch, *self._pairs(batch))
        for step in range(self.steps):
            objective = _Active(part.source, part.goal, part.valid, self.aim.targeted, self._scores, self._claim)
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

    @property
    def _claim(self) -> float | None:
        """Logit from which a candidate claims a label; None where the largest does."""
        return float(torch.logit(torch.tensor(self.task.score_threshold))) if isinstance(self.task, Detection) else None

    def _pairs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """(y, y', which positions count)."""
        labels, valid = self._labels(batch.out, batch.y)
        if self.aim.targeted:
            return batch.out.argmax(1), labels, valid
        classes = self._scores(batch.out).shape[1]
        order = self._streams(batch.ids, batch.x).uniform(classes).argsort(1)
        follows = torch.zeros_like(order).scatter(1, order, order.roll(-1, 1))
        return labels, follows.gather(1, labels.flatten(1)).reshape(labels.shape), valid


class _Active:
    """The sum of f_{y'} - f_y over the active positions, to be raised also where targets are wanted."""

    def __init__(
        self,
        source: Tensor,
        goal: Tensor,
        valid: Tensor,
        targeted: bool,
        scores: Callable[[Any], Tensor],
        claim: float | None,
    ) -> None:
        self.source, self.goal, self.valid, self.targeted = source, goal, valid, targeted
        self.scores, self.claim = scores, claim

    def active(self, out: Any) -> Tensor:
        """(N, *positions)."""
        z = self.scores(out)
        if self.claim is not None:
            return self.valid & (z.gather(1, self.source[:, None])[:, 0] >= self.claim)
        seen = z.argmax(1)
        return self.valid & (seen != self.goal if self.targeted else seen == self.source)

    def __call__(self, out: Any, y: Any) -> Tensor:
        z = self.scores(out)
        pull = -z.gather(1, self.source[:, None])[:, 0]
        if z.shape[1] > 1:  # a detector of one class has no other label
            pull = pull + z.gather(1, self.goal[:, None])[:, 0]
        total = torch.where(self.active(out), pull, torch.zeros_like(pull)).flatten(1).sum(1)
        return -total if self.targeted else total  # what is given to a targeted attack is lowered


class _Pushed:
    """The images with an active position."""

    def __init__(self, batch: Batch, source: Tensor, goal: Tensor, valid: Tensor) -> None:
        self.rows, self.x, self.y, self.eps, self.mask = batch.rows, batch.x, batch.y, batch.eps, batch.mask
        self.source, self.goal, self.valid, self.point = source, goal, valid, batch.x
