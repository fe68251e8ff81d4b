"""One way to publish at one setting, under every attacker."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from deepwright.adversarial import PGD
from deepwright.adversarial.sharpening import (
    BiLevel,
    BitDepth,
    Blur,
    ContrastStretch,
    FastPreemption,
    GaussianNoise,
    GuidedSharpen,
    Jpeg,
    LaplacianSharpen,
    LastIterate,
    Unsharp,
    texture_correlation,
)
from deepwright.adversarial.sharpening.arms import Arm
from deepwright.adversarial.sharpening.enhancement import Enhancement
from deepwright.studies._clock import one_thread
from deepwright.studies.sharpening.networks import World, photographs, right, waves

EPS, STEPS = 8 / 255, 10
NONE, OURS, BILEVEL, FAST = "none", "Laplacian", "bi-level", "fast preemption"
PLAIN: dict[str, Callable[[], Enhancement]] = {
    "contrast": ContrastStretch,
    "unsharp mask": Unsharp,
    "guided": GuidedSharpen,
    "noise": GaussianNoise,
    "blur": Blur,
}
"""Put at the squared error that Laplacian sharpening of the same strength has, picture by picture."""
STRENGTHS = (0.0625, 0.125, 0.25, 0.5)
CHANGES = (4 / 255, 8 / 255, 12 / 255, 16 / 255)
SETTINGS: dict[str, tuple[float, ...]] = {
    NONE: (0.0,),
    OURS: STRENGTHS,
    **dict.fromkeys(PLAIN, STRENGTHS),
    BILEVEL: CHANGES,
    FAST: CHANGES,
    "JPEG": (95, 90, 75, 50),
    "few levels": (7, 6, 5, 4),
}
"""Way -> what is tried: strength, largest change, quality, bits."""
WAVES_WAYS = tuple(SETTINGS)
PHOTO_WAYS = (NONE, OURS, "contrast", FAST)
RETRAINED = (NONE, OURS, "contrast")
"""What a target is trained anew on; on what is published plain, from another start."""


def way(name: str, setting: float, world: World, seed: int, iters: int) -> Arm:
    """How pictures are published.

    Args:
        name: of `SETTINGS`.
        setting: of it.
        world: whose surrogate a publisher may ask.
        seed: of what is drawn.
        iters: of the bi-level search.
    """
    asked = world.networks["surrogate"]
    if name == NONE:
        return Arm(name, None)
    if name in PLAIN:
        return Arm(name, PLAIN[name](), LaplacianSharpen(setting))
    made: dict[str, Callable[[], Any]] = {
        OURS: lambda: LaplacianSharpen(setting),
        BILEVEL: lambda: BiLevel(asked, setting, EPS, iters=iters, attack=PGD(EPS, steps=5), seed=seed),
        FAST: lambda: FastPreemption(asked, max_change=setting, seed=seed),
        "JPEG": lambda: Jpeg(int(setting)),
        "few levels": lambda: BitDepth(int(setting)),
    }
    return Arm(name, made[name]())


def waves_trial(name: str, setting: float, seed: int, pictures: int, epochs: int, iters: int) -> dict[str, Any]:
    """Pictures of waves.

    Args:
        name: the way to publish.
        setting: of it.
        seed: of networks, pictures and attacks.
        pictures: of validation, and of test.
        epochs: of each network's training.
        iters: of the bi-level search.
    """
    with one_thread():
        world = waves(seed, pictures, epochs)
        arm = way(name, setting, world, seed, iters)
        found = _published(arm, world, ("surrogate", "stranger"), seed)
        found["drawn"] = world.drawn
        if name in RETRAINED:
            found["retrained"] = _read_by(world.networks[f"target, retrained on {name}"], arm, world)
        if name == NONE:
            found["texture"] = _texture(world, seed)
            found["first success"] = _first_success(world, seed)
    return found


def photo_trial(
    name: str, setting: float, seed: int, root: Path, pictures: int, epochs: int, trained: int
) -> dict[str, Any]:
    """Photographs of CIFAR-10.

    Args:
        name: the way to publish.
        setting: of it.
        seed: of surrogate, pictures and attacks.
        root: of the data.
        pictures: of validation, and of test.
        epochs: of the surrogate's training.
        trained: photographs that it is trained on.
    """
    with one_thread():
        world = photographs(root, seed, pictures, epochs, trained)
        return _published(way(name, setting, world, seed, 1), world, ("surrogate",), seed, white=False)


def _published(arm: Arm, world: World, sources: tuple[str, ...], seed: int, white: bool = True) -> dict[str, Any]:
    """Shares that the target reads rightly: of validation pictures after the judging attack, of test ones after all."""
    target, (x, y), (held, labels) = world.networks["target"], world.test, world.validation
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pictures that can't be put at an error are counted below
        sent, chosen_on = arm.publish(x), arm.publish(held)
    judge = world.networks[sources[-1]]
    found: dict[str, Any] = {
        "validation": _carried(judge, target, chosen_on.pictures, labels, seed),
        "clean": _share(right(target, sent.pictures, y)),
        "error": float((sent.pictures - x).square().mean()),
        "met": float(sent.met.float().mean()),
        "seconds": sent.seconds,
    }
    for source in sources:
        found[source] = _carried(world.networks[source], target, sent.pictures, y, seed)
    if sent.restored is not None:
        found["reversion"] = _carried(judge, target, sent.pictures, y, seed, sent.restored)
    if white:
        attack = PGD(EPS, steps=STEPS, random_start=False, seed=seed)
        found["white box"] = _share(right(target, attack(target, sent.pictures, y).x_adv, y))
    return found


def _carried(
    source: nn.Module, target: nn.Module, x: Tensor, y: Tensor, seed: int, begin: Tensor | None = None
) -> float:
    """What the target still reads rightly after an attack on another network, of which the last step counts."""
    start = None if begin is None else (lambda _: begin)
    attack = LastIterate(EPS, steps=STEPS, begin=start, seed=seed)
    return _share(right(target, attack(source, x, y).x_adv, y))


def _share(rows: Tensor) -> float:
    return float(rows.float().mean())


def _read_by(target: nn.Module, arm: Arm, world: World) -> dict[str, float]:
    """What another target does with the same pictures, in its own hands and in those of who has it."""
    x, y = arm.publish(world.test[0]).pictures, world.test[1]
    attack = PGD(EPS, steps=STEPS, random_start=False)
    return {
        "clean": _share(right(target, x, y)),
        "white box": _share(right(target, attack(target, x, y).x_adv, y)),
        "stranger": _carried(world.networks["stranger"], target, x, y, 0),
    }


def _texture(world: World, seed: int) -> dict[str, float]:
    return texture_correlation(world.networks["target"], *world.test, PGD(EPS, steps=STEPS, seed=seed))


def _first_success(world: World, seed: int) -> float:
    """The trap: an attack that stops at its own network's first success carries less far."""
    x, y = world.test
    attack = PGD(EPS, steps=STEPS, alpha=EPS / 5, random_start=False, early_stop=True, seed=seed)
    return _share(right(world.networks["target"], attack(world.networks["stranger"], x, y).x_adv, y))
