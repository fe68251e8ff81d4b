"""MAITE's object-detection protocols, both ways, through its own evaluation."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.core.boxes import Detections
from deepwright.core.tasks import Detection
from deepwright.data import Split
from deepwright.integrations.maite_detection import (
    MaiteDetectionBatches,
    MaiteDetectionDataset,
    MaiteDetectionMetric,
    MaiteDetectionModel,
    MaiteDetector,
)

od = pytest.importorskip("maite.protocols.object_detection")
CLASSES = ("cat", "dog")


class Finder(nn.Module):
    """Finds a box that depends on the picture; nothing in dark ones."""

    def forward(self, x):
        found = []
        for image in x:
            shift = image.mean() * 2
            boxes = torch.tensor([[1.0, 1, 5, 5]]) + shift
            keep = slice(0, int(image.mean() > 0.3))
            found.append(
                Detections(boxes[keep], torch.tensor([int(image[0, 0, 0] > 0.5)])[keep], image.mean()[None][keep])
            )
        return found


@pytest.fixture
def world():
    x = torch.rand(20, 1, 8, 8) * torch.linspace(0.2, 1, 20)[:, None, None, None]
    true = [Detections(torch.tensor([[1.5, 1.5, 6, 6]]), torch.tensor([i % 2])) for i in range(20)]
    return Finder(), x, true, MaiteDetectionDataset(Split(x, true), "boxes", CLASSES)


def test_they_are_what_the_protocols_ask_for(world):
    network, _, _, dataset = world
    model = MaiteDetectionModel(network, "finder", CLASSES)
    assert isinstance(dataset, od.Dataset)
    assert isinstance(model, od.Model)
    assert isinstance(MaiteDetectionMetric(2), od.Metric)
    assert isinstance(dataset[0][1], od.ObjectDetectionTarget.__origin__)
    assert isinstance(model([dataset[0][0]])[0], od.ObjectDetectionTarget.__origin__)


def test_its_own_evaluation_gives_our_numbers(world):
    from maite.tasks import evaluate

    network, x, true, dataset = world
    model = MaiteDetectionModel(network, "finder", CLASSES)
    found, *_ = evaluate(model=model, dataset=dataset, metric=MaiteDetectionMetric(2), batch_size=6)
    task = Detection(2)
    ours = task.metrics(task.read(network(x), 20), task.check_targets(true, 20), resamples=2)
    assert found == pytest.approx({name: value.value for name, value in ours.items()})
    assert 0 < found["ap50"] < 1


def test_their_model_and_data_are_read_as_ours(world):
    network, x, true, dataset = world
    theirs = MaiteDetector(MaiteDetectionModel(network, "finder", CLASSES))(x)
    for a, b in zip(theirs, network(x), strict=True):
        assert torch.equal(a.boxes, b.boxes)
        assert torch.equal(a.labels, b.labels)
        assert torch.equal(a.scores, b.scores)
    images, targets = zip(*MaiteDetectionBatches(dataset, 7))
    assert torch.equal(torch.cat(images), x)
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip((t for part in targets for t in part), true, strict=True))


def test_scores_of_all_classes_are_those_of_the_labels():
    row = SimpleNamespace(boxes=np.array([[0, 0, 2, 2.0]]), labels=np.array([1]), scores=np.array([[0.2, 0.7]]))
    empty = SimpleNamespace(boxes=np.array([]), labels=np.array([]), scores=np.array([]))
    found = MaiteDetector(lambda x: [row, empty])(torch.zeros(2, 1, 8, 8))
    assert found[0].scores.tolist() == pytest.approx([0.7])
    assert len(found[1]) == 0
