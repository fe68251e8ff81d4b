"""The door of patches: attenuation, an image at a time."""

from __future__ import annotations

import torch

from deepwright.adversarial.patches import SAAP
from deepwright.core.randomness import generator, local_rng
from deepwright.core.tasks import CandidateDetection
from deepwright.nets import CentreDetector
from doors import Door


def hidden(folder, *, start=0, tau=0.2, steps=3):
    with local_rng(start):
        detector = CentreDetector(width=4).eval()
    x = torch.rand(6, 1, 24, 24, generator=generator(0))
    boxes = [torch.tensor([[4.0, 4.0, 14.0, 12.0]])] * 6
    attack = SAAP(CandidateDetection(1), tau, steps=steps, batch_size=2)
    found = attack(detector, x, boxes, checkpoint=folder / "patches.jsonl")
    return found.images, found.loss_trace, torch.cat(found.energy_share)


DOORS = [
    Door(
        "attenuation patches",
        hidden,
        file="patches.jsonl",
        changes={
            "detector": {"start": 1},
            "attack": {"tau": 0.3},
            "another attack": {"steps": 4},
        },
    ),
]
