"""Calls of what stands between the house and other tools."""

from types import SimpleNamespace

import numpy as np
import torch

from deepwright.adversarial import FGSM
from deepwright.data import Split
from deepwright.integrations.maite import MaiteAugmentation, MaiteBatches, MaiteDataset, MaiteMetric, MaiteModel
from deepwright.integrations.maite_audits import audit_maite
from deepwright.integrations.maite_detection import (
    MaiteDetectionBatches,
    MaiteDetectionDataset,
    MaiteDetectionMetric,
    MaiteDetectionModel,
    MaiteDetector,
)
from deepwright.integrations.sklearn_estimators import NetworkClassifier, OutlierDetector
from entries import Entry, image_classifier, normal, uniform
from metric_cases import CASES, data


def metrics(device):
    """Every number of `integrations.metrics`; each is computed where its data are."""
    found = data(device)
    made = {name: case.make().to(device) for name, case in CASES.items()}
    for name, metric in made.items():
        CASES[name].update(metric, found, torch.arange(60).to(device))
    return [metric.compute() for metric in made.values()]


def exchanged(device):
    """MAITE speaks NumPy: results are on the CPU, work is where the network lives."""
    network, x, y = image_classifier(device)
    dataset = MaiteDataset(Split(x, y), "pictures", tuple("abcdefghij"))
    batch = tuple(zip(*(dataset[i] for i in range(len(dataset)))))
    metric, model = MaiteMetric(10), MaiteModel(network, "network")
    metric.update(model(batch[0]), batch[1], batch[2])
    moved = MaiteAugmentation.of_attack(FGSM(eps=0.1), network)(batch)
    return metric.compute(), [x.shape for x in moved[0]], [list(x.shape) for x, _ in MaiteBatches(dataset)]


def audited(device):
    """A network as a MAITE model on its own split as a MAITE set: the audit is made where the network lives."""
    network, x, y = image_classifier(device)
    names = tuple("abcdefghij")
    dataset = MaiteDataset(Split(x, y), "pictures", names)
    return audit_maite(MaiteModel(network, "network", names), dataset, checks=["accuracy"])["accuracy"].values


def found(device):
    def everything(images):
        return [SimpleNamespace(boxes=np.array([[0, 0, 4, 4.0]]), labels=[0], scores=[float(x.mean())]) for x in images]

    detector, x = MaiteDetector(everything), uniform(4, 1, 8, 8).to(device)
    model, metric = MaiteDetectionModel(detector, "finder", ("a",)), MaiteDetectionMetric(1)
    dataset = MaiteDetectionDataset(Split(x, detector(x)), "boxes", ("a",))
    metric.update(model([dataset[i][0] for i in range(4)]), [dataset[i][1] for i in range(4)])
    assert all(boxes.boxes.device.type == device.type for boxes in detector(x))
    return metric.compute(), [len(targets) for _, targets in MaiteDetectionBatches(dataset, 3)]


def estimators(device):
    """Arrays in, arrays out, on the CPU as scikit-learn works."""
    X, y = normal(40, 3).numpy(), np.arange(40) % 2
    classifier = NetworkClassifier(epochs=1).fit(X, y)
    outliers = OutlierDetector().fit(X)
    return classifier.predict_proba(X).tolist(), outliers.score_samples(X).tolist(), outliers.predict(X).tolist()


ENTRIES = [
    Entry("estimators", estimators, returns="cpu"),
    Entry("MAITE detection, both ways", found),
    Entry("metrics", metrics, slow=True),
    Entry("audit_maite", audited, returns="cpu"),
    Entry("MAITE, both ways", exchanged, returns="cpu"),
]
