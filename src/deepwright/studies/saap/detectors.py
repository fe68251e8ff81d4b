"""The detectors, the scenes that they learn and are attacked on, and what is measured of an attack."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.patches import energy_shares
from deepwright.adversarial.patches.objectives import REACH
from deepwright.core.boxes import box_iou, mean_average_precision
from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.randomness import local_rng
from deepwright.core.tasks import CandidateDetection, DetectionBatch
from deepwright.data import ShipScenes, sar_ships
from deepwright.nets import CandidateBoxes, CentreDetector, centre_loss, centre_targets, fine_ssd, ssd_loss
from deepwright.nets.ssd import SSDTargets

CENTRE, ANCHORS = "centre cells", "anchors"
KINDS = (CENTRE, ANCHORS)
TASK = CandidateDetection(1, score_threshold=0.25)
RATE = 3e-3


@dataclass(frozen=True)
class Size:
    """How large a run is.

    Attributes:
        training: scenes to train on.
        epochs: of the training.
        validation: scenes on which step lengths are chosen and pasted patches are made.
        test: scenes that are attacked.
        steps: of an attack.
    """

    training: int
    epochs: int
    validation: int
    test: int
    steps: int


FULL, QUICK = Size(600, 20, 24, 48, 60), Size(64, 10, 4, 6, 4)


def size_of(quick: bool) -> Size:
    """Of a run.

    Args:
        quick: to see that it runs.
    """
    return QUICK if quick else FULL


@functools.lru_cache(maxsize=4)
def scenes(seed: int, part: str, quick: bool, coherent: bool = False) -> ShipScenes:
    """The scenes of a seed; no two parts and no two seeds share one.

    Args:
        seed: of the trial.
        part: "training", "validation" or "test".
        quick: fewer.
        coherent: with the complex field before the receiver.
    """
    offset = ("training", "validation", "test").index(part)
    return sar_ships(getattr(size_of(quick), part), seed=10 * seed + offset, coherent=coherent)


@functools.lru_cache(maxsize=12)
def detector(kind: str, seed: int, quick: bool) -> nn.Module:
    """A trained detector, in eval mode, whose outputs are candidates.

    Args:
        kind: one of `KINDS`.
        seed: of its weights, batches and scenes.
        quick: on fewer scenes for shorter.
    """
    with local_rng(seed):
        network: nn.Module = CentreDetector() if kind == CENTRE else fine_ssd()
    train(network, scenes(seed, "training", quick), size_of(quick).epochs, RATE, seed)
    return read_as_candidates(network)


def train(network: nn.Module, data: ShipScenes, epochs: int, lr: float, seed: int, hook: Any = None) -> None:
    """Train a detector in place: AdamW, one cycle, batches of 32.

    Args:
        network: one of either kind, not yet read as candidates.
        data: to train on.
        epochs: over it.
        lr: peak of the cycle.
        seed: of the batches.
        hook: what is done to a batch first: (images, rows, number of the step) -> images.
    """
    height, width = data.images.shape[2:]
    if isinstance(network, CentreDetector):
        positive, wanted = centre_targets(data.truth, height, width)
    else:
        targets = SSDTargets.of(network.anchors, data.truth, network.image_size, network.num_classes)  # type: ignore[arg-type]
    done = 0

    def step(_: Any, x: Tensor, rows: Tensor) -> Tensor:
        nonlocal done
        x, done = x if hook is None else hook(network, x, rows, done), done + 1
        if isinstance(network, CentreDetector):
            return centre_loss(network.codes(x), positive[rows], wanted[rows])
        return ssd_loss(network(x), network.anchors, targets.take(rows), (height, width))  # type: ignore[arg-type]

    fit(
        network,
        (data.images, torch.arange(len(data))),
        epochs=epochs,
        batch_size=32,
        step=step,
        optimizer=adamw(lr, 1e-4),
        scheduler=one_cycle(lr),
        seed=seed,
        description="train a detector",
    )


def read_as_candidates(network: nn.Module) -> nn.Module:
    """The detector in eval mode, whose outputs are all its candidates.

    Args:
        network: one of either kind.
    """
    return (network if isinstance(network, CentreDetector) else CandidateBoxes(network)).eval()  # type: ignore[arg-type]


def measured(network: nn.Module, shown: Tensor, truth: Sequence[Any], clean: Tensor | None = None) -> dict[str, float]:
    """What a detector makes of images.

    Missed: share of ships that no claimed detection overlaps by half. Lost: of those found on the clean images, the
    share that none overlaps by a tenth any more. Amplitude and power: the largest error and the mean of what was taken
    away of each ship.

    Args:
        network: gives candidates.
        shown: images.
        truth: ships of each.
        clean: the images as they were, where they were changed.
    """
    out = claims(network, shown)
    rates = TASK.error_rates(out, DetectionBatch(truth))
    found = {
        "missed": rates["false_negative_rate"],
        "alarms": rates["false_positives_per_image"],
        "ap50": mean_average_precision(out, truth),
    }
    if clean is None:
        return found
    before, after = (TASK.prediction(o) for o in (claims(network, clean), out))
    seen = torch.cat([_overlapped(t.boxes, d.boxes, TASK.iou) for t, d in zip(truth, before)])
    left = torch.cat([_overlapped(t.boxes, d.boxes, REACH) for t, d in zip(truth, after)])
    amplitude, power = energy_shares(clean, shown, truth)
    return found | {
        "lost": float((~left[seen]).double().mean()) if bool(seen.any()) else 0.0,
        "least": float(torch.cat(amplitude).min()),
        "amplitude": float(torch.cat(amplitude).mean()),
        "most": float(torch.cat(amplitude).max()),
        "power": float(torch.cat(power).mean()),
    }


def claims(network: nn.Module, images: Tensor) -> DetectionBatch:
    """Final detections, low scores among them.

    Args:
        network: gives candidates.
        images: shown to it.
    """
    with torch.no_grad():
        return TASK.final(TASK.read(network(images), len(images)))


def _overlapped(own: Tensor, found: Tensor, least: float) -> Tensor:
    return (box_iou(own.to(found), found) >= least).any(1)
