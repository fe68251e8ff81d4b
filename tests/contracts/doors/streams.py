"""Doors of what is done to many entities."""

import torch
from torch import nn

from deepwright.data import Windows
from deepwright.ood import attack_cohort
from doors import Door


class Last(nn.Module):
    """The last reading, twice."""

    def __init__(self, weight):
        super().__init__()
        self.one = nn.Parameter(torch.full((1,), float(weight)))

    def forward(self, x):
        return x[:, -1:, 0].repeat(1, 2) * self.one


class Shift:
    """An attack that moves the last reading."""

    def __init__(self, eps):
        self.eps = eps

    def __call__(self, model, x, y):
        changed = x.clone()
        changed[:, -1, 0] += self.eps
        return changed


def streams(seed, targets):
    found = {}
    for k in range(4):
        x = torch.randn(60, 5, 2, generator=torch.Generator().manual_seed(10 * seed + k))
        y = x[:, -1:, 0].repeat(1, 2) + targets
        found[f"e{k}"] = Windows(x, y, torch.arange(60), torch.zeros(60, dtype=torch.bool))
    return found


def attacked(folder, *, seed=0, targets=0.0, eps=0.5, weight=1.0):
    made = attack_cohort(Last(weight).eval(), Shift(eps), streams(seed, targets), checkpoint=folder / "cohort.pt")
    return [(p.x, p.attacked, p.forecast) for part in (made.train, made.test) for p in part.values()]


DOORS = [
    Door(
        "attack on entities",
        attacked,
        file="cohort.pt",
        changes={
            "data": {"seed": 1},
            "attack": {"eps": 0.7},
            "model": {"weight": 2.0},
        },
    ),
]
