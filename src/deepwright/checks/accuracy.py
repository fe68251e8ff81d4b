"""How often is it right, and on which classes? Tasks without classes: how good are its answers?"""

from __future__ import annotations

from typing import Any

import torch

from deepwright.checks.finding import Finding, grade_down
from deepwright.checks.metrics import measured
from deepwright.checks.subject import Subject
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import mcnemar, wilson
from deepwright.core.tasks import Binary


def check_accuracy(subject: Subject) -> Finding:
    """How often it is right, with a table of the classes, against chance and nearest class mean.

    For tasks without classes: the task's metrics against its trivial predictor.

    Applies to every task.
    """
    return _of_classes(subject) if subject.has_classes else measured(subject, "accuracy")


def _of_classes(subject: Subject) -> Finding:
    y, predicted = subject.data.test.y, subject.task.prediction(subject.outputs())
    n = len(y)
    accuracy = wilson(int(subject.right.sum()), n)
    chance_error = 1 - subject.chance
    values: dict[str, Any] = {"accuracy": accuracy, "chance": subject.chance}
    reference, name = chance_error, "always naming the most frequent class"
    if subject.baseline_outputs is not None:
        base_right = subject.task.right(subject.baseline_outputs, y)
        values["baseline_accuracy"] = wilson(int(base_right.sum()), n)
        values["p_value_against_baseline"] = mcnemar(subject.right, base_right)
        base_error = 1 - values["baseline_accuracy"].low  # upper ends on both sides: few samples favour nobody
        if base_error < reference:
            reference, name = base_error, "nearest class mean"
    if subject.classes > 5:
        top5 = subject.logits().topk(5, dim=1).indices.eq(y[:, None]).any(1)
        values["top5_accuracy"] = wilson(int(top5.sum()), n)
    if _more(subject):
        values |= subject.task.metrics(subject.outputs(), y, seed=subject.seed)
    worst_error = 1 - accuracy.low  # the upper end of the error's interval
    ratio = worst_error / max(reference, 1e-9)
    grade = grade_down(ratio, (0.25, 0.5, 1.0, chance_error / max(reference, 1e-9)))
    rows, weakest = _classes(subject, predicted)
    figures = [_confusion(subject, predicted)] if subject.classes <= 25 else []
    return Finding(
        check="accuracy",
        grade=grade,
        summary=f"Right on {accuracy.value:.1%} of {n} test samples (95 % interval {accuracy.low:.1%} to "
        f"{accuracy.high:.1%}); the best simple guess, {name}, errs on up to {reference:.1%}. "
        f"Weakest class: {weakest}.",
        values=values,
        rule=f"Upper end of the error's interval ({worst_error:.3f}) over that of {name} ({reference:.3f}) is "
        f"{ratio:.2f}: A up to 0.25, B up to 0.5, C up to 1, D while better than chance ({chance_error:.3f}), "
        "E beyond.",
        remedy=f"Look at the confusions of {weakest!r} first; more or cleaner samples of it are the cheapest gain."
        if grade > "A"
        else "Nothing to do for accuracy.",
        tables=[rows],
        higher_is_better=("accuracy", "top5_accuracy", *_more(subject)),
        figures=figures,
    )


def _more(subject: Subject) -> tuple[str, ...]:
    """Metrics beside accuracy, where there is an event to be found."""
    return tuple(m for m in Binary.higher_is_better if m != "accuracy") if isinstance(subject.task, Binary) else ()


def _classes(subject: Subject, predicted: torch.Tensor) -> tuple[Table, str]:
    """Recall, precision and the most frequent confusion of each class, weakest first; and the weakest's name."""
    y, k, names = subject.data.test.y, subject.classes, subject.class_names
    matrix = torch.zeros(k, k, dtype=torch.long).index_put_((y, predicted), torch.ones_like(y), accumulate=True)
    count, called, hit = matrix.sum(1), matrix.sum(0), matrix.diagonal()
    rows: list[list[Any]] = []
    for i in count.nonzero().flatten().tolist():
        recall = wilson(int(hit[i]), int(count[i]))
        precision = float(hit[i]) / int(called[i]) if called[i] else None
        others = matrix[i].clone()
        others[i] = 0
        confused = names[int(others.argmax())] if int(others.max()) else None
        rows.append([names[i], int(count[i]), recall.value, recall.low, recall.high, precision, confused])
    rows.sort(key=lambda row: row[3])
    shown = rows[:100]
    columns = ["class", "samples", "recall", "low", "high", "precision", "most confused with"]
    caption = "per class, weakest first" + ("" if len(rows) <= 100 else f" (100 of {len(rows)})")
    return Table(columns, shown, caption), str(rows[0][0])


def _confusion(subject: Subject, predicted: torch.Tensor) -> Figure:
    k = subject.classes
    matrix = torch.zeros(k, k).index_put_((subject.data.test.y, predicted), torch.ones(len(predicted)), accumulate=True)
    shares = matrix / matrix.sum(1, keepdim=True).clamp_min(1)
    names = list(subject.class_names)
    series = [{"rows": names, "columns": names, "values": shares.tolist()}]
    return Figure(
        "heatmap",
        "Confusion (share of each true class)",
        series,
        "predicted",
        "true",
        y_range=(0.0, 1.0),
        palette="share",
    )
