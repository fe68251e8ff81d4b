"""Networks that were cut are trained again, all alike: the same epochs, the same learning rates to choose from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from deepwright.compress import recalibrate
from deepwright.core.randomness import generator
from deepwright.data import mnist_5k
from deepwright.studies._frame import Runs
from deepwright.studies._networks import Samples, accuracy, train

SETTLING = 256  # training inputs on which batch norms take their statistics anew


def split_mnist(seed: int, side: int, train_on: int, judged_on: int) -> Samples:
    """The bundled 5,000 digits, shuffled by the seed: disjoint parts to train, to choose and to test on.

    Args:
        seed: of the shuffling.
        side: 28, or 14 and 7 by pooling.
        train_on: digits to train on.
        judged_on: digits to choose on, and as many to test on.
    """
    x, y = mnist_5k()
    order = torch.randperm(len(y), generator=generator(seed, "split"))[: train_on + 2 * judged_on]
    pixels, labels = x[order].float() / 255, y[order]
    if side < 28:
        pixels = F.avg_pool2d(pixels, 28 // side)
    sizes = [train_on, judged_on, judged_on]
    return Samples(*zip(pixels.split(sizes), labels.split(sizes)))


def retrained(
    cut: nn.Module, data: Samples, rates: Sequence[float], epochs: int, seed: int, batch: int = 64
) -> list[dict[str, float]]:
    """One row a learning rate: accuracy of a cut on test data: at once, with new statistics, trained from there.

    Args:
        cut: left as it is.
        data: trained on, chosen on, tested on.
        rates: peaks of the one-cycle schedule, each tried from the same cut.
        epochs: of each training.
        seed: of the batches.
        batch: their size.
    """
    before = accuracy(cut, data.test)
    settled = recalibrate(copy.deepcopy(cut), data.train[0][:SETTLING].split(SETTLING // 2))
    at_once = {"before": before, "settled": accuracy(settled, data.test)}
    rows = []
    for rate in rates:
        model = train(copy.deepcopy(settled), data.train, epochs, seed, lr=rate, batch=batch)
        judged: dict[str, Any] = {"validation": accuracy(model, data.validation), "test": accuracy(model, data.test)}
        rows.append({"lr": rate, **at_once, **judged})
    return rows


def spread(runs: Runs, *axes: str) -> Runs:
    """Trials that list what they measured in `rows`, as one trial a row; the seconds stay with the first.

    Args:
        runs: each result has `rows` and `dense`, the dense network's test accuracy.
        axes: the rows' keys that tell them apart, read as the trial's arguments.
    """
    pairs = [
        ({axis: row[axis] for axis in axes} | {"seed": seed}, row | {"dense": trial["dense"]})
        for seed, trial in zip(runs.seeds, runs)
        for row in trial["rows"]
    ]
    return Runs(tuple(spec for spec, _ in pairs), tuple(row for _, row in pairs))
