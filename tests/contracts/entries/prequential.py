"""Calls of prequential codes: networks train where they live, curves are arrays, data come back where they were."""

import torch
from torch import nn

from deepwright.data import WatermarkedColouredDigits
from deepwright.interpret import (
    ColumnAttributes,
    FitConfig,
    KTEstimator,
    TableLearner,
    TorchLearner,
    UniformLearner,
    View,
    isolated_columns,
    loss_curve,
    online_code_length,
    permutation_reliance,
    reliance_plan,
    shuffle_columns,
    tabulated,
    train_stack,
)
from deepwright.interpret.prequential.stacks import make_networks
from entries import Entry, normal

CONFIG = FitConfig(max_steps=10, lr=1e-2, batch_size=8, check_every=5, calibrate=True)


def rows(device, n=40, seed=0, dtype=torch.float32):
    x = normal(n, 4, seed=seed, dtype=dtype)
    return x.to(device), (x[:, 0] > 0).long().to(device)


def network(device, dtype=torch.float32):
    return lambda seed: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).to(dtype).to(device)


def stack(device, dtype=torch.float32):
    networks = make_networks(network(device, dtype), [0, 1, 2])
    prefixes = [torch.arange(n, device=device) for n in (1, 6, 30)]
    made = train_stack(networks, rows(device, dtype=dtype), prefixes, rows(device, 20, 1, dtype), CONFIG)
    return made.logits(rows(device, 20, 1, dtype)[0])


def curve(device):
    train, held = rows(device), rows(device, 20, 1)
    view = ColumnAttributes(*held, {"a": [0], "b": [1, 2]})
    plans = {"a": reliance_plan(view, "a", 5)}
    found = loss_curve(network(device), train, held, {"own": held}, [1, 4, 20], 2, fit=CONFIG, reliance=plans)
    learner = TorchLearner(network(device), CONFIG).fit(*train, held)
    code = online_code_length(lambda s: TorchLearner(network(device), CONFIG, s), *train, [10, 40])
    return found.loss, found.reliance["a"], learner.log_prob(*held), code.per_block, plans["a"].inputs


def closed(device):
    x = torch.stack([torch.arange(20) % 5, torch.arange(20) % 2], 1).to(device)
    y = (torch.arange(20) % 3 % 2).to(device)
    learners = [UniformLearner(), KTEstimator(relative_to=1), TableLearner()]
    return [made.fit(x[:10], y[:10]).log_prob(x, y).exp() for made in learners], tabulated([y], y, [2], 2).table


def exchanged(device):
    x, y = rows(device)
    found = permutation_reliance(network(device)(0), ColumnAttributes(x, y, {"a": [0]}), "a", 5)
    isolated = isolated_columns(View((x, y), (x, y), (x, y)), [0])
    return found.accuracy >= 0, shuffle_columns(x, [1, 2]), isolated.test[0]


def digits(device):
    images = torch.arange(12 * 64).reshape(12, 8, 8).remainder(256).to(torch.uint8).to(device)
    made = WatermarkedColouredDigits(
        images, (torch.arange(12) % 10).to(device), watermark_bits=4, bank_size=2, size=8, spur_prob=0.5
    )
    here = torch.arange(3, device=device)
    return (
        made.view(["digit"], ["watermark"]),
        made.codes,
        made.exchanged("colour", here, here + 1),
        made.subset(here).y,
    )


ENTRIES = [
    Entry("train_stack", stack, dtypes=(torch.float64,)),
    Entry("loss_curve, TorchLearner, online_code_length", curve, tolerance=1e-3),
    Entry("closed forms", closed),
    Entry("permutation_reliance, columns", exchanged),
    Entry("WatermarkedColouredDigits", digits),
]
