"""Attacks on detectors through their candidates: objects vanish, are made up, or get another label.

Sources: arXiv 2004.04320 (the three aims), 1703.08603 (candidates before suppression).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.adversarial.aim import Aim
from deepwright.adversarial.attacks.gradient import PGD
from deepwright.core.boxes import Detections, box_iou
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.tasks import CandidateDetection, DetectionBatch


def _claimed(
    task: CandidateDetection, out: Any, y: DetectionBatch
) -> Iterator[tuple[Detections, Detections, Bool[Tensor, "claims boxes"]]]:
    """Of each image what is claimed, what is there, and which claims overlap which boxes by the task's `iou`."""
    for claims, truth in zip(task.prediction(out), y, strict=True):
        yield claims, truth, box_iou(claims.boxes, truth.boxes.to(claims.boxes)) >= task.iou


@dataclass(frozen=True)
class Lost:
    """Whether at most a share of an image's objects is still found.

    Args:
        task: says what becomes of candidates and when a box is found.
        left: the share.
    """

    task: CandidateDetection
    left: float

    def __call__(self, out: Any, y: DetectionBatch) -> Bool[Tensor, " n"]:
        """One answer an image; never for one without objects.

        Args:
            out: candidates.
            y: true boxes.
        """
        rows = []
        for claims, truth, overlaps in _claimed(self.task, out, y):
            found = (overlaps & (claims.labels[:, None] == truth.labels)).any(0)
            rows.append((found.sum() <= self.left * len(truth)) & (len(truth) > 0))
        return torch.stack(rows)


@dataclass(frozen=True)
class MadeUp:
    """Whether so many detections are claimed that overlap no object.

    Args:
        task: as for `Lost`.
        count: so many.
    """

    task: CandidateDetection
    count: int

    def __call__(self, out: Any, y: DetectionBatch) -> Bool[Tensor, " n"]:
        """One answer an image.

        Args:
            out: candidates.
            y: true boxes.
        """
        rows = []
        for _, _, overlaps in _claimed(self.task, out, y):
            rows.append((~overlaps.any(1)).sum() >= self.count)
        return torch.stack(rows)


@dataclass(frozen=True)
class Relabelled:
    """Whether a share of an image's objects is claimed under another label, and not under its own.

    Also the loss that goes there.

    Args:
        task: as for `Lost`.
        wanted: the label; None for any other.
        share: of the objects.
    """

    task: CandidateDetection
    wanted: int | None
    share: float

    def __call__(self, out: Any, y: DetectionBatch) -> Float[Tensor, " n"]:
        """What is raised.

        Args:
            out: candidates.
            y: true boxes.
        """
        return self.task.mislabelled(out, y, self.wanted)

    def reached(self, out: Any, y: DetectionBatch) -> Bool[Tensor, " n"]:
        """One answer an image; never for one without objects that could get the label.

        Args:
            out: candidates.
            y: true boxes.
        """
        rows = []
        for claims, truth, overlaps in _claimed(self.task, out, y):
            own = claims.labels[:, None] == truth.labels
            wanted = ~own if self.wanted is None else (claims.labels == self.wanted)[:, None] & ~own
            moved = (overlaps & wanted).any(0) & ~(overlaps & own).any(0)
            able = len(truth) if self.wanted is None else (truth.labels != self.wanted).sum()
            rows.append((moved.sum() >= self.share * able) & moved.any())
        return torch.stack(rows)


class DetectionPGD(PGD):
    """PGD with an aim of its own on a detector's candidates; the base of those below.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations of each restart.
        options: of `PGD`, `task=CandidateDetection(...)` among them, without loss, success and targeted.
    """

    applies_to = (CandidateDetection,)
    refused = {"loss": "it has an objective of its own", "targeted": "its aim is its own"}

    def _aimed(self, task: Any, loss: Any, success: Any, targeted: bool) -> Aim:
        super()._aimed(task, None, None, False)
        if success is not None:
            raise InputError("success", given="a function", expected="none: this attack has its own")
        return self._aim(task)

    def _aim(self, task: CandidateDetection) -> Aim:
        raise NotImplementedError

    def _skipped(self, out: Any, y: Any, reached: Tensor) -> Tensor | None:
        return torch.tensor([len(truth) == 0 for truth in y], device=reached.device)


class Vanish(DetectionPGD):
    """Lower the scores of all candidates that belong to an object, until at most `left` of the objects are found.

    Images without objects are skipped.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations of each restart.
        left: share of an image's objects that may still be found.
        options: of `DetectionPGD`.
    """

    def __init__(
        self, eps: float | Tensor, norm: str = "linf", steps: int = 20, *, left: float = 0.0, **options: Any
    ) -> None:
        require_within(0, 1, ends="[)", left=left)
        self.left = float(left)
        super().__init__(eps, norm, steps, **options)

    def _aim(self, task: CandidateDetection) -> Aim:
        return Aim(task, "vanish", Lost(task, self.left), False)


class Fabricate(DetectionPGD):
    """Raise the scores of candidates that belong to no object, until `count` detections of nothing are claimed.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations of each restart.
        count: so many in each image.
        options: of `DetectionPGD`.
    """

    def __init__(
        self, eps: float | Tensor, norm: str = "linf", steps: int = 20, *, count: int = 1, **options: Any
    ) -> None:
        require_whole(1, count=count)
        self.count = int(count)
        super().__init__(eps, norm, steps, **options)

    def _aim(self, task: CandidateDetection) -> Aim:
        return Aim(task, "fabricate", MadeUp(task, self.count), False)

    def _skipped(self, out: Any, y: Any, reached: Tensor) -> Tensor | None:
        return None


class Mislabel(DetectionPGD):
    """Objects shall be found under another label, and not under their own.

    Images without objects are skipped, and with `label` those of which each object has it.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations of each restart.
        label: that they shall get; None for whichever is strongest.
        share: of an image's objects that must get it.
        options: of `DetectionPGD`.
    """

    def __init__(
        self,
        eps: float | Tensor,
        norm: str = "linf",
        steps: int = 20,
        *,
        label: int | None = None,
        share: float = 1.0,
        **options: Any,
    ) -> None:
        if label is not None:
            require_whole(0, label=label)
        require_within(0, 1, ends="(]", share=share)
        self.label, self.share = label, float(share)
        super().__init__(eps, norm, steps, **options)

    def _aim(self, task: CandidateDetection) -> Aim:
        if task.classes < 2:
            raise InputError(self.name, given="one class", expected="two or more: there is no other label")
        if self.label is not None and self.label >= task.classes:
            raise InputError("label", given=self.label, expected=f"one of 0..{task.classes - 1}")
        aim = Relabelled(task, self.label, self.share)
        return Aim(task, "mislabel" if self.label is None else aim, aim.reached, False)

    def _skipped(self, out: Any, y: Any, reached: Tensor) -> Tensor | None:
        able = [len(t) > 0 if self.label is None else bool((t.labels != self.label).any()) for t in y]
        return ~torch.tensor(able, device=reached.device)
