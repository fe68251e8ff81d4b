"""The doors of `core`: fit, fit_drawn, trials, the journal."""

from __future__ import annotations

import functools

import torch
from torch import nn
from torch.nn import functional as F

from deepwright.core.fit import Selection, fit, fit_drawn, one_cycle, sgd
from deepwright.core.journal import Journal
from deepwright.core.randomness import generator, local_rng
from deepwright.core.trials import run
from doors import Door

EPOCHS, STEPS, PIECES = 6, 60, 8


def stop_in_the_middle(_, row):
    if row["epoch"] == EPOCHS // 2:
        raise KeyboardInterrupt


def network(start=0, width=12):
    with local_rng(start):
        return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Dropout(0.2), nn.Linear(width, 2))


def samples(seed=0, flipped=False):
    x = torch.randn(60, 4, generator=generator(seed))
    y = (x[:, 0] > 0).long() if seed == 0 else (torch.randn(60, 4, generator=generator(0))[:, 0] > 0).long()
    return x, 1 - y if flipped else y


def jitter(x, rng, scale=0.1):
    return x + scale * torch.randn(x.shape, generator=rng)


def louder(scale):
    return lambda x, rng: jitter(x, rng, scale)


def smoothed(amount):
    def loss(out, y):
        return F.cross_entropy(out, y, label_smoothing=amount)

    return loss


def validation(seed=0):
    x, y = samples(seed)
    return lambda model: {"accuracy": float((model(x).argmax(1) == y).double().mean())}


def train(
    folder, *, seed=0, flipped=False, start=0, width=12, lr=0.1, scale=0.1, amount=0.0, held=0, stop=None, **other
):
    model = network(start, width)
    options = {"epochs": EPOCHS, "batch_size": 8, "optimizer": sgd(lr), "clip_norm": 1.0, **other}
    found = fit(
        model,
        samples(seed, flipped),
        loss=smoothed(amount),
        scheduler=one_cycle(0.1),
        augment=louder(scale),
        selection=Selection(validation(held), "accuracy"),
        callbacks=[stop] if stop else (),
        checkpoint=folder / "fit.pt",
        every=3,
        **options,
    )
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in found.history]
    return {"history": history, "weights": dict(model.state_dict())}


class Drawn(nn.Module):
    """A loss on batches that it draws itself; it may stop in the middle."""

    def __init__(self, center):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.center = center

    def forward(self, numbers):
        x = torch.randn(5, 3, generator=generator(int(numbers[0])))
        return (x + self.center - self.weight).square().mean()


class Deeper(Drawn):
    def forward(self, numbers):
        return 2 * super().forward(numbers)


def train_drawn(folder, *, center=1.0, kind=Drawn, steps=STEPS, lr=0.1, seed=0):
    objective = kind(center)
    fit_drawn(objective, steps, optimizer=sgd(lr), checkpoint=folder / "drawn.pt", every=7, seed=seed)
    return objective.weight.detach()


def piece(number, power, start):
    x = torch.randn(20, 20, generator=generator(number))
    return {"value": float((start + x @ x.T).pow(power).sum()), "row": x[0] * power}


def fan_out(folder, *, power=2, start=0.0):
    function = functools.partial(piece, power=power, start=start)
    return run(function, [{"number": n} for n in range(PIECES)], store=folder / "store")


def collect(folder, *, seed=0, power=2, stop=None):
    x = torch.randn(PIECES, 30, generator=generator(seed))
    rows = Journal(folder / "rows.jsonl", {"data": x, "power": power})
    for number in range(PIECES):
        if number == stop:
            raise KeyboardInterrupt
        if str(number) not in rows.rows:
            rows.add(str(number), float(x[number].pow(power).sum()))
    return [rows.rows[str(number)] for number in range(PIECES)]


DOORS = [
    Door(
        "fit",
        train,
        "fit.pt",
        {
            "training inputs": {"seed": 1},
            "training targets": {"flipped": True},
            "initial weights": {"start": 1},
            "another model": {"width": 13},
            "optimizer": {"lr": 0.2},
            "augment": {"scale": 0.2},
            "another loss": {"amount": 0.1},
            "validate": {"held": 1},
            "batch size: 9, was 8": {"batch_size": 9},
            "epochs: 7, was 6": {"epochs": 7},
            "clip norm: 2.0, was 1.0": {"clip_norm": 2.0},
            "drop last: True, was False": {"drop_last": True},
        },
        {"stop": stop_in_the_middle},
    ),
    Door(
        "fit_drawn",
        train_drawn,
        "drawn.pt",
        {
            "another model": {"kind": Deeper},
            "optimizer": {"lr": 0.2},
            "seed: 1, was 0": {"seed": 1},
            "training inputs": {"steps": STEPS + 1},
            "another fit; given: another model.center: 2.0, was 1.0": {"center": 2.0},
        },
    ),
    Door("trials", fan_out, None, {"function's power": {"power": 3}, "function's start": {"start": 1.0}}),
    Door(
        "journal",
        collect,
        "rows.jsonl",
        {"another data": {"seed": 1}, "power: 3, was 2": {"power": 3}},
        {"stop": PIECES // 2},
    ),
]
