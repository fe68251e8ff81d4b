"""What the same share looks like, spent in three ways."""

from __future__ import annotations

from typing import Any

import torch

from deepwright.adversarial.patches import attenuated
from deepwright.core.pictures import Strip, strips
from deepwright.core.results import Figure
from deepwright.studies._frame import Runs
from deepwright.studies.saap.attacks import CONTROLS, OURS, TAU, attack
from deepwright.studies.saap.detectors import CENTRE, TASK, claims, detector, scenes, size_of

_SHOWN = 4
_CENTRE_OUT = "from the centre out"


def pictures_trial(seed: int, quick: bool) -> dict[str, Any]:
    """The first test scenes in levels of 255, and how many ships are claimed in each.

    Args:
        seed: of the detector and its scenes.
        quick: smaller.
    """
    network, test = detector(CENTRE, seed, quick), scenes(seed, "test", quick).take(slice(0, _SHOWN))
    ours = attack(TAU, size_of(quick).steps, seed)(network, test.images, test.truth).images
    shown = {
        "untouched": test.images,
        OURS: ours,
        _CENTRE_OUT: attenuated(CONTROLS[_CENTRE_OUT], test.images, test.truth, TAU)[0],
        f"taken by {OURS}": 1 - (test.images - ours),
    }
    found: dict[str, Any] = {"ships": [len(t) for t in test.truth]}
    for name, images in shown.items():
        levels = (images[:, 0] * 255).round().to(torch.uint8).tolist()
        found[name] = {"levels": levels, "claimed": [len(d) for d in TASK.prediction(claims(network, images))]}
    return found


def pictures(drawn: Runs) -> Figure:
    """The scenes of the first seed.

    Args:
        drawn: the trial.
    """
    row = drawn[0]
    rows = []
    for name, found in row.items():
        if name == "ships":
            continue
        images = torch.tensor(found["levels"])[:, None] / 255
        words = [f"{ships} there, {seen} claimed" for seen, ships in zip(found["claimed"], row["ships"])]
        captions = [""] * len(images) if name.startswith("taken") else words
        rows.append(Strip(name, images, captions))
    return strips(
        f"A tenth of each ship's amplitude, seed {drawn.seeds[0]}, its first {_SHOWN} test scenes",
        rows,
        note="claimed: detections above the threshold, right or wrong; in the last row what is darker was taken",
    )
