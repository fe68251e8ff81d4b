"""MAITE's object-detection protocols, both ways; `core.boxes.Detections` has the form of their targets already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.core.inference import read_outputs
from deepwright.core.requirements import require_network
from deepwright.core.tasks import Detection
from deepwright.core.tasks.detection_batch import DetectionBatch
from deepwright.data import Split, to_float
from deepwright.integrations.arrays import array_of, images_of, metadata_of
from deepwright.integrations.maite import MaiteBatches
from deepwright.integrations.metrics import DetectionMetrics
from deepwright.nets import as_network


class MaiteDetector(nn.Module):
    """A MAITE detector as a network that gives a list of `Detections`, scores only: nothing has a gradient.

    Args:
        model: takes a sequence of (C, H, W) arrays and gives boxes, labels and scores of each.
    """

    scores_only = True

    def __init__(self, model: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        super().__init__()
        if not callable(model):
            raise InputError("model", given=type(model).__name__, expected="a MAITE model: arrays in, boxes out")
        self.model = model
        self.training = False  # but not the model, which may be a module of theirs

    def forward(self, x: Float[Tensor, "n ..."]) -> list[Detections]:
        """What the model finds in each.

        Args:
            x: (N, C, H, W).
        """
        given = np.array(x.detach().cpu().numpy())  # a copy: the model may work in place
        found = [_detections(one, "the model's output", scored=True) for one in self.model(list(given))]
        if len(found) != len(x):
            told = f"{len(found)} outputs for {len(x)} inputs"
            raise InputError("the model's output", given=told, expected="one an input")
        return list(DetectionBatch(found).to(x.device))


class MaiteDetectionBatches(MaiteBatches):
    """A MAITE detection set, or a loader of it, as batches of (images, list of `Detections`); see `MaiteBatches`."""

    def read_targets(self, targets: Sequence[Any]) -> list[Detections]:
        """The true boxes of each image."""
        return [_detections(target, "targets", scored=False) for target in targets]


class MaiteDetectionModel:
    """A detector as a MAITE model.

    Args:
        network: gives what `Detection` reads: a list with boxes, labels and scores; left as found.
        name: the `id` of its metadata.
        classes: names, index = label.
    """

    def __init__(self, network: nn.Module, name: str, classes: Sequence[str]) -> None:
        network = as_network(network).network  # an SSD with its decoding, models of transformers
        require_network(network, "network")
        self.network, self.task = network, Detection(len(classes))
        self.metadata = metadata_of(name, classes)

    def __call__(self, batch: Sequence[Any], /) -> list[Detections]:
        """Boxes, labels and scores of each image."""
        read = read_outputs(self.network, [images_of(batch)], lambda out, n: self.task.read(out, n).detach())[0]
        return list(read.to("cpu"))


class MaiteDetectionDataset:
    """A split as a MAITE detection set: (image, boxes with labels, {"id": number}) by number.

    Args:
        split: images, with targets as `Detection` takes them.
        name: the `id` of its metadata.
        classes: names, index = label.
    """

    def __init__(self, split: Split, name: str, classes: Sequence[str]) -> None:
        if split.x.ndim != 4:
            raise InputError("split", given=f"inputs of {split.x.ndim} axes", expected="images (N, C, H, W)")
        self.split, self.targets = split, Detection(len(classes)).check_targets(split.y, len(split)).to("cpu")
        self.metadata = metadata_of(name, classes)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, Detections, dict[str, Any]]:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        row = index % len(self)
        true = self.targets[row]
        certain = Detections(true.boxes, true.labels, torch.ones(len(true)))  # their targets have scores too
        return to_float(self.split.x[row]).cpu().numpy(), certain, {"id": row}


class MaiteDetectionMetric:
    """Mean average precision (COCO's), that at an overlap of 0.5 and those by size, as a MAITE metric.

    Args:
        classes: how many there are.
    """

    def __init__(self, classes: int) -> None:
        self.numbers = DetectionMetrics(Detection(classes))
        self.metadata = {"id": "deepwright: map, ap50, map_small, map_medium, map_large"}
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._true = 0
        self.numbers.reset()

    def update(self, predictions: Sequence[Any], targets: Sequence[Any], metadata: Sequence[Any] = (), /) -> None:
        """Add a batch: what was found in each image, and what is there."""
        if len(predictions) != len(targets) or not len(targets):
            given = f"{len(predictions)} predictions and {len(targets)} targets"
            raise InputError("a batch", given=given, expected="as many of both, one at least")
        found = [_detections(one, "predictions", scored=True) for one in predictions]
        true = [_detections(one, "targets", scored=False) for one in targets]
        self.numbers.update(found, true)
        self._true += sum(map(len, true))

    def compute(self) -> dict[str, float]:
        """The numbers of everything seen; see `Detection.metrics`."""
        if not self._true:
            raise InputError("MaiteDetectionMetric", given="no true box", expected="one at least", hint="call update")
        return {name: float(each) for name, each in self.numbers.compute().items()}


def _detections(value: Any, name: str, scored: bool) -> Detections:
    """Boxes, labels and the scores of these labels, where there are some."""
    missing = [key for key in ("boxes", "labels", "scores") if not hasattr(value, key)]
    if missing:
        raise InputError(
            name, given=f"{type(value).__name__} without {missing[0]}", expected="boxes, labels and scores"
        )
    boxes = array_of(value.boxes, f"boxes of {name}")
    labels = array_of(value.labels, f"labels of {name}").long().reshape(-1)
    boxes = boxes.reshape(0, 4) if boxes.numel() == 0 else boxes
    if boxes.ndim != 2 or boxes.shape != (len(labels), 4):
        raise InputError(name, given=f"boxes {tuple(boxes.shape)} for {len(labels)} labels", expected="(labels, 4)")
    if not scored:
        return Detections(boxes, labels)
    scores = array_of(value.scores, f"scores of {name}")
    if scores.ndim == 2 and len(labels) and scores.shape[1] > int(labels.max()):  # one column a class
        scores = scores.gather(1, labels[:, None])[:, 0]
    scores = scores.reshape(0) if scores.numel() == 0 else scores
    if scores.shape != labels.shape:
        raise InputError(name, given=f"scores {tuple(scores.shape)} for {len(labels)} labels", expected="one a label")
    return Detections(boxes, labels, scores)
