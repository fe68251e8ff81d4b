"""Which task outputs and targets look like, where nobody has named one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.core.tasks.binary import Binary
from deepwright.core.tasks.classes import Classification
from deepwright.core.tasks.detection import Detection
from deepwright.core.tasks.forecast import Forecast
from deepwright.core.tasks.multilabel import MultiLabel
from deepwright.core.tasks.protocol import Task
from deepwright.core.tasks.reading import columns, unwrap
from deepwright.core.tasks.regression import Regression
from deepwright.core.tasks.segmentation import Segmentation
from deepwright.core.tasks.targets import as_tensor

_IGNORED = (255, -1, -100)


def infer(out: Any, y: Any, names: Sequence[str] = ()) -> Task:
    """The one task that outputs and targets fit.

    Whole numbers are labels unless only regression can read them: fractions, or one output column for other values
    than 0 and 1. Two output columns are two classes; `Binary` (with an event to be found) has to be named for them.

    Args:
        out: raw outputs for the samples of y.
        y: targets.
        names: of the classes or labels, or none.

    Raises:
        InputError: none fits, or more than one; with what was seen.
    """
    if _is_detection(y):
        return _detection(out, y, tuple(names))
    y = as_tensor(y, "targets")
    if y.ndim == 0:
        raise InputError(
            "the task can't be told from what is seen", given="targets of shape ()", expected="one a sample"
        )
    z = unwrap(out, len(y), lambda t: t.is_floating_point(), "one tensor of scores")
    z = columns(z, len(y))
    if y.ndim > 1 and y.shape[1] == 1 and (y.ndim == 2 or z.ndim == y.ndim):
        y = y[:, 0]
    if not z.is_floating_point() or z.ndim == 0 or len(z) != len(y) or len(y) == 0 or not bool(torch.isfinite(y).all()):
        raise _unclear(z, y, "scores and finite targets, one row a sample of each")
    whole = not y.is_floating_point() or bool((y == y.round()).all())
    found = (_labels if whole else _numbers)(z, y, tuple(names))
    if found is None:
        raise _unclear(z, y, "outputs and targets of one task")
    return found


def _is_detection(y: Any) -> bool:
    first = y[0] if isinstance(y, Sequence) and not isinstance(y, str) and len(y) else None
    return isinstance(first, Detections) or (isinstance(first, Mapping) and "boxes" in first)


def _detection(out: Any, y: Any, names: tuple[str, ...]) -> Detection:
    entries = [*y, *(out if isinstance(out, Sequence) else ())]
    labels = [d.labels if isinstance(d, Detections) else d["labels"] for d in entries if _is_detection([d])]
    return Detection(len(names) or 1 + max((int(each.max()) for each in labels if len(each)), default=0), names)


def _labels(z: Tensor, y: Tensor, names: tuple[str, ...]) -> Task | None:
    """For targets that are whole numbers."""
    if y.ndim == 1 and z.ndim == 2:
        return _one_label(z, y.long(), names)
    if y.ndim == 2 and z.shape == y.shape:
        return _row_of_labels(z, y, names)
    if z.ndim == y.ndim + 1 and z.shape[2:] == y.shape[1:] and y.ndim > 1:
        return _positions(z, y.long(), names)
    return _numbers(z, y, names)


def _one_label(z: Tensor, y: Tensor, names: tuple[str, ...]) -> Task | None:
    classes, low, high = z.shape[1], int(y.min()), int(y.max())
    if classes > 1:
        if low >= 0 and high < classes:
            return Classification(classes, names)
        shifted = low == 1 and high == classes
        raise _unclear(z, y, f"labels 0..{classes - 1}", "labels count from 0: use y - 1" if shifted else None)
    if low >= 0 and high <= 1:
        return Binary(names)
    if bool((y.abs() == 1).all()):
        raise _unclear(z, y, "labels 0 and 1 for one column", "use (y + 1) // 2")
    return Regression()


def _row_of_labels(z: Tensor, y: Tensor, names: tuple[str, ...]) -> Task | None:
    if not bool(((y == 0) | (y == 1)).all()):
        return _numbers(z, y, names)
    if bool((y.sum(1) == 1).all()):
        raise _unclear(
            z, y, "one of two tasks", f"y.argmax(1) for Classification({y.shape[1]}), or name MultiLabel({y.shape[1]})"
        )
    return MultiLabel(y.shape[1], names)


def _positions(z: Tensor, y: Tensor, names: tuple[str, ...]) -> Task:
    classes = 2 if z.shape[1] == 1 else z.shape[1]
    outside = y[(y < 0) | (y >= classes)].unique().tolist()
    if not outside:
        return Segmentation(classes, names)
    if len(outside) == 1 and outside[0] in _IGNORED:
        return Segmentation(classes, names, outside[0])
    raise _unclear(z, y, f"labels 0..{classes - 1}, or one of {_IGNORED} for what doesn't count")


def _numbers(z: Tensor, y: Tensor, names: tuple[str, ...]) -> Task | None:
    """For targets that are no labels."""
    if y.ndim == 1 and z.ndim == 2 and z.shape[1] == 1:
        return Regression(names=names)
    if z.shape != y.shape:
        return None
    if y.ndim == 2:
        return Regression(y.shape[1], names=names)
    return Forecast(y.shape[1], y.shape[2], names=names) if y.ndim == 3 else None


def _unclear(z: Tensor, y: Tensor, expected: str, hint: str | None = None) -> InputError:
    values = f", values {float(y.min()):.4g}..{float(y.max()):.4g}" if y.numel() else ""
    return InputError(
        "the task can't be told from what is seen",
        given=f"outputs {tuple(z.shape)} of {z.dtype}, targets {tuple(y.shape)} of {y.dtype}{values}",
        expected=expected,
        hint=hint
        or "name it: task=Classification(classes), Binary(), Regression(outputs), ... of deepwright.core.tasks",
    )
