"""Every detector of the study, fitted and calibrated on the same clean images, and what is measured of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.semantic import (
    ClassDistances,
    DenseFeatureDetector,
    DenseFeatures,
    FeatureSqueezing,
    ImageFeatures,
    InputDetector,
    JpegDifference,
    LocalDimension,
    NearestFeatures,
    OneClassUncertainty,
    SupervisedFeatures,
    Uncertainty,
)
from deepwright.adversarial.semantic.monitor import scaled
from deepwright.core.tasks import Task
from deepwright.ood.metrics import auroc

OURS = "image features"
MONITOR = "image features + entropy"
SQUEEZING = "feature squeezing"
JOINT = "image features + squeezing"
UNCERTAINTIES = ("entropy", "variation", "margin")
RATE = 0.05
MADE: dict[str, Any] = {
    OURS: ImageFeatures,
    "dense features": DenseFeatures,
    "dense features, top 5 %": lambda: DenseFeatures(0.05),
    MONITOR: DenseFeatureDetector,
    **{kind: (lambda kind=kind: Uncertainty(kind)) for kind in UNCERTAINTIES},
    "three uncertainties, one class": OneClassUncertainty,
    SQUEEZING: FeatureSqueezing,
    "JPEG difference": JpegDifference,
    "neighbours in features": NearestFeatures,
    "local dimension": LocalDimension,
    "class distances": ClassDistances,
}
"""Name -> the detector at its default setting."""


def fitted(make: Any, model: nn.Module, task: Task | None, train: Tensor) -> InputDetector:
    """A detector beside a network.

    Args:
        make: gives one.
        model: the network.
        task: its task.
        train: clean images to fit on.
    """
    detector: InputDetector = make().bind(model, task=task)
    return detector.fit(train) if detector.trainable else detector


def part_scores(detectors: Mapping[str, InputDetector], x: Tensor) -> dict[str, Tensor]:
    """The scores of several detectors, which look at the same passes.

    Args:
        detectors: bound to one network, looking at the same layers.
        x: images.
    """
    watch = next(iter(detectors.values())).watch
    found: dict[str, list[Tensor]] = {name: [] for name in detectors}
    with torch.no_grad():
        for part in x.split(100):
            seen = watch(part)
            for name, detector in detectors.items():
                found[name].append(detector.graph_parts(seen).double())
    return {name: torch.cat(parts) for name, parts in found.items()}


def measured(
    detectors: Mapping[str, InputDetector], clean: Tensor, attacked: Mapping[str, Tensor]
) -> dict[str, dict[str, Any]]:
    """Of each detector, the share of clean images that alarm, and of each attack AUROC and the share that alarms.

    Args:
        detectors: calibrated.
        clean: images that they never saw.
        attacked: by attack.
    """
    inside = part_scores(detectors, clean)
    outside = {name: part_scores(detectors, x) for name, x in attacked.items()}
    found: dict[str, dict[str, Any]] = {}
    for d, detector in detectors.items():
        alarms = detector.alarms(inside[d])
        found[d] = {"false alarms": share(alarms), "false": int(alarms.sum())}
        for name, scores in outside.items():
            area = auroc(nearness(detector, inside[d]), nearness(detector, scores[d]))
            found[d][name] = {"auroc": area, "alarmed": share(detector.alarms(scores[d]))}
    return found


def nearness(detector: InputDetector, parts: Tensor) -> Tensor:
    """One score of several: that nearest to its threshold.

    Args:
        detector: calibrated.
        parts: its scores.
    """
    return scaled(parts, detector.calibration_, detector.thresholds_).amax(1)


def supervised(
    model: nn.Module, task: Task | None, train: Tensor, clean: Tensor, attacked: Mapping[str, Tensor]
) -> dict[str, float]:
    """AUROC on each attack of weights learnt from one half of another's images.

    Args:
        model: the network.
        task: its task.
        train: clean images to fit on.
        clean: to test on.
        attacked: by attack, two or more.
    """
    found = {}
    for learnt, shown in attacked.items():
        detector = SupervisedFeatures().bind(model, task=task).attacked(shown[: len(shown) // 2]).fit(train)
        inside = detector.score(clean)
        for tested, x in attacked.items():
            found[f"{learnt}, tested on {tested}"] = auroc(inside, detector.score(x[len(x) // 2 :]))
    return found


def share(rows: Tensor) -> float:
    """Of true rows.

    Args:
        rows: truth values.
    """
    return float(rows.double().mean())


def outputs(model: nn.Module, x: Tensor) -> Tensor:
    """Of images in pieces.

    Args:
        model: the network.
        x: images.
    """
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(100)])
