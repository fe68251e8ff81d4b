"""Attacks on digits that stand, where all steps are done: CPU seconds of ours, foolbox, torchattacks and a raw loop.

Each pair has equal steps on the same images: those that survive our quick suite at this budget. Images that fall at
once would measure the early stop only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial import (
    APGD,
    APGDT,
    FABT,
    MIFGSM,
    PGD,
    VMIFGSM,
    AttackSuite,
    Boundary,
    CarliniWagner,
    DeepFool,
    HopSkipJump,
    Square,
    suite,
)
from deepwright.data import load as load_data
from deepwright.nets import load

EPS, COUNT, REPEATS = 0.05, 8, 3
Call = Callable[[], Any]


def run() -> list[dict[str, Any]]:
    """Rows of (what, ours, peer, ratio, note)."""
    model = load("resnet8-mnist")
    split = load_data("mnist").test.take(64)
    x, y = split.inputs(), split.y
    stands = (~suite("quick", EPS)(model, x, y).success).nonzero().flatten()[:COUNT]
    x, y = x[stands], y[stands]
    for p in model.parameters():
        p.requires_grad_(False)
    rows = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # CPU seconds of two threads count their waiting
    for what, (ours, peers) in _pairs(model, x, y).items():
        found, points = _cpu_seconds({"ours": ours, **peers})
        what = f"{what}, {len(x)} digits that stand"
        rows += [
            _row(what, found["ours"], name, found[name], _note(model, x, y, points["ours"], points[name]))
            for name in peers
        ]
    torch.set_num_threads(threads)
    return rows


def _pairs(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, tuple[Call, dict[str, Call]]]:
    """What -> (ours, {peer: theirs}) of equal steps."""
    steps, alpha = 40, EPS / 10
    peers: dict[str, dict[str, Call]] = {}
    for add in (_raw, _foolbox, _torchattacks):
        for what, name, call in add(model, x, y, steps, alpha):
            peers.setdefault(what, {})[name] = call
    four = AttackSuite([APGD(EPS, steps=20), APGDT(EPS, steps=20), FABT(EPS, steps=20), Square(EPS, queries=500)])
    ours: dict[str, Call] = {
        "PGD-40": lambda: PGD(EPS, steps=steps, alpha=alpha)(model, x, y),
        "DeepFool": lambda: DeepFool(steps=50)(model, x, y),
        "Carlini-Wagner 9 x 100": lambda: CarliniWagner(steps=100, rounds=9)(model, x, y),
        "APGD-CE, 100 steps": lambda: APGD(EPS, steps=100)(model, x, y),
        "APGD-T, 9 x 20 steps": lambda: APGDT(EPS, steps=20)(model, x, y),
        "FAB-T, 9 x 20 steps": lambda: FABT(EPS, steps=20)(model, x, y),
        "Square, 500 queries": lambda: Square(EPS, queries=500)(model, x, y),
        "Square in L2, 500 queries": lambda: Square(0.5, "l2", queries=500)(model, x, y),
        "these four in turn, 20 steps and 500 queries": lambda: four(model, x, y),
        "MI-FGSM, 10 steps": lambda: MIFGSM(EPS)(model, x, y),
        "VMI-FGSM, 10 steps, 20 neighbours": lambda: VMIFGSM(EPS)(model, x, y),
        "HopSkipJump in L2, 10 iterations": lambda: HopSkipJump(iterations=10)(model, x, y),
        "boundary attack, 1,000 steps": lambda: Boundary(steps=1000)(model, x, y),
    }
    return {what: (call, peers[what]) for what, call in ours.items() if what in peers}


def _raw(model: nn.Module, x: Tensor, y: Tensor, steps: int, alpha: float) -> list[tuple[str, str, Call]]:
    def loop() -> Tensor:
        point = x
        for _ in range(steps):
            point = point.detach().requires_grad_(True)
            loss = nn.functional.cross_entropy(model(point), y, reduction="sum")
            (g,) = torch.autograd.grad(loss, point)
            point = ((point + alpha * g.sign() - x).clamp(-EPS, EPS) + x).clamp(0, 1)
        return point

    return [("PGD-40", "raw autograd loop", loop)]


def _foolbox(model: nn.Module, x: Tensor, y: Tensor, steps: int, alpha: float) -> list[tuple[str, str, Call]]:
    try:
        import foolbox
    except ImportError:
        return []
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    pgd = foolbox.attacks.LinfPGD(abs_stepsize=alpha, steps=steps)
    deepfool = foolbox.attacks.L2DeepFoolAttack(steps=50, candidates=10)
    jump, walk = foolbox.attacks.HopSkipJumpAttack(steps=10), foolbox.attacks.BoundaryAttack(steps=1000)
    carlini = foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=9, steps=100)
    return [
        ("PGD-40", "foolbox", lambda: pgd(wrapped, x, y, epsilons=EPS)[1]),
        ("DeepFool", "foolbox", lambda: deepfool(wrapped, x, y, epsilons=None)[1]),
        ("Carlini-Wagner 9 x 100", "foolbox", lambda: carlini(wrapped, x, y, epsilons=None)[1]),
        ("HopSkipJump in L2, 10 iterations", "foolbox", lambda: jump(wrapped, x, y, epsilons=None)[1]),
        ("boundary attack, 1,000 steps", "foolbox", lambda: walk(wrapped, x, y, epsilons=None)[1]),
    ]


def _torchattacks(model: nn.Module, x: Tensor, y: Tensor, steps: int, alpha: float) -> list[tuple[str, str, Call]]:
    try:
        import torchattacks as peer
    except ImportError:
        return []
    inf: dict[str, Any] = {"norm": "Linf", "eps": EPS}
    nine: dict[str, Any] = {**inf, "steps": 20, "n_classes": 10}
    apgdt, fab = peer.APGDT(model, **nine), peer.FAB(model, **nine, multi_targeted=True, n_restarts=1)
    square = peer.Square(model, **inf, n_queries=500)
    # Its AutoAttack is these four with 10 steps of the first three, which can't be changed.
    four = peer.MultiAttack([peer.APGD(model, **inf, steps=20), apgdt, fab, square])
    attacks = {
        "PGD-40": peer.PGD(model, eps=EPS, alpha=alpha, steps=steps),
        "APGD-CE, 100 steps": peer.APGD(model, **inf, steps=100),
        "APGD-T, 9 x 20 steps": apgdt,
        "FAB-T, 9 x 20 steps": fab,
        "Square, 500 queries": square,
        "Square in L2, 500 queries": peer.Square(model, norm="L2", eps=0.5, n_queries=500),
        "these four in turn, 20 steps and 500 queries": four,
        "MI-FGSM, 10 steps": peer.MIFGSM(model, eps=EPS, alpha=EPS / 10, steps=10),
        "VMI-FGSM, 10 steps, 20 neighbours": peer.VMIFGSM(model, eps=EPS, alpha=EPS / 10, steps=10, N=20),
    }
    return [(what, "torchattacks", lambda a=attack: a(x, y)) for what, attack in attacks.items()]


def _cpu_seconds(calls: dict[str, Call]) -> tuple[dict[str, float], dict[str, Any]]:
    """The least CPU time of each call, and what it gave; they take turns, so that a busy machine slows all alike."""
    given: dict[str, Any] = {}
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(REPEATS):
        for name, call in calls.items():
            begin = time.process_time()
            given[name] = call()
            least[name] = min(least[name], time.process_time() - begin)
    return least, given


def _note(model: nn.Module, x: Tensor, y: Tensor, ours: Any, theirs: Tensor) -> str:
    """How many stand after each side, and how far those moved that fell: a time is worth what it found.

    foolbox gives a black image where Carlini-Wagner finds nothing; that is no adversarial example.
    """
    told = []
    for moved in (ours if isinstance(ours, Tensor) else ours.x_adv, theirs):
        with torch.no_grad():
            fell = (model(moved).argmax(1) != y) & (moved.flatten(1).abs().sum(1) > 0)
        far = (moved - x).flatten(1).norm(dim=1)[fell]
        told.append(f"{int((~fell).sum())} (L2 {float(far.mean()):.3f})" if len(far) else f"{int((~fell).sum())}")
    return f"CPU seconds of one thread; of {len(y)} stand after ours {told[0]}, after the peer's {told[1]}"


def _row(what: str, ours: float, peer: str, theirs: float, note: str) -> dict[str, Any]:
    return {"what": what, "ours_s": ours, "peer": peer, "peer_s": theirs, "ratio": theirs / ours, "note": note}
