"""From the word for a task, or from the data, to the task that a subject is audited by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from deepwright.checks import class_task
from deepwright.core.errors import InputError
from deepwright.core.inference import read_outputs
from deepwright.core.tasks import (
    Binary,
    Classification,
    ClassOrder,
    Detection,
    MultiLabel,
    Regression,
    Segmentation,
    Task,
)
from deepwright.data import Data

_WITH_THRESHOLD = (Binary, MultiLabel)


def task_of(
    given: Task | str | None,
    data: Data,
    model: nn.Module | None = None,
    *,
    outputs: str | None = None,
    threshold: float | None = None,
    names: Sequence[str] = (),
    quantiles: Sequence[float] | None = None,
    order: str | ClassOrder | None = None,
) -> Task | None:
    """The task of a word on data, or of the data alone; None where that is one of the data's classes a sample.

    Args:
        given: a task, which is taken as it is, a word of `data.WORDS`, or None.
        data: whose targets it is of.
        model: the network, where there is one already, whose outputs are then held against the word.
        outputs: what the columns are, where that was said.
        threshold: of probabilities, where one was said.
        names: of numbers that are predicted, where they are known.
        quantiles: levels that the network gives of each number, where they were said.
        order: of a segmentation's classes, where one was said.

    Raises:
        InputError: a word that the data's targets or the network's outputs don't fit, with what they look like; a
            threshold or a scale of outputs beside a task that has none.
    """
    if isinstance(given, Task):
        if quantiles is not None:
            raise InputError("quantiles", given=f"beside a {given.kind}", expected="none: the task says it")
        if order is not None:
            raise InputError("order", given=f"beside a {given.kind}", expected="none: the task says it")
        return _with(given, outputs, threshold)
    word = given or _told_by(data)
    if order is not None and word != "segmentation":
        hint = "--task segmentation, where the targets are label maps"
        raise InputError("order", given=f"beside {word or 'classes'}", expected="label maps as targets", hint=hint)
    if quantiles is not None and word != "regression":
        hint = "--task regression, where the targets are numbers"
        raise InputError("quantiles", given=f"beside {word or 'classes'}", expected="numbers as targets", hint=hint)
    if word is None:
        if outputs is None and threshold is None:
            return None
        assert model is not None
        return _with(class_task(model, data, outputs or "auto"), None, threshold)
    _require_targets(word, data)
    task = _made(word, data, names, quantiles)
    if order is not None and isinstance(task, Segmentation):
        task = replace(task, order=ClassOrder.parse(order, data.classes) if isinstance(order, str) else order)
    if model is not None:
        _require_outputs(task, word, data, model)
    return _with(task, outputs, threshold)


def word_for(task: Task | str | None) -> str | None:
    """How data are read for a task; None where the data tell it.

    Args:
        task: one, its word, or None.
    """
    if task is None or isinstance(task, str):
        return task
    words: dict[type[Any], str] = {
        Binary: "binary",
        MultiLabel: "multilabel",
        Regression: "regression",
        Segmentation: "segmentation",
        Detection: "detection",
    }
    return words.get(type(task))


def _told_by(data: Data) -> str | None:
    """The word for what targets of another form than one class a sample are; None for these."""
    if data.kind in ("segmentation", "detection"):
        return data.kind
    y = data.test.y
    if not isinstance(y, Tensor) or y.ndim != 2:
        return None
    return "regression" if y.is_floating_point() else "multilabel"


def _require_targets(word: str, data: Data) -> None:
    told = _told_by(data) or "classification"
    fits = {"classification", "binary"} if told == "classification" else {told}
    if word not in fits:
        given = f"{word}, and targets of {data.name!r} that look like {told}"
        hint = f"--task {told}, or read the data by --task {word}"
        raise InputError("task", given=given, expected=" or ".join(sorted(fits)), hint=hint)
    if word == "binary" and len(data.classes) != 2:
        hint = "--task classification"
        raise InputError("task", given=f"binary, and {len(data.classes)} classes", expected="two of them", hint=hint)


def _made(word: str, data: Data, columns: Sequence[str], quantiles: Sequence[float] | None) -> Task:
    names = data.classes
    if word == "regression":
        outputs = data.test.y.shape[1]
        levels = {} if quantiles is None else {"spread": "quantiles", "levels": tuple(quantiles)}
        return Regression(outputs, names=tuple(columns) if len(columns) == outputs else (), **levels)  # type: ignore[arg-type]
    made: dict[str, Any] = {
        "classification": Classification,
        "multilabel": MultiLabel,
        "segmentation": Segmentation,
        "detection": Detection,
    }
    return Binary(names) if word == "binary" else made[word](len(names), names)


def _require_outputs(task: Task, word: str, data: Data, model: nn.Module) -> None:
    """Refuse a network whose outputs another task reads, and say which."""
    seen = read_outputs(model, [data.test.inputs(slice(0, 2))], lambda out, n: (type(out).__name__, _shape(out)))[0]
    kind, shape = seen
    like = _looks_like(kind, shape)
    if like and word not in like:
        given = (
            f"{word}, and outputs of shape {('N', *shape[1:])}".replace("'", "") if shape else f"{word}, and a {kind}"
        )
        hint = f"outputs like these are of {' or '.join(like)}"
        raise InputError("task", given=given, expected=_form_of(task), hint=hint)


def _shape(out: Any) -> tuple[int, ...]:
    return tuple(out.shape) if isinstance(out, Tensor) else ()


def _looks_like(kind: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The words for what outputs of a form can be; none where that can't be told."""
    if not shape:
        return ("detection",) if kind in ("list", "DetectionBatch") else ()
    if len(shape) == 1:
        return ("binary", "regression")
    if len(shape) == 4 and shape[2:] != (1, 1):
        return ("segmentation",)
    return ("classification", "binary", "multilabel", "regression") if len(shape) == 2 else ()


def _form_of(task: Task) -> str:
    if isinstance(task, Detection):
        return "a list with boxes, labels and scores of each image"
    columns = " or ".join(map(str, task.columns))
    return f"(N, {columns}, height, width)" if isinstance(task, Segmentation) else f"(N, {columns})"


def _with(task: Task, outputs: str | None, threshold: float | None) -> Task:
    """The task with what its outputs are and where its threshold lies."""
    if outputs is not None:
        if not isinstance(getattr(task, "outputs", None), str):
            given = f"{outputs!r} beside a {task.kind}"
            raise InputError("outputs", given=given, expected="none: its outputs are read in one way")
        task = replace(task, outputs=outputs)  # type: ignore[type-var]
    if threshold is None:
        return task
    if not isinstance(task, _WITH_THRESHOLD):
        given = f"{threshold:g} beside a {task.kind}"
        raise InputError("threshold", given=given, expected="--task binary or --task multilabel")
    return replace(task, threshold=threshold)
