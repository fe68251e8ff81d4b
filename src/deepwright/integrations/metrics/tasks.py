"""The metrics of a task, in its field's terms, as `torchmetrics.Metric`; see `core.tasks`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from deepwright.core.boxes import Aside, Detections
from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval
from deepwright.core.tasks import Detection, DetectionBatch, Segmentation, Task
from deepwright.integrations.metrics.states import Sums, gathered, nothing, scalar, whole

_FEWEST = 2  # resamples, where no interval is asked for


class TaskMetrics(Metric):
    """What `accuracy` reports of a task: accuracy, AUROC, F1, MAE, R2, CRPS, ... by name.

    It keeps outputs and targets. Of regions and boxes `SegmentationMetrics` and `DetectionMetrics` keep less.

    Args:
        task: of `deepwright.core.tasks`: `Classification(10)`, `Binary()`, `Regression(spread="variance")`, ...
    """

    outputs: list[Tensor]
    targets: list[Tensor]
    full_state_update = False

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = _of(task, Task, (Detection,), "DetectionMetrics")
        gathered(self, "outputs", "targets")

    def update(self, outputs: Any, targets: Any) -> None:
        """Add a batch.

        Args:
            outputs: what the network gives.
            targets: as the task takes them.
        """
        out = self.task.read(outputs)
        y = self.task.check_targets(targets, len(out))
        self.outputs.append(out.detach())
        self.targets.append(y.to(out.device))

    def compute(self) -> dict[str, Tensor]:
        """Each metric of everything seen, a float64 scalar; one that the targets don't define is absent."""
        out = whole(self.outputs, self)
        return {name: scalar(each.value, out) for name, each in self.intervals(_FEWEST).items()}

    def intervals(self, resamples: int = 1000) -> dict[str, Interval]:
        """Each with its interval, of what this process has seen.

        Args:
            resamples: of the bootstrap.
        """
        out, y = whole(self.outputs, self), whole(self.targets, self)
        return self.task.metrics(out, y, resamples=resamples)


class SegmentationMetrics(Sums):
    """Mean IoU and Dice, pixel accuracy and the IoU of each class; it keeps three counts a class.

    Args:
        task: `Segmentation(classes)`.
    """

    names = ("counts",)
    higher_is_better = True

    def __init__(self, task: Segmentation) -> None:
        self.task: Segmentation = _of(task, Segmentation)
        super().__init__((3, task.classes), task)

    def update(self, outputs: Any, targets: Any) -> None:
        """Add a batch.

        Args:
            outputs: (N, classes, *positions) of the network.
            targets: (N, *positions) labels.
        """
        out = self.task.read(outputs)
        y = self.task.check_targets(targets, len(out))
        self._add("counts", self.task.class_counts(out.detach(), y))

    def compute(self) -> dict[str, Tensor]:
        """Each metric of everything seen, a float64 scalar; the IoU of a class that is nowhere is absent."""
        hits, called, truth = self._sum("counts")
        if not bool(truth.sum()):
            raise nothing(self)
        iou, dice = hits / (called + truth - hits), 2 * hits / (called + truth)
        names = self.task.names or tuple(map(str, range(self.task.classes)))
        found = {"mean_iou": iou.nanmean(), "mean_dice": dice.nanmean(), "pixel_accuracy": hits.sum() / truth.sum()}
        return found | {f"iou_{name}": value for name, value in zip(names, iou) if not bool(value.isnan())}


class DetectionMetrics(Metric):
    """COCO's mean average precision, that at an overlap of 0.5, and those of small, medium and large objects.

    It keeps the boxes, a row each.

    Args:
        task: `Detection(classes)`.
    """

    rows: list[Tensor]
    counts: list[Tensor]
    full_state_update = False
    higher_is_better = True

    def __init__(self, task: Detection) -> None:
        super().__init__()
        self.task: Detection = _of(task, Detection)
        gathered(self, "rows", "counts")

    def update(self, outputs: Any, targets: Any) -> None:
        """Add a batch.

        Args:
            outputs: what the network finds in each image.
            targets: what is there.
        """
        found = self.task.read(outputs).detach()
        true = self.task.check_targets(targets, len(found))
        for mine, theirs in zip(found, true.to(found[0].boxes.device if len(found) else "cpu")):
            assert mine.scores is not None
            aside = theirs.aside or Aside(theirs.boxes[:0], theirs.labels[:0], theirs.labels[:0].bool())
            parts = [
                _rows(mine.boxes, mine.labels, mine.scores),
                _rows(theirs.boxes, theirs.labels, torch.ones_like(theirs.labels)),
                _rows(aside.boxes, aside.labels, aside.crowd),
            ]
            self.rows.append(torch.cat(parts))
            self.counts.append(torch.tensor([[len(part) for part in parts]], device=mine.boxes.device))

    def compute(self) -> dict[str, Tensor]:
        """Each metric of everything seen, a float64 scalar; one that the true boxes don't define is absent."""
        rows = whole(self.rows, self)
        return {name: scalar(each.value, rows) for name, each in self.intervals(_FEWEST).items()}

    def intervals(self, resamples: int = 1000) -> dict[str, Interval]:
        """Each with its interval, of what this process has seen.

        Args:
            resamples: of the bootstrap.
        """
        counts = whole(self.counts, self)
        parts = iter(whole(self.rows, self).split(counts.flatten().tolist()))
        found, true = [], []
        for mine, theirs, aside in zip(parts, parts, parts):
            found.append(Detections(mine[:, :4].float(), mine[:, 4].long(), mine[:, 5].float()))
            beside = Aside(aside[:, :4].float(), aside[:, 4].long(), aside[:, 5].bool()) if len(aside) else None
            true.append(Detections(theirs[:, :4].float(), theirs[:, 4].long(), None, beside))
        return self.task.metrics(DetectionBatch(found), DetectionBatch(true), resamples=resamples)


def _rows(boxes: Tensor, labels: Tensor, last: Tensor) -> Tensor:
    """(k, 6) corners, label, and score or flag; float64 holds all of them as they are."""
    return torch.cat([boxes.double(), labels.double()[:, None], last.double()[:, None]], 1)


def _of(task: Any, kind: Any, but: tuple[type, ...] = (), other: str = "") -> Any:
    """The task, if it is of a kind."""
    if not isinstance(task, kind) or isinstance(task, but):
        given = f"{task!r:.60}"
        hint = f"integrations.metrics.{other}" if isinstance(task, but) and but else None
        raise InputError("task", given=given, expected=f"a {kind.__name__} of deepwright.core.tasks", hint=hint)
    return task
