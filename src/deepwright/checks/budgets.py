"""At which budgets a network is attacked, and at which of them it is judged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from deepwright.checks.subjects.subject import Subject

_SMALL = 64  # pixels of the longer side


@dataclass(frozen=True)
class Budgets:
    """What the curve is measured at, and where it is judged.

    Attributes:
        eps: rising L-inf budgets.
        judged: one of them.
        why: why there, in words.
    """

    eps: tuple[float, ...]
    judged: float
    why: str


def budgets(subject: Subject) -> Budgets:
    """L-inf budgets of a kind of data, and the one that its field reports.

    8/255 for small colour pictures (CIFAR-10), 4/255 for large ones (ImageNet), 0.3 for MNIST, 0.1 for other small grey
    pictures (Fashion-MNIST), 4/255 for large ones. Tables have no such standard: a tenth of a deviation is ours. Where
    budgets are named, they are judged at the field's if it is among them, else at the largest.

    Source: "RobustBench: a standardized adversarial robustness benchmark", arXiv 2010.09670 (CIFAR-10, ImageNet);
    "Towards Deep Learning Models Resistant to Adversarial Attacks", arXiv 1706.06083 (MNIST).
    """
    eps, judged, why = _usual(subject)
    if subject.eps is None:
        return Budgets(eps, judged, why)
    same = [e for e in subject.eps if judged is not None and math.isclose(e, judged, rel_tol=1e-6)]
    if same:
        return Budgets(subject.eps, same[0], why)
    return Budgets(subject.eps, subject.eps[-1], "the largest that was named")


def _usual(subject: Subject) -> tuple[tuple[float, ...], Any, str]:
    data = subject.data
    if data.kind == "series":
        why = "of a deviation of each channel; series have no usual budget, this one is ours"
        return (0.05, 0.1, 0.2, 0.4), 0.1, why
    if data.kind == "tabular":
        unit = "of the rows' unit" if data.scale is None else "of a deviation"
        return (0.05, 0.1, 0.2, 0.4), 0.1, f"{unit}; tables have no usual budget, this one is ours"
    small = max(data.shape[1:]) <= _SMALL
    if data.shape[0] != 1:
        field = ("small", 8) if small else ("large", 4)
        return (1 / 255, 2 / 255, 4 / 255, 8 / 255), field[1] / 255, f"the field's for {field[0]} colour pictures"
    if data.name == "mnist":
        return (0.05, 0.1, 0.2, 0.3), 0.3, "the field's for MNIST"
    if small:
        return (0.02, 0.05, 0.1, 0.2), 0.1, "the field's for small grey pictures"
    return (1 / 255, 2 / 255, 4 / 255, 8 / 255), 4 / 255, "the field's for large pictures"


def short(eps: float) -> str:
    """A budget in words: in 255ths where it is a small whole number of them.

    Args:
        eps: the budget.
    """
    if eps == 0:
        return "0"
    steps = eps * 255
    return f"{round(steps)}/255" if abs(steps - round(steps)) < 1e-6 and eps < 0.1 else f"{eps:g}"
