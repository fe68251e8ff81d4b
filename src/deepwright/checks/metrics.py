"""A task's metrics against those of its trivial predictor: how good are answers that aren't one class a sample?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.checks.findings.finding import Finding
from deepwright.checks.grading import Graded, at_most, graded
from deepwright.checks.metric_tables import pieces, without_samples
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.worst_pictures import worst_pictures
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.core.tasks import Regression

_STEPS = (0.25, 0.5, 0.75, 1.0)
_SHOWN, _DRAWN, _WORST = 300, 6, 20  # points of a drawing; outputs that are drawn; samples with the largest loss


def measured(subject: Subject, check: str) -> Finding:
    """The task's metrics with intervals, graded by its headline against the trivial predictor.

    Args:
        subject: of any task with a training split.
        check: name of the finding.
    """
    task, y, n = subject.task, subject.data.test.y, len(subject.data.test)
    found = task.metrics(subject.outputs(), y, seed=subject.seed)
    name = task.headline
    if name not in found:
        return Finding.not_applicable(check, f"the test targets don't define {named(name)}")
    values: dict[str, Any] = {**found, "score": float(subject.score.mean()), "chance": subject.chance}
    found_grade, against = Graded("info"), ""
    rule = "Not judged: there are no training targets to make a simple baseline from."
    if subject.baseline_outputs is not None:
        base = task.metrics(subject.baseline_outputs, y, resamples=200, seed=subject.seed)
        values |= {f"baseline_{key}": value.value for key, value in base.items()}
        found_grade, rule = _grade(subject, found[name], base[name])
        against = f"; {subject.baseline_name} reaches {base[name].value:.3g}"
    head, (tables, notes) = found[name], pieces(subject)
    if (silent := without_samples(subject)) > 0:
        values["classes_without_samples"] = silent
    beside = ", ".join(f"{named(other)} {found[other].value:.3g}" for other in found if other != name)
    notes = [*([f"Beside it: {beside}."] if beside else []), *notes]
    loss = task.loss(subject.outputs(), y).double()
    order = loss.argsort(descending=True, stable=True)[:_WORST].tolist()
    sides = {key for key in found if key in task.higher_is_better}
    return Finding(
        check=check,
        grade=found_grade.grade,
        summary=f"{_sentence(named(name))} {head.value:.3g} on {n} test samples (95 % interval {head.low:.3g} to "
        f"{head.high:.3g}){against}. {' '.join(notes)}".rstrip(),
        values=values,
        rule=rule,
        remedy="Look at the samples with the largest loss first: `subject.task.loss(subject.outputs(), "
        "subject.data.test.y).argsort(descending=True)[:20]` are their numbers."
        if found_grade.grade != "A"
        else "Nothing to do for accuracy; look at the largest losses when the data change.",
        tables=[*tables, _worst(subject, loss, order)],
        figures=[*_figures(subject), *worst_pictures(subject, order)],
        lower_is_better=tuple(key for key in found if key not in sides),
        higher_is_better=("score", *sorted(sides)),
        could_be=found_grade.could_be,
        graded_by=(name,),
    )


_NAMES = {
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "crps": "CRPS",
    "nll": "negative log likelihood",
    "pinball": "pinball loss",
    "mase": "mean absolute scaled error",
    "within_tolerance": "share within the tolerance",
    "mean_iou": "mean IoU",
    "mean_dice": "mean Dice",
    "contact_rate": "rate of contacts that the order forbids",
    "map": "average precision over overlaps of 0.5 to 0.95 (mAP)",
    "ap50": "average precision at an overlap of 0.5",
    "map_small": "mAP of objects up to 32 x 32 pixels",
    "map_medium": "mAP up to 96 x 96",
    "map_large": "mAP above",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
}


def named(metric: str) -> str:
    """A metric in words.

    Args:
        metric: as a task calls it.
    """
    return _NAMES.get(metric, metric.replace("_", " "))


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _grade(subject: Subject, head: Interval, base: Interval) -> tuple[Graded, str]:
    """By the error over the baseline's, each with its interval."""
    name = subject.task.headline
    rises = name in subject.task.higher_is_better
    error, simple = (_flipped(head), _flipped(base)) if rises else (head, base)
    r = _together(subject)

    def letter(side: int) -> str:
        reached = (at_most(error, limit, simple, side, r) for limit in _STEPS)
        return next((grade for grade, holds in zip("ABCD", reached) if holds), "E")

    found = graded(letter)
    what = f"1 - {named(name)}" if rises else named(name)
    share = f"{error.value / simple.value:.2f}" if simple.value > 0 else "no ratio (the baseline has no error)"
    return found, (
        f"{_sentence(what)} ({error.value:.3g}) over that of {subject.baseline_name} ({simple.value:.3g}) is {share}: "
        f"A up to 0.25, B up to 0.5, C up to 0.75, D up to 1, E beyond.{found.words}"
    )


def _together(subject: Subject) -> float:
    """How far the errors of network and baseline rise and fall together over the samples; 0 where that isn't known.

    A constant answer's error hangs on the same few far samples as the baseline's: their ratio is known far better than
    either.
    """
    task = subject.task
    if not isinstance(task, Regression) or len(subject.data.test) < 2:
        return 0.0
    y = subject.data.test.y.double()
    gaps = [(task.point(out).double() - y).abs().mean(1) for out in (subject.outputs(), subject.baseline_outputs)]
    r = float(torch.corrcoef(torch.stack(gaps))[0, 1])
    return min(1.0, max(0.0, r)) if r == r else 0.0


def _flipped(value: Interval) -> Interval:
    return Interval(1 - value.value, 1 - value.high, 1 - value.low)


def _worst(subject: Subject, loss: Tensor, order: list[int]) -> Table:
    rows: list[list[Any]] = [[i, float(loss[i]), float(subject.score[i]), bool(subject.right[i])] for i in order]
    return Table(["test sample", "loss", "score", "right"], rows, "the samples with the largest loss")


def _figures(subject: Subject) -> list[Figure]:
    """Predicted against true numbers, for regression."""
    if not isinstance(subject.task, Regression):
        return []
    rows = torch.arange(len(subject.data.test))[:: max(1, -(-len(subject.data.test) // _SHOWN))]
    truth, found = subject.data.test.y[rows], subject.task.point(subject.outputs())[rows]
    names = subject.task.names or tuple(f"output {i}" for i in range(truth.shape[1]))
    note = f"{len(rows)} of {len(subject.data.test)} test samples" if len(rows) < len(subject.data.test) else ""
    figures = []
    for i, name in enumerate(names[:_DRAWN]):  # each in its own unit
        x, y = truth[:, i].tolist(), found[:, i].tolist()
        ends = [min(x), max(x)]
        series = [
            {"name": "network", "x": x, "y": y},
            {"name": "exact", "x": ends, "y": ends, "dashed": True, "smooth": True},
        ]
        title = "Predicted against true" if len(names) == 1 else f"{name}: predicted against true"
        figures.append(Figure("scatter", title, series, "true", "predicted", note=note))
    return figures
