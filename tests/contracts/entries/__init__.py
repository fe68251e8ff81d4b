"""The calls that the device contract runs: one module a room, each with a list `ENTRIES`.

To add one: append `Entry("what is called", call)` to the room's list. `call(device)` builds a small network and data on
`device`, calls the public entry, and returns what came out: tensors, numbers, strings, modules, nested in tuples, lists
and dictionaries. A tensor among them must be on `device` (on the CPU with `returns="cpu"`, where the data were given
there), a module must live there whole, and all numbers must be those of the CPU. An entry that breaks the rule today says
why in `fails`; the contract complains as soon as it no longer does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Entry:
    """One call of the public surface.

    Args:
        name: what is called.
        call: (device) -> results; with `dtypes`, (device, dtype=torch.float32) -> results.
        returns: "device", or "cpu" where the data are given on the CPU.
        tolerance: largest difference to the CPU's numbers, relative to the largest of them.
        dtypes: further floating dtypes in which floating results and modules must stay.
        random: draws from the device's own generator, so that CUDA's numbers are others than the CPU's.
        fails: why the rule doesn't hold today; empty when it does.
        slow: too long for every day.
    """

    name: str
    call: Callable[..., object]
    returns: str = "device"
    tolerance: float = 1e-4
    dtypes: tuple[torch.dtype, ...] = ()
    random: bool = False
    fails: str = ""
    slow: bool = False


@dataclass(frozen=True)
class Placed:
    """A result of which only the place is compared: its numbers turn on signs of gradients that are nearly zero."""

    value: object


def seeded(seed=0):
    """A CPU generator."""
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def uniform(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=seeded(seed), dtype=dtype)


def image_classifier(device, dtype=torch.float32, n=12):
    """A convolutional network with 8 x 8 images that it classifies rightly."""
    torch.manual_seed(1)
    layers = nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10)
    model, x = nn.Sequential(*layers).eval(), uniform(n, 1, 8, 8)
    with torch.no_grad():
        model[-1].weight *= 8
        y = model(x).argmax(1)
    return model.to(device, dtype), x.to(device, dtype), y.to(device)


def residual_classifier(device, n=60):
    """A small residual network with batch norm, and 10 x 10 images of all of its three classes."""
    from deepwright.nets import cifar_resnet

    torch.manual_seed(0)
    model, x = cifar_resnet(8, channels=1, classes=3).eval(), uniform(n, 1, 10, 10)
    with torch.no_grad():
        model.fc.bias -= model(x).mean(0)
        y = model(x).argmax(1)
    return model.to(device), x.to(device), y.to(device)
