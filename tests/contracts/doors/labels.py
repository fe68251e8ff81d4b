"""The door of `labels`: the loop, a question and a label at a time."""

from __future__ import annotations

import torch
from torch import nn

from deepwright.core.randomness import generator, local_rng
from deepwright.labels import LabelingLoop, PrunedSelector, default_trainer, named, subsampled
from doors import Door


def samples(seed=0, flipped=False):
    x = torch.randn(80, 5, generator=generator(seed))
    y = x[:, :3].argmax(1)
    return x, (y + 1) % 3 if flipped else y


class Rows(torch.utils.data.Dataset):
    """A pool as a data set; one sample in its middle may be another."""

    def __init__(self, x, changed):
        self.x, self.changed = x, changed

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i] + self.changed * float(i == 37)


def network(start=0, width=12):
    with local_rng(start):
        return nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 3))


def halved(scale):
    train = default_trainer(10, 0.3)

    def trainer(model, x, y, number, seed):
        return train(model, scale * x, y, number, seed)

    return trainer


def answering(y, stop):
    """An oracle; what stops it is no part of what it is."""

    class Oracle:
        def __init__(self):
            self.count = 0

        def __call__(self, rows):
            self.count += 1
            if self.count == stop:
                raise KeyboardInterrupt
            return y[rows]

        def __resume_identity__(self):
            return y

    return Oracle()


def labelled(
    folder,
    *,
    seed=0,
    flipped=False,
    changed=0.0,
    start=0,
    width=12,
    removed=0.5,
    strategy="margin",
    most=None,
    held=1,
    scale=1.0,
    draw=0,
    stop=None,
    **other,
):
    x, y = samples(seed, flipped)
    options = {"round_size": 6, "seed_size": 10, "t_sync": 2, "classes": 3, "trainer": halved(scale), **other}
    loop = LabelingLoop(
        Rows(x, changed),
        PrunedSelector(network(start, width), x[:2], removed=removed),
        named(strategy) if most is None else subsampled(strategy, most),
        budget=28,
        oracle=answering(y, stop),
        validation=samples(held),
        checkpoint=folder / "labels.jsonl",
        seed=draw,
        **options,
    )
    found = loop.run()
    rounds = [(r.asked, r.strategy, r.macs, r.labelled, r.accuracy) for r in found.rounds]
    assert found.selector is not None
    return found.indices, found.labels, rounds, dict(found.selector.state_dict())


DOORS = [
    Door(
        "LabelingLoop",
        labelled,
        file="labels.jsonl",
        changes={
            "another pool": {"changed": 1.0},
            "another oracle": {"flipped": True},
            "selector.whole_network": {"start": 1},
            "selector.network": {"width": 14},
            "selector.removed: 0.25, was 0.5": {"removed": 0.25},
            "strategy.name: 'entropy', was 'margin'": {"strategy": "entropy"},
            "strategy.select": {"most": 30},
            "another trainer": {"scale": 0.5},
            "another validation": {"held": 2},
            "classes: 4, was 3": {"classes": 4},
            "t sync: 1, was 2": {"t_sync": 1},
            "round size: 7, was 6": {"round_size": 7},
            "seed size: 11, was 10": {"seed_size": 11},
            "another seed: 1, was 0": {"draw": 1},
            "batch size: 16, was 256": {"batch_size": 16},
            "another known labels": {"known": {3: 0}},
        },
        interrupt={"stop": 3},
    ),
]
