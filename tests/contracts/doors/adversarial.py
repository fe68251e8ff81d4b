"""The door of `adversarial`: robust accuracy, a batch at a time."""

from __future__ import annotations

import torch
from torch import nn

from deepwright.adversarial import APGD, PGD, AttackSuite, robust_accuracy
from deepwright.adversarial.sharpening import LaplacianSharpen, LastIterate, compare
from deepwright.adversarial.smoothing import Smoothed, certified_accuracy
from deepwright.core.randomness import generator, local_rng
from deepwright.core.tasks import Binary, Regression
from doors import Door


def halt(step, x):
    raise KeyboardInterrupt


def network(start=0):
    with local_rng(start):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


def batches(seed=0, shifted=False):
    x = (torch.rand(60, 1, 4, 4, generator=generator(seed)) * 255).round() / 255
    with torch.no_grad():
        y = network()(torch.rand(60, 1, 4, 4, generator=generator(0))).argmax(1)
    y = (y + 1) % 3 if shifted else y
    return list(zip(x.split(20), y.split(20)))


def masked(columns):
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :columns] = 1
    return mask.expand(20, 1, 4, 4)


def lifted(scale):
    return lambda out, y: scale * (out.logsumexp(1) - out.gather(1, y[:, None])[:, 0])


def differs(out, y):
    return out.argmax(1) != y


def attacked(folder, *, start=0, seed=0, shifted=False, eps=0.1, draw=0, columns=None, quantize=None, callback=None):
    attack = AttackSuite([PGD(eps, steps=5, seed=draw), APGD(eps, steps=10, seed=draw)])
    options = {} if columns is None else {"mask": masked(columns)}
    found = robust_accuracy(
        network(start),
        batches(seed, shifted),
        attack,
        checkpoint=folder / "robust.jsonl",
        quantize=quantize,
        callback=callback,
        **options,
    )
    return found.clean, found.robust, found.per_attack, found.right


def with_own_loss(folder, *, scale=1.0):
    attack = PGD(0.1, steps=5, loss=lifted(scale), success=differs)
    found = robust_accuracy(network(), batches(), attack, checkpoint=folder / "own.jsonl")
    return found.robust, found.right


def on_numbers(folder, *, tolerance=0.2, targets=0.0, loss="squared_error", inputs=0, threshold=None):
    """A regression (or the same column read as yes or no)."""
    task = Regression(tolerance=tolerance) if threshold is None else Binary(threshold=threshold)
    with local_rng(0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 1)).eval()
    x = torch.rand(40, 1, 4, 4, generator=generator(inputs))
    with torch.no_grad():
        y = model(torch.rand(40, 1, 4, 4, generator=generator(0)))[:, 0] + targets
    y = y if threshold is None else (y > 0).long()
    attack = PGD(0.3, steps=5, task=task, loss=loss if threshold is None else None)
    found = robust_accuracy(model, list(zip(x.split(10), y.split(10))), attack, checkpoint=folder / "numbers.jsonl")
    return found.clean, found.robust, found.right


def certified(folder, *, start=0, seed=0, shifted=False, sigma=0.2, draws=60, noise=0):
    made = Smoothed(network(start), sigma, seed=noise)
    found = certified_accuracy(made, batches(seed, shifted), draws=draws, checkpoint=folder / "certified.jsonl")
    return found.right, found.radius, found.curve


def compared(folder, *, start=0, other=1, seed=0, shifted=False, strength=0.2, eps=0.05, steps=3):
    found = compare(
        {"sharpened": LaplacianSharpen(strength)},
        network(start),
        network(other),
        batches(seed, shifted),
        [eps],
        attack=LastIterate(eps, steps=steps),
        equal_mse=False,
        checkpoint=folder / "compared.jsonl",
    )
    return [(r.name, r.error, r.clean, r.right) for r in found.rows]


DOORS = [
    Door(
        "certified_accuracy",
        certified,
        file="certified.jsonl",
        changes={
            "model": {"start": 1},
            "inputs": {"seed": 1},
            "labels": {"shifted": True},
            "sigma": {"sigma": 0.3},
            "draws": {"draws": 70},
            "seed": {"noise": 1},
        },
    ),
    Door(
        "compare publishers",
        compared,
        file="compared.jsonl",
        changes={
            "surrogate": {"start": 2},
            "target": {"other": 2},
            "inputs": {"seed": 1},
            "labels": {"shifted": True},
            "methods": {"strength": 0.3},
            "attack": {"steps": 4},
            "eps": {"eps": 0.1},
        },
    ),
    Door(
        "robust_accuracy",
        attacked,
        file="robust.jsonl",
        changes={
            "model": {"start": 1},
            "inputs": {"seed": 1},
            "labels": {"shifted": True},
            "attack": {"eps": 0.2},
            "another attack": {"draw": 1},
            "options": {"columns": 2},
            "quantize": {"quantize": 255},
        },
        interrupt={"callback": halt},
    ),
    Door(
        "robust_accuracy of a regression",
        on_numbers,
        file="numbers.jsonl",
        changes={
            "task.tolerance: 0.3, was 0.2": {"tolerance": 0.3},
            "task.task: 'Binary', was 'Regression'": {"threshold": 0.5},
            "attack": {"loss": "absolute_error"},
            "labels": {"targets": 0.1},
            "inputs": {"inputs": 1},
        },
    ),
    Door("robust_accuracy with an own loss", with_own_loss, file="own.jsonl", changes={"attack": {"scale": 2.0}}),
]
