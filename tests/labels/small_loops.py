"""A small pool, and loops over it that take a second."""

import torch
from torch import nn

from deepwright.labels import LabelingLoop, PrunedSelector, default_trainer

POOL = torch.randn(160, 6, generator=torch.Generator().manual_seed(0))
TRUTH = POOL[:, :3].argmax(1)


def network(dropout=0.0):
    torch.manual_seed(0)
    layers = [nn.Linear(6, 24), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else []), nn.Linear(24, 3)]
    return nn.Sequential(*layers)


def loop(**more):
    options = {
        "budget": 60,
        "round_size": 15,
        "seed_size": 20,
        "trainer": default_trainer(4, 0.05),
        "classes": 3,
        "validation": (POOL, TRUTH),
    }
    options |= {"oracle": lambda i: TRUTH[i], **more}
    name = options.pop("strategy", "least-confidence")
    selector = options.pop("selector", None) or PrunedSelector(network(0.2 if name == "bald" else 0.0), POOL[:2])
    return LabelingLoop(options.pop("pool", POOL), selector, name, **options)
