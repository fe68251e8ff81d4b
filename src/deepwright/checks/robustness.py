"""Can it be fooled on purpose?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from deepwright.adversarial import AttackSuite, Noise, curve, masking_flags, suite
from deepwright.checks.finding import Finding, at_best
from deepwright.checks.subject import Subject
from deepwright.core.inference import device_of, logits_of
from deepwright.core.progress import bar
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, wilson
from deepwright.core.tasks import Classification
from deepwright.data.dataset import Split


def budgets(subject: Subject) -> tuple[float, ...]:
    """L-inf budgets: the field's 1 to 8 of 255 for colour, 0.02 to 0.2 for grey pictures, deviations for tables."""
    if subject.eps is not None:
        return subject.eps
    if subject.data.kind == "tabular":
        return (0.05, 0.1, 0.2, 0.4)
    return (1 / 255, 2 / 255, 4 / 255, 8 / 255) if subject.data.shape[0] == 3 else (0.02, 0.05, 0.1, 0.2)


def check_robustness(subject: Subject) -> Finding:
    """Robust accuracy over the budget, with a noise control, the baseline's curve and signs of masked gradients."""
    why = unattackable(subject)
    if why is not None:
        return Finding.not_applicable("robustness", why)
    eps = budgets(subject)
    split = subject.data.test.take(subject.attack_limit, subject.seed)
    common: dict[str, Any] = {"classes": subject.classes, "seed": subject.seed, "bounds": subject.bounds}
    attacks = suite("quick", eps[0], **common)
    with bar("robustness", 4) as running:
        network = _curve(subject.model, split, attacks, eps, subject.batch_size)
        running.advance(1, "noise")
        noise = _curve(
            subject.model, split, Noise(eps[0], seed=subject.seed, bounds=subject.bounds), eps, subject.batch_size
        )
        running.advance(1, "baseline")
        base = None if subject.baseline is None else _curve(subject.baseline, split, attacks, eps, subject.batch_size)
        running.advance(1, "masked gradients")
        few = split.take(min(60, max(8, subject.attack_limit // 2)), subject.seed)
        right = _right(subject.model, few)
        flags: dict[str, str] = {}
        if int(right.sum()) >= 5:
            middle = eps[len(eps) // 2]
            flags = masking_flags(
                subject.model, few.inputs(right), few.y[right], middle, seed=subject.seed, bounds=subject.bounds
            )
        running.advance()
    clean = network[0]
    grid = (0.0, *eps)
    area = _area(grid, network)
    area_base = None if base is None else _area(grid, base)
    retained = area / max(clean.value, 1e-9)
    grade, rule = _grade(retained, area, area_base, network[1], subject.chance, eps[0])
    if flags:
        grade = at_best(grade, "D")
        rule += " Signs of masked gradients cap the grade at D: the attacks may underestimate."
    unit = "deviations" if subject.data.kind == "tabular" else "of the pixel range"
    values: dict[str, Any] = {"clean_accuracy": clean}
    values |= {f"robust_accuracy_at_{_short(e)}": point for e, point in zip(eps, network[1:])}
    values |= {"area": area, "noise_accuracy": noise[-1], "eps_half": _half(grid, network)}
    if area_base is not None:
        values["baseline_area"] = area_base
    half = values["eps_half"]
    told = (
        f"falls to half at a budget of {half:.3g} {unit}"
        if np.isfinite(half)
        else "never falls to half within the budgets tried"
    )
    verdict = "; ".join(flags.values()) if flags else "no sign of masked gradients"
    return Finding(
        check="robustness",
        grade=grade,
        summary=f"Under attack (APGD-CE and APGD-DLR, L-inf, {len(split)} samples) accuracy {told}; random noise of "
        f"the largest budget leaves {noise[-1].value:.1%}. Gradient masking: {verdict}.",
        values=values,
        rule=rule,
        remedy="Measure with adversarial.suite('standard', eps) before you rely on a number; harden by adversarial "
        f"training at the budget that matters to you ({_short(eps[0])} to {_short(eps[-1])}), then audit again with "
        "--compare."
        if grade > "A"
        else "Confirm with adversarial.suite('standard', eps).",
        tables=[_table(eps, network, noise, base)],
        figures=[_figure(grid, network, noise, base, unit)],
        higher_is_better=tuple(name for name in values if name != "baseline_area"),
        conditions={"budgets": list(eps)},
    )


def unattackable(subject: Subject) -> str | None:
    """Why attacks can't measure a subject; None where they can."""
    if not isinstance(subject.task, Classification) or subject.task.outputs == "probabilities":
        return f"attacks on a {subject.task.kind} are not measured yet"
    if subject.data.kind == "series" and subject.eps is None:
        return "no budget is known for series; name one (eps) in their unit"
    return None


def _curve(
    model: nn.Module, split: Split, attack: AttackSuite | Noise, eps: Sequence[float], batch: int
) -> list[Interval]:
    """Accuracy at budget 0 and at each of `eps`."""
    device = device_of(model)
    hits = np.zeros(len(eps) + 1)
    start = 0
    for x, y in split.batches(batch):
        points = curve(model, x.to(device), y.to(device), attack, [0.0, *eps], ids=torch.arange(start, start + len(x)))
        hits += [round(p.value * len(x)) for p in points]
        start += len(x)
    return [wilson(int(h), len(split)) for h in hits]


def _right(model: nn.Module, split: Split) -> torch.Tensor:
    return logits_of(model, [split.inputs()]).argmax(1) == split.y


def _area(grid: Sequence[float], points: Sequence[Interval]) -> float:
    area = torch.trapezoid(torch.tensor([p.value for p in points]), torch.tensor(grid))
    return float(area) / (grid[-1] - grid[0])


def _half(grid: Sequence[float], points: Sequence[Interval]) -> float:
    """The budget at which accuracy crosses half of its clean value, by linear interpolation."""
    goal = points[0].value / 2
    for i in range(1, len(grid)):
        if points[i].value <= goal:
            a, b = points[i - 1].value, points[i].value
            return grid[i - 1] + (grid[i] - grid[i - 1]) * ((a - goal) / (a - b) if a > b else 0.0)
    return float("inf")


def _grade(
    retained: float, area: float, base: float | None, first: Interval, chance: float, smallest: float
) -> tuple[str, str]:
    rule = f"Area under the curve over the clean accuracy is {retained:.2f}"
    if base is not None:
        rule += f"; the area is {area:.2f} against {base:.2f} of nearest class mean"
    rule += (
        ". A from 0.75 retained, B from 0.5 (and not below the baseline), C from 0.8 of the baseline's area "
        "(0.25 retained without one), "
        f"D while the smallest budget ({_short(smallest)}) leaves more than chance ({chance:.2f}), E below."
    )
    if retained >= 0.75:
        return "A", rule
    if retained >= 0.5 and (base is None or area >= base):
        return "B", rule
    if (area >= 0.8 * base) if base is not None else retained >= 0.25:
        return "C", rule
    return "D" if first.value > chance else "E", rule


def _short(eps: float) -> str:
    steps = eps * 255
    return f"{round(steps)}/255" if abs(steps - round(steps)) < 1e-6 and eps < 0.1 else f"{eps:g}"


def _table(eps: Sequence[float], network: list[Interval], noise: list[Interval], base: list[Interval] | None) -> Table:
    columns = ["budget", "robust accuracy", "low", "high", "under noise"] + (
        [] if base is None else ["nearest class mean"]
    )
    rows: list[list[Any]] = []
    for i, e in enumerate((0.0, *eps)):
        row: list[Any] = [_short(e), network[i].value, network[i].low, network[i].high, noise[i].value]
        rows.append(row + ([] if base is None else [base[i].value]))
    return Table(columns, rows, "accuracy by L-inf budget")


def _figure(
    grid: Sequence[float], network: list[Interval], noise: list[Interval], base: list[Interval] | None, unit: str
) -> Figure:
    def line(name: str, points: list[Interval], dashed: bool = False) -> dict[str, Any]:
        return {
            "name": name,
            "x": list(grid),
            "y": [p.value for p in points],
            "low": [p.low for p in points],
            "high": [p.high for p in points],
            "dashed": dashed,
        }

    series = [line("attack", network), line("noise of the same size", noise, True)]
    if base is not None:
        series.append(line("nearest class mean, attacked", base, True))
    return Figure("line", "Accuracy under attack", series, f"L-inf budget ({unit})", "accuracy", y_range=(0.0, 1.0))
