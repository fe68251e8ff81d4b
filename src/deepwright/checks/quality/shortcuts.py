"""Does a shortcut fail it? Every pair of class and attribute, what a better last layer could gain, what is encoded."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.checks.held_out import why_none
from deepwright.checks.quality.samples import attributes_of, column_of
from deepwright.checks.subjects.subject import Subject
from deepwright.core.errors import InputError
from deepwright.core.results import Table
from deepwright.core.statistics import Interval, weighted_bootstrap, wilson
from deepwright.data import Split
from deepwright.dataquality import Grouping, grouping
from deepwright.shift import DFR, Features, GroupMetrics, LastLayerRetrain, extract_features, group_metrics, make_groups

LEAST = 30
"""Samples of a group from which on it may be called the worst."""
_MOST_GROUPS = 60
_TRAINED = 4000  # training samples that are looked at: they only standardise features
_VALIDATED = 8000
_WORTH = 0.05  # of the worst group: less is told, and no remedy
_FEW = 10  # of a validation group: fewer tell no headroom


@dataclass
class ShortcutFinding:
    """What the section on groups says of pairs of class and attribute.

    Attributes:
        values: as those of a finding.
        words: for its summary.
        tables: for its page.
        remedy: what to do; empty where there is nothing to say.
    """

    values: dict[str, Any] = field(default_factory=dict)
    words: str = ""
    tables: list[Table] = field(default_factory=list)
    remedy: str = ""


@dataclass(frozen=True)
class Attribute:
    """A column's values in each split, alike numbered.

    Attributes:
        names: of the values.
        train: (n,) of the training samples, -1 for unknown.
        validation: of the validation samples.
        test: of the test samples.
    """

    names: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor


def shortcut_of(subject: Subject) -> ShortcutFinding:
    """Accuracy by class and attribute, headroom and probe; nothing where there are no classes or too many groups.

    Args:
        subject: with a column named.
    """
    if not subject.has_classes or subject.groups in (None, "class"):
        return ShortcutFinding()
    found = attribute_of(subject, str(subject.groups))
    if len(found.names) < 2 or len(found.names) * subject.classes > _MOST_GROUPS:
        return ShortcutFinding()
    known = found.test >= 0
    names = pair_names(subject, found)
    pairs = make_groups(subject.data.test.y[known], found.test[known], len(found.names))
    predicted = subject.task.prediction(subject.outputs()).cpu()[known]
    metrics = group_metrics(predicted, subject.data.test.y[known], pairs, names=names)
    worst = _worst(metrics)
    if worst is None:
        return ShortcutFinding(tables=[_table(metrics)])
    level = 1 - 0.05 / int((metrics.n_per_group >= LEAST).sum())
    right, n = round(float(metrics.per_group[worst]) * int(metrics.n_per_group[worst])), int(metrics.n_per_group[worst])
    lowest = wilson(right, n, level)
    words = (
        f" By class and {subject.groups} it is lowest for {names[worst]} ({lowest.value:.1%} of {n}, 95 % interval "
        f"over all groups {lowest.low:.1%} to {lowest.high:.1%}; {metrics.average:.1%} over all)."
    )
    empty = f" No test sample is in {', '.join(metrics.empty)}." if metrics.empty else ""
    part = ShortcutFinding({"worst_class_group": lowest}, words + empty, [_table(metrics)])
    return _with_headroom(part, subject, found, predicted)


def attribute_of(subject: Subject, name: str) -> Attribute:
    """A column's values in all splits; a split without the column has none.

    Args:
        subject: whose data have it.
        name: of the column.
    """
    splits = (subject.data.train, subject.data.validation, subject.data.test)
    parts = [_values(subject, split, name) for split in splits]
    if all(part is None for part in parts):
        column_of(subject, name)  # says which columns there are
    numeric = all(part.dtype.kind in "biuf" for part in parts if part is not None)
    missing = np.nan if numeric else ""
    filled = [
        np.full(len(split), missing) if part is None else part.astype(float if numeric else str)
        for part, split in zip(parts, splits)
    ]
    whole: Grouping = grouping(np.concatenate(filled))
    train, validation, test = whole.index.split([len(part) for part in filled])
    return Attribute(whole.names, train, validation, test)


def _values(subject: Subject, split: Split, name: str) -> np.ndarray | None:
    if not len(split):
        return None
    if name in split.columns:
        return np.asarray(split.columns[name])
    found = attributes_of(subject, split).get(name)
    return None if found is None else np.asarray(found)


def pair_names(subject: Subject, found: Attribute) -> list[str]:
    """Names of all pairs of class and value, in the order of `make_groups`.

    Args:
        subject: with classes.
        found: values of its column.
    """
    return [f"{kind} with {subject.groups} {value}" for kind in subject.class_names for value in found.names]


def _worst(metrics: GroupMetrics) -> int | None:
    enough = metrics.n_per_group >= LEAST
    if int(enough.sum()) < 2:
        return None
    return int(torch.where(enough, metrics.per_group, torch.inf).argmin())


def _table(metrics: GroupMetrics) -> Table:
    table = metrics.table()
    table.caption = f"by class and attribute, worst first; fewer than {LEAST} samples aren't called the worst"
    return table


def _with_headroom(part: ShortcutFinding, subject: Subject, found: Attribute, predicted: Tensor) -> ShortcutFinding:
    """What a last layer with group labels would gain, and whether features tell the attribute; or why nobody knows."""
    why = why_none(subject) or ("the training samples aren't there" if not len(subject.data.train) else "")
    if why:
        part.words += f" What a better last layer could gain isn't known: {why}."
        return part
    try:
        rows = head_rows(subject, found)
        head = DFR(seed=subject.seed).fit(*rows.train[:2], *rows.validation, head=rows.head)
    except InputError as error:
        part.words += f" What a better last layer could gain isn't known ({error.what})."
        return part
    x, y, groups = rows.test
    gain = _change_of_least(predicted == y, head.predict(x) == y, groups, subject.seed)
    probe = _probe(subject, found, rows)
    part.values["headroom"] = gain
    part.words += (
        f" A last layer trained with group labels (DFR on validation) changes the worst group by {gain.value:+.1%} (95 "
        f"% interval {gain.low:+.1%} to {gain.high:+.1%}): that is about what there is to gain without training the "
        "rest."
    )
    if probe is None:
        part.words += (
            " Whether the features tell the attribute isn't known: validation or training lacks one of its values."
        )
    else:
        part.values["attribute_probe"] = probe
        part.words += (
            f" A linear probe reads the attribute from the features of {probe.value:.1%} of test samples, each value "
            f"weighing the same (a guess, of {1 / len(found.names):.1%})."
        )
    if gain.low > 0 and gain.value > _WORTH:
        part.remedy = (
            f"`deepwright harden MODEL --with dfr --groups {subject.groups}` puts such a last layer in its place "
            "(--with hsfm trains without group labels)."
        )
    return part


def _change_of_least(before: Tensor, after: Tensor, groups: Tensor, seed: int) -> Interval:
    """By how much the accuracy of the worst group that is large enough changes, on resamples of the same samples.

    Args:
        before: (n,) whether the network is right.
        after: (n,) whether the new head is.
        groups: (n,) of the samples.
        seed: of the resamples.
    """
    hot = torch.nn.functional.one_hot(groups).double()
    hot = hot[:, hot.sum(0) >= LEAST]
    sides = torch.stack([before, after]).double()[..., None] * hot

    def change(weights: Tensor) -> dict[str, Tensor]:
        least = [((weights @ side) / (weights @ hot)).amin(1) for side in sides]
        return {"change": least[1] - least[0]}

    return weighted_bootstrap(len(groups), change, seed=seed)["change"]


@dataclass(frozen=True)
class HeadRows:
    """Features, classes and groups of class and attribute of each split, and the network's last layer.

    Attributes:
        train: of the training samples that are looked at.
        validation: of the validation samples.
        test: of the test samples.
        head: the last layer.
    """

    train: tuple[Tensor, Tensor, Tensor]
    validation: tuple[Tensor, Tensor, Tensor]
    test: tuple[Tensor, Tensor, Tensor]
    head: torch.nn.Linear


def head_rows(subject: Subject, found: Attribute) -> HeadRows:
    """Embeddings of the samples whose attribute is known, beside their classes and groups.

    Args:
        subject: with classes and a last linear layer.
        found: values of its column.

    Raises:
        InputError: no such layer; a class or attribute that validation lacks, validation groups of few samples.
    """
    counts = len(found.names)
    data, parts = subject.data, []
    head: torch.nn.Linear | None = None
    for split, values, most in (
        (data.train, found.train, _TRAINED),
        (data.validation, found.validation, _VALIDATED),
        (data.test, found.test, None),
    ):
        rows = (values >= 0).nonzero().flatten()
        if not len(rows):
            raise InputError(f"a split without a value of {subject.groups!r}", expected="the column in every split")
        if most is not None and len(rows) > most:
            rows = rows[torch.linspace(0, len(rows) - 1, most).round().long()]
        features = _features(subject, split.where(rows))
        head = features.head
        y = split.y[rows]
        parts.append((features.x.cpu(), y, make_groups(y, values[rows], counts)))
    assert head is not None
    _require_every_group(subject, found, [part[2] for part in parts])
    sizes = torch.bincount(parts[1][2])
    few = int(sizes[sizes > 0].min())
    if few < _FEW:
        raise InputError(f"the smallest validation group has {few} samples", expected=f"{_FEW} or more")
    return HeadRows(parts[0], parts[1], parts[2], head.cpu())


def _require_every_group(subject: Subject, found: Attribute, groups: list[Tensor]) -> None:
    """Refuse validation rows that lack a group of training or test rows: nothing can be learned or chosen for it."""
    names = pair_names(subject, found)
    train, validation, test = (torch.bincount(part, minlength=len(names)) > 0 for part in groups)
    lost = [names[i] for i in ((train | test) & ~validation).nonzero().flatten().tolist()]
    if lost:
        raise InputError(
            f"validation has no sample of {', '.join(lost[:5])}",
            expected="some of each group that training or test samples are of",
            hint="a head that never sees a group is neither trained nor chosen for it",
        )


def _features(subject: Subject, split: Split) -> Features:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return extract_features(subject.model, split.batches(subject.batch_size), task=subject.task)


def _probe(subject: Subject, found: Attribute, rows: HeadRows) -> Interval | None:
    """Mean over the attribute's values of a linear probe's accuracy on test rows; None where it can't be learned."""
    attributes = [part[2] % len(found.names) for part in (rows.train, rows.validation, rows.test)]
    seen = attributes[1].unique()
    number = torch.full((len(found.names),), -1).index_copy_(0, seen, torch.arange(len(seen)))
    train, validation, test = (number[part] for part in attributes)
    lost = len(seen) < 2 or len(train[train >= 0].unique()) < len(seen)
    if lost or bool((test < 0).any()):  # a value that validation or training lacks can't be learned there
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = train >= 0
        probe = LastLayerRetrain(seed=subject.seed).fit(
            rows.train[0][known], train[known], rows.validation[0], validation
        )
    right = (probe.predict(rows.test[0]) == test).double()
    hot = torch.nn.functional.one_hot(test).double()
    hot = hot[:, hot.sum(0) > 0]

    def balanced(weights: Tensor) -> dict[str, Tensor]:
        return {"probe": ((weights * right) @ hot / (weights @ hot)).mean(1)}

    least = int(hot.sum(0).min())
    return weighted_bootstrap(len(test), balanced, seed=subject.seed, shares={"probe": least})["probe"]
