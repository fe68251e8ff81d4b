"""Calls of the room of labels."""

import torch

from deepwright.labels import (
    DistillLoss,
    LabelingLoop,
    PrunedSelector,
    WholeSelector,
    badge,
    bald,
    default_trainer,
    entropy,
    k_center_greedy,
    least_confidence,
    margin,
    train_fused,
    typiclust,
)
from deepwright.nets import mlp
from entries import Entry, normal, seeded


def pool(device):
    x = normal(80, 12)
    torch.manual_seed(0)
    return x, (x @ normal(12, 4, seed=1)).argmax(1), mlp(12, 4, (16,)).to(device)


def scores(device):
    z = normal(50, 7).to(device)
    return least_confidence(z), entropy(z), margin(z), bald(normal(4, 20, 7, seed=1).to(device))


def centres(device):
    return k_center_greedy(normal(60, 6).to(device), torch.tensor([3, 7], device=device), 5)


def embedded_gradients(device):
    rows = torch.arange(60, device=device)
    return badge(normal(60, 4).to(device), normal(60, 6, seed=1).to(device), 5, rows, seeded(2))


def typical(device):
    return typiclust(normal(60, 6).to(device), torch.tensor([5], device=device), 3)


def labeled(strategy):
    def call(device):
        x, y, network = pool(device)
        sizes = {"budget": 40, "seed_size": 20, "round_size": 10}
        loop = LabelingLoop(
            x, WholeSelector(network), strategy, trainer=default_trainer(1), oracle=lambda i: y[i], **sizes
        )
        found = loop.run()
        return len(found.indices), found.selector

    return call


def labeled_on_device(device):
    x, y, network = pool(device)
    x = x.to(device)
    sizes = {"budget": 40, "seed_size": 20, "round_size": 10}
    selector = PrunedSelector(network, x[:2])
    loop = LabelingLoop(x, selector, trainer=default_trainer(1), oracle=lambda i: y[i], **sizes)
    return len(loop.run().indices)


def distilled(device):
    x, y, network = pool(device)
    small = PrunedSelector(network, x[:2].to(device)).fresh()
    return DistillLoss(small)(network(x.to(device)), x.to(device), y.to(device)), small


def fused(device):
    x, y, network = pool(device)
    selector = PrunedSelector(network, x[:2].to(device))
    return train_fused(selector, selector.fresh(), x, y, epochs=1)


MIXES = "tensors made on the CPU beside those of the device"

ENTRIES = [
    Entry("least_confidence, entropy, margin, bald", scores),
    Entry("k_center_greedy", centres, fails=MIXES),
    Entry("badge", embedded_gradients, fails="a CPU generator draws for the device"),
    Entry("typiclust", typical, fails=MIXES),
    *(Entry(f"LabelingLoop {s}", labeled(s)) for s in ("least-confidence", "badge", "k-center", "typiclust")),
    Entry("LabelingLoop, pool on the device", labeled_on_device),
    Entry("DistillLoss", distilled),
    Entry("train_fused", fused),
]
