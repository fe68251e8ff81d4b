"""Detectors at their chosen settings: attackers who know them, other attacks, and weather that isn't one."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial import FGSM, PGD, Attack, CosPGD
from deepwright.adversarial.semantic import (
    AdaptivePGD,
    DenseFeatureDetector,
    InputDetector,
    SequentialAlarm,
    measure_detection,
)
from deepwright.adversarial.semantic.squeezing import median
from deepwright.corruptions import apply
from deepwright.studies._clock import one_thread
from deepwright.studies.semantic.scenes import road_scenes
from deepwright.studies.semantic.trials import BOTH, EPS, OURS, RATE, STEPS, World, detector_of, roads, score_of

WEATHER = ("fog_mapping", "static_rain", "increase_brightness", "contrast", "motion_blur", "gaussian_noise", "jpeg")
"""What isn't an attack, at the lightest of five severities."""
FRAMES = 60
"""Scenes of the test that those who know a detector attack."""
KNOWING = 40
"""Steps of one who knows a detector."""
PATCH = 12
"""Pixels of a patch's side."""


def knowing_trial(
    known: str, settings: dict[str, str], seed: int, sizes: tuple[int, int, int, int], epochs: int, steps: int
) -> dict[str, Any]:
    """An attacker who knows one detector, or two, seen by those and by the others.

    Args:
        known: the detector that is evaded; empty for nobody's; `BOTH` for image features and feature squeezing.
        settings: name -> setting of the detectors that look on.
        seed: of everything.
        sizes: see `roads`.
        epochs: of the network's training.
        steps: of the attack.
    """
    with one_thread():
        world = roads(seed, tuple(sizes), epochs)  # type: ignore[arg-type]
        watching = {name: detector_of(name, setting, world) for name, setting in settings.items()}
        x, y = (part[:FRAMES] for part in world.test)
        options: dict[str, Any] = {"steps": steps, "task": world.task, "seed": seed}
        attack: Attack = PGD(EPS, early_stop=False, **options)
        if known:
            attack = AdaptivePGD(EPS, _both(world) if known == BOTH else watching[known], **options)
        moved = attack(world.network, x, y).x_adv
        rows = {name: measure_detection(d, x, {"it": moved}).rows["it"] for name, d in watching.items()}
        some = torch.stack([d.predict(moved) for d in watching.values()]).any(0)
        return {
            "score": score_of(world.network, world.task, moved, y),
            "alarmed": {name: row.alarmed.value for name, row in rows.items()},
            "auroc": {name: row.auroc.value for name, row in rows.items()},
            "some": float(some.double().mean()),
        }


def _both(world: World) -> InputDetector:
    """Two scores, each at the threshold that it has alone."""
    detector = DenseFeatureDetector(("image", "squeezing")).bind(world.network, task=world.task)
    return detector.fit(world.fitted).calibrate(world.calibrated, 1 - 2 * RATE)


def beside_trial(
    settings: dict[str, str], seed: int, sizes: tuple[int, int, int, int], epochs: int, frames: int
) -> dict[str, Any]:
    """Attacks of other kinds and norms, and weather, before all detectors; and detectors that were shown weather.

    Args:
        settings: name -> setting of all detectors.
        seed: of everything.
        sizes: see `roads`.
        epochs: of the network's training.
        frames: of a clean film.
    """
    with one_thread():
        world = roads(seed, tuple(sizes), epochs)  # type: ignore[arg-type]
        x, y = world.test
        moved = _others(world, seed)
        sky = {name: torch.as_tensor(apply(x, name, 1, seed=seed)) for name in WEATHER}
        found: dict[str, Any] = {
            "auroc": {},
            "alarmed": {},
            "shown weather": {},
            "passes": {},
            "frames": frames,
            "between": _between(detector_of(OURS, settings[OURS], world), frames, seed),
            "score": {name: score_of(world.network, world.task, z, y) for name, z in (moved | sky).items()},
            "filtered": {
                name: score_of(world.network, world.task, median(z), y)
                for name, z in (("clean", x), (f"PGD, {round(255 * EPS)}/255", _plain(world)))
            },
        }
        weathered = [_weathered(part, seed + i) for i, part in enumerate((world.fitted, world.calibrated, x))]
        for name, setting in settings.items():
            detector = detector_of(name, setting, world)
            rows = measure_detection(detector, x, moved | sky).rows
            found["auroc"][name] = {attack: rows[attack].auroc.value for attack in moved}
            found["alarmed"][name] = {attack: row.alarmed.value for attack, row in rows.items()}
            found["passes"][name] = _passes(detector, world.network, x[:2])
            again = detector_of(name, setting, world, weathered[0], weathered[1])
            report = measure_detection(again, weathered[2], {"PGD": _plain(world)})
            row = report.rows["PGD"]
            found["shown weather"][name] = {
                "weather": report.false_alarms.value,
                "PGD": row.alarmed.value,
                "auroc": row.auroc.value,
            }
        return found


def _plain(world: World) -> Tensor:
    return world.attacked[f"PGD, {round(255 * EPS)}/255"]


def _others(world: World, seed: int) -> dict[str, Tensor]:
    """Attacked copies of the test scenes by name."""
    x, y = world.test
    far = EPS * math.sqrt(x[0].numel())  # an L2 ball as long as the corners of the other
    options: dict[str, Any] = {"task": world.task, "seed": seed}
    at = f"{round(255 * EPS)}/255"
    attacks: dict[str, Attack] = {
        f"FGSM, {at}": FGSM(EPS, task=world.task),
        f"CosPGD, {at}": CosPGD(EPS, steps=STEPS, **options),
        "PGD in L2": PGD(far, "l2", STEPS, early_stop=False, **options),
    }
    found = {name: attack(world.network, x, y).x_adv for name, attack in attacks.items()}
    mask = torch.zeros(len(x), 1, *x.shape[2:])
    top, left = x.shape[2] - 2 * PATCH, (x.shape[3] - PATCH) // 2
    mask[:, :, top : top + PATCH, left : left + PATCH] = 1
    patch = PGD(0.5, steps=STEPS, early_stop=False, **options)
    return found | {"patch": patch(world.network, x, y, mask=mask).x_adv}


def _weathered(x: Tensor, seed: int) -> Tensor:
    """A share of clean ones and of each weather, in turns."""
    kinds = ("clean", *WEATHER)
    out = x.clone()
    for i, name in enumerate(kinds[1 : len(x)], 1):
        out[i :: len(kinds)] = torch.as_tensor(apply(x[i :: len(kinds)], name, 1, seed=seed))
    return out


def _between(detector: InputDetector, frames: int, seed: int) -> dict[str, float]:
    """Clean frames between false alarms of summed evidence, as it is and with a threshold from another clean film."""
    films = [detector.pvalues(road_scenes(frames, seed + 10_000 * (i + 1))[0]) for i in range(2)]
    usual = SequentialAlarm()
    fitted = SequentialAlarm().fit_threshold(films[:1], frames / 2)
    ways = {"b = 6": usual, "b from another clean film": fitted}
    return {name: frames / max(1, alarm.false_alarms(films[1])) for name, alarm in ways.items()}


def _passes(detector: InputDetector, network: nn.Module, x: Tensor) -> int:
    """How often the network runs for a score."""
    count: list[int] = []
    handle = network.register_forward_hook(lambda *_: count.append(1))
    try:
        detector.score(x)
    finally:
        handle.remove()
    return len(count)
