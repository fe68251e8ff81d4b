"""Calls of the room in which networks are explained: work happens where the model lives."""

import torch

from deepwright.interpret import (
    Ball,
    Box,
    EmbeddingBudget,
    approximation_floor_from_samples,
    channel_ratios,
    embedding_certificate,
    find_critical_points,
    lipschitz,
    scalar_map,
    tunnel_path,
    winding_number,
)
from deepwright.nets import NarrowResNet
from entries import Entry, normal

BOX = Box([-1.0, -1.0], [1.0, 1.0])


def network(device, **kinds):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return NarrowResNet(2, 2, 2, **kinds).eval().to(device)


def proved(device):
    found = embedding_certificate(network(device, skip=0.0), BOX)
    return found.verdict, found.margin


def searched(device):
    fn = scalar_map(network(device, residual=10.0), torch.zeros(2, 2))
    return [(p.value, p.index, p.verified) for p in find_critical_points(fn, BOX, 32)], winding_number(fn, domain=BOX)


def walked(device):
    path = tunnel_path(network(device), torch.zeros(2, device=device), Ball([0.0, 0.0], 1.0))
    return path.points[-1], path.reached_boundary


def bounded(device):
    model, x = network(device), normal(8, 2).to(device)
    ratios = [row[1:] for row in channel_ratios(model, x).rows]
    return lipschitz(model, x), lipschitz(model, x, "local"), lipschitz(model, x, "interval", BOX), ratios


def suggested(device):
    x = normal(120, 2).to(device)
    found = approximation_floor_from_samples(x, (x.norm(dim=1) < 0.8).long())
    return found.raw, found.majority, EmbeddingBudget()(network(device).blocks)


ENTRIES = [
    Entry("embedding_certificate", proved),
    Entry("find_critical_points, winding_number", searched),
    Entry("tunnel_path", walked, slow=True),
    Entry("lipschitz, channel_ratios", bounded),
    Entry("approximation_floor_from_samples, EmbeddingBudget", suggested),
]
