"""ImageNet's photographs: EfficientNet-Lite0 is attacked, EfficientNet-Lite1 reads what comes out; and what it says."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.sharpening import LastIterate
from deepwright.core.results import Claim, Table
from deepwright.core.statistics import mcnemar, wilson
from deepwright.data import load_imagenet_sample
from deepwright.nets import load
from deepwright.studies._clock import one_thread
from deepwright.studies._frame import Runs, columns, over_trials
from deepwright.studies.sharpening.networks import World, right
from deepwright.studies.sharpening.trials import FAST, NONE, OURS, way

EPS, STEPS = 4 / 255, 8
SIZE, BATCH = 224, 25
SHOWN = "ImageNet's photographs, after an attack on another network"
FILE = "imagenet-sample.zip"
STRENGTH = 0.5
WAYS = {NONE: 0.0, OURS: STRENGTH, "contrast": STRENGTH, FAST: 8 / 255}
"""Way -> its one setting: the strength that was fixed beforehand, and the largest change."""


def photographs_of(root: Path | None) -> list[Path]:
    """The file of the photographs; none where it isn't there.

    Args:
        root: of the real data sets.
    """
    return [] if root is None or not (root / FILE).exists() else [root / FILE]


@lru_cache(maxsize=1)
def _world(root: Path, pictures: int, seed: int) -> World:
    """Photographs that both networks read rightly, each of another scene."""
    data = load_imagenet_sample(root, limit=10**6, size=SIZE, seed=seed)
    networks = {"surrogate": load("efficientnet-lite0"), "target": load("efficientnet-lite1")}
    kept: list[tuple[Tensor, Tensor]] = []
    held = [(split, rows) for split in (data.test, data.validation) for rows in torch.arange(len(split)).split(BATCH)]
    for split, rows in held:
        x, y = split.inputs(rows), split.y[rows]
        both = right(networks["surrogate"], x, y) & right(networks["target"], x, y)
        kept.append((x[both], y[both]))
        if sum(len(labels) for _, labels in kept) >= pictures:
            break
    x, y = (torch.cat(part)[:pictures] for part in zip(*kept))
    return World(networks, (x[:0], y[:0]), (x, y))


def imagenet_trial(name: str, setting: float, seed: int, root: Path, pictures: int) -> dict[str, Any]:
    """One way to publish photographs: which of them the target reads rightly, before and after the attack.

    Args:
        name: of the way.
        setting: of it.
        seed: of the order of the photographs and of what is drawn.
        root: of the data.
        pictures: at most.
    """
    with one_thread():
        world = _world(root, pictures, seed)
        arm = way(name, setting, world, seed, 1)
        attack = LastIterate(EPS, steps=STEPS, alpha=EPS / 4, seed=seed)
        surrogate, target = world.networks["surrogate"], world.networks["target"]
        found: dict[str, list[Any]] = {"clean": [], "surrogate": [], "error": [], "own": []}
        for x, y in zip(*(part.split(BATCH) for part in world.test)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a picture that can't be put at an error shows in the mean of errors
                sent = arm.publish(x).pictures
            attacked = attack(surrogate, sent, y).x_adv
            found["clean"] += right(target, sent, y).tolist()
            found["surrogate"] += right(target, attacked, y).tolist()
            found["own"] += right(surrogate, attacked, y).tolist()
            found["error"] += (sent - x).square().flatten(1).mean(1).tolist()
    return found


def claims_of(runs: dict[str, Runs]) -> list[Claim]:
    """What is claimed, over photographs.

    Args:
        runs: way -> its one trial.
    """
    none, ours = runs[NONE][0], runs[OURS][0]
    basis = "photographs of different scenes"
    spread = "Too few photographs change sides to tell it from nothing, or they change to the other one."
    return [
        Claim.at_least(
            "ImageNet: share of sharpened photographs that the target reads rightly without an attack",
            _numbers(ours["clean"]),
            0.95,
            basis=basis,
        ).because("A strength of 0.5 costs the target some of the photographs that it read.", SHOWN),
        Claim.at_least(
            "ImageNet: sharpened less not, after an attack on the surrogate", _paired(ours, none), 0.0, basis=basis
        ).because(spread, SHOWN),
        Claim.at_least(
            "ImageNet: sharpened less contrast at the same error, after an attack on the surrogate",
            _paired(ours, runs["contrast"][0]),
            0.0,
            basis=basis,
        ).because(spread, SHOWN),
        Claim.at_least(
            "ImageNet: fast preemption less sharpened, after an attack on the network that it asked",
            _paired(runs[FAST][0], ours),
            0.05,
            basis=basis,
        ).because("The surrogate's gradients say little about the target.", SHOWN),
    ]


def table(runs: dict[str, Runs]) -> Table:
    """Each way: error, shares with Wilson's intervals, and McNemar's p against leaving photographs alone.

    Args:
        runs: way -> its one trial.
    """
    rows: list[list[Any]] = []
    n = len(runs[NONE][0]["clean"])
    base = torch.tensor(runs[NONE][0]["surrogate"])
    for name, trial in ((name, found[0]) for name, found in runs.items()):
        error = sum(trial["error"]) / n
        row: list[Any] = [name, -10 * math.log10(error) if error > 0 else None]
        for what in ("clean", "surrogate", "own"):
            interval = wilson(sum(trial[what]), n)
            row += [interval.value, interval.low, interval.high]
        rows.append([*row, None if name == NONE else mcnemar(torch.tensor(trial["surrogate"]), base)])
    heads = columns("no attack", "attack on the surrogate", "the surrogate itself")
    caption = f"{SHOWN}: share of {n} photographs of as many scenes that are read rightly (Wilson's 95 % intervals)"
    return Table(["published", "PSNR (dB)", *heads, "McNemar's p against none"], rows, caption, units=n)


def sentence(runs: dict[str, Runs]) -> str:
    """What photographs say, for the summary.

    Args:
        runs: way -> its one trial.
    """
    none = runs[NONE][0]
    left = {name: sum(found[0]["surrogate"]) / len(found[0]["surrogate"]) for name, found in runs.items()}
    gain = over_trials(_paired(runs[OURS][0], none))
    return (
        f" Of {len(none['clean'])} photographs of ImageNet's that EfficientNet-Lite0 and -Lite1 read rightly, "
        f"{left[NONE]:.3f} are still read rightly by Lite1 after an attack on Lite0 (budget 4/255); sharpened with 0.5 "
        f"{left[OURS]:.3f} ({gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]), with contrast of the same error "
        f"{left['contrast']:.3f}, after fast preemption, which asked Lite0, {left[FAST]:.3f}."
    )


def _paired(a: dict[str, Any], b: dict[str, Any]) -> list[float]:
    return [float(x) - float(y) for x, y in zip(a["surrogate"], b["surrogate"], strict=True)]


def _numbers(rows: list[bool]) -> list[float]:
    return [float(row) for row in rows]
