"""The door of `core.features`: an extraction, a shard of batches at a time."""

from __future__ import annotations

import torch
from torch import nn

from deepwright.core.features import extract
from deepwright.core.randomness import generator, local_rng
from deepwright.core.tasks import Binary, Classification
from doors import Door


class Scaled(nn.Module):
    """A network with a setting of its own."""

    def __init__(self, start, scale):
        super().__init__()
        self.scale = scale
        with local_rng(start):
            self.layers = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 2))

    def forward(self, x):
        return self.layers(self.scale * x)


def batches(seed, changed, flipped, count, stop):
    """Streamed, so that nobody can look ahead; one pixel in the fourth batch may be another."""
    for number in range(count):
        if number == stop:
            raise KeyboardInterrupt
        x = torch.randn(10, 6, generator=generator(seed, number))
        x[5, 2] += changed * (number == 3)
        yield x, torch.arange(10) % 2 if not flipped else 1 - torch.arange(10) % 2


def extracted(
    folder,
    *,
    seed=0,
    changed=0.0,
    flipped=False,
    count=7,
    start=0,
    scale=1.0,
    layers="auto",
    every=2,
    task=Classification(2),  # noqa: B008 - frozen
    stop=None,
):
    stream = batches(seed, changed, flipped, count, stop)
    return extract(Scaled(start, scale), stream, layers, store=folder, every=every, task=task)


DOORS = [
    Door(
        "extract",
        extracted,
        file="manifest.pt",
        changes={
            "another data, from batch 0 on": {"seed": 1},
            "another data, from batch 3 on": {"changed": 1e-3},
            "given: another data": {"flipped": True},
            "another number of batches: 6, was 7": {"count": 6},
            "another number of batches: 8, was 7": {"count": 8},
            "another model": {"start": 1},
            "given: another model": {"scale": 2.0},
            "another layers": {"layers": ["layers.0"]},
            "every: 3, was 2": {"every": 3},
            "another task": {"task": Binary()},
        },
        interrupt={"stop": 5},
    ),
]
