"""Calls of the room of labels."""

import dataclasses
import tempfile

import pytest
import torch

from deepwright.core.tasks import MultiLabel, Segmentation
from deepwright.labels import (
    STRATEGIES,
    DistillLoss,
    LabelingLoop,
    PrunedSelector,
    View,
    WholeSelector,
    as_skactiveml,
    badge,
    bald,
    default_trainer,
    entropy,
    from_skactiveml,
    fuse,
    k_center_greedy,
    least_confidence,
    margin,
    named,
    read_labels,
    subsampled,
    train_fused,
    typiclust,
)
from deepwright.nets import mlp
from entries import Entry, normal, seeded


def pool(device):
    x = normal(80, 12)
    torch.manual_seed(0)
    return x, (x @ normal(12, 4, seed=1)).argmax(1), mlp(12, 4, (16,)).to(device)


def scores(device, dtype=torch.float32):
    z = normal(50, 7).to(device, dtype)
    return least_confidence(z), entropy(z), margin(z), bald(normal(4, 20, 7, seed=1).to(device, dtype))


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


def views(device):
    x, y, network = pool(device)
    x = x.to(device)
    rows = torch.arange(80, device=device)
    passes = normal(4, 80, 4, seed=3).to(device)
    return View(network(x).detach(), network[:-1](x).detach(), rows[:20], rows[20:], 5, passes, y[:20].to(device))


def chosen(name):
    def call(device):
        return named(name).select(views(device), 6)

    return call


def chosen_from_host_indices(device):
    view = views(device)
    view = dataclasses.replace(view, labelled=view.labelled.cpu(), free=view.free.cpu())
    return [named(name).select(view, 6) for name in STRATEGIES if name != "random"]


def chosen_with_options(device):
    return named("typiclust", neighbours=3).select(views(device), 4), subsampled("margin", 20).select(views(device), 4)


def chosen_by_task(device):
    out = normal(30, 5, 4, 4).to(device)
    rows = torch.arange(30, device=device)
    view = View(out, None, rows[:2], rows[2:], 0, task=Segmentation(5))
    many = MultiLabel(5)
    return named("entropy").select(view, 5), margin(out[..., 0, 0], many), bald(normal(3, 30, 5).to(device), many)


def their_strategy(device):
    skactiveml = pytest.importorskip("skactiveml.pool")
    return [
        from_skactiveml(s).select(views(device), 5) for s in (skactiveml.CoreSet(), skactiveml.UncertaintySampling())
    ]


def ours_in_their_cycle(device):
    pytest.importorskip("skactiveml.pool")
    x, y, network = pool(device)
    labels = torch.where(torch.arange(80) < 20, y.float(), torch.nan)
    return as_skactiveml("badge", network).query(x.numpy(), labels.numpy(), batch_size=5)


def trained(device):
    x, y, network = pool(device)
    return default_trainer(1)(network, x, y, 0, 0)


def fused_weights(device):
    x, _, network = pool(device)
    selector = PrunedSelector(network, x[:2])
    return fuse(selector.fresh(), network, selector.index_map), selector.fresh(), WholeSelector(network).fresh()


def taken_up(device):
    """Questions, answers and a synchronised network, through a file."""
    x, y, network = pool(device)
    sizes = {"budget": 40, "seed_size": 20, "round_size": 10, "t_sync": 1}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            loop = LabelingLoop(
                x.to(device),
                PrunedSelector(network, x[:2]),
                trainer=default_trainer(1),
                validation=(x, y),
                checkpoint=f"{folder}/labels.jsonl",
                **sizes,
            )
            asked = loop.ask()
            loop.tell(asked, y[asked].to(device))
        while not loop.done:
            loop.tell(asked := loop.ask(), y[asked].to(device))
        kept = read_labels(f"{folder}/labels.jsonl")
        return len(kept), loop.data(), loop.result().selector


def distilled_from_host_data(device):
    x, y, network = pool(device)
    small = PrunedSelector(network, x[:2]).fresh()
    out = network(x.to(device))
    return DistillLoss(small)(out, x, y), DistillLoss(None)(out, out.detach().cpu(), y)


ENTRIES = [
    Entry("least_confidence, entropy, margin, bald", scores, dtypes=(torch.float64,)),
    Entry("k_center_greedy", centres),
    Entry("badge", embedded_gradients),
    Entry("typiclust", typical),
    *(Entry(f"strategy {name}", chosen(name)) for name in STRATEGIES),
    Entry("strategies, indices on the CPU", chosen_from_host_indices),
    Entry("named, subsampled with options", chosen_with_options),
    Entry("View of another task", chosen_by_task),
    Entry("from_skactiveml", their_strategy),
    Entry("as_skactiveml", ours_in_their_cycle),
    *(Entry(f"LabelingLoop {s}", labeled(s)) for s in ("least-confidence", "badge", "k-center", "typiclust")),
    Entry("LabelingLoop, pool on the device", labeled_on_device),
    Entry("LabelingLoop and read_labels, through a file", taken_up),
    Entry("default_trainer", trained),
    Entry("fuse, PrunedSelector, WholeSelector", fused_weights),
    Entry("DistillLoss", distilled),
    Entry("DistillLoss, data on the CPU", distilled_from_host_data),
    Entry("train_fused", fused),
]
