"""Do the test samples come from where the others came from?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.quality.samples import are_pictures, attributes_of, columns_as_given, floats_of
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.subjects.texts import has_words
from deepwright.core.features import extract
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, holm
from deepwright.data import Split
from deepwright.dataquality import Moved, TwoSampleTest, classifier_two_sample_test, grey, moved_columns, statistics_of
from deepwright.graphs import STATISTICS

_TAKEN = 1000  # samples of each set
_LEAST = 50
_POOL = 4  # pixels a side of 32 that are averaged
_LEVEL = 0.05
_BARS, _ROWS, _NAMED = 12, 30, 5  # columns that are shown: drawn, listed and named; all are tested


def check_drift(subject: Subject) -> Finding:
    """Can a classifier tell the test samples from the reference (or training) samples, and what moved?

    Applies to every task, with a reference or a training part; graphs are compared by their statistics.
    """
    given = subject.reference is not None
    before = subject.reference if subject.reference is not None else subject.data.train
    name = "reference" if given else "training"
    test = subject.data.test
    if len(before) < _LEAST or len(test) < _LEAST:
        raise NotApplicableError(f"{len(before)} {name} and {len(test)} test samples are too few ({_LEAST} of each)")
    first, second = before.take(_TAKEN, subject.seed), test.take(_TAKEN, subject.seed)
    columns = [_columns(subject, part, raw=given and part is first) for part in (first, second)]
    data = classifier_two_sample_test(_rows(columns[0], first), _rows(columns[1], second), seed=subject.seed)
    moved = moved_columns(*columns) if columns[0] else []
    labels = _label_shift(subject, first, second)
    seen = _network_features(subject, first, second)
    tests = {"the data": data.p, **({"the labels": labels.p} if labels else {})}
    tests |= {"single columns": moved[0].p} if moved else {}
    tests |= {"the network's features": seen.p} if seen and given else {}
    adjusted = dict(zip(tests, holm(list(tests.values()))))
    found = [what for what, p in adjusted.items() if p < _LEVEL]
    values: dict[str, Any] = {"auroc": data.auroc, "p_value": min(adjusted.values()), "data_p_value": data.p}
    values |= {"moved_columns": sum(m.p < _LEVEL for m in moved)}
    values |= {"label_p_value": labels.p} if labels else {}
    values |= {"network_auroc": seen.auroc} if seen else {}
    return Finding(
        check="drift",
        grade="info",
        summary=_summary(data.auroc, found, moved, name, (len(first), len(second)), min(adjusted.values())),
        values=values,
        rule=f"Not graded. {len(tests)} tests ({', '.join(tests)}) with Holm's correction; drift is named at p < 0.05. "
        "The classifier is fitted to four fifths and judged on the rest, its p-value is by permutation."
        + (
            " On the network's own features training samples differ where it has learned them by heart."
            if not given
            else ""
        ),
        remedy=_remedy(found, name),
        tables=_tables(moved, labels),
        figures=_figures(moved),
        lower_is_better=("auroc", "network_auroc"),
        conditions={"against": name},
    )


def _columns(subject: Subject, split: Split, *, raw: bool) -> dict[str, Any]:
    """What is compared column by column; a reference's table comes in its own units."""
    if raw and subject.data.kind == "tabular":
        return dict(columns_as_given(subject, split))
    if are_pictures(split):
        return dict(statistics_of(split.batches(500).inputs))
    if subject.data.kind == "graphs":  # the samples themselves are mere numbers of graphs
        return {k: torch.as_tensor(split.columns[k]) for k in STATISTICS}
    return {k: v for k, v in attributes_of(subject, split, labels=False).items() if k not in split.columns}


def _rows(columns: dict[str, Any], split: Split) -> Tensor:
    """What the classifier looks at: columns, and of pictures coarse pixels too, of texts counts of words."""
    known = torch.stack([v.double() for v in columns.values()], dim=1) if columns else None
    if are_pictures(split):
        coarse = torch.cat([torch.nn.functional.avg_pool2d(grey(x), _POOL).flatten(1) for x, _ in split.batches(500)])
        return coarse.double() if known is None else torch.cat([known, coarse.double()], dim=1)
    if known is None or has_words(split):
        rows = floats_of(split).double()
        return rows if known is None else torch.cat([known, rows], dim=1)
    return known


def _label_shift(subject: Subject, first: Split, second: Split) -> Moved | None:
    if not subject.has_classes or not isinstance(first.y, Tensor) or first.y.ndim != 1:
        return None
    names = subject.class_names
    pair = ({"class": [names[k] for k in part.y.tolist()]} for part in (first, second))
    return moved_columns(*pair)[0]


def _network_features(subject: Subject, first: Split, second: Split) -> TwoSampleTest | None:
    """Of the network's last features, where it has some and takes both sets."""
    if not are_pictures(second) or not subject.has_classes:
        return None
    parts = []
    for part in (first, second):
        found = extract(subject.model, part.batches(subject.batch_size).inputs, (), task=subject.task).features
        if found is None:
            return None
        parts.append(found.cpu().double())
    return classifier_two_sample_test(*parts, features=0, seed=subject.seed)


def _summary(area: Interval, found: list[str], moved: list[Moved], name: str, sizes: tuple[int, int], p: float) -> str:
    told = (
        f"A classifier tells {sizes[1]} test samples from {sizes[0]} {name} samples with an out-of-fold AUROC of "
        f"{area.value:.3f} (95 % interval {area.low:.3f} to {area.high:.3f}; 0.5 is chance)"
    )
    told_p = f"p = {p:.2g}" if p > 0 else "p < 1e-300"
    if not found:
        return f"No drift is seen ({told_p}). {told}."
    columns = [m.name for m in moved if m.p < _LEVEL]
    more = f" and {len(columns) - _NAMED} more" if len(columns) > _NAMED else ""
    most = f" Moved most: {', '.join(columns[:_NAMED])}{more}." if columns else ""
    return f"The two sets differ in {' and '.join(found)} ({told_p}). {told}.{most}"


def _remedy(found: list[str], name: str) -> str:
    if not found:
        return "Nothing to do here. Give other data as a reference (--reference) to compare with them."
    if name == "training":
        return (
            "Ask how the two parts were drawn: what was measured here needn't hold for samples like the training ones."
        )
    return "Measure the network on the other set too (--data), and train on samples of both."


def _tables(moved: list[Moved], labels: Moved | None) -> list[Table]:
    rows: list[list[Any]] = []
    tested = [*([labels] if labels else []), *moved]
    for m in tested[:_ROWS]:
        rows.append([m.name, m.value or None, m.before, m.after, m.statistic, m.test, m.p])
    columns = ["column", "value", "before", "after", "distance", "test", "p"]
    more = f" ({len(rows)} of {len(tested)} that were tested)" if len(rows) < len(tested) else ""
    return [Table(columns, rows, f"columns, most moved first: means (or the share of the value that moved most){more}")]


def _figures(moved: list[Moved]) -> list[Figure]:
    if len(moved) < 2:
        return []
    shown = sorted(moved, key=lambda m: -m.statistic)[:_BARS]
    series = [{"name": "distance", "x": [m.name for m in shown], "y": [m.statistic for m in shown]}]
    return [
        Figure(
            "bar",
            "How far each column moved" if len(moved) <= _BARS else "Columns that moved most",
            series,
            "",
            "distance, 0 to 1",
            y_range=(0.0, 1.0),
        )
    ]
