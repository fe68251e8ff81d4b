"""A subject from a user's loaders: batches gathered, the task seen, missing splits cut from what there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from deepwright.checks.subjects.columns import in_deviations
from deepwright.checks.subjects.subject import OPTIONS, Subject
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import read_outputs
from deepwright.core.requirements import require_network
from deepwright.core.tasks import Classification, Task, infer
from deepwright.data import FOR_MEASURING, Data, Split, cut_note, one_piece, stratified_order, to_float, with_parts
from deepwright.nets.doors import Brought, as_scores_only, in_class_order
from deepwright.nets.scores_only import declared_outputs

_SEEN = 250  # samples from which the task is told


def subject_from_loaders(
    model: Brought,
    test: Iterable[Any] | Data,
    train: Iterable[Any] | None = None,
    validation: Iterable[Any] | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "network",
    task: Task | None = None,
    split: str | None = None,
    **options: Any,
) -> Subject:
    """A subject from loaders of (inputs, targets); a missing validation or training split is cut from another one.

    With only a test loader, 30 % of it (stratified) fit what needs fitting and the rest is measured. With a training
    loader and no validation, a fifth of the training samples are taken out of it for that. Notes say so.

    The network gets rows (N, columns) as they are; the subject's own are in deviations of each column, and its `model`
    undoes that, so that a budget or a perturbation means the same in every unit.

    Args:
        model: see `Subject`.
        test: batches of (inputs, targets), or a `Data`.
        train: batches, or None.
        validation: batches, or None.
        class_names: index = label.
        name: for the report.
        task: what outputs and targets mean; told from them when None.
        split: "test" measures all of `test` where it comes alone.
        options: further fields of `Subject`.

    Raises:
        InputError: batches of another form; outputs and targets whose task can't be told.
    """
    require_network(as_scores_only(model))
    for word in options:
        if word not in OPTIONS:
            raise unknown_name("option of a subject", word, OPTIONS)
    if isinstance(test, Data):
        network = as_scores_only(model, test.test.inputs(slice(0, 2)))
        refused = {"train": train, "validation": validation, "class_names": class_names}
        given = [word for word, value in refused.items() if value is not None]
        if given:
            raise InputError(", ".join(given), given="beside a Data", expected="none: a Data has splits and classes")
        return Subject(network, test, name, task=cast(Task, task), **options)
    if task is not None and not isinstance(task, Task):
        raise InputError("task", given=repr(task), expected="a task of deepwright.core.tasks")
    x, y = _gather(test, "test")
    network = in_class_order(as_scores_only(model, to_float(x[:2])), tuple(class_names or ()))
    seen = _seen_task(network, x, y) if task is None else task
    whole = Split(x, seen.check_targets(y, len(x), "test labels"))
    if train is None and validation is None:
        rows, note = one_piece(whole.y, FOR_MEASURING, split, 0)
        train_part, validation_part, test_part = (whole.where(rows[part]) for part in ("train", "validation", "test"))
    elif train is None:
        raise InputError("train", given="nothing, beside validation data", expected="training data, or neither of them")
    else:
        with_parts(split, "data with training batches")
        train_part, validation_part, note = _fitted_on(train, validation, seen)
        test_part = whole
    names = tuple(class_names) if class_names else tuple(getattr(network, "class_names", ()))
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError("class_names", given=f"several of {', '.join(twice)}", expected="different names")
    if not names and isinstance(seen, Classification):
        names = seen.names or tuple(map(str, range(seen.classes)))
    kind = {4: "image", 3: "series"}.get(x.ndim, "tabular")
    notes, seen_validation = (note,) if note else (), bool(note) and train is not None
    data = Data(name, kind, names, train_part, validation_part, test_part, notes=notes, seen_validation=seen_validation)
    if kind == "tabular" and x.ndim == 2:
        network, data = in_deviations(network, data)
    return Subject(network, data, name, task=seen, **options)


def _fitted_on(train: Iterable[Any], validation: Iterable[Any] | None, task: Task) -> tuple[Split, Split, str]:
    """The training and the validation part, and what to tell where the second is cut from the first."""
    given = _split(train, "train", task)
    if validation is not None:
        return given, _split(validation, "validation", task), ""
    count = len(given) // 5
    order = stratified_order(given.y, 0)
    note = cut_note("validation", "train", count) if count else ""
    return given.where(order[count:]), given.where(order[:count]), note


def _seen_task(model: nn.Module, x: Tensor, y: Any) -> Task:
    """The task that outputs and targets fit."""
    rows = slice(0, _SEEN)

    def read(out: Any, n: int) -> Task:
        columns = out.shape[1] if isinstance(out, Tensor) and out.ndim == 2 else 0
        if columns > 1 and _one_whole_number_each(y):
            return Classification(columns, outputs=declared_outputs(model) or "auto")
        return infer(out, y[rows])

    return read_outputs(model, [to_float(x[rows])], read)[0]


def _one_whole_number_each(y: Any) -> bool:
    flat = isinstance(y, Tensor) and y.dtype != torch.bool and (y.ndim == 1 or y.shape[1:] == (1,))
    return flat and bool((y == y.round()).all())


def _split(loader: Iterable[Any], what: str, task: Task) -> Split:
    x, y = _gather(loader, what)
    return Split(x, task.check_targets(y, len(x), f"{what} labels"))


def _gather(loader: Iterable[Any], what: str) -> tuple[Tensor, Any]:
    """All inputs, and all targets as they come, on the CPU."""
    xs: list[Tensor] = []
    ys: list[Any] = []
    for batch in _batches(loader, what):
        x, y = _one(batch, what)
        if xs and x.shape[1:] != xs[0].shape[1:]:
            given = f"samples of shape {tuple(x.shape[1:])} after {tuple(xs[0].shape[1:])}"
            raise InputError(f"{what} loader", given=given, expected="one shape in all batches")
        xs.append(x)
        ys.append(y)
    if not xs:
        raise InputError(f"{what} loader", given="no batch", expected="at least one")
    x = torch.cat(xs)
    if len(x) == 0:
        raise InputError(f"{what} loader", given="no sample", expected="at least one")
    if x.dtype == torch.uint8 and x.ndim != 4:
        raise InputError(
            f"{what} inputs", given=f"uint8 of shape {tuple(x.shape)}", expected="floats, or images (N, C, H, W)"
        )
    if x.is_floating_point() and not torch.isfinite(x).all():
        raise InputError(f"{what} inputs", given="NaN or infinity", expected="finite numbers")
    return x if x.dtype == torch.uint8 else x.float(), _joined(ys, what)


def _batches(loader: Iterable[Any], what: str) -> Iterator[Any]:
    """What a loader gives; a data set gives single samples and is no loader."""
    if isinstance(loader, Dataset) and not isinstance(loader, IterableDataset):
        hint = "torch.utils.data.DataLoader(dataset, batch_size=100)"
        raise InputError(f"{what} loader", given=f"a {type(loader).__name__}", expected="batches", hint=hint)
    if isinstance(loader, str | bytes | Tensor | Mapping) or not hasattr(loader, "__iter__"):
        raise InputError(f"{what} loader", given=type(loader).__name__, expected="batches of (inputs, targets)")
    yield from loader


def _one(batch: Any, what: str) -> tuple[Tensor, Any]:
    """Inputs on the CPU and targets of a batch, one target a sample."""
    expected = "batches of (inputs, targets)"
    if not isinstance(batch, list | tuple) or len(batch) < 2:
        raise InputError(f"{what} loader", given=type(batch).__name__, expected=expected)
    try:
        x = torch.as_tensor(batch[0]).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        given = f"inputs that are a {type(batch[0]).__name__}: {str(error).splitlines()[0]}"
        raise InputError(f"{what} loader", given=given, expected="tensors or arrays of numbers") from error
    y = batch[1]
    labels = len(y) if hasattr(y, "__len__") and getattr(y, "ndim", 1) > 0 else None
    if x.ndim == 0 or labels is None:
        given = f"inputs of shape {tuple(x.shape)} and one target: a single sample"
        hint = "torch.utils.data.DataLoader(dataset, batch_size=100) makes batches"
        raise InputError(f"{what} loader", given=given, expected=expected, hint=hint)
    if len(x) != labels:
        given = f"a batch of {len(x)} inputs and {labels} targets"
        raise InputError(f"{what} loader", given=given, expected="one target a sample")
    return x, y


def _joined(ys: list[Any], what: str) -> Any:
    """Targets of all batches: one tensor, or one list where they are lists of objects."""
    try:
        if all(isinstance(y, Tensor | np.ndarray | int | float) or _is_numbers(y) for y in ys):
            return torch.cat([torch.atleast_1d(torch.as_tensor(y)).cpu() for y in ys])
        return [each for y in ys for each in y]
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"{what} labels", given=str(error).splitlines()[0], expected="batches of one shape, one row a sample"
        ) from error


def _is_numbers(y: Any) -> bool:
    return isinstance(y, list | tuple) and all(isinstance(each, int | float) for each in y)
