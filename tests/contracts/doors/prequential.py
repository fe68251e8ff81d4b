"""The door of prequential codes: each stack of a loss curve has a file of its own."""

import torch
from torch import nn

from deepwright.interpret import FitConfig, loss_curve
from doors import Door


def network(seed):
    return nn.Linear(4, 2)


def wider(seed):
    return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))


def rows(n, seed):
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] > 0).long()


def start(folder, *, x_seed=0, held_seed=1, lr=1e-2, seed=0, make=network, sizes=(1, 4, 20, 60)):
    train, held = rows(60, x_seed), rows(20, held_seed)
    config = FitConfig(max_steps=40, lr=lr, batch_size=16, check_every=10)
    found = loss_curve(make, train, held, {"own": rows(30, 2)}, sizes, 2, seed, fit=config, cache_dir=folder / "stacks")
    return found.loss, found.accuracy


DOORS = [
    Door(
        "loss_curve",
        start,
        None,
        {
            "training data": {"x_seed": 5},
            "validation data": {"held_seed": 6},
            "fit's lr": {"lr": 2e-2},
            "seed": {"seed": 1},
            "network": {"make": wider},
        },
    )
]
