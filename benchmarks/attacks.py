"""Attacks on digits that stand, where all steps are done: CPU seconds of ours, foolbox, torchattacks, ART, a raw loop.

Each pair has equal steps on the same images: those that survive our quick suite at this budget. Images that fall at
once would measure the early stop only. Attacks that know answers alone are held at equal queries: ours may ask as often
as the peer did, and the notes say how far each still is from its picture.
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
    for add in (_raw, _foolbox, _torchattacks, _art):
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
    carlini = foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=9, steps=100)
    return [
        ("PGD-40", "foolbox", lambda: pgd(wrapped, x, y, epsilons=EPS)[1]),
        ("DeepFool", "foolbox", lambda: deepfool(wrapped, x, y, epsilons=None)[1]),
        ("Carlini-Wagner 9 x 100", "foolbox", lambda: carlini(wrapped, x, y, epsilons=None)[1]),
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


def _classifier(model: nn.Module) -> Any:
    """ART's, which takes and gives arrays."""
    from art.estimators.classification import PyTorchClassifier

    options: dict[str, Any] = {"input_shape": (1, 28, 28), "nb_classes": 10, "clip_values": (0, 1)}
    return PyTorchClassifier(model, nn.CrossEntropyLoss(), **options)


def _art(model: nn.Module, x: Tensor, y: Tensor, steps: int, alpha: float) -> list[tuple[str, str, Call]]:
    try:
        from art.attacks import evasion
    except ImportError:
        return []
    net, pixels, labels = _classifier(model), x.numpy(), y.numpy()
    inf: dict[str, Any] = {"norm": "inf", "eps": EPS}
    quiet: dict[str, Any] = {"batch_size": len(x), "verbose": False}
    attacks = {
        "PGD-40": evasion.ProjectedGradientDescentPyTorch(net, **inf, eps_step=alpha, max_iter=steps, **quiet),
        "DeepFool": evasion.DeepFool(net, max_iter=50, nb_grads=10, **quiet),
        "Carlini-Wagner 9 x 100": evasion.CarliniL2Method(net, binary_search_steps=9, max_iter=100, **quiet),
        "APGD-CE, 100 steps": evasion.AutoProjectedGradientDescent(
            net, **inf, eps_step=2 * EPS, max_iter=100, nb_random_init=1, loss_type="cross_entropy", **quiet
        ),
        "Square, 500 queries": evasion.SquareAttack(net, **inf, max_iter=500, p_init=0.8, **quiet),
    }
    return [
        (what, "ART", lambda a=attack: torch.from_numpy(a.generate(pixels, labels))) for what, attack in attacks.items()
    ]


class _Counting(nn.Module):
    """A network that counts what it is asked."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.asked = network, 0

    def forward(self, x: Tensor) -> Tensor:
        self.asked += len(x)
        return self.network(x)


def answers_alone() -> list[dict[str, Any]]:
    """HopSkipJump and the boundary attack in L2, ours with as many queries as the peer took."""
    model = load("resnet8-mnist").requires_grad_(False)
    split = load_data("mnist").test.take(16)
    right = (model(split.inputs()).argmax(1) == split.y).nonzero().flatten()[: COUNT // 2]
    x, y = split.inputs()[right], split.y[right]
    others = torch.stack([x[(y != label).nonzero().flatten()[0]] for label in y])  # where all of them begin
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    for what, name, theirs in (*_foolbox_decisions(x, y, others), *_art_decisions(x, y, others)):
        net = _Counting(model).eval()
        begin = time.process_time()
        moved = theirs(net)
        peer = time.process_time() - begin
        asked = net.asked // len(x)
        net.asked, begin = 0, time.process_time()
        if what == "HopSkipJump":
            found = HopSkipJump(queries=asked, starting=lambda *_: others)(net, x, y)
        else:
            steps = int((asked - 20) / 1.1)  # a second question every tenth step
            found = Boundary(steps=steps, starting=lambda *_: others)(net, x, y)
        ours = time.process_time() - begin
        told = [_distance(model, x, y, z) for z in (found.x_adv, moved)]
        note = (
            f"CPU seconds of one thread; ours {net.asked // len(x):,} queries, peer {asked:,}; "
            f"median L2 ours {told[0]}, peer {told[1]}"
        )
        rows.append(_row(f"{what} in L2, {len(x)} digits, equal queries", ours, name, peer, note))
    torch.set_num_threads(threads)
    return rows


def _foolbox_decisions(x: Tensor, y: Tensor, others: Tensor) -> list[tuple[str, str, Callable[[nn.Module], Tensor]]]:
    try:
        import foolbox
    except ImportError:
        return []
    jump, walk = foolbox.attacks.HopSkipJumpAttack(steps=10), foolbox.attacks.BoundaryAttack(steps=1000)

    def with_(attack: Any) -> Callable[[nn.Module], Tensor]:
        begun = {"epsilons": None, "starting_points": others}
        return lambda net: attack(foolbox.PyTorchModel(net, bounds=(0, 1)), x, y, **begun)[1]

    return [("HopSkipJump", "foolbox", with_(jump)), ("boundary attack", "foolbox", with_(walk))]


def _art_decisions(x: Tensor, y: Tensor, others: Tensor) -> list[tuple[str, str, Callable[[nn.Module], Tensor]]]:
    try:
        from art.attacks import evasion
    except ImportError:
        return []

    def with_(kind: Any, **options: Any) -> Callable[[nn.Module], Tensor]:
        def call(net: nn.Module) -> Tensor:
            attack = kind(_classifier(net), batch_size=len(x), targeted=False, verbose=False, **options)
            return torch.from_numpy(attack.generate(x.numpy(), y.numpy(), x_adv_init=others.numpy()))

        return call

    jump = with_(evasion.HopSkipJump, norm=2, max_iter=10, init_eval=100, max_eval=10_000)
    walk = with_(evasion.BoundaryAttack, max_iter=40, num_trial=25, sample_size=20)
    return [("HopSkipJump", "ART", jump), ("boundary attack", "ART", walk)]


def _distance(model: nn.Module, x: Tensor, y: Tensor, moved: Tensor) -> str:
    fell = model(moved).argmax(1) != y
    far = (moved - x).flatten(1).norm(dim=1)[fell]
    return f"{float(far.median()):.3f} of {int(fell.sum())}" if len(far) else "none"


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
