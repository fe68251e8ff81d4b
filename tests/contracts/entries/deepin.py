"""Calls of the room of interpretation."""

import torch
from torch import nn

from deepwright.interpret import (
    DeepInPenalty,
    RepresentationLayer,
    RepresentationNet,
    deletion_curve,
    group_prox_,
    integrated_gradients,
    permutation_shap,
    principal_angles,
    projection,
    prune_mlp,
    rotate_representation,
    row_column_prox,
    subspace_distance,
)
from entries import Entry, normal


def network(device, dtype=torch.float32):
    torch.manual_seed(0)
    return RepresentationNet(6, 3, (8,), 2).to(device, dtype)


def maps(device, dtype=torch.float32):
    b = normal(6, 3, dtype=dtype).to(device)
    limits = torch.full((6,), 0.4, dtype=dtype, device=device)
    return group_prox_(b.clone(), 0, limits), row_column_prox(b, limits, 0.2)


def spans(device, dtype=torch.float32):
    a, b = normal(6, 2, dtype=dtype).to(device), normal(6, 2, seed=1, dtype=dtype).to(device)
    return projection(a), subspace_distance(a, b)


def angles(device):
    return principal_angles(normal(6, 2).to(device), normal(6, 2, seed=1).to(device))


def rotated(device):
    net, x = network(device), normal(20, 6).to(device)
    turned, values = rotate_representation(net, x)
    return turned(x), values


def pruned(device, dtype=torch.float32):
    net = network(device, dtype)
    with torch.no_grad():
        net.head[2].weight[:, 2:5] = 0
    return prune_mlp(net)


def penalty(device, dtype=torch.float32):
    torch.manual_seed(0)
    first, second = RepresentationLayer(6, 3).to(device, dtype), nn.Linear(3, 4).to(device, dtype)
    last = nn.Linear(4, 1).to(device, dtype)
    groups = torch.tensor([0, 0, 1, 1, 2, 2])
    made = DeepInPenalty(first, variables=0.3, dimensions=0.1, hidden=[(second, last)], units=0.1, groups=groups)
    value = made().detach()
    made.prox_(0.5)
    return value, first.weight.detach(), second.weight.detach()


def attributed(device):
    net, x = network(device), normal(10, 6).to(device)

    def first(z):
        return net(z)[:, 0]

    found = integrated_gradients(first, x, steps=4)
    shap = permutation_shap(first, x, normal(5, 6, seed=2).to(device), 1)
    return found, shap, deletion_curve(first, x, first(x).detach(), found.abs().mean(0))


ENTRIES = [
    Entry("proximal maps", maps, dtypes=(torch.float64,)),
    Entry("spans", spans, dtypes=(torch.float64,)),
    Entry("principal_angles", angles, tolerance=1e-3),
    Entry("rotate_representation", rotated, tolerance=1e-3),
    Entry("prune_mlp", pruned, dtypes=(torch.float64,)),
    Entry("DeepInPenalty", penalty, dtypes=(torch.float64,)),
    Entry("attributions", attributed),
]
