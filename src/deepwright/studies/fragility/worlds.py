"""The data of the study: the stand-in and its variants, heart failure, breast cancer, mislabelled digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from deepwright.core.randomness import generator
from deepwright.data import (
    Data,
    load_breast_cancer,
    load_digits,
    load_heart_failure,
    make_confident_error_data,
    split_three,
    table_data,
)

MADE = "made"


@dataclass(frozen=True)
class World:
    """How one table is made and trained on.

    Attributes:
        source: made, or a real set's name.
        noise: share of reversed rows of the made table, or of wrong labels of the digits.
        later: share of reversed rows among the test rows, where the population drifts.
        rows: for training.
        held: for validation, which selects and fits temperatures.
        test: for measuring; 0 means what is left.
        positives: share of positives of the made table; None leaves it.
        batch: rows a step; all of them where it isn't smaller.
    """

    source: str = MADE
    noise: float = 0.12
    later: float | None = None
    rows: int = 900
    held: int = 500
    test: int = 4000
    positives: float | None = None
    batch: int = 256


WORLDS = {
    "stand-in": World(),
    "no noise": World(noise=0.0),
    "24 % noise": World(noise=0.24),
    "30 % noise later": World(later=0.3),
    "150 rows": World(rows=150, held=100),
    "5 % positives": World(positives=0.05),
    "heart failure": World("heart failure", rows=150, held=75, test=0),
    "breast cancer": World("breast cancer", rows=200, held=100, test=0),
    "mislabelled digits": World("digits", noise=0.2, rows=800, held=300, test=0, batch=200),
}
MAIN = ("stand-in", "heart failure", "breast cancer")  # all measures of them are shown
CLAIMED = ("5 % positives", "no noise")  # where earlier searches had FragilityLoss ahead of ERM, and behind
LINEAR = ("stand-in", "no noise", "heart failure", "breast cancer")
QUICK = ("stand-in", "no noise", "breast cancer")
REAL_ROWS = {"heart failure": 299, "breast cancer": 569, "digits": 1797}
HEART_FILE = "heart_failure_clinical_records.csv"


def table_of(name: str, seed: int, root: str | None) -> Data:
    """One world's table, split and standardised anew for each seed.

    Args:
        name: of `WORLDS`.
        seed: of the rows (where they are made) and of the split.
        root: a folder with the heart failure file.
    """
    world = WORLDS[name]
    x, y, classes = _rows(world, seed, root)
    features = tuple(f"x{i}" for i in range(x.shape[1]))
    shares = (world.rows / len(y), world.held / len(y))
    if world.source == "digits":  # 0..255 to -2..2: by itself a border's pixel has a deviation near 0
        return Data(name, "tabular", classes, *split_three(x / 64 - 2, y, shares, seed))
    data = table_data(name, x, y, classes, features, shares, seed)
    if world.later is None:
        return data
    more = (world.later - world.noise) / (1 - 2 * world.noise)  # reversing a row is turning its label
    turned = torch.rand(len(data.test.y), generator=generator(seed, "later")) < more
    return replace(data, test=replace(data.test, y=torch.where(turned, 1 - data.test.y, data.test.y)))


def _rows(world: World, seed: int, root: str | None) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    if world.source == MADE:
        return *_made(world, seed), ("0", "1")
    if world.source == "digits":
        data = load_digits()
    else:
        data = load_breast_cancer() if world.source == "breast cancer" else load_heart_failure(Path(str(root)))
    splits = (data.train, data.validation, data.test)
    x, y = torch.cat([s.x for s in splits]).flatten(1).float(), torch.cat([s.y for s in splits])
    if world.source == "digits":
        y = _mislabelled(y, world.noise, len(data.classes), seed)
    return x, y, data.classes


def _made(world: World, seed: int) -> tuple[Tensor, Tensor]:
    """The stand-in's rows; with a share of positives, that many of them are kept."""
    n = world.rows + world.held + world.test
    if world.positives is None:
        return make_confident_error_data(n, minority=world.noise, seed=seed)
    x, y = make_confident_error_data(3 * n, minority=world.noise, seed=seed)
    few = round(world.positives * n)
    kept = torch.cat([(y == 1).nonzero().flatten()[:few], (y == 0).nonzero().flatten()[: n - few]])
    return x[kept], y[kept]


def _mislabelled(y: Tensor, share: float, classes: int, seed: int) -> Tensor:
    """Another class for a random share of the rows, in training, validation and test alike."""
    rng = generator(seed, "mislabelled")
    wrong = torch.rand(len(y), generator=rng) < share
    shift = torch.randint(1, classes, (len(y),), generator=rng)
    return torch.where(wrong, (y + shift) % classes, y)
