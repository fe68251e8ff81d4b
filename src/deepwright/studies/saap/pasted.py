"""What is pasted over: the classical patches beside noise and grey at the same places. They hold no budget."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.patches import AdversarialPatch, AdvPatch, DPatch, RobustDPatch
from deepwright.adversarial.patches.pasting import pasted
from deepwright.core.boxes import box_iou
from deepwright.core.randomness import Streams
from deepwright.core.tasks import DetectionBatch
from deepwright.data import ShipScenes
from deepwright.studies.saap.detectors import TASK, claims, detector, measured, scenes, size_of

PATCHES: dict[str, type[AdversarialPatch]] = {"AdvPatch": AdvPatch, "DPatch": DPatch, "RobustDPatch": RobustDPatch}
RATES = (0.02, 0.05, 0.1)
BATCH, MADE_ON, PIXELS = 16, 64, 16
NOISE, GREY = "noise", "grey"


def pasted_trial(seed: int, kind: str, quick: bool) -> dict[str, Any]:
    """Every patch at every step length, then noise and grey at the same places.

    Args:
        seed: of the detector and its scenes.
        kind: of the detector.
        quick: smaller.
    """
    network = detector(kind, seed, quick)
    own, validation, test = (scenes(seed, part, quick) for part in ("training", "validation", "test"))
    batches = [(own.images[i : i + BATCH], DetectionBatch(own.truth[i : i + BATCH])) for i in range(0, MADE_ON, BATCH)]
    steps = 4 if quick else 50
    found: dict[str, Any] = {}
    for name, made in PATCHES.items():
        rows = []
        for lr in RATES:
            how = made(TASK, pixels=PIXELS, steps=steps, lr=lr, seed=seed)  # type: ignore[arg-type]
            patch = how.fit(network, batches).patch
            assert patch is not None
            chosen = _seen(network, how, patch, validation, seed + 1)
            rows.append({"lr": lr, "validation": chosen["ap50"], **_seen(network, how, patch, test, seed)})
        noise = Streams(seed, 1, "noise in its place").uniform(1, PIXELS, PIXELS)
        found[name] = {
            "rows": rows,
            NOISE: _seen(network, how, noise, test, seed),
            GREY: _seen(network, how, torch.full_like(noise, 0.5), test, seed),
        }
    return {"found": found, "clean": measured(network, test.images, test.truth), "steps": size_of(quick).steps}


def _seen(network: Any, how: AdversarialPatch, patch: Tensor, test: ShipScenes, seed: int) -> dict[str, float]:
    """Rates with a patch at drawn places, and the share of ships it doesn't touch that are missed."""
    objects = test.truth if how.placement.where == "objects" else None
    size = (test.images.shape[2], test.images.shape[3])
    places = how.placement.draw(seed, torch.arange(len(test)), 0, size, objects, test.images.device)
    shown, covered = pasted(test.images, patch, places, how.bounds)
    rates, away, lost = measured(network, shown, test.truth), 0, 0
    for truth, found, mask in zip(test.truth, TASK.prediction(claims(network, shown)), covered):
        hit = (box_iou(truth.boxes, found.boxes) >= TASK.iou).any(1)
        for box, seen in zip(truth.boxes, hit.tolist()):
            x1, y1, x2, y2 = (int(v) for v in (*box[:2].floor(), *box[2:].ceil()))
            if not bool(mask[y1:y2, x1:x2].any()):
                away, lost = away + 1, lost + (not seen)
    return rates | {"untouched": lost / max(1, away)}
