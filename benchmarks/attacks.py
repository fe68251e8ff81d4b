"""Attacks on resnet20-cifar10 against foolbox, torchattacks and a raw autograd loop, at the same steps."""

from __future__ import annotations

from typing import Any

import torch
from common import seconds

from deepwright.adversarial import PGD, CarliniWagner, DeepFool, suite
from deepwright.nets import load


def run() -> list[dict[str, Any]]:
    """Rows of (what, ours, peer, ratio)."""
    model = load("resnet20-cifar10")
    x = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
    with torch.no_grad():
        y = model(x).argmax(1)
    for p in model.parameters():
        p.requires_grad_(False)
    eps, steps, alpha = 2 / 255, 40, 0.2 / 255

    def raw() -> None:
        delta = torch.zeros_like(x)
        for _ in range(steps):
            point = (x + delta).requires_grad_(True)
            (g,) = torch.autograd.grad(torch.nn.functional.cross_entropy(model(point), y, reduction="sum"), point)
            delta = ((delta + alpha * g.sign()).clamp(-eps, eps) + x).clamp(0, 1) - x

    calls = {
        "ours (every step)": lambda: PGD(eps, steps=steps, alpha=alpha, early_stop=False)(model, x, y),
        "ours (early stop)": lambda: PGD(eps, steps=steps, alpha=alpha)(model, x, y),
        "raw autograd loop": raw,
    }
    extra: dict[str, Any] = {}
    try:
        import foolbox

        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
        attack = foolbox.attacks.LinfPGD(abs_stepsize=alpha, steps=steps)
        calls["foolbox"] = lambda: attack(wrapped, x, y, epsilons=eps)
        deepfool = foolbox.attacks.L2DeepFoolAttack(steps=50, candidates=10)
        carlini = foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=3, steps=50)
        extra["DeepFool, 32 images"] = (
            lambda: DeepFool()(model, x[:32], y[:32]),
            {"foolbox": lambda: deepfool(wrapped, x[:32], y[:32], epsilons=None)},
        )
        extra["Carlini-Wagner 3 x 50, 16 images"] = (
            lambda: CarliniWagner(steps=50, rounds=3)(model, x[:16], y[:16]),
            {"foolbox": lambda: carlini(wrapped, x[:16], y[:16], epsilons=None)},
        )
    except ImportError:
        pass
    try:
        import torchattacks

        theirs = torchattacks.PGD(model, eps=eps, alpha=alpha, steps=steps)
        calls["torchattacks"] = lambda: theirs(x, y)
        auto = torchattacks.AutoAttack(model, norm="Linf", eps=eps, version="standard", n_classes=10)
        ours = suite("standard", eps, classes=10, steps=100)
        extra["standard suite, 8 images"] = (
            lambda: ours(model, x[:8], y[:8]),
            {"torchattacks AutoAttack": lambda: auto(x[:8], y[:8])},
        )
    except ImportError:
        pass
    found = seconds(calls)
    rows = []
    for name, value in found.items():
        if not name.startswith("ours"):
            for own in ("ours (every step)", "ours (early stop)"):
                rows.append(_row(f"PGD-40, 64 images, {own}", found[own], name, value))
    for what, (own_call, peers) in extra.items():
        measured = seconds({"ours": own_call, **peers}, repeats=1)
        rows += [_row(what, measured["ours"], name, measured[name]) for name in peers]
    return rows


def _row(what: str, ours: float, peer: str, theirs: float) -> dict[str, Any]:
    return {"what": what, "ours_s": ours, "peer": peer, "peer_s": theirs, "ratio": theirs / ours}
