"""Calls of the workflows."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from deepwright.data import Data, Split
from deepwright.physics import Box, field, jet
from deepwright.physics.solve import Condition, PDEProblem
from deepwright.workflows import (
    AuditOptions,
    ExitOptions,
    GuardOptions,
    HardenOptions,
    LabelOptions,
    PublishOptions,
    ShrinkOptions,
    SolveOptions,
    audit,
    build_subject,
    exits,
    guard,
    harden,
    label,
    publish,
    shrink,
    solve,
)
from deepwright.workflows.guarded import guard_network
from entries import Entry, Placed, normal, uniform

FAST = ("accuracy", "calibration", "fragility")


def network(device="cpu", dtype=torch.float32):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).eval().to(device, dtype)


def rows():
    y = torch.arange(60) % 3
    return Data("rows", "tabular", ("a", "b", "c"), *(Split(normal(60, 6, seed=s), y) for s in (1, 2, 3)))


def pictures():
    y = torch.arange(90) % 3
    parts = (Split(uniform(90, 1, 8, 8, seed=s) * 0.5 + y[:, None, None, None] / 4, y) for s in (1, 2, 3))
    return Data("pictures", "image", ("a", "b", "c"), *parts)


def told(report):
    return [(f.check, f.grade, f.summary) for f in report.findings]


def audited(device):
    """A network that lives on the device."""
    return told(audit(AuditOptions(network(device), data=rows(), checks=FAST, out=None)))


def audited_there(device):
    """A network of the CPU and the word for the device: the network stays where it is."""
    model = network()
    report = audit(AuditOptions(model, data=rows(), checks=FAST, device=str(device), out=None))
    assert next(model.parameters()).device.type == "cpu"
    return told(report)


def subject(device):
    found = build_subject(AuditOptions(network(), data=rows(), device=str(device)))
    return found.model, Placed(found.logits().to(device))


def shrunk(device):
    with tempfile.TemporaryDirectory() as folder:
        options = ShrinkOptions(
            network(device), data=rows(), goal=("params", 0.5), importance="l2", epochs=1, checks=FAST[:1], out=folder
        )
        found = shrink(options)
    return found.surgery.model, told(found.before), [(r[:2], r[3:6]) for r in found.table.rows]


def hardened(method):
    def call(device):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval().to(device)
        with tempfile.TemporaryDirectory() as folder:
            options = HardenOptions(
                model, data=pictures(), method=method, epochs=1, checks=FAST[:1], attack_limit=4, out=folder
            )
            found = harden(options)
        return found.hardened.model, told(found.before)[:1], len(found.after.findings)

    return call


def published(device):
    """Files, on the CPU wherever they are read."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in").mkdir()
        grey = (uniform(16, 16) * 100 + 70).to(torch.uint8).numpy()
        Image.fromarray(np.ascontiguousarray(grey)).save(Path(folder) / "in" / "grey.png")
        return publish(PublishOptions(Path(folder) / "in", out=Path(folder) / "out")).rows


def with_exits(device):
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.Flatten()
    model = nn.Sequential(*layers, nn.Linear(384, 3)).eval().to(device)
    with tempfile.TemporaryDirectory() as folder:
        found = exits(ExitOptions(model, data=pictures(), epochs=1, max_harm=0.5, out=folder))
    return found.model, len(found.table.rows)


def guarded(device):
    model, x = network(device), normal(80, 6).to(device)
    with torch.no_grad():
        y = model(x).argmax(1)
    module = guard_network(model, [(x, y)], "knn", 0.9, [x.flip(0)])
    return module, module(x[:5])


def with_guard(device):
    with tempfile.TemporaryDirectory() as folder:
        found = guard(GuardOptions(network(device), data=rows(), detector="msp", tpr=0.8, out=folder))
    return found.model, found.table.rows


def labelled(device):
    with tempfile.TemporaryDirectory() as folder:
        options = LabelOptions(
            "breast-cancer", simulate=True, budget=20, round_size=10, epochs=1, device=str(device), out=folder
        )
        found = label(options)
    return found.network, found.result.indices


def solved(device):
    growth = PDEProblem(
        "growth",
        Box((0, 1)),
        [
            Condition("equation", lambda u, x: jet(u, x).J[0] - u(x), points=20),
            Condition("start", lambda u, x: u(x) - 1, torch.zeros(1, 1).double()),
        ],
        network=lambda: field(1, 1, (6,)),
    )
    with tempfile.TemporaryDirectory() as folder:
        found = solve(SolveOptions(growth, steps=4, device=str(device), out=folder))
    return found.network, found.certificate.trained


ENTRIES = [
    Entry("audit", audited),
    Entry("audit, device by name", audited_there),
    Entry("build_subject, device by name", subject),
    Entry("shrink", shrunk, slow=True),
    Entry("harden by smoothing", hardened("smoothing"), slow=True),
    Entry("harden by sharpening", hardened("sharpening"), slow=True),
    Entry("harden by adversarial training", hardened("adversarial-training"), slow=True),
    Entry("harden by TRADES", hardened("trades"), slow=True),
    Entry("harden by corruption training", hardened("corruption-training"), slow=True),
    Entry("publish", published, returns="cpu"),
    Entry("exits", with_exits),
    Entry("guard_network", guarded),
    Entry("guard", with_guard, slow=True),
    Entry("label, device by name", labelled),
    Entry("solve, device by name", solved),
]
