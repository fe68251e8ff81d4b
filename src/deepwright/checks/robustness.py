"""Can it be fooled on purpose?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.adversarial import AttackSuite, Noise, curve, masking_flags, suite
from deepwright.checks.baselines import TrivialPredictor
from deepwright.checks.finding import Finding, at_best
from deepwright.checks.subject import Subject
from deepwright.core.devices import device_of, dtype_of, to_model
from deepwright.core.progress import bar
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, wilson
from deepwright.core.tasks import Task
from deepwright.data import Split


def budgets(subject: Subject) -> tuple[float, ...]:
    """L-inf budgets: the field's 1 to 8 of 255 for colour, 0.02 to 0.2 for grey pictures, deviations for tables."""
    if subject.eps is not None:
        return subject.eps
    if subject.data.kind == "tabular":
        return (0.05, 0.1, 0.2, 0.4)
    return (1 / 255, 2 / 255, 4 / 255, 8 / 255) if subject.data.shape[0] == 3 else (0.02, 0.05, 0.1, 0.2)


def check_robustness(subject: Subject) -> Finding:
    """Share that stays right over the budget, with a noise control, the baseline's curve and signs of masked gradients.

    Applies to every task, on images and tables; on series where budgets are named. What is right is the task's to say:
    the class, all labels, a number within the tolerance, a mean IoU.
    """
    if subject.data.kind == "series" and subject.eps is None:
        why = "no usual budget is known for series; name budgets in their unit (eps)"
        return Finding.not_applicable("robustness", why)
    eps = budgets(subject)
    split = subject.data.test.take(subject.attack_limit, subject.seed)
    with bar("robustness", 4) as running:
        network = _curve(subject.model, split, _attacks(subject, subject.task), eps, subject.batch_size)
        running.advance(1, "noise")
        noise = _curve(subject.model, split, _noise(subject), eps, subject.batch_size)
        running.advance(1, "baseline")
        base = _baseline_curve(subject, split, eps)
        running.advance(1, "masked gradients")
        flags = _masking(subject, split, eps[len(eps) // 2])
        running.advance()
    return _finding(subject, eps, len(split), network, noise, base, flags)


def _common(subject: Subject, task: Task) -> dict[str, Any]:
    return {"seed": subject.seed, "bounds": subject.bounds, "task": task}


def _attacks(subject: Subject, task: Task) -> AttackSuite:
    """Two losses; for tasks without classes each from several starts.

    An error that is raised from one start can end on the near side of a target whose far side is what breaks it.
    """
    restarts = 1 if subject.has_classes else 3
    return suite("quick", budgets(subject)[0], restarts=restarts, **_common(subject, task))


def _noise(subject: Subject) -> Noise:
    return Noise(budgets(subject)[0], **_common(subject, subject.task))


def _baseline_curve(subject: Subject, split: Split, eps: Sequence[float]) -> list[Interval] | None:
    """The baseline under the same attacks; an answer that looks at no input is the same under all of them."""
    if subject.baseline is None:
        return None
    attacks = _attacks(subject, subject.baseline_task)
    if isinstance(subject.baseline, TrivialPredictor) and not subject.baseline.persists:
        return _curve(subject.baseline, split, attacks, (), subject.batch_size) * (len(eps) + 1)
    return _curve(subject.baseline, split, attacks, eps, subject.batch_size)


def _masking(subject: Subject, split: Split, eps: float) -> dict[str, str]:
    """Signs of masked gradients on a few samples that are right; none are looked for on less than five."""
    few = split.take(min(60, max(8, subject.attack_limit // 2)), subject.seed)
    x = _for(subject.model, few.inputs())
    right = _attacks(subject, subject.task).stands(subject.model, x, few.y.to(x.device)).cpu()
    if int(right.sum()) < 5:
        return {}
    found = masking_flags(subject.model, x[right], few.y[right], eps, **_common(subject, subject.task))
    if not subject.has_classes:  # these compare with a single start on one loss, which isn't what is measured
        found = {name: text for name, text in found.items() if name not in ("noise", "black box")}
    return found


def _for(model: nn.Module, x: Tensor) -> Tensor:
    """Inputs where the model lives, in its dtype where that is finer than theirs."""
    return to_model(x, model) if dtype_of(model) == torch.float64 else x.to(device_of(model))


def _curve(
    model: nn.Module, split: Split, attack: AttackSuite | Noise, eps: Sequence[float], batch: int
) -> list[Interval]:
    """Share that is right at budget 0 and at each of `eps`."""
    hits = np.zeros(len(eps) + 1)
    start = 0
    for x, y in split.batches(batch):
        ids = torch.arange(start, start + len(x))
        points = curve(model, _for(model, x), y.to(device_of(model)), attack, [0.0, *eps], ids=ids)
        hits += [round(p.value * len(x)) for p in points]
        start += len(x)
    return [wilson(int(h), len(split)) for h in hits]


def _finding(
    subject: Subject,
    eps: Sequence[float],
    n: int,
    network: list[Interval],
    noise: list[Interval],
    base: list[Interval] | None,
    flags: dict[str, str],
) -> Finding:
    grid = (0.0, *eps)
    chance = subject.chance if subject.has_classes or base is None else base[0].value
    area, area_base = _area(grid, network), None if base is None else _area(grid, base)
    retained = area / max(network[0].value, 1e-9)
    grade, rule = _grade(retained, area, area_base, network[1], chance, eps[0], subject.baseline_name)
    weakest = max(range(len(grid)), key=lambda i: network[i].value - noise[i].value)
    if not subject.has_classes and network[weakest].value > noise[weakest].value + 2 / n + 0.02:
        flags = {**flags, "noise": f"random noise fools more than the attacks at a budget of {_short(grid[weakest])}"}
    if flags:
        grade = at_best(grade, "D")
        rule += " Signs of masked gradients cap the grade at D: the attacks may underestimate."
    units = {"tabular": "deviations", "series": "units of the series"}
    unit = units.get(subject.data.kind, "of the pixel range")
    values: dict[str, Any] = {"clean_accuracy": network[0]}
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
    shown = "accuracy" if subject.has_classes else "the share that is right"
    return Finding(
        check="robustness",
        grade=grade,
        summary=f"Under attack ({_names(subject)}, L-inf, {n} samples) {shown} {told}; random noise of "
        f"the largest budget leaves {noise[-1].value:.1%}. Gradient masking: {verdict}.",
        values=values,
        rule=rule,
        remedy="Measure with adversarial.suite('standard', eps) before you rely on a number; harden by adversarial "
        f"training at the budget that matters to you ({_short(eps[0])} to {_short(eps[-1])}), then audit again with "
        "--compare."
        if grade > "A"
        else "Confirm with adversarial.suite('standard', eps).",
        tables=[_table(eps, network, noise, base, subject.baseline_name)],
        figures=[_figure(grid, network, noise, base, unit, subject)],
        higher_is_better=tuple(name for name in values if name != "baseline_area"),
        conditions={"budgets": list(eps)},
    )


def _names(subject: Subject) -> str:
    """The attacks in words: by their names where samples have classes, else by what they raise."""
    attacks = _attacks(subject, subject.task).attacks
    if subject.has_classes:
        return " and ".join(attack.name for attack in attacks)
    words = {"ce": "cross-entropy"}
    named = (words.get(attack.loss_name, attack.loss_name.replace("_", " ")) for attack in attacks)
    return " and ".join(f"APGD on {name}" for name in named)


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
    retained: float, area: float, base: float | None, first: Interval, chance: float, smallest: float, name: str
) -> tuple[str, str]:
    rule = f"Area under the curve over the clean accuracy is {retained:.2f}"
    if base is not None:
        rule += f"; the area is {area:.2f} against {base:.2f} of {name}"
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


def _table(
    eps: Sequence[float], network: list[Interval], noise: list[Interval], base: list[Interval] | None, name: str
) -> Table:
    columns = ["budget", "robust accuracy", "low", "high", "under noise"] + ([] if base is None else [name])
    rows: list[list[Any]] = []
    for i, e in enumerate((0.0, *eps)):
        row: list[Any] = [_short(e), network[i].value, network[i].low, network[i].high, noise[i].value]
        rows.append(row + ([] if base is None else [base[i].value]))
    return Table(columns, rows, f"{'accuracy' if name == 'nearest class mean' else 'share right'} by L-inf budget")


def _figure(
    grid: Sequence[float],
    network: list[Interval],
    noise: list[Interval],
    base: list[Interval] | None,
    unit: str,
    subject: Subject,
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
        series.append(line(f"{subject.baseline_name}, attacked", base, True))
    title, label = ("Accuracy under attack", "accuracy") if subject.has_classes else ("Under attack", "share right")
    return Figure("line", title, series, f"L-inf budget ({unit})", label, y_range=(0.0, 1.0))
