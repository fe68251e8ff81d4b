"""The door of `shift`: HSFM, an epoch at a time."""

from __future__ import annotations

import warnings

import torch

from deepwright.core.randomness import generator
from deepwright.shift import HSFM, ShiftWarning, make_groups
from deepwright.shift.hsfm.hard import HardSet
from doors import Door


def rows(n, seed, flipped=False):
    x = torch.randn(n, 6, generator=generator(seed))
    y, a = (x[:, 0] > 0).long(), (x[:, 1] > 0).long()
    x[:, 2] += 2.0 * y
    return x, (1 - y if flipped else y), make_groups(y, a, 2)


def fitted(folder, *, seed=0, flipped=False, held=1, outer_lr=0.1, draw=0, head=0.0, stop=None):
    train, val = rows(300, seed, flipped), rows(200, held)
    method = HSFM(n_support=16, epochs=6, k_hard=16, outer_lr=outer_lr, seed=draw)
    start = (torch.randn(2, 6, generator=generator(5)) + head, torch.zeros(2))
    find, looks = HardSet.rows, []

    def counted(hard, losses):
        looks.append(0)
        if len(looks) == stop:
            raise KeyboardInterrupt
        return find(hard, losses)

    HardSet.rows = counted
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ShiftWarning)
            method.fit(*train[:2], *val, head=start, checkpoint=folder / "hsfm.pt")
    finally:
        HardSet.rows = find
    return method.head_.weight.detach(), method.support_, str(method.history_)


DOORS = [
    Door(
        "HSFM",
        fitted,
        file="hsfm.pt",
        changes={
            "training features": {"seed": 3},
            "training labels": {"flipped": True},
            "validation groups": {"held": 4},
            "options.outer_lr: 0.2, was 0.1": {"outer_lr": 0.2},
            "options.seed: 1, was 0": {"draw": 1},
            "head": {"head": 0.1},
        },
        interrupt={"stop": 4},
    )
]
