"""A small network and data of each task, on which audits are tested."""

from dataclasses import replace

import torch
from torch import nn

from deepwright.checks import Subject
from deepwright.core.boxes import Detections
from deepwright.core.tasks import (
    Binary,
    Classification,
    Detection,
    Forecast,
    GraphClassification,
    MultiLabel,
    Regression,
    Segmentation,
)
from deepwright.data import Data, Split

LIMITS = {"attack_limit": 16, "corruption_limit": 12, "ood_limit": 20, "eps": (0.1, 0.4)}
QUICK = {"attack_limit": 4, "corruption_limit": 4, "eps": (0.1,)}  # of what works image by image


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def linear(inputs, outputs, seed=0, scale=2.0):
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(scale * torch.randn(outputs, inputs, generator=generator(seed)))
        layer.bias.zero_()
    return layer


def data(kind, x, y, classes=()):
    a, b = len(x) // 3, len(x) // 2
    parts = (Split(x[:a], y[:a]), Split(x[a:b], y[a:b]), Split(x[b:], y[b:]))
    return Data("made up", kind, classes, *parts)


class Times(nn.Module):
    """Its inputs times a number."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def replaced(made, **parts):
    return replace(made, **parts)


def rows(n=120):
    return torch.randn(n, 4, generator=generator(1))


def noisy(values, seed=2):
    return values + 0.8 * torch.randn(values.shape, generator=generator(seed))


def classification():
    model, x = linear(4, 3), rows()
    return model, data("tabular", x, noisy(model(x).detach()).argmax(1), ("a", "b", "c")), Classification(3)


def binary():
    model, x = linear(4, 1), rows()
    return model, data("tabular", x, (noisy(model(x).detach())[:, 0] > 0).long()), Binary(("no", "yes"))


def multilabel():
    model, x = linear(4, 3), rows()
    return model, data("tabular", x, (noisy(model(x).detach()) > 0).long()), MultiLabel(3)


def regression():
    model, x = linear(4, 2), rows()
    return model, data("tabular", x, noisy(model(x).detach())), Regression(2)


def segmentation():
    model = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([-9.0, 9.0]).reshape(2, 1, 1, 1))
        model.bias.copy_(torch.tensor([4.5, -4.5]))
    x = torch.rand(60, 1, 8, 8, generator=generator(3))
    return model, data("image", x, (noisy(x) > 0.5)[:, 0].long(), ("dark", "bright")), Segmentation(2)


class Finder(nn.Module):
    """One box an image, around the brighter half."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x):
        left = x[..., :4].mean((1, 2, 3)) > x[..., 4:].mean((1, 2, 3))
        score = (self.weight * x.amax((1, 2, 3))).clamp(0, 1)
        starts = torch.where(left, 0.0, 4.0)
        return [
            {
                "boxes": torch.stack([s, 0 * s, s + 4, 0 * s + 8])[None],
                "labels": torch.zeros(1).long(),
                "scores": p[None],
            }
            for s, p in zip(starts, score)
        ]


class Boxes(list):
    """Targets of images that a split can take rows of."""

    def __getitem__(self, rows):
        return Boxes(super().__getitem__(rows)) if isinstance(rows, slice) else super().__getitem__(rows)


def detection():
    x = torch.rand(30, 1, 8, 8, generator=generator(4))
    starts = [float(4 * (i % 2)) for i in range(30)]
    for i, s in enumerate(starts):
        x[i, :, :, int(s) : int(s) + 4] *= 0.5 + 0.5 * (i % 5 > 0)
        x[i, :, :, 4 - int(s) : 8 - int(s)] *= 0.5
    y = Boxes(Detections(torch.tensor([[s, 0.0, s + 4, 8.0]]), torch.zeros(1).long()) for s in starts)
    return Finder(), data("image", x, y), Detection(1)


class Ahead(nn.Module):
    """The next three values of a series from its last four."""

    def __init__(self):
        super().__init__()
        self.fc = linear(4, 3)

    def forward(self, x):
        return self.fc(x[:, -4:, 0])[..., None]


def forecast():
    model, x = Ahead(), torch.randn(120, 12, 1, generator=generator(5)).cumsum(1)
    return model, data("series", x, noisy(model(x).detach())), Forecast(3)


class Graphs(nn.Module):
    """Classes of dense graphs: the mean over nodes, then a linear map."""

    def __init__(self):
        super().__init__()
        self.fc = linear(4, 3)

    def forward(self, x):
        return self.fc(x.mean(1))


def graphs():
    model, x = Graphs(), torch.randn(120, 5, 4, generator=generator(6))
    return model, data("series", x, noisy(model(x).detach(), 7).argmax(1), ("a", "b", "c")), GraphClassification(3)


MAKERS = {
    "classification": classification,
    "binary": binary,
    "multi-label": multilabel,
    "regression": regression,
    "segmentation": segmentation,
    "detection": detection,
    "forecast": forecast,
    "graphs": graphs,
}


def subject(name, **options):
    model, made, task = MAKERS[name]()
    limits = {**LIMITS, **QUICK} if name == "detection" else LIMITS
    return Subject(model.eval(), made, name, task=task, **{**limits, **options})
