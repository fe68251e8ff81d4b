"""What the checks hand on to be looked at: pictures and rows of the user's own inputs, few and the same each time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial import AttackSuite
from deepwright.checks.curves import line, placed
from deepwright.checks.subjects.subject import Subject
from deepwright.core.inference import read_outputs
from deepwright.core.pictures import Strip, strips
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import wilson
from deepwright.core.tasks import Binary
from deepwright.corruptions import CorruptionReport, Suite
from deepwright.data import Split

_ATTACKED, _PERTURBED, _FOREIGN, _COLUMNS, _POINTS, _VARIABLES = 4, 6, 6, 8, 40, 3
_LEVEL = 3  # of 1..5: at 5 people can't tell many pictures either


def attacked(
    subject: Subject, split: Split, attacks: AttackSuite, eps: float, budget: str
) -> tuple[list[Figure], list[Table]]:
    """A few samples that are right, before and after an attack: pictures with the difference, rows, or lines over time.

    Args:
        subject: whose inputs they are.
        split: the samples that were attacked.
        attacks: as they were measured.
        eps: the budget.
        budget: in words.
    """
    images, series = _has_pictures(subject), subject.data.kind == "series" and len(subject.data.shape) == 2
    if not images and not series and subject.data.kind != "tabular":
        return [], []
    few = split.take(4 * _ATTACKED, subject.seed)
    x = placed(few.inputs(), subject.model)
    rows = attacks.stands(subject.model, x, few.y.to(x.device)).cpu().nonzero().flatten()[:_ATTACKED]
    if len(rows) == 0:
        return [], []
    ids = rows.to(x.device)
    after = attacks(subject.model, x[ids], few.y[rows].to(x.device), eps=eps, ids=rows).x_adv.cpu()
    before, y = x[ids].cpu(), few.y[rows]
    if series:
        before, after = _in_own_units(subject, before), _in_own_units(subject, after)
        return _attacked_series(before[0], after[0], budget, subject.data.features), []
    told = _told(subject, before, y), _told(subject, after, y)
    if not images:
        return [], [_attacked_rows(subject, before, after, told)]
    gain = 0.5 / eps
    shown = [
        Strip("", torch.stack([a, b, 0.5 + gain * (b - a)]), [p, q, f"difference x {gain:.3g}"])
        for a, b, p, q in zip(before, after, *told, strict=True)
    ]
    note = f"The first {len(rows)} of the attacked samples that are right without attack, at a budget of {budget}."
    return [strips("Before and after the attack", shown, note=note)], []


def _in_own_units(subject: Subject, x: Tensor) -> Tensor:
    data = subject.data
    return x if data.center is None or data.scale is None else x * data.scale + data.center


def _attacked_series(before: Tensor, after: Tensor, budget: str, names: tuple[str, ...]) -> list[Figure]:
    """The first variables of one (T, C) series over time, each in a figure, for each has its own unit."""
    names = names if len(names) == before.shape[1] else tuple(f"variable {c}" for c in range(before.shape[1]))
    steps = list(range(len(before)))
    note = f"The first of the attacked samples that are right without attack, at a budget of {budget}."
    title = "Before and after the attack"
    return [
        Figure(
            "line",
            title if before.shape[1] == 1 else f"{title}: {names[c]}",
            [
                {"name": "as it is", "x": steps, "y": before[:, c].tolist()},
                {"name": "attacked", "x": steps, "y": after[:, c].tolist(), "dashed": True},
            ],
            "step",
            names[c],
            note=note,
        )
        for c in range(min(before.shape[1], _VARIABLES))
    ]


def _attacked_rows(subject: Subject, before: Tensor, after: Tensor, told: tuple[list[str], list[str]]) -> Table:
    names = list(subject.data.features) or [f"column {i}" for i in range(before.shape[1])]
    rows: list[list[Any]] = []
    for i, pair in enumerate(zip(before.tolist(), after.tolist(), strict=True)):
        for word, values, said in zip(("as it is", "attacked"), pair, (told[0][i], told[1][i]), strict=True):
            rows.append([i + 1, word, said, *values[:_COLUMNS]])
    units = "" if subject.data.scale is None else ", in deviations of each column from its mean"
    more = f" (the first {_COLUMNS} of {len(names)} columns)" if len(names) > _COLUMNS else ""
    return Table(["sample", "row", "answer", *names[:_COLUMNS]], rows, f"rows before and after the attack{units}{more}")


def perturbed(subject: Subject, split: Split, suite: Suite, report: CorruptionReport) -> list[Figure]:
    """The worst three perturbations on a few of the samples, with what the network says.

    Args:
        subject: whose inputs they are.
        split: the samples that were perturbed.
        suite: of the perturbations.
        report: what they did.
    """
    if not _has_pictures(subject) or _LEVEL not in report.severities:
        return []
    ids = torch.arange(len(split))[:: max(1, len(split) // _PERTURBED)][:_PERTURBED]
    x, y = split.inputs(ids), split.y[ids]
    shown = [Strip("As they are", x, _told(subject, x, y))]
    at = report.severities.index(_LEVEL)
    known = {p.name: p for p in suite.perturbations}
    for row in report.table().rows[:3]:
        name = str(row[0])
        worse = known[name](x, _LEVEL, subject.seed, ids=ids)
        told = _told(subject, worse, None if known[name].moves_pixels and not subject.has_classes else y)
        note = f"severity {_LEVEL} of 5; error {report.errors[name][at]:.0%} on all {report.n}"
        shown.append(Strip(name.replace("_", " "), worse, told, note))
    return [strips("The worst perturbations on your own pictures", shown)]


def foreign(
    subject: Subject,
    known: Split,
    sets: Mapping[str, Tensor],
    own: Tensor,
    confidence: Mapping[str, Tensor],
    detector: str,
) -> list[Figure]:
    """Foreign pictures that the network is surest of, and its own test pictures that look most foreign.

    Args:
        subject: whose inputs they are.
        known: the test samples that were scored.
        sets: foreign inputs by name.
        own: (N,) of `known`, by the best detector; larger is more foreign.
        confidence: (M,) of each set, by the network's own confidence; larger is more foreign.
        detector: the best one's name.
    """
    if not _has_pictures(subject):
        return []
    each = max(1, -(-_FOREIGN // len(sets)))
    picked = [(float(confidence[s][i]), s, i) for s in sets for i in _first(confidence[s], each)]
    picked = sorted(picked)[:_FOREIGN]
    x = torch.stack([sets[s][i].float().cpu() for _, s, i in picked])
    sure = [f"{s}: {said}" for (_, s, _), said in zip(picked, _told(subject, x, None), strict=True)]
    rows = torch.tensor(_first(-own, _FOREIGN))
    mine = known.inputs(rows)
    shown = [
        Strip("Foreign, and surest of a class", x, sure, f"at most {each} of each set"),
        Strip("Your own test samples that look most foreign", mine, _told(subject, mine, known.y[rows]), detector),
    ]
    return [strips("What it takes for its own, and what looks foreign", shown)]


def _first(scores: Tensor, n: int) -> list[int]:
    found: list[int] = scores.double().cpu().argsort(stable=True)[:n].tolist()
    return found


def risk_coverage(confidence: Tensor, right: Tensor) -> Figure:
    """The share of errors among the surest samples, over how many of them are kept.

    Args:
        confidence: (N,) of the network.
        right: (N,) whether it is right.
    """
    n = len(right)
    wrong = (~right[confidence.argsort(descending=True, stable=True)]).cumsum(0)
    kept = sorted({max(1, round(n * k / _POINTS)) for k in range(1, _POINTS + 1)})
    points = [wilson(int(wrong[k - 1]), k) for k in kept]
    series = line("network", [k / n for k in kept], points)
    overall = float((~right).double().mean())
    whole = {"name": "all samples", "x": [0.0, 1.0], "y": [overall, overall], "dashed": True}
    return Figure(
        "line",
        "Errors among the surest",
        [series, whole],
        "share of the samples kept, surest first",
        "share of them that is wrong",
        note="Where it falls to the left, leaving the unsure ones to a person pays. The band is the 95 % interval.",
    )


def _has_pictures(subject: Subject) -> bool:
    return subject.data.kind == "image" and len(subject.data.shape) == 3


def _told(subject: Subject, x: Tensor, y: Any) -> list[str]:
    """What the network says of each input, and whether that is right; targets None where there are none."""
    out = subject.task.join(read_outputs(subject.model, [placed(x, subject.model)], subject.task.read))
    if not subject.has_classes:
        return [""] * len(x) if y is None else [f"score {float(s):.2f}" for s in subject.task.score(out, y)]
    logits = out if isinstance(subject.task, Binary) else subject.task.class_logits(out)
    sure, guess = torch.as_tensor(logits).double().softmax(1).max(1)
    words = [f"{subject.class_names[int(k)]} ({float(p):.0%})" for k, p in zip(guess, sure, strict=True)]
    if y is None:
        return [f"taken for {word}" for word in words]
    right = subject.task.right(out, y)
    return [
        word if bool(r) else f"{subject.class_names[int(k)]}, taken for {word}"
        for word, r, k in zip(words, right, y, strict=True)
    ]
