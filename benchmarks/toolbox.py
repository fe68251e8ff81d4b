"""The same attacks by the Adversarial Robustness Toolbox (ART): CPU seconds of one thread, on digits that stand.

Gradient attacks have equal steps and no restarts; Square has equal queries. ART's HopSkipJump counts as ours does; its
boundary attack tries 20 points where ours tries one, so what each side asks of the network is in the note, with the
time an image asked: attacks that stop early ask fewer, and a ratio of whole times isn't one of equal queries.
"""

from __future__ import annotations

from typing import Any

import attacks
import numpy as np
import torch
from torch import Tensor, nn

from deepwright.adversarial import APGD, PGD, Boundary, DeepFool, HopSkipJump, Square, suite
from deepwright.data import load as load_data
from deepwright.nets import load

EPS, COUNT, STEPS, QUERIES = attacks.EPS, attacks.COUNT, 40, 500


class Counted(nn.Module):
    """Counts the images that a network is asked about.

    Args:
        network: is asked.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.asked = network, 0

    def forward(self, x: Tensor) -> Tensor:
        """The network's logits.

        Args:
            x: images.
        """
        self.asked += len(x)
        return self.network(x.float())  # some of ART's attacks ask in float64


def run(only: str = "") -> list[dict[str, Any]]:
    """Rows of (what, ours, peer, ratio, note); none without ART.

    Args:
        only: how the attacks that are wanted begin.
    """
    try:
        from art.attacks import evasion
        from art.estimators.classification import PyTorchClassifier
    except ImportError:
        return []
    network = load("resnet8-mnist")
    split = load_data("mnist").test.take(64)
    x, y = split.inputs(), split.y
    stands = (~suite("quick", EPS)(network, x, y).success).nonzero().flatten()[:COUNT]
    x, y = x[stands], y[stands]
    for p in network.parameters():
        p.requires_grad_(False)
    model = Counted(network).eval()
    art = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), tuple(x.shape[1:]), 10, clip_values=(0.0, 1.0), device_type="cpu"
    )
    quiet: dict[str, Any] = {"verbose": False}
    inf: dict[str, Any] = {"norm": np.inf, "eps": EPS, "batch_size": COUNT, **quiet}
    pairs: dict[str, tuple[Any, Any]] = {
        f"PGD-{STEPS}": (
            PGD(EPS, steps=STEPS, alpha=EPS / 10, random_start=False),
            evasion.ProjectedGradientDescentPyTorch(art, eps_step=EPS / 10, max_iter=STEPS, **inf),
        ),
        "APGD-CE, 100 steps": (
            APGD(EPS, steps=100),
            evasion.AutoProjectedGradientDescent(
                art, eps_step=2 * EPS, max_iter=100, nb_random_init=1, loss_type="cross_entropy", **inf
            ),
        ),
        f"Square, {QUERIES} queries": (
            Square(EPS, queries=QUERIES),
            evasion.SquareAttack(art, max_iter=QUERIES, nb_restarts=1, **inf),
        ),
        "DeepFool": (DeepFool(steps=50), evasion.DeepFool(art, max_iter=50, batch_size=COUNT, **quiet)),
        "HopSkipJump in L2, 10 iterations": (
            HopSkipJump(iterations=10),
            evasion.HopSkipJump(art, batch_size=COUNT, max_iter=10, **quiet),
        ),
        "boundary attack, 1,000 steps; ART's 25 of 40 tries": (
            Boundary(steps=1000),
            evasion.BoundaryAttack(art, targeted=False, batch_size=COUNT, max_iter=25, **quiet),
        ),
        "boundary attack to about the peer's distance, 550 steps; ART's 25 of 40 tries": (
            Boundary(steps=550),
            evasion.BoundaryAttack(art, targeted=False, batch_size=COUNT, max_iter=25, **quiet),
        ),
    }
    pairs = {what: pair for what, pair in pairs.items() if what.startswith(only)}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    for what, (ours, theirs) in pairs.items():
        asked: dict[str, int] = {}
        seconds, points = attacks._cpu_seconds(
            {
                "ours": lambda a=ours, n=asked: _asked(model, "ours", n, lambda: a(model, x, y).x_adv),
                "ART": lambda a=theirs, n=asked: _asked(model, "ART", n, lambda: _generated(a, x, y)),
            }
        )
        note = attacks._note(network, x, y, points["ours"], points["ART"])
        note += f"; images asked: ours {asked['ours']}, the peer's {asked['ART']}"
        each = {name: f"{1e3 * seconds[name] / max(asked[name], 1):.3g}" for name in ("ours", "ART")}
        note += f"; milliseconds an image asked: ours {each['ours']}, the peer's {each['ART']}"
        rows.append(attacks._row(f"{what}, {len(x)} digits that stand", seconds["ours"], "ART", seconds["ART"], note))
        print(rows[-1], flush=True)
    torch.set_num_threads(threads)
    return rows


def _asked(model: Counted, who: str, asked: dict[str, int], call: Any) -> Any:
    model.asked = 0
    given = call()
    asked[who] = model.asked
    return given


def _generated(attack: Any, x: Tensor, y: Tensor) -> Tensor:
    state = np.random.get_state()  # noqa: NPY002 - ART draws from it
    np.random.seed(0)  # noqa: NPY002
    try:
        return torch.from_numpy(np.asarray(attack.generate(x.numpy(), y.numpy()), dtype=np.float32))
    finally:
        np.random.set_state(state)  # noqa: NPY002
