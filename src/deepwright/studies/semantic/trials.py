"""One detector with one setting beside a network, on attacks that it never saw; and attackers who know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial import PGD, Attack, Noise, SegPGD
from deepwright.adversarial.semantic import (
    AdaptivePGD,
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
    SequentialAlarm,
    SupervisedFeatures,
    Uncertainty,
    measure_detection,
)
from deepwright.core.inference import evaluating
from deepwright.core.tasks import Classification, Segmentation, Task
from deepwright.data import load
from deepwright.nets import load as load_network
from deepwright.studies._clock import one_thread
from deepwright.studies.semantic.scenes import CLASSES, road_scenes, trained

EPS, STEPS, KNOWING, RATE = 4 / 255, 10, 40, 0.05
LEVELS = (2 / 255, 4 / 255, 8 / 255)
PHOTO_EPS = 2 / 255
OURS, FUSED, SQUEEZING = "image features", "image features and entropy", "feature squeezing"
WAYS: dict[str, dict[str, Callable[[], InputDetector]]] = {
    OURS: {
        "mean and std": ImageFeatures,
        "mean": partial(ImageFeatures, ("mean",)),
        "std": partial(ImageFeatures, ("std",)),
    },
    FUSED: {
        "min": DenseFeatureDetector,
        "fisher": partial(DenseFeatureDetector, fuse="fisher"),
        "min, and margin": partial(DenseFeatureDetector, ("image", "entropy", "margin")),
    },
    "dense features by class": {f"top {top:g}": partial(DenseFeatures, top) for top in (1.0, 0.25, 0.05)},
    "uncertainty": {kind: partial(Uncertainty, kind) for kind in ("entropy", "variation", "margin")},
    "one-class SVM of uncertainties": {f"nu {nu:g}": partial(OneClassUncertainty, nu) for nu in (0.01, 0.05, 0.2)},
    SQUEEZING: {f"{bits} bits": partial(FeatureSqueezing, bits) for bits in (4, 5, 6)},
    "JPEG difference": {f"quality {quality}": partial(JpegDifference, quality) for quality in (50, 75, 90)},
    "nearest features": {f"k {k}": partial(NearestFeatures, k) for k in (1, 5, 20)},
    "local dimension": {f"k {k}": partial(LocalDimension, k) for k in (10, 20, 40)},
    "class distances": {f"epsilon {epsilon:g}": partial(ClassDistances, epsilon) for epsilon in (0.0, 0.0014, 0.01)},
    "supervised on attacked": {f"penalty {p:g}": partial(SupervisedFeatures, p) for p in (1e-3, 1e-2, 1e-1)},
}
"""Detector -> setting -> how it is made; three settings each."""


@dataclass(frozen=True)
class World:
    """A network with what detectors are fitted, calibrated, chosen and measured on; no two parts share an input.

    Attributes:
        network: that is attacked.
        task: what its outputs mean.
        fitted: inputs that the detectors learn from, which the network may have been trained on.
        calibrated: inputs for the rate of false alarms.
        validation: inputs and targets on which settings are chosen.
        test: the others.
        seen: attacked copies of some of `fitted`, for who is told what attacks look like.
        chosen_on: attacked copies of `validation`.
        attacked: by name, attacked copies of `test`.
        score: of the network on `test`, and on each of `attacked`: mean IoU, or the share that is right.
    """

    network: nn.Module
    task: Task
    fitted: Tensor
    calibrated: Tensor
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    seen: Tensor
    chosen_on: Tensor
    attacked: dict[str, Tensor]
    score: dict[str, float]


@lru_cache(maxsize=1)
def roads(seed: int, sizes: tuple[int, int, int, int], epochs: int) -> World:
    """Drawn road scenes.

    Args:
        seed: of scenes, network and attacks.
        sizes: scenes that are trained on, calibrated on, chosen on, tested on.
        epochs: of the network's training.
    """
    x, y = road_scenes(sum(sizes), seed)
    parts, labels = x.split(sizes), y.split(sizes)
    network = trained(parts[0], labels[0], seed, epochs)
    task = Segmentation(len(CLASSES), CLASSES, ignore_index=None)
    attacks: dict[str, Attack] = {"noise": Noise(EPS, task=task, seed=seed)}
    for eps in LEVELS:
        options: dict[str, Any] = {"steps": STEPS, "task": task, "seed": seed}
        attacks[_named("PGD", eps)] = PGD(eps, early_stop=False, **options)
        attacks[_named("SegPGD", eps)] = SegPGD(eps, **options)
    return _world(
        network, task, parts, labels, attacks, PGD(EPS, steps=STEPS, early_stop=False, task=task, seed=seed + 1)
    )


@lru_cache(maxsize=1)
def photographs(root: Path, seed: int, sizes: tuple[int, int, int, int]) -> World:
    """CIFAR-10 and the bundled ResNet-20.

    Args:
        root: of the data.
        seed: of the choice of photographs and of attacks.
        sizes: photographs that detectors learn from, are calibrated on, chosen on, tested on.
    """
    data = load("cifar10", root=root, limit=sum(sizes[1:]), train_limit=sizes[0], seed=seed)
    task = Classification(10)
    parts = [data.train.inputs(), *data.test.inputs()[: sum(sizes[1:])].split(sizes[1:])]
    labels = [data.train.y, *data.test.y[: sum(sizes[1:])].split(sizes[1:])]
    attack = PGD(PHOTO_EPS, steps=STEPS, early_stop=False, task=task, seed=seed)
    attacks: dict[str, Attack] = {"noise": Noise(PHOTO_EPS, task=task, seed=seed), _named("PGD", PHOTO_EPS): attack}
    network = load_network("resnet20-cifar10")
    return _world(network, task, parts, labels, attacks, PGD(PHOTO_EPS, steps=STEPS, early_stop=False, seed=seed + 1))


def _named(attack: str, eps: float) -> str:
    return f"{attack}, {round(255 * eps)}/255"


def _world(
    network: nn.Module, task: Task, parts: Any, labels: Any, attacks: dict[str, Attack], before: Attack
) -> World:
    x, y = parts[3], labels[3]
    told = slice(0, min(len(parts[0]), len(parts[2])))
    seen = before(network, parts[0][told], labels[0][told]).x_adv
    chosen_on = before(network, parts[2], labels[2]).x_adv
    attacked = {name: attack(network, x, y).x_adv for name, attack in attacks.items()}
    score = {name: _score(network, task, inputs, y) for name, inputs in (("clean", x), *attacked.items())}
    return World(network, task, parts[0], parts[1], (parts[2], labels[2]), (x, y), seen, chosen_on, attacked, score)


def _score(network: nn.Module, task: Task, x: Tensor, y: Tensor) -> float:
    with torch.no_grad(), evaluating(network):
        out = torch.cat([network(part) for part in x.split(100)])
    return task.headline_value(out, y)


def detector_of(name: str, setting: str, world: World) -> InputDetector:
    """Bound, fitted and calibrated.

    Args:
        name: of `WAYS`.
        setting: of it.
        world: beside whose network it stands.
    """
    detector = WAYS[name][setting]().bind(world.network, task=world.task)
    if isinstance(detector, SupervisedFeatures):
        detector.attacked(world.seen)
    if detector.trainable:
        detector.fit(world.fitted)
    detector.calibrate(world.calibrated, 1 - RATE)
    return detector


def roads_trial(name: str, setting: str, seed: int, sizes: tuple[int, int, int, int], epochs: int) -> dict[str, Any]:
    """A detector beside the network of drawn scenes.

    Args:
        name: of `WAYS`.
        setting: of it.
        seed: of everything.
        sizes: see `roads`.
        epochs: of the network's training.
    """
    with one_thread():
        return _measured(name, setting, roads(seed, tuple(sizes), epochs))  # type: ignore[arg-type]


def photo_trial(name: str, setting: str, seed: int, root: Path, sizes: tuple[int, int, int, int]) -> dict[str, Any]:
    """A detector beside ResNet-20.

    Args:
        name: of `WAYS`.
        setting: of it.
        seed: of everything.
        root: of the data.
        sizes: see `photographs`.
    """
    with one_thread():
        return _measured(name, setting, photographs(root, seed, tuple(sizes)))  # type: ignore[arg-type]


def _measured(name: str, setting: str, world: World) -> dict[str, Any]:
    detector = detector_of(name, setting, world)
    clean = world.test[0]
    report = measure_detection(detector, clean, world.attacked)
    held = measure_detection(detector, world.validation[0], {"PGD": world.chosen_on})
    found: dict[str, Any] = {
        "validation": held.rows["PGD"].auroc.value,
        "auroc": {attack: row.auroc.value for attack, row in report.rows.items()},
        "alarmed": {attack: row.alarmed.value for attack, row in report.rows.items()},
        "false alarms": report.false_alarms.value,
        "as promised": float(report.as_promised),
        "score": world.score,
    }
    if name == OURS:
        found["frames until an alarm"] = _until_alarm(detector, world)
    return found


def _until_alarm(detector: InputDetector, world: World) -> dict[str, float]:
    """A film of clean frames, and one of attacked ones: share of frames before the alarm that evidence adds up to."""
    found = {}
    for name, frames in (("clean", world.test[0]), *world.attacked.items()):
        alarm = SequentialAlarm()
        values = detector.pvalues(frames).tolist()
        number = len(values)
        for i, p in enumerate(values):
            alarm.update(p)
            if alarm.alarm:
                number = i + 1
                break
        found[name] = float(number)
    return found


def knowing_trial(
    known: str, settings: dict[str, str], seed: int, sizes: tuple[int, int, int, int], epochs: int
) -> dict[str, Any]:
    """An attacker who knows one detector, seen by that one and by the others.

    Args:
        known: the detector that is evaded; empty for nobody's.
        settings: name -> setting of the detectors that look on.
        seed: of everything.
        sizes: see `roads`.
        epochs: of the network's training.
    """
    with one_thread():
        world = roads(seed, tuple(sizes), epochs)  # type: ignore[arg-type]
        watching = {name: detector_of(name, setting, world) for name, setting in settings.items()}
        x, y = world.test
        options: dict[str, Any] = {"steps": KNOWING, "task": world.task, "seed": seed}
        attack: Attack = (
            AdaptivePGD(EPS, watching[known], **options) if known else PGD(EPS, early_stop=False, **options)
        )
        moved = attack(world.network, x, y).x_adv
        reports = {name: measure_detection(d, x, {"it": moved}).rows["it"] for name, d in watching.items()}
        return {
            "score": _score(world.network, world.task, moved, y),
            "alarmed": {name: row.alarmed.value for name, row in reports.items()},
            "auroc": {name: row.auroc.value for name, row in reports.items()},
        }
