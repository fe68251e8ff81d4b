"""The doors of `risk`: the search for a target."""

from __future__ import annotations

import functools

import torch
from torch import nn
from torch.nn import functional as F

from deepwright.core.randomness import generator, local_rng
from deepwright.risk import FragilityLoss, FragilityTargetSearch
from doors import Door


def samples(seed):
    x = torch.randn(80, 4, generator=generator(seed))
    return x, (x[:, 0] + 0.5 * torch.randn(80, generator=generator(seed, "noise")) > 0).long()


def trained(target, *, data, steps, lr):
    x, y = samples(data)
    with local_rng(0):
        model = nn.Linear(4, 2)
    loss = F.cross_entropy if target is None else FragilityLoss(target)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    return model


def judged(model, held):
    x, y = samples(held)
    with torch.no_grad():
        return model(x), y


def search(folder, *, data=0, held=1, steps=60, lr=0.5):
    train = functools.partial(trained, data=data, steps=steps, lr=lr)
    found = FragilityTargetSearch(train, functools.partial(judged, held=held), folder=folder / "trials")
    return found.run(2), found.trials


DOORS = [
    Door(
        "FragilityTargetSearch",
        search,
        None,
        {
            "training data": {"data": 2},
            "validation data": {"held": 2},
            "number of steps": {"steps": 61},
            "learning rate": {"lr": 0.4},
        },
    )
]
