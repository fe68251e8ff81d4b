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


def fitted(make: Any, model: nn.Module, task: Task | None, train: Tensor, held_out: Tensor) -> InputDetector:
    """A detector beside a network.

    Args:
        make: gives one.
        model: the network.
        task: its task.
        train: clean images to fit on.
        held_out: others, to calibrate on.
    """
    detector: InputDetector = make().bind(model, task=task)
    if detector.trainable:
        detector.fit(train)
    return detector.calibrate(held_out, 1 - RATE)


def measured(detector: InputDetector, clean: Tensor, attacked: Mapping[str, Tensor]) -> dict[str, Any]:
    """Share of clean images that alarm, and of each attack AUROC and the share that alarms.

    Args:
        detector: fitted and calibrated.
        clean: images that it never saw.
        attacked: by attack.
    """
    scores = {name: (detector.score(x), detector.predict(x)) for name, x in (("", clean), *attacked.items())}
    inside, alarms = scores.pop("")
    found: dict[str, Any] = {"false alarms": share(alarms), "false": int(alarms.sum())}
    for name, (outside, loud) in scores.items():
        found[name] = {"auroc": auroc(inside, outside), "alarmed": share(loud)}
    return found


def supervised(
    model: nn.Module, task: Task | None, train: Tensor, held_out: Tensor, clean: Tensor, attacked: Mapping[str, Tensor]
) -> dict[str, float]:
    """AUROC on each attack of weights learnt from one half of another's images.

    Args:
        model: the network.
        task: its task.
        train: clean images to fit on.
        held_out: to calibrate on.
        clean: to test on.
        attacked: by attack, two or more.
    """
    found = {}
    for tested, x in attacked.items():
        for learnt, shown in attacked.items():
            detector = SupervisedFeatures().bind(model, task=task).attacked(shown[: len(shown) // 2]).fit(train)
            found[f"{learnt}, tested on {tested}"] = auroc(detector.score(clean), detector.score(x[len(x) // 2 :]))
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
