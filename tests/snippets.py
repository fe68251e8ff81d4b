"""What the Python blocks of the docs take for granted: a reader's small network, pictures and labels.

`given(page)` are the names that a page's blocks find. A page that needs more than the common names has a function below.
"""

import torch
from torch import nn


def given(page):
    """A fresh namespace for one page."""
    names = _common()
    return names | EXTRA.get(page, lambda names: {})(names) | {"__name__": "__main__"}


def _common():
    from deepwright.data import load

    digits = load("digits")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 10),
        ).eval()
    x, y = digits.train.inputs(slice(0, 40)), digits.train.y[:40]
    held, held_y = digits.validation.inputs(slice(0, 40)), digits.validation.y[:40]
    with torch.no_grad():
        logits, val_logits = model(x), model(held)
    batches = [(x, y)]
    return {
        "model": model,
        "network": model,
        "x": x,
        "y": y,
        "images": x,
        "logits": logits,
        "labels": y,
        "val_logits": val_logits,
        "val_labels": held_y,
        "batches": [_on_the_edge(x, logits)],
        "loader": batches,
        "train": batches,
        "train_batches": batches,
        "test_batches": [(held, held_y)],
        "near_batches": [torch.rand(8, *x.shape[1:])],
        "validation_images": held,
        "validation": (held, held_y),
        "test": (held, held_y),
        "pool": x,
        "labels_of": lambda asked: y[asked],
    }


def _on_the_edge(x, logits, n=8):
    """Pictures and classes that a network is least sure of: attacks on them end soon."""
    margin = -logits.topk(2).values.diff(dim=1).squeeze(1)
    rows = margin.argsort()[:n]
    return x[rows], logits[rows].argmax(1)


EXTRA = {}
