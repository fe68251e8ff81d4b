"""A task's metrics in pieces: each label, output, class or threshold with its own, and what nothing was measured on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from deepwright.checks.subjects.subject import Subject
from deepwright.core.randomness import generator
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import wilson
from deepwright.core.tasks import Binary, Detection, MultiLabel, Regression, Segmentation
from deepwright.core.tasks.ranking import AveragePrecision, auroc
from deepwright.core.tasks.spreads import losses
from deepwright.risk import boundary_f1

_SHOWN, _ROWS, _NAMED = 300, 100, 6
_BORDERS = 20_000_000  # pixels times classes whose borders are looked at
Pieces = tuple[list[Table], list[str]]


def pieces(subject: Subject) -> Pieces:
    """Tables, and notes on what has no test sample.

    Args:
        subject: of any task.
    """
    task = subject.task
    if isinstance(task, MultiLabel):
        return _labels(subject)
    if isinstance(task, Regression):
        many = f"Errors are means over its {task.outputs} outputs, whose units may differ: each has its own row below."
        return [_outputs(subject)], [*([many] if task.outputs > 1 else []), *_tolerance(task)]
    if isinstance(task, Segmentation):
        return _regions(subject)
    return _objects(subject) if isinstance(task, Detection) else ([], [])


def without_samples(subject: Subject) -> int:
    """How many labels or classes no test sample has; 0 for tasks of numbers.

    Args:
        subject: of any task.
    """
    y = subject.data.test.y
    if isinstance(subject.task, MultiLabel):
        return int((y.sum(0) == 0).sum())
    if isinstance(subject.task, Segmentation):
        return int((torch.stack([(y == k).any() for k in range(subject.task.classes)]) == 0).sum())
    if isinstance(subject.task, Detection):
        return subject.task.classes - len(torch.cat([d.labels for d in y]).unique())
    return 0


def _missing(subject: Subject, counts: Sequence[int], what: str, of: str) -> list[str]:
    """A note on labels or classes that nothing was measured on."""
    silent = [subject.class_names[k] for k, count in enumerate(counts) if not count]
    if not silent:
        return []
    named = ", ".join(silent[:8]) + (", ..." if len(silent) > 8 else "")
    return [f"{len(silent)} of {len(counts)} {what} have no {of} among the test samples and aren't in it: {named}."]


def _labels(subject: Subject) -> Pieces:
    z, y = subject.outputs().double(), subject.data.test.y == 1
    called, rows = subject.task.prediction(subject.outputs()) == 1, list[list[Any]]()
    one = torch.ones(1, len(y), dtype=torch.float64, device=z.device)
    for k, name in enumerate(subject.class_names):
        true, said = int(y[:, k].sum()), int(called[:, k].sum())
        hit = int((y[:, k] & called[:, k]).sum())
        ranks = 0 < true < len(y)
        rows.append(
            [
                name,
                true,
                float(AveragePrecision(z[:, k], y[:, k])(one)) if true else None,
                auroc(z[:, k], y[:, k]) if ranks else None,
                2 * hit / (true + said) if true + said else None,
                hit / said if said else None,
                hit / true if true else None,
            ]
        )
    rows.sort(key=lambda row: 2.0 if row[2] is None else row[2])
    columns = ["label", "samples with it", "average precision", "AUROC", "F1", "precision", "recall"]
    table = Table(columns, rows[:_ROWS], "labels, lowest average precision first")
    return [table], _missing(subject, y.sum(0).tolist(), "labels", "positive")


def _outputs(subject: Subject) -> Table:
    task, y = cast(Regression, subject.task), subject.data.test.y.double()
    out = subject.outputs().double()
    gap, rows = task.point(out) - y, list[list[Any]]()
    names = task.names or tuple(f"output {i}" for i in range(y.shape[1]))
    scores = {name: i for i, name in enumerate(losses(out[:1], y[:1], task.spread, task.levels))}
    for i, name in enumerate(names):
        spread = float((y[:, i] - y[:, i].mean()).square().mean())
        squared = float(gap[:, i].square().mean())
        part = losses(out[:, i : i + 1], y[:, i : i + 1], task.spread, task.levels)
        varies = spread > 1e-12 * float(y[:, i].square().mean())
        r2 = 1 - squared / spread if varies else None
        rows.append([name, float(gap[:, i].abs().mean()), squared**0.5, r2, *(float(part[s].mean()) for s in scores)])
    columns = ["output", "mean absolute error", "root mean squared error", "R²", *(_scored(s) for s in scores)]
    return Table(columns, rows[:_ROWS], "each output, in its own units")


def _tolerance(task: Regression) -> list[str]:
    """What counts as right."""
    if task.tolerance is None:
        return []
    each = task.tolerance if isinstance(task.tolerance, tuple) else (task.tolerance,)
    named = task.names if len(task.names) == len(each) > 1 else ()
    words = [f"{t:.3g}{f' ({named[i]})' if named else ''}" for i, t in enumerate(each)]
    return [
        f"An answer counts as right (within the tolerance) when it is off by at most {', '.join(words[:_NAMED])}"
        f"{f' and {len(words) - _NAMED} more' if len(words) > _NAMED else ''}."
    ]


def _scored(name: str) -> str:
    return {"crps": "CRPS", "nll": "negative log likelihood", "pinball": "pinball loss"}[name]


def _regions(subject: Subject) -> Pieces:
    task, y, out = cast(Segmentation, subject.task), subject.data.test.y, subject.outputs()
    hits, called, true = task.class_counts(out, y)
    drawn, border = _borders(subject, out, y)
    ious = task.class_intervals(out, y, seed=subject.seed)
    rows = list[list[Any]]()
    for k, name in enumerate(subject.class_names):
        both = float(called[k] + true[k])
        if both:
            row = [name, ious[k].value, ious[k].low, ious[k].high, 2 * float(hits[k]) / both]
            f1 = None if border is None or bool(border[k].isnan()) else float(border[k])
            rows.append([*row, f1, float(true[k] / true.sum())])
    rows.sort(key=lambda row: row[1])
    columns = ["class", "IoU", "95 % from", "95 % to", "Dice", "boundary F1", "share of pixels"]
    of = "an empty boundary F1 was not measured"
    if drawn < len(y):
        of = f"boundary F1 on {drawn} of {len(y)} test samples, drawn at random" if drawn else of
    table = Table(columns, rows[:_ROWS], f"classes, lowest IoU first; {of}")
    notes = _missing(subject, [int(count) for count in true], "classes", "pixel")
    wrong = [subject.class_names[k] for k in range(len(true)) if not true[k] and called[k]]
    if wrong:  # they count with an IoU of 0
        notes = [
            note.replace(" and aren't in it", f"; of them {', '.join(wrong[:8])} are predicted, IoU 0")
            for note in notes
        ]
    return [table], notes


def _borders(subject: Subject, out: Tensor, y: Tensor) -> tuple[int, Tensor | None]:
    """Boundary F1 of each class on as many random images as are cheap, and their number; None of other labels."""
    if y.ndim != 3:
        return 0, None
    task = cast(Segmentation, subject.task)
    few = max(1, _BORDERS // (y[0].numel() * task.classes))
    rows = torch.randperm(len(y), generator=generator(subject.seed, "borders"))[:few].sort().values.to(y.device)
    called = task.prediction(out[rows])
    return len(rows), boundary_f1(called, y[rows], task.classes, ignore_index=task.ignore_index)


def _objects(subject: Subject) -> Pieces:
    task, y, out = cast(Detection, subject.task), subject.data.test.y, subject.outputs()
    labels = torch.cat([d.labels for d in y])
    count = torch.bincount(labels, minlength=task.classes).tolist()
    said = torch.bincount(torch.cat([d.labels for d in task.prediction(out)]), minlength=task.classes).tolist()
    names = subject.class_names
    rows: list[list[Any]] = [
        [names[c], count[c], ap, ap50, said[c]] for c, (ap, ap50) in task.class_precisions(out, y).items()
    ]
    rows.sort(key=lambda row: row[2])
    columns = [
        "class",
        "objects",
        "average precision",
        "at an overlap of 0.5",
        f"claimed from {task.score_threshold:g}",
    ]
    return [Table(columns, rows[:_ROWS], "classes, lowest average precision first")], _missing(
        subject, count, "classes", "object"
    ) + _strange_boxes(subject)


def _strange_boxes(subject: Subject) -> list[str]:
    """What true boxes show of another unit or another picture."""
    boxes = torch.cat([d.boxes for d in subject.data.test.y])
    if not len(boxes) or subject.data.kind != "image":
        return []
    height, width = subject.data.shape[-2:]
    if float(boxes.max()) <= 1 < min(height, width):
        return ["All true boxes lie within 0..1, less than a pixel: corners are in pixels of the inputs."]
    ends = boxes.new_tensor([width, height, width, height])
    outside = int(((boxes < -0.5) | (boxes > ends + 0.5)).any(1).sum())
    if not outside:
        return []
    return [f"{outside} of {len(boxes)} true boxes reach outside of their pictures of {height} x {width} pixels."]


def operating_points(subject: Subject) -> tuple[Table, Figure]:
    """What a binary network finds and mistakes at other thresholds, and its ROC curve.

    Args:
        subject: of a binary task.
    """
    task, y = cast(Binary, subject.task), subject.data.test.y == 1
    p = subject.logits().double().softmax(1)[:, 1]
    rows: list[list[Any]] = []
    for threshold in sorted({*(i / 10 for i in range(1, 10)), round(task.threshold, 6)}):
        called = p > threshold
        hit, true, said = int((called & y).sum()), int(y.sum()), int(called.sum())
        found = wilson(hit, true) if true else None
        spared = wilson(int((~called & ~y).sum()), len(y) - true) if true < len(y) else None
        numbers = [None if each is None else each.value for each in (found, spared)]
        rows.append([threshold, *numbers, hit / said if said else None, said / len(y)])
    columns = ["threshold", "sensitivity", "specificity", "precision", "share called"]
    order = p.argsort(descending=True, stable=True)
    ends = torch.cat([p[order][1:] != p[order][:-1], torch.ones(1, dtype=torch.bool)])
    hits, misses = y[order].cumsum(0)[ends].double(), (~y[order]).cumsum(0)[ends].double()
    keep = torch.linspace(0, len(hits) - 1, min(len(hits), _SHOWN)).round().long()
    curve = {
        "name": "network",
        "x": [0.0, *(misses / max(1, int((~y).sum())))[keep].tolist()],
        "y": [0.0, *(hits / max(1, int(y.sum())))[keep].tolist()],
    }
    chance = {"name": "chance", "x": [0, 1], "y": [0, 1], "dashed": True}
    figure = Figure("line", "ROC curve", [curve, chance], "1 - specificity", "sensitivity", y_range=(0.0, 1.0))
    return Table(columns, rows, f"at other thresholds of the probability of {subject.class_names[1]!r}"), figure
