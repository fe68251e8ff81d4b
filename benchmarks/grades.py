"""The grades of networks that everybody knows: `python benchmarks/grades.py` writes the table of docs/audit.md.

Networks of MNIST's bundled digits and of tables are trained here; with DEEPWRIGHT_DATA there are real ones too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.checks import Subject, audit
from deepwright.core.files import jsonable
from deepwright.core.fit import adamw, fit
from deepwright.core.randomness import generator, local_rng
from deepwright.data import Data, load
from deepwright.nets import cifar_resnet, mlp
from deepwright.nets import load as load_model

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- grades: written by benchmarks/grades.py -->", "<!-- end of grades -->"
CHECKS = ("accuracy", "calibration", "fragility", "robustness", "corruptions", "ood")
FOLDER = os.environ.get("DEEPWRIGHT_DATA")
LIMITS: dict[str, int] = {"attack_limit": 200, "corruption_limit": 100, "ood_limit": 200}


@dataclass(frozen=True)
class Known:
    """A network whose grades an expert knows before they are measured.

    Attributes:
        name: in the table.
        data: its data set.
        make: data -> the network.
    """

    name: str
    data: str
    make: Callable[[Data], nn.Module]


class Scaled(nn.Module):
    """Logits times a factor: the same predictions with another confidence."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.network(x)


class Reordered(nn.Module):
    """The outputs in another order than the classes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).roll(1, 1)


def constant(data: Data) -> nn.Module:
    """The class frequencies, whatever the input."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(data.test.x[0].numel(), len(data.classes)))
    counts = torch.bincount(data.train.y, minlength=len(data.classes)).float()
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].bias.copy_((counts / counts.sum()).log())
    return network


def untrained(data: Data) -> nn.Module:
    with local_rng(0):
        return cifar_resnet(8, channels=1)


def trained(build: Callable[[Data], nn.Module], epochs: int, noise: float = 0.0) -> Callable[[Data], nn.Module]:
    """A network fitted with cross-entropy; `noise` is the share of training labels that are drawn anew."""

    def make(data: Data) -> nn.Module:
        y = data.train.y.clone()
        flip = torch.rand(len(y), generator=generator(0, "flip")) < noise
        y[flip] = torch.randint(len(data.classes), (int(flip.sum()),), generator=generator(0, "labels"))
        with local_rng(0):
            network = build(data)
        fit(network, (data.train.inputs(), y), epochs=epochs, batch_size=64, optimizer=adamw(1e-3))
        return network

    return make


def linear(data: Data) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(data.test.x[0].numel(), len(data.classes)))


def perceptron(data: Data) -> nn.Module:
    return nn.Sequential(nn.Flatten(), mlp(data.test.x[0].numel(), len(data.classes)))


def small_convolutional(data: Data) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, 2, 2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 5, 2, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 49, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


def adversarially_trained(data: Data, eps: float = 0.3, epochs: int = 40) -> nn.Module:
    """Madry et al.'s training, with a budget that grows over the first third."""
    with local_rng(0):
        network = small_convolutional(data).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    x, y, draws = data.train.inputs(), data.train.y, generator(0, "adversarial")
    for epoch in range(epochs):
        budget = eps * min(1.0, 3 * (epoch + 1) / epochs)
        for rows in torch.randperm(len(y), generator=draws).split(100):
            attacked = _raised(network, x[rows], y[rows], budget, draws)
            optimizer.zero_grad()
            F.cross_entropy(network(attacked), y[rows]).backward()
            optimizer.step()
        schedule.step()
    return network


def _raised(network: nn.Module, x: Tensor, y: Tensor, eps: float, draws: torch.Generator, steps: int = 7) -> Tensor:
    """PGD as training wants it: no bookkeeping, every sample to the last step."""
    found = (x + eps * (2 * torch.rand(x.shape, generator=draws) - 1)).clamp(0, 1)
    for _ in range(steps):
        found.requires_grad_(True)
        (slope,) = torch.autograd.grad(F.cross_entropy(network(found), y), found)
        found = (found.detach() + eps / 3 * slope.sign()).clamp(x - eps, x + eps).clamp(0, 1)
    return found


def bundled(name: str) -> Callable[[Data], nn.Module]:
    return lambda data: load_model(name)


def scaled(factor: float) -> Callable[[Data], nn.Module]:
    return lambda data: Scaled(load_model("resnet8-mnist"), factor)


EMBEDDED = (
    Known("ResNet-8, untrained", "mnist", untrained),
    Known("class frequencies, whatever the input", "mnist", constant),
    Known("linear", "mnist", trained(linear, 30)),
    Known("MLP", "mnist", trained(perceptron, 30)),
    Known("MLP, half of its training labels drawn anew", "mnist", trained(perceptron, 30, noise=0.5)),
    Known("ResNet-8 (bundled)", "mnist", bundled("resnet8-mnist")),
    Known("ResNet-8, logits x 5", "mnist", scaled(5.0)),
    Known("ResNet-8, logits / 5", "mnist", scaled(0.2)),
    Known("ResNet-8, outputs in another order", "mnist", lambda data: Reordered(load_model("resnet8-mnist"))),
    Known("small CNN", "mnist", trained(small_convolutional, 20)),
    Known("small CNN, adversarially trained at 0.3", "mnist", adversarially_trained),
    Known("MLP", "digits", trained(perceptron, 60)),
    Known("MLP", "breast-cancer", trained(perceptron, 30)),
)
REAL = (
    Known("ResNet-20 (bundled)", "cifar10", bundled("resnet20-cifar10")),
    Known("MLP", "heart-failure", trained(perceptron, 30)),
)


def grades(known: Known, checks: tuple[str, ...] = CHECKS, **limits: int) -> dict[str, Any]:
    """A row of the table: each grade, what else it could be, and the value that it comes from.

    Args:
        known: which network.
        checks: their names.
        limits: of `Subject`, in place of the table's.
    """
    data = load(known.data, root=FOLDER if known in REAL else None, limit=2000, train_limit=5000)
    network = known.make(data).eval()
    report = audit(Subject(network, data, known.name, **(LIMITS | limits)), checks=list(checks))
    row: dict[str, Any] = {"network": known.name, "data": known.data}
    for found in report.findings:
        row[found.check] = {
            "grade": found.grade,
            "could be": list(found.could_be),
            "by": jsonable({name: found.number(name) for name in found.graded_by if name in found.values}),
        }
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [f"| data | network | {' | '.join(CHECKS)} |", "|---" * (len(CHECKS) + 2) + "|"]
    lines += [
        f"| {row['data']} | {row['network']} | {' | '.join(_cell(row[check]) for check in CHECKS)} |" for row in rows
    ]
    return "\n".join(lines)


def _cell(found: dict[str, Any]) -> str:
    if found["grade"] in ("info", "n/a"):
        return {"info": "not graded", "n/a": "–"}[found["grade"]]
    values = ", ".join(f"{float(value):.3g}" for value in found["by"].values())
    unsure = f" (or {', '.join(found['could be'])})" if found["could be"] else ""
    return f"**{found['grade']}**{unsure} {values}"


def main() -> None:
    """Measure the networks that are named or not measured yet, keep benchmarks/grades.json, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        help='parts of names of networks to measure again; "" is in all; without any, what isn\'t measured yet',
    )
    options = parser.parse_args()
    os.environ.pop("DEEPWRIGHT_DATA", None)  # the digits are the bundled ones, wherever others are
    path, page = Path(__file__).parent / "grades.json", ROOT / "docs" / "audit.md"
    known = [*EMBEDDED, *(REAL if FOLDER is not None else ())]
    kept = {(row["network"], row["data"]): row for row in (json.loads(path.read_text()) if path.exists() else [])}
    for each in known:
        key = (each.name, each.data)
        if key not in kept or any(word in f"{each.name} {each.data}" for word in options.names):
            kept[key] = grades(each)
            print(each.data, each.name, {check: _cell(kept[key][check]) for check in CHECKS}, flush=True)
            path.write_text(json.dumps([kept[k] for k in sorted(kept, key=_place)], indent=1) + "\n")
    rows = [kept[k] for k in sorted(kept, key=_place)]
    head, rest = page.read_text().split(BEGIN)
    page.write_text(f"{head}{BEGIN}\n{table(rows)}\n{END}{rest.split(END)[1]}")


def _place(key: tuple[str, str]) -> int:
    return [(known.name, known.data) for known in (*EMBEDDED, *REAL)].index(key)


if __name__ == "__main__":
    main()
    sys.exit(0)
