"""Which classes are taken for which: a row a class, a heat map, and whether another order of classes explains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, wilson

_EXPLAINS = 0.2  # by so much at least another order must raise the accuracy


def confusion_matrix(y: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """(classes, classes) counts, true by predicted.

    Args:
        y: (N,) labels.
        predicted: (N,) classes.
        classes: how many.
    """
    return torch.bincount(y * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def classes_table(subject: Subject, predicted: Tensor) -> tuple[Table, str]:
    """Recall, precision and the most frequent confusion of each class, weakest first; and the weakest's name.

    The name is empty where no sample is wrong.

    Args:
        subject: with classes.
        predicted: (N,) classes of the test samples.
    """
    names = subject.class_names
    matrix = confusion_matrix(subject.data.test.y, predicted, subject.classes)
    count, called, hit = matrix.sum(1), matrix.sum(0), matrix.diagonal()
    rows: list[list[Any]] = []
    for i in count.nonzero().flatten().tolist():
        recall = wilson(int(hit[i]), int(count[i]))
        precision = float(hit[i]) / int(called[i]) if called[i] else None
        others = matrix[i].clone()
        others[i] = 0
        confused = names[int(others.argmax())] if int(others.max()) else None
        rows.append([names[i], int(count[i]), recall.value, recall.low, recall.high, precision, confused])
    rows.sort(key=lambda row: (row[2] == 1, row[3]))  # a class that is all right is never the weakest
    shown = rows[:100]
    columns = ["class", "samples", "recall", "95 % from", "95 % to", "precision", "most confused with"]
    caption = "per class, weakest first" + ("" if len(rows) <= 100 else f" (100 of {len(rows)})")
    return Table(columns, shown, caption), str(rows[0][0]) if rows[0][2] < 1 else ""


def confusion_figure(subject: Subject, predicted: Tensor) -> Figure:
    """Share of each true class by predicted class.

    Args:
        subject: with classes.
        predicted: (N,) classes of the test samples.
    """
    matrix = confusion_matrix(subject.data.test.y, predicted, subject.classes).float()
    shares = matrix / matrix.sum(1, keepdim=True).clamp_min(1)
    names = list(subject.class_names)
    series = [{"rows": names, "columns": names, "values": shares.tolist()}]
    title, palette = "Confusion (share of each true class)", "share"
    return Figure("heatmap", title, series, "predicted", "true", y_range=(0.0, 1.0), palette=palette)


@dataclass(frozen=True)
class OtherOrder:
    """Outputs that mean the classes in another order.

    Attributes:
        means: of each output column, the class that it stands for.
        accuracy: in this order, on samples that it wasn't found on.
    """

    means: tuple[int, ...]
    accuracy: Interval

    def words(self, names: Sequence[str]) -> str:
        """What was seen.

        Args:
            names: of the classes.
        """
        moved = [f"output {names[i]!r} meant as {names[k]!r}" for i, k in enumerate(self.means) if i != k]
        listed = ", ".join(moved[:4]) + (", ..." if len(moved) > 4 else "")
        return (
            f"The classes seem to be in another order than the network's outputs: with {listed} it would be right on "
            f"{self.accuracy.value:.1%} (told on half of the samples, measured on the others)."
        )

    def remedy(self, subject: Subject) -> str:
        """How the order is mended.

        Args:
            subject: whose outputs are out of order.
        """
        return (
            "Check the order of the classes before anything else: the classes of the outputs in order are "
            f"`order = {list(self.means)}`, so labels become outputs by "
            "`torch.tensor(order).argsort()[subject.data.test.y]`. On the command line a file of class names in that "
            f"order sets it (--classes FILE). It would change the accuracy to {self.accuracy.value:.1%}."
        )


def other_order(subject: Subject, predicted: Tensor) -> OtherOrder | None:
    """The order of classes that explains far more of the confusions than the one that was given, if there is one.

    The best assignment of outputs to classes (the Hungarian method) is found on every other sample, and must raise the
    accuracy on the rest: on few samples any confusion looks like a permutation.

    Args:
        subject: with classes.
        predicted: (N,) classes of the test samples.
    """
    from scipy.optimize import linear_sum_assignment

    y, classes = subject.data.test.y, subject.classes
    rank = torch.empty_like(y)
    for k in y.unique().tolist():
        rank[y == k] = torch.arange(int((y == k).sum()))
    first = rank % 2 == 0  # every other sample of each class
    if not bool((~first).any()):
        return None
    matrix = confusion_matrix(y[first], predicted[first], classes).double()
    matrix += 1e-6 * torch.eye(classes)  # where nothing speaks against it, a class stays where it is
    rows, columns = linear_sum_assignment(matrix.numpy(), maximize=True)
    means = torch.empty(classes, dtype=torch.long)
    means[torch.from_numpy(columns)] = torch.from_numpy(rows)
    rest = ~first
    now = wilson(int((predicted[rest] == y[rest]).sum()), int(rest.sum()))
    then = wilson(int((means[predicted[rest]] == y[rest]).sum()), int(rest.sum()))
    if then.value < 0.5 or then.low < now.high + _EXPLAINS:
        return None
    return OtherOrder(tuple(means.tolist()), then)
