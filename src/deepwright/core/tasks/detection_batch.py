"""The detections of several images, indexed and moved as a tensor is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import torch
from jaxtyping import Bool
from torch import Tensor

from deepwright.core.boxes import Aside, Detections
from deepwright.core.errors import InputError
from deepwright.core.tasks.targets import whole_labels


class DetectionBatch(Sequence[Detections]):
    """One `Detections` an image.

    `batch[rows]` with indices or a mask gives a batch, `batch[i]` one image; `.to` and `.detach` are those of tensors.
    """

    def __init__(self, images: Iterable[Detections]) -> None:
        self.images = tuple(images)

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Detections]:
        return iter(self.images)

    @overload
    def __getitem__(self, rows: int) -> Detections: ...
    @overload
    def __getitem__(self, rows: slice | Tensor) -> DetectionBatch: ...
    def __getitem__(self, rows: int | slice | Tensor) -> Detections | DetectionBatch:
        if isinstance(rows, Tensor) and rows.ndim:
            index = rows.nonzero().flatten() if rows.dtype == torch.bool else rows
            return DetectionBatch(self.images[i] for i in index.tolist())
        if isinstance(rows, slice):
            return DetectionBatch(self.images[rows])
        return self.images[int(rows)]

    def _each(self, change: Callable[[Tensor], Tensor]) -> DetectionBatch:
        return DetectionBatch(
            Detections(
                change(d.boxes),
                change(d.labels),
                None if d.scores is None else change(d.scores),
                d.aside and Aside(change(d.aside.boxes), change(d.aside.labels), change(d.aside.crowd)),
            )
            for d in self
        )

    def to(self, device: torch.device | str) -> DetectionBatch:
        """The same on another device."""
        return self._each(lambda t: t.to(device))

    def detach(self) -> DetectionBatch:
        """The same outside the graph."""
        return self._each(Tensor.detach)

    def finite(self) -> Bool[Tensor, " n"]:
        """(N,) whether all boxes and scores of an image are finite."""
        rows = [
            torch.isfinite(d.boxes).all() & (torch.isfinite(d.scores).all() if d.scores is not None else True)
            for d in self
        ]
        return torch.stack(rows) if rows else torch.zeros(0, dtype=torch.bool)


def detection_batch(images: Any, n: int | None, classes: int, name: str, scored: bool, strict: bool) -> DetectionBatch:
    """Detections from a list of them or of dicts with boxes, labels and, for predictions, scores.

    True boxes with a 1 in "iscrowd" are set aside.

    Args:
        images: one entry an image.
        n: number of images, if known.
        classes: labels count from 0 to below it.
        name: how the user knows them.
        scored: whether scores are needed.
        strict: whether values are looked at.

    Raises:
        InputError: anything else, and boxes that are turned round or not finite.
    """
    if isinstance(images, DetectionBatch):
        batch = images
    elif isinstance(images, list | tuple):
        batch = DetectionBatch(_one(image, name) for image in images)
    else:
        shape = f" of shape {tuple(images.shape)}" if isinstance(images, Tensor) else ""
        raise InputError(
            name,
            given=f"{type(images).__name__}{shape}",
            expected="a list with boxes, labels and scores of each image",
            hint="put the decoding and the suppression of doubles into the network",
        )
    if n is not None and len(batch) != n:
        raise InputError(name, given=f"{len(batch)} images for {n} samples", expected="one entry a sample")
    for index, image in enumerate(batch):
        _check(image, f"{name} of image {index}", classes, scored, strict)
    return batch


def _one(image: Any, name: str) -> Detections:
    if isinstance(image, Detections):
        return image
    if not isinstance(image, Mapping) or not {"boxes", "labels"} <= set(image):
        seen = f"dict of {', '.join(map(str, image))}" if isinstance(image, Mapping) else type(image).__name__
        raise InputError(name, given=seen, expected="Detections, or dicts with 'boxes', 'labels' and 'scores'")
    boxes, labels, scores = image["boxes"], image["labels"], image.get("scores")
    if not isinstance(boxes, Tensor) or not isinstance(labels, Tensor) or not isinstance(scores, Tensor | None):
        seen = ", ".join(f"{key}: {type(value).__name__}" for key, value in image.items())
        raise InputError(name, given=seen, expected="tensors")
    labels, crowd = whole_labels(labels, f"labels of {name}"), image.get("iscrowd")
    if not isinstance(crowd, Tensor) or crowd.shape != labels.shape or boxes.shape[:1] != labels.shape:
        return Detections(boxes, labels, scores)
    many = crowd.bool()
    beside = Aside(boxes[many], labels[many], many[many]) if bool(many.any()) else None
    return Detections(boxes[~many], labels[~many], None if scores is None else scores[~many], beside)


def _check(image: Detections, name: str, classes: int, scored: bool, strict: bool) -> None:
    boxes, labels, scores = image.boxes, image.labels, image.scores
    if boxes.ndim != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
        raise InputError(
            name, given=f"boxes {tuple(boxes.shape)}, labels {tuple(labels.shape)}", expected="(k, 4) and (k,)"
        )
    if scored and (scores is None or scores.shape != labels.shape):
        raise InputError(name, given="no score a box" if scores is not None else "no scores", expected="scores (k,)")
    if not strict or len(labels) == 0:
        return
    if not bool(torch.isfinite(boxes).all()) or not bool((boxes[:, 2:] >= boxes[:, :2]).all()):
        raise InputError(
            name, given="a box that is not finite or turned round", expected="x1 <= x2 and y1 <= y2", hint="corners"
        )
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise InputError(
            name,
            given=f"labels {int(labels.min())}..{int(labels.max())}",
            expected=f"0..{classes - 1}",
            hint="labels count from 0; a network that keeps 0 for the background has one class more",
        )
    if scores is not None and not bool(((scores >= 0) & (scores <= 1)).all()):
        raise InputError(name, given="scores outside [0, 1], or NaN", expected="probabilities")
