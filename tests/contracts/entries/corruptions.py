"""Calls of the room of perturbations."""

import torch
from torch.nn.functional import interpolate

from deepwright.corruptions import ALL, Suite
from deepwright.corruptions.suite import Compose
from entries import Entry, Placed, image_classifier, uniform


def photos(device, n=2):
    base = interpolate(uniform(n, 3, 4, 4), (12, 16), mode="bicubic").clamp(0, 1)
    return base.to(device)


def perturbed(p):
    def call(device):
        x = photos(device)
        mixed = p(x, torch.tensor([0, 4], device=device), seed=3, ids=torch.arange(2, device=device))
        return p(x, 3, seed=3), mixed, Placed(p((255 * x).to(torch.uint8), 2))

    return call


def evaluated(where):
    def call(device):
        model, x, y = image_classifier(device)
        x, y = (x, y) if where == "device" else (x.cpu(), y.cpu())
        return Suite("label_preserving", (2,)).evaluate(model, [(x, y)]).errors

    return call


def composed(device):
    return Compose([("fog_mapping", 2), ("jpeg", 2)])(photos(device))


ENTRIES = [
    *(Entry(p.name, perturbed(p), tolerance=5e-3) for p in ALL),
    Entry("Suite.evaluate", evaluated("device")),
    Entry("Suite.evaluate, data on the CPU", evaluated("cpu")),
    Entry("Compose", composed, tolerance=5e-3),
]
