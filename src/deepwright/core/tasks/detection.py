"""Objects in images: boxes with labels and scores, one list an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.boxes import Detections, box_iou
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.statistics import Interval
from deepwright.core.tasks.detection_batch import DetectionBatch, detection_batch
from deepwright.core.tasks.intervals import bootstrap
from deepwright.core.tasks.matching import EVERY_SIZE, WeightedDetections, matches_within
from deepwright.core.tasks.protocol import Task, chosen_loss
from deepwright.core.tasks.reading import raised
from deepwright.core.tasks.targets import beside, require_names

_COCO_OVERLAPS = tuple(0.5 + 0.05 * i for i in range(10))
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # pixels, as COCO has them


@dataclass(frozen=True)
class Detection(Task):
    """Which objects are where: final detections, after decoding and suppression of doubles.

    Outputs and targets are lists of `core.boxes.Detections`, or of dicts with boxes (k, 4) as corners, labels (k,)
    and, for outputs, scores (k,) in [0, 1].

    Args:
        classes: labels are 0..classes - 1; a network that keeps 0 for the background counts it.
        names: of the classes, or none.
        iou: overlap at which a detection finds a box.
        score_threshold: detections from this score on are claimed.
    """

    classes: int
    names: tuple[str, ...] = ()
    iou: float = 0.5
    score_threshold: float = 0.5

    kind: ClassVar[str] = "detection"
    headline: ClassVar[str] = "map"
    higher_is_better: ClassVar[tuple[str, ...]] = ("map", "ap50", "map_small", "map_medium", "map_large")
    lower_is_better: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        require_whole(1, classes=self.classes)
        if not 0 < self.iou <= 1 or not 0 <= self.score_threshold <= 1:
            raise InputError(
                "Detection",
                given=f"iou={self.iou}, score_threshold={self.score_threshold}",
                expected="an overlap within (0, 1], a score within [0, 1]",
            )
        object.__setattr__(self, "names", require_names(self.names, self.classes))

    @property
    def columns(self) -> tuple[int, ...]:
        """None: outputs aren't columns."""
        return ()

    @property
    def attack_losses(self) -> tuple[str, ...]:
        """Cross-entropy of the scores."""
        return ("ce",)

    def read(self, out: Any, n: int | None = None, *, strict: bool = True) -> DetectionBatch:
        """Detections of each image."""
        return detection_batch(out, n, self.classes, "the network's output", True, strict)

    def join(self, parts: Sequence[DetectionBatch]) -> DetectionBatch:
        """Batches as one."""
        return DetectionBatch(image for part in parts for image in part)

    def check_targets(self, y: Any, n: int | None = None, name: str = "targets") -> DetectionBatch:
        """True boxes of each image; none is fine."""
        return detection_batch(y, n, self.classes, name, False, True)

    def finite(self, out: DetectionBatch) -> Bool[Tensor, " n"]:
        """Whether all boxes and scores of an image are finite."""
        return out.finite()

    def loss(self, out: DetectionBatch, y: DetectionBatch) -> Float[Tensor, " n"]:
        """Mean -log of each object's best score, plus -log(1 - score) of detections of nothing over all detections.

        A detection finds an object when it has its class and overlaps it by `iou`; an object without one has a score of
        1e-6. Detections of nothing on a box that is set aside are left out. Gradients flow through the scores.
        """
        y = beside(out, y)
        rows = [self._loss_of(guess, truth) for guess, truth in zip(out, y, strict=True)]
        return torch.stack(rows) if rows else torch.zeros(0)

    def _loss_of(self, guess: Detections, truth: Detections) -> Tensor:
        assert guess.scores is not None
        scores = raised(guess.scores).clamp(1e-6, 1 - 1e-6)
        finds = (guess.labels[:, None] == truth.labels) & (box_iou(guess.boxes, truth.boxes) >= self.iou)
        value = guess.scores.sum().to(scores) * 0
        if len(truth):
            floor = scores.new_full((1, len(truth)), 1e-6)
            best = torch.cat([torch.where(finds, scores[:, None], floor), floor]).amax(0)
            value = value - best.log().mean()
        if len(guess):
            lost = ~finds.any(1)
            if truth.aside is not None and len(truth.aside.labels):
                lies = truth.aside.overlaps(guess.boxes.to(truth.aside.boxes.dtype)) >= self.iou
                lost &= ~(lies & (guess.labels[:, None] == truth.aside.labels)).any(1)
            value = value - (torch.where(lost, (1 - scores).log(), torch.zeros_like(scores))).sum() / len(guess)
        return value

    def _tallies(self, out: DetectionBatch, y: DetectionBatch) -> Float[Tensor, "n 3"]:
        """Hits, claimed detections and true boxes of each image, at the score and overlap of the task."""
        rows = []
        for guess, truth in zip(self.prediction(out), y, strict=True):
            level = torch.tensor([self.iou], dtype=torch.float64, device=guess.boxes.device)
            found, beside = matches_within(guess, truth, level, EVERY_SIZE)
            hits = found.sum()
            rows.append(torch.stack([hits, len(guess) - beside.sum(), torch.full_like(hits, len(truth))]))
        return torch.stack(rows).double() if rows else torch.zeros(0, 3, dtype=torch.float64)

    def right(self, out: DetectionBatch, y: DetectionBatch) -> Bool[Tensor, " n"]:
        """Whether all objects of an image are found, and an image without one is left alone."""
        y = beside(out, y)
        hits, claimed, true = self._tallies(out, y).unbind(1)
        return torch.where(true > 0, hits == true, claimed == 0)

    def score(self, out: DetectionBatch, y: DetectionBatch) -> Float[Tensor, " n"]:
        """F1 of the claimed detections of an image; 1 where there is nothing and nothing is claimed."""
        y = beside(out, y)
        hits, claimed, true = self._tallies(out, y).unbind(1)
        return torch.where(claimed + true > 0, 2 * hits / (claimed + true).clamp_min(1), torch.ones_like(hits))

    def prediction(self, out: DetectionBatch) -> DetectionBatch:
        """The detections that are claimed."""
        kept = []
        for d in out:
            assert d.scores is not None
            sure = d.scores >= self.score_threshold
            kept.append(Detections(d.boxes[sure], d.labels[sure], d.scores[sure]))
        return DetectionBatch(kept)

    def adversarial_loss(
        self,
        out: DetectionBatch,
        y: DetectionBatch | None = None,
        target: DetectionBatch | None = None,
        *,
        loss: str | None = None,
    ) -> Float[Tensor, " n"]:
        """The loss: objects lose their scores, detections of nothing gain; minus that of the target."""
        y, target = beside(out, y), beside(out, target)
        chosen_loss(self, loss, y, target)
        if target is not None:
            return -self.loss(out, target)
        assert y is not None
        return self.loss(out, y)

    def error_rates(self, out: DetectionBatch, y: DetectionBatch) -> dict[str, float]:
        """Share of objects that no claimed detection finds, and claimed detections of nothing an image.

        Args:
            out: as `read` gives it.
            y: true boxes, at least one of them.
        """
        hits, claimed, true = self._tallies(out, beside(out, y)).sum(0).tolist()
        if not true:
            raise InputError("targets", given="no boxes", expected="at least one")
        return {"false_negative_rate": 1 - hits / true, "false_positives_per_image": (claimed - hits) / len(y)}

    def headline_value(self, out: DetectionBatch, y: DetectionBatch) -> float:
        """Mean average precision over overlaps and classes."""
        y = beside(out, y)
        if not any(len(d) for d in y):
            return float("nan")
        ranked = WeightedDetections(out.detach(), y, _COCO_OVERLAPS)
        return float(ranked(torch.ones(1, len(y), dtype=torch.float64, device=y[0].boxes.device)).mean())

    def metrics(
        self, out: DetectionBatch, y: DetectionBatch, *, resamples: int = 1000, seed: int = 0
    ) -> dict[str, Interval]:
        """Average precision at an overlap of 0.5, and its mean over 0.5, 0.55 ... 0.95, as COCO reads them.

        The mean also by size of the objects (up to 32 x 32, up to 96 x 96, and above, in pixels of the inputs), where
        some are of it. The first two equal `core.boxes.mean_average_precision`; the bootstrap draws whole images. Empty
        without a true box.
        """
        y = beside(out, y)
        if not any(len(d) for d in y):
            return {}
        ranked = WeightedDetections(out.detach(), y, _COCO_OVERLAPS)
        sized = {
            f"map_{name}": WeightedDetections(out.detach(), y, _COCO_OVERLAPS, area=area)
            for name, area in SIZES.items()
        }
        sized = {name: of for name, of in sized.items() if of.classes}

        def both(w: Tensor) -> dict[str, Tensor]:
            values = ranked(w)
            means = {name: of(w).mean(1) for name, of in sized.items()}
            return {"map": values.mean(1), "ap50": values[:, 0], **means}

        with_objects = sum(len(d) > 0 for d in y)
        shares = dict.fromkeys(("map", "ap50", *sized), with_objects)
        return bootstrap(len(y), both, resamples=resamples, seed=seed, shares=shares, device=y[0].boxes.device)

    def class_precisions(self, out: DetectionBatch, y: DetectionBatch) -> dict[int, tuple[float, float]]:
        """Average precision over all overlaps, and at 0.5, of each class that has a true box."""
        y = beside(out, y)
        ranked = WeightedDetections(out.detach(), y, _COCO_OVERLAPS)
        one = torch.ones(1, len(y), dtype=torch.float64, device=y[0].boxes.device)
        found = {c: ranked.of_class(one, c)[0] for c in ranked.classes}
        return {c: (float(values.mean()), float(values[0])) for c, values in found.items()}

    def baseline(self, train: DetectionBatch, y: DetectionBatch, history: Tensor | None = None) -> DetectionBatch:
        """No detections: right on the images without objects."""
        return DetectionBatch(
            Detections(d.boxes[:0].float(), d.labels[:0], d.boxes.new_zeros(0, dtype=torch.float32)) for d in y
        )
