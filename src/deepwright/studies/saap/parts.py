"""Which change undoes a pattern: turned, lit and shifted are taken apart."""

from __future__ import annotations

from typing import Any

import torch

from deepwright.adversarial.patches import EOT, attenuated
from deepwright.core.boxes import Detections
from deepwright.core.tasks import DetectionBatch
from deepwright.studies.saap.attacks import CONTROLS, OUT, WITHOUT, attack
from deepwright.studies.saap.detectors import CENTRE, TASK, claims, detector, scenes, size_of

STILL: dict[str, Any] = {"turns": (1.0, 0.0, 0.0, 0.0), "gain": (1.0, 1.0), "shift": 0.0}
PARTS = {
    "nothing": EOT(**STILL),
    "turns alone": EOT(**STILL | {"turns": EOT().turns}),
    "gains of 0.7 to 1.4 alone": EOT(**STILL | {"gain": EOT().gain}),
    "a gain of 0.7": EOT(**STILL | {"gain": (0.7, 0.7)}),
    "a gain of 1.4": EOT(**STILL | {"gain": (1.4, 1.4)}),
    "shifts of up to a pixel alone": EOT(**STILL | {"shift": 1.0}),
}


def parts_trial(seed: int, tau: float, quick: bool) -> dict[str, Any]:
    """Ships missed under each change alone, of our pattern and of the fill from the centre out.

    Args:
        seed: of the detector and its scenes.
        tau: the share.
        quick: smaller.
    """
    network, test = detector(CENTRE, seed, quick), scenes(seed, "test", quick)
    made = {
        WITHOUT: attack(tau, size_of(quick).steps, seed)(network, test.images, test.truth).images,
        OUT: attenuated(CONTROLS[OUT], test.images, test.truth, tau)[0],
        "untouched": test.images,
    }
    ids = torch.arange(len(test))
    size = (test.images.shape[2], test.images.shape[3])
    counts = [len(t) for t in test.truth]
    image, boxes = ids.repeat_interleave(torch.tensor(counts)), torch.cat([t.boxes for t in test.truth])
    found: dict[str, dict[str, float]] = {name: {} for name in made}
    for part, how in PARTS.items():
        drawn = how.draw(20_000 + seed, ids, 0, size, test.images.device)
        moved = how.boxes(boxes, image, drawn, size).split(counts)
        truth = DetectionBatch(Detections(own, t.labels) for own, t in zip(moved, test.truth))
        for name, shown in made.items():
            out = claims(network, how.images(shown, drawn, (0.0, 1.0)))
            found[name][part] = TASK.error_rates(out, truth)["false_negative_rate"]
    return found
