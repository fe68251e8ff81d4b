"""A subject from a user's loaders: batches gathered, the task seen, missing splits cut from what there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from deepwright.checks.subjects.batches import batches_of, copied, joined, one_batch, require_keys, require_plain
from deepwright.checks.subjects.columns import in_deviations, in_own_units
from deepwright.checks.subjects.rereading import is_large, read_again
from deepwright.checks.subjects.subject import OPTIONS, Subject
from deepwright.checks.subjects.texts import own_tokenizer, reads_texts, reads_tokens
from deepwright.checks.subjects.token_rows import aligned, as_texts, as_tokens
from deepwright.core.devices import dtype_of
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import read_outputs
from deepwright.core.requirements import require_network
from deepwright.core.tasks import Classification, Task, infer
from deepwright.core.texts import are_codes, are_tokens, joined_codes, joined_tokens
from deepwright.data import FOR_MEASURING, Data, Split, cut_note, one_piece, stratified_order, to_float, with_parts
from deepwright.nets import as_network
from deepwright.nets.doors import Brought, in_class_order
from deepwright.nets.scores_only import declared_outputs, require_no_labels
from deepwright.nets.texts import Tokenized, opened_pipeline

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
    keys: Sequence[str] | None = None,
    groups: str | Sequence[Any] | None = None,
    reference: Iterable[Any] | Data | Split | None = None,
    tokenizer: Any = None,
    **options: Any,
) -> Subject:
    """A subject from loaders of (inputs, targets), or of dicts that hold them.

    A missing validation or training split is cut from another one: with only a test loader, 30 % of it (stratified) fit
    what needs fitting and the rest is measured. With a training loader and no validation, a fifth of the training
    samples are taken out of it for that. Notes say so.

    The network gets rows (N, columns) as they are; the subject's own are in deviations of each column, and its `model`
    undoes that, so that a budget or a perturbation means the same in every unit.

    What a `DataLoader` over a map-style data set gives is read again when it is needed where it is over 512 MiB: each
    sample must then be the same at every reading.

    Args:
        model: see `Subject`.
        test: batches of (inputs, targets), or a `Data`.
        train: batches, or None.
        validation: batches, or None.
        class_names: index = label.
        name: for the report.
        task: what outputs and targets mean; told from them when None.
        split: "test" measures all of `test` where it comes alone.
        keys: of inputs and targets where batches are dicts, as ("image", "label"); told from the usual names when None.
        groups: by which groups are compared: a column's name, or a value for each sample of `test`.
        reference: batches, a `Data` (its test part) or a `Split` that the test samples are compared with.
        tokenizer: list of strings -> token ids, for batches of texts; see `nets.texts.as_tokenizer`.
        options: further fields of `Subject`.

    Raises:
        InputError: batches of another form; outputs and targets whose task can't be told.
    """
    model = opened_pipeline(model)
    first = as_network(model).network
    require_network(first)
    for word in options:
        if word not in OPTIONS:
            raise unknown_name("option of a subject", word, OPTIONS)
    require_keys(keys)
    if isinstance(test, Data):
        refused = {"train": train, "validation": validation, "class_names": class_names, "keys": keys}
        given = [word for word, value in refused.items() if value is not None]
        if given:
            raise InputError(", ".join(given), given="beside a Data", expected="none: a Data has splits and classes")
        model = _reading(first if test.kind == "text" else model, test.kind == "text", tokenizer)
        test, column = _grouped(test, groups)
        other = _reference(reference, task, None, first)
        return Subject(
            cast(nn.Module, model), test, name, task=cast(Task, task), groups=column, reference=other, **options
        )
    if task is not None and not isinstance(task, Task):
        raise InputError("task", given=repr(task), expected="a task of deepwright.core.tasks")
    wide = dtype_of(first) == torch.float64
    if train is None and validation is not None:
        raise InputError("train", given="nothing, beside validation data", expected="training data, or neither of them")
    loaders = {"test": test, "train": train, "validation": validation}
    parts = {part: _gather(each, part, keys, wide) for part, each in loaders.items() if each is not None}
    x, y = parts["test"]
    rows = {part: as_tokens(_inner(first), inputs) for part, (inputs, _) in parts.items()}
    if are_tokens(rows["test"]):
        opened, rows, said = _of_tokens(first, rows, tokenizer)
    elif are_codes(x) or tokenizer is not None:
        opened, said = _reading(first, are_codes(x), tokenizer), ""
    else:
        opened, said = as_network(model, to_float(x[:_SEEN]))
    parts = {part: (rows[part], targets) for part, (_, targets) in parts.items()}
    x = rows["test"]
    network = in_class_order(opened, tuple(class_names or ()))
    seen = _seen_task(network, x, y) if task is None else task
    column, beside = _column(groups, len(x))
    whole = Split(x, seen.check_targets(y, len(x), "test labels"), beside)
    if train is None:
        cut, note = one_piece(whole.y, FOR_MEASURING, split, 0)
        train_part, validation_part, test_part = (whole.where(cut[part]) for part in ("train", "validation", "test"))
    else:
        with_parts(split, "data with training batches")
        train_part, validation_part, note = _fitted_on(parts, seen)
        test_part = whole
    names = tuple(class_names) if class_names else tuple(getattr(network, "class_names", ()))
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError("class_names", given=f"several of {', '.join(twice)}", expected="different names")
    if not names and isinstance(seen, Classification):
        names = seen.names or tuple(map(str, range(seen.classes)))
    words = "text" if are_codes(x) else "tokens" if are_tokens(x) else None
    kind = words or {4: "image", 3: "series"}.get(x.ndim, "tabular")
    notes, seen_validation = tuple(text for text in (note, said) if text), bool(note) and train is not None
    data = Data(name, kind, names, train_part, validation_part, test_part, notes=notes, seen_validation=seen_validation)
    if kind == "tabular" and x.ndim == 2:
        network, data = in_deviations(network, data)
    other = _reference(reference, seen, keys, opened)
    return Subject(network, data, name, task=seen, groups=column, reference=other, **options)


def _column(groups: str | Sequence[Any] | None, n: int) -> tuple[str | None, dict[str, np.ndarray]]:
    """The name of the column of groups, and that column where its values were given."""
    if groups is None or isinstance(groups, str):
        return groups, {}
    values = groups.cpu().numpy() if isinstance(groups, Tensor) else np.asarray(groups)
    if values.ndim != 1 or len(values) != n:
        raise InputError("groups", given=f"shape {values.shape}", expected=f"a column's name, or {n} values")
    return "group", {"group": values.astype(np.float64) if values.dtype.kind in "iuf" else values.astype(str)}


def _grouped(data: Data, groups: str | Sequence[Any] | None) -> tuple[Data, str | None]:
    column, beside = _column(groups, len(data.test))
    return replace(data, test=replace(data.test, columns={**data.test.columns, **beside})) if beside else data, column


def _inner(network: nn.Module) -> nn.Module:
    """The network behind its tokenizer."""
    return network.network if isinstance(network, Tokenized) else network


def _of_tokens(network: Any, rows: dict[str, Any], tokenizer: Any) -> tuple[nn.Module, dict[str, Any], str]:
    """The network of token ids: behind its tokenizer where that turns them back into texts, else as it is."""
    own = own_tokenizer(network) if tokenizer is None else tokenizer
    reader = reads_texts(network, own) if own is not None or isinstance(network, Tokenized) else None
    said = ""
    if isinstance(reader, Tokenized):
        texts, said = as_texts(reader, rows)
        if texts is not None:
            return reader, texts, said
    return reads_tokens(network), aligned(rows), said


def _reference(given: Any, task: Task | None, keys: Sequence[str] | None, network: Any) -> Split | None:
    """Samples to compare with: of a `Data` the test part, in its own units."""
    if given is None or isinstance(given, Split):
        return given
    if isinstance(given, Data):
        return in_own_units(given).test
    x, y = _gather(given, "reference", keys)
    x = as_tokens(_inner(network), x)
    if are_tokens(x) and isinstance(network, Tokenized):
        texts, said = as_texts(network, {"reference": x})
        if texts is None:
            raise InputError("reference", given=said, expected="token ids as those of the test samples, or texts")
        x = texts["reference"]
    return Split(x, y if task is None else task.check_targets(y, len(x), "reference labels"))


def _reading(model: Any, texts: bool, tokenizer: Any) -> Any:
    """The network, with its tokenizer in front where it reads texts."""
    if not texts and tokenizer is not None:
        raise InputError("tokenizer", given="one, beside inputs that are no texts", expected="none")
    return reads_texts(model, tokenizer) if texts else model


def _fitted_on(parts: dict[str, tuple[Any, Any]], task: Task) -> tuple[Split, Split, str]:
    """The training and the validation part, and what to tell where the second is cut from the first."""
    given = _split(*parts["train"], "train", task)
    if "validation" in parts:
        return given, _split(*parts["validation"], "validation", task), ""
    count = len(given) // 5
    order = stratified_order(given.y, 0)
    note = cut_note("validation", "train", count) if count else ""
    return given.where(order[count:]), given.where(order[:count]), note


def _seen_task(model: nn.Module, x: Any, y: Any) -> Task:
    """The task that outputs and targets fit."""
    rows = slice(0, _SEEN)

    def read(out: Any, n: int) -> Task:
        require_no_labels(model, out)
        columns = out.shape[1] if isinstance(out, Tensor) and out.ndim == 2 else 0
        if columns > 1 and _one_whole_number_each(y):
            return Classification(columns, outputs=declared_outputs(model) or "auto")
        return infer(out, y[rows])

    return read_outputs(model, [to_float(x[rows])], read)[0]


def _one_whole_number_each(y: Any) -> bool:
    flat = isinstance(y, Tensor) and y.dtype != torch.bool and (y.ndim == 1 or y.shape[1:] == (1,))
    return flat and bool((y == y.round()).all())


def _split(x: Any, y: Any, what: str, task: Task) -> Split:
    return Split(x, task.check_targets(y, len(x), f"{what} labels"))


def _of_any_length(*xs: Tensor) -> bool:
    """Whether batches are texts or token ids, which are filled up to one length afterwards."""
    return all(map(are_codes, xs)) or all(map(are_tokens, xs))


def _gather(loader: Iterable[Any], what: str, keys: Sequence[str] | None, wide: bool = False) -> tuple[Any, Any]:
    """All inputs, in memory or (of a large loader) in its data set, and all targets as they come, on the CPU.

    Double precision is kept for a network in it.
    """
    if isinstance(loader, DataLoader) and is_large(loader, keys, what):
        return read_again(loader, keys, what, wide)
    xs: list[Tensor] = []
    ys: list[Any] = []
    for batch in batches_of(loader, what):
        x, y = one_batch(batch, what, keys)
        if xs and x.shape[1:] != xs[0].shape[1:] and not _of_any_length(x, xs[0]):
            given = f"samples of shape {tuple(x.shape[1:])} after {tuple(xs[0].shape[1:])}"
            raise InputError(f"{what} loader", given=given, expected="one shape in all batches")
        x, y = (x, y) if isinstance(loader, list | tuple) else copied(x, y)
        xs.append(x)
        ys.append(y)
    if not xs:
        raise InputError(f"{what} loader", given="no batch", expected="at least one")
    if are_codes(xs[0]) or are_tokens(xs[0]):
        return (joined_codes if are_codes(xs[0]) else joined_tokens)(xs), joined(ys, what)
    x = torch.cat(xs)
    if len(x) == 0:
        raise InputError(f"{what} loader", given="no sample", expected="at least one")
    return require_plain(x, what, wide), joined(ys, what)
