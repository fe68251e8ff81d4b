"""Calls of the room of attacks."""

import tempfile
from pathlib import Path

import torch

from deepwright.adversarial import (
    APGD,
    APGDT,
    BIM,
    FABT,
    FGSM,
    PGD,
    RFGSM,
    AttackSuite,
    CarliniWagner,
    DeepFool,
    Noise,
    Square,
    curve,
    masking_flags,
    minimal_eps,
    robust_accuracy,
)
from entries import Entry, Placed, image_classifier

ATTACKS = {
    "PGD": PGD(0.1, steps=3),
    "PGD l2": PGD(1.0, "l2", steps=3),
    "PGD l1": PGD(8.0, "l1", steps=3),
    "FGSM": FGSM(0.1),
    "RFGSM": RFGSM(0.1),
    "BIM": BIM(0.1, steps=3),
    "APGD": APGD(0.1, steps=5),
    "APGDT": APGDT(0.1, steps=4, targets=2),
    "FABT": FABT(0.1, steps=3, targets=2),
    "Square": Square(0.1, queries=12),
    "Square l2": Square(2.0, "l2", queries=12),
    "DeepFool": DeepFool(2.0, steps=4),
    "DeepFool linf": DeepFool(0.1, "linf", steps=4),
    "CarliniWagner": CarliniWagner(2.0, steps=6, rounds=2, initial_c=1.0),
    "Noise": Noise(0.1),
}


def attacked(name):
    def call(device, dtype=torch.float32):
        model, x, y = image_classifier(device, dtype)
        found = ATTACKS[name](model, x, y)
        return {"x_adv": Placed(found.x_adv), "success": found.success, "model": model}

    return call


def options_elsewhere(device):
    """Budgets, ids and a mask may come from the CPU or from the device."""
    model, x, y = image_classifier(device)
    each, mask = torch.linspace(0.02, 0.1, len(x)), torch.zeros(len(x), 1, 8, 8)
    mask[..., :4] = 1
    ids = torch.arange(len(x))
    return [
        PGD(0.1, steps=3)(model, x, y, eps=e, ids=i, mask=m).success
        for e, i, m in ((each, ids, mask), (each.to(device), ids.to(device), mask.to(device)))
    ]


def data_elsewhere(device):
    model, x, y = image_classifier(device)
    return PGD(0.1, steps=3)(model, x.cpu(), y.cpu()).success


def every_option(device):
    model, x, y = image_classifier(device)
    options = {"quantize": 255, "eot": 2, "callback": lambda step, done: None, "through": (lambda t: t * 1.0,)}
    return PGD(0.1, steps=3, targeted=True)(model, x, (y + 1) % 10, **options).success


def robust(device):
    model, x, y = image_classifier(device)
    attacks = AttackSuite([PGD(0.1, steps=3), Square(0.1, queries=10)])
    with tempfile.TemporaryDirectory() as folder:
        found = [
            robust_accuracy(model, [(x[:6], y[:6]), (x[6:], y[6:])], attacks, checkpoint=Path(folder) / "c.jsonl")
            for _ in range(2)
        ]
    return [(r.clean.value, r.robust.value) for r in found]


def sweeps(device):
    model, x, y = image_classifier(device)
    return str(curve(model, x, y, PGD(0.1, steps=3), [0.0, 0.05, 0.1]))


def budgets(device):
    model, x, y = image_classifier(device)
    return Placed(minimal_eps(model, x, y, PGD(0.1, steps=2), tol=0.05))


def flags(device):
    return str(masking_flags(*image_classifier(device, n=3), 0.3))


ALSO = {"PGD": (torch.float64, torch.float16, torch.bfloat16), "Square": (torch.float64,), "DeepFool": (torch.float64,)}

ENTRIES = [
    *(Entry(name, attacked(name), dtypes=ALSO.get(name, ())) for name in ATTACKS),
    Entry("PGD, budgets, ids and mask elsewhere", options_elsewhere),
    Entry("PGD, data on the CPU", data_elsewhere, returns="cpu"),
    Entry("PGD, every option", every_option),
    Entry("robust_accuracy", robust),
    Entry("curve", sweeps),
    Entry("minimal_eps", budgets),
    Entry("masking_flags", flags, slow=True),
]
