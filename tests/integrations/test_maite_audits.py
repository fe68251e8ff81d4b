"""MAITE's objects, as somebody else wrote them, in an audit; models of any kind as MAITE's."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.tasks import Classification
from deepwright.integrations.maite import MaiteMetric, MaiteModel, MaiteNetwork
from deepwright.integrations.maite_audits import audit_maite
from deepwright.integrations.maite_detection import MaiteDetector
from deepwright.integrations.metrics import BrierScore, TaskMetrics

NAMES = {0: "left", 1: "right", 2: "none"}


class TheirData:
    metadata = {"id": "stripes", "index2label": NAMES}

    def __len__(self):
        return 90

    def __getitem__(self, i):
        image = np.random.default_rng(i).random((1, 8, 8)).astype(np.float32) / 4
        image[0, :, 2 * (i % 3)] += 0.7
        return image, np.eye(3, dtype=np.float32)[i % 3], {"id": i}


class TheirModel:
    metadata = {"id": "by hand", "index2label": NAMES}
    scale = "logits"

    def __call__(self, batch):
        z = np.stack([9 * np.asarray(image)[0, :, [0, 2, 4]].mean(1) for image in batch])
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        return list(z if self.scale == "logits" else p)


class Boxes:
    metadata = {"id": "squares", "index2label": {0: "a", 1: "b"}}

    def __len__(self):
        return 40

    def __getitem__(self, i):
        image = np.random.default_rng(i).random((3, 32, 32)).astype(np.float32)
        box = np.array([[i % 7, 3, i % 7 + 12, 15.0]])
        return image, SimpleNamespace(boxes=box, labels=np.array([i % 2]), scores=np.ones(1)), {"id": i}


class Finder:
    metadata = {"id": "finder", "index2label": {0: "a", 1: "b"}}

    def __call__(self, batch):
        found = {"boxes": np.array([[3, 3, 15, 15.0], [0, 0, 9, 9]]), "labels": np.array([0, 1])}
        return [SimpleNamespace(**found, scores=np.array([0.9, 0.3])) for _ in batch]


@pytest.mark.parametrize("scale", ["logits", "probabilities"])
def test_their_classifier_on_their_pictures(scale):
    model = TheirModel()
    model.scale = scale
    report = audit_maite(
        model, TheirData(), checks=["accuracy", "calibration", "robustness", "cost"], attack_limit=2, eps=(0.1,)
    )
    assert report["accuracy"].number("accuracy") == 1
    assert report.subject["class_names"] == list(NAMES.values())
    assert report.subject["name"] == "by hand"
    assert "search without gradients" in report["robustness"].summary
    assert report["cost"].grade == "n/a"
    z = torch.from_numpy(np.stack(TheirModel()([TheirData()[i][0] for i in range(90)]))).double()
    wide = report["calibration"].values["nll"]
    loss = torch.nn.functional.cross_entropy(z, torch.arange(90) % 3).item()
    assert wide.low <= loss <= wide.high  # of all of them; the audit measures a part


def test_their_models_may_work_in_place():
    def ones(batch):
        for image in batch:
            image[:] = 1
        return [np.ones(2)] * len(batch)

    x = torch.zeros(3, 1, 2, 2)
    MaiteNetwork(ones)(x)
    MaiteDetector(lambda batch: ones(batch) and [SimpleNamespace(boxes=[], labels=[], scores=[])] * len(batch))(x)
    assert not x.any()


def test_their_detector_on_their_boxes():
    report = audit_maite(Finder(), Boxes(), checks=["accuracy", "calibration"])
    assert report.subject["task"] == "detection"
    assert 0 < report["accuracy"].number("ap50") < 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda m, d: setattr(m, "metadata", {"index2label": {0: "right", 1: "left", 2: "none"}}),
            "class 0 is 'right'",
        ),
        (lambda m, d: [setattr(each, "metadata", {}) for each in (m, d)], "no index2label"),
        (lambda m, d: [setattr(each, "metadata", {"index2label": {1: "a"}}) for each in (m, d)], r"0, 1, 2"),
    ],
)
def test_classes_are_never_guessed(change, words):
    model, data = TheirModel(), TheirData()
    change(model, data)
    with pytest.raises(InputError, match=words):
        audit_maite(model, data)


def test_a_loader_is_no_data_set():
    with pytest.raises(InputError, match="MAITE data set"):
        audit_maite(TheirModel(), iter([]))


def test_any_metric_of_logits_is_one_of_theirs():
    data = [TheirData()[i] for i in range(30)]
    images, targets, _ = zip(*data)
    numbers = {"brier": BrierScore(), "task": TaskMetrics(Classification(3))}
    metric = MaiteMetric(3, outputs="logits", numbers=numbers)
    metric.update(TheirModel()(images[:20]), targets[:20])
    metric.update(TheirModel()(images[20:]), targets[20:])
    found = metric.compute()
    assert found["task_accuracy"] == 1
    assert found["brier"] == pytest.approx(float(numbers["brier"].compute()))
    metric.reset()
    with pytest.raises(InputError, match="no data"):
        metric.compute()


@pytest.mark.usefixtures("unchecked")
def test_numbers_that_are_none():
    with pytest.raises(InputError, match="numbers"):
        MaiteMetric(3, numbers={"mean": np.mean})


@pytest.mark.slow
def test_a_model_of_transformers_is_one_of_theirs():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.ViTConfig(image_size=8, patch_size=4, num_channels=1, num_labels=3, **sizes)
    vit = transformers.ViTForImageClassification(config).eval()
    images = [TheirData()[i][0] for i in range(4)]
    with torch.no_grad():
        wanted = vit(torch.from_numpy(np.stack(images))).logits.softmax(1)
    assert np.allclose(np.stack(MaiteModel(vit, "vit")(images)), wanted, atol=1e-6)
