"""One network, its detectors, and its attackers: those who know nothing of them, and those who do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from deepwright.adversarial import PGD, DensePGD, Noise, SegPGD
from deepwright.adversarial.semantic import AdaptivePGD, DenseFeatureDetector, InputDetector
from deepwright.core.tasks import Task
from deepwright.studies.semantic.detectors import (
    JOINT,
    MADE,
    OURS,
    RATE,
    SQUEEZING,
    fitted,
    measured,
    outputs,
    part_scores,
    supervised,
)
from deepwright.studies.semantic.scenes import TASK, road_scenes, scene_network

EPS = 4 / 255
EPS_PHOTOGRAPHS = 8 / 255
STEPS, KNOWING = 10, 40
WEIGHTS = (0.1, 1.0, 10.0)
FITTED, CALIBRATED, CLEAN, ATTACKED, WATCHED = 320, 400, 200, 60, 20


def _joint() -> InputDetector:
    return DenseFeatureDetector(("image", "squeezing"))


def scenes_trial(seed: int, small: bool = False) -> dict[str, Any]:
    """A network of road scenes is trained, attacked and watched.

    Args:
        seed: of scenes and weights.
        small: a quick look: few scenes, one epoch, few detectors.
    """
    part = 8 if small else 1
    train = road_scenes(FITTED // part, 10 * seed)
    held_out, _ = road_scenes(CALIBRATED // part, 10 * seed + 1)
    clean, truth = road_scenes(CLEAN // part, 10 * seed + 2)
    model = scene_network(seed, *train, epochs=1 if small else 12)
    x, y = clean[: ATTACKED // part], truth[: ATTACKED // part]
    steps = 3 if small else STEPS
    attacked = {
        "sign noise": Noise(EPS, task=TASK, seed=seed)(model, x, y).x_adv,
        "PGD": DensePGD(EPS, steps=steps, task=TASK, seed=seed)(model, x, y).x_adv,
        "SegPGD": SegPGD(EPS, steps=steps, task=TASK, seed=seed)(model, x, y).x_adv,
    }

    def quality(images: Tensor) -> float:
        return TASK.headline_value(outputs(model, images), truth[: len(images)])

    few = x[: WATCHED // part], y[: WATCHED // part]
    return {
        "miou": {"clean": quality(clean), **{name: quality(images) for name, images in attacked.items()}},
        **_watched(model, TASK, train[0], held_out, clean, attacked, few, EPS, quality, small, seed),
    }


def photographs_trial(seed: int, root: str, small: bool = False) -> dict[str, Any]:
    """The zoo's ResNet-20 on CIFAR-10 is attacked and watched.

    Args:
        seed: of the images that are drawn.
        root: of the real data sets.
        small: a quick look.
    """
    from deepwright.data import load_cifar10
    from deepwright.nets import load

    part = 8 if small else 1
    data = load_cifar10(Path(root), limit=CALIBRATED // part, train_limit=FITTED // part, seed=seed)
    model = load("resnet20-cifar10").eval()
    held_out = data.validation.inputs(slice(0, CALIBRATED // part))
    clean, truth = data.test.inputs(slice(0, CLEAN // part)), data.test.y[: CLEAN // part]
    x, y = clean[: ATTACKED // part], truth[: ATTACKED // part]
    steps = 3 if small else STEPS
    attacked = {
        "sign noise": Noise(EPS_PHOTOGRAPHS, seed=seed)(model, x, y).x_adv,
        "PGD": PGD(EPS_PHOTOGRAPHS, steps=steps, early_stop=False, seed=seed)(model, x, y).x_adv,
        "PGD, margin": PGD(EPS_PHOTOGRAPHS, steps=steps, early_stop=False, loss="margin", seed=seed)(model, x, y).x_adv,
    }

    def quality(images: Tensor) -> float:
        return float((outputs(model, images).argmax(1) == truth[: len(images)]).double().mean())

    few = x[: WATCHED // part], y[: WATCHED // part]
    return {
        "accuracy": {"clean": quality(clean), **{name: quality(images) for name, images in attacked.items()}},
        **_watched(
            model, None, data.train.inputs(), held_out, clean, attacked, few, EPS_PHOTOGRAPHS, quality, small, seed
        ),
    }


def _watched(
    model: nn.Module,
    task: Task | None,
    train: Tensor,
    held_out: Tensor,
    clean: Tensor,
    attacked: dict[str, Tensor],
    few: tuple[Tensor, Tensor],
    eps: float,
    quality: Callable[[Tensor], float],
    small: bool,
    seed: int,
) -> dict[str, Any]:
    """What detectors say of attacks that don't know them, and of those that do."""
    made = {name: fitted(make, model, task, train) for name, make in {**MADE, JOINT: _joint}.items()}
    for name, parts in part_scores(made, held_out).items():
        made[name].calibrate_on(parts, 1 - RATE)
    known = {name: made[name] for name in (OURS, SQUEEZING, JOINT)}
    found = measured({name: made[name] for name in MADE}, clean, attacked)
    x, y = few
    options: dict[str, Any] = {"steps": 3 if small else KNOWING, "task": task, "seed": seed}
    images = {"nobody": PGD(eps, early_stop=False, **options)(model, x, y).x_adv}
    for name, detector in known.items():
        way = {"way": "orthogonal"} if name == OURS else {"way": "weighted", "weight": 1.0}
        images[name] = AdaptivePGD(eps, detector, **way, **options)(model, x, y).x_adv
    for weight in WEIGHTS:
        attack = AdaptivePGD(eps, made[OURS], way="weighted", weight=weight, **options)
        images[f"{OURS}, weight {weight:g}"] = attack(model, x, y).x_adv
    watched = measured(known, clean, images)
    adaptive = {
        name: {"quality": quality(pictures), **{f"by {d}": watched[d][name] for d in known}}
        for name, pictures in images.items()
    }
    attacks = {name: pictures for name, pictures in attacked.items() if name != "sign noise"}
    return {
        "detectors": found,
        "adaptive": adaptive,
        "supervised": supervised(model, task, train, clean, attacks),
        "sizes": {"clean": len(clean), "calibrated": len(held_out), "watched": len(x)},
    }
