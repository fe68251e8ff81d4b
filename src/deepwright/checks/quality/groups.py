"""Does it fare worse for some groups?"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.quality.samples import column_of
from deepwright.checks.quality.shortcuts import shortcut_of
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.dataquality import Gap, Group, Grouping, compare_groups, grouping
from deepwright.dataquality.resampling import interval_of_mean

_LEAST = 30
_LEVEL = 0.05


def check_groups(subject: Subject) -> Finding:
    """Does it fare worse for some groups of a column, by more than chance?

    Applies to every task, where a column is named.
    """
    if subject.groups is None:
        raise NotApplicableError("no column was named (--group COLUMN, groups= from Python)")
    groups = grouping(column_of(subject, subject.groups))
    values = subject.right if subject.has_classes else subject.score
    found, gaps = compare_groups(values, groups, least=_LEAST, seed=subject.seed)
    large = [g for g in found if g.size >= _LEAST]
    if len(large) < 2:
        raise NotApplicableError(
            f"column {subject.groups!r} has fewer than two groups of {_LEAST} test samples or more"
        )
    worst, best = large[0], large[-1]
    widest = next(g for g in gaps if {g.better, g.worse} == {worst.name, best.name})
    measured: dict[str, Any] = {}
    for which, group in (("worst_group", worst), ("best_group", best)):  # picked, so that all intervals must hold
        rows = groups.index == groups.names.index(group.name)
        measured[which] = interval_of_mean(values.cpu()[rows], subject.seed, 1 - _LEVEL / len(large))
    measured["largest_gap"] = widest.gap
    measured["smallest_p_value"] = gaps[0].p
    rates = _rates(subject, groups)
    for name, (_, odds) in rates.items():
        if odds:
            measured[f"{name}_gap"] = max(odds, key=lambda gap: gap.gap.value).gap
    metric = subject.score_name if not subject.has_classes else "accuracy"
    real = [g for g in gaps if g.p < _LEVEL]
    pairs = shortcut_of(subject)
    measured |= pairs.values
    return Finding(
        check="groups",
        grade="info",
        summary=_summary(subject.groups, metric, worst, best, widest, real) + pairs.words,
        values=measured,
        rule="Not graded: how much of a gap may be is yours to say (a gate on largest_gap). "
        f"Groups of {_LEAST} samples or more are compared, {len(gaps)} pair{'s' * (len(gaps) != 1)}, with Holm's "
        "correction; the intervals of gaps hold for all pairs at once (Bonferroni), so that the largest may be picked, "
        "and those of the worst and the best group for all groups at once."
        + (f" {groups.unknown} samples without a value are in no group." if groups.unknown else ""),
        remedy=_remedy(worst, real, pairs.remedy),
        tables=[_table(subject, groups, found, rates, metric), *_pairs(gaps), *pairs.tables],
        figures=[_figure(found, metric)],
        higher_is_better=("worst_group", "best_group", "worst_class_group"),
        lower_is_better=("largest_gap", *(f"{name}_gap" for name in rates)),
        conditions={"column": subject.groups},
    )


def _remedy(worst: Group, real: list[Gap], more: str) -> str:
    if not real and not more:
        return "Nothing to do here: no gap is more than chance would give."
    gather = [f"Gather more training samples of {worst.name!r}, and ask why they are harder."] if real else []
    return " ".join([*gather, *([more] if more else [])])


def _rates(subject: Subject, groups: Grouping) -> dict[str, tuple[dict[str, Group], list[Gap]]]:
    """True and false positive rates by group where there are two classes: of each rate the groups and their gaps."""
    if not subject.has_classes or subject.classes != 2:
        return {}
    y, called = subject.data.test.y, subject.task.prediction(subject.outputs()) == 1
    found = {}
    for name, truth in (("true_positive_rate", 1), ("false_positive_rate", 0)):
        rows = y == truth
        if int(rows.sum()) < 2:
            continue
        part, gaps = compare_groups(called[rows], Grouping(groups.names, groups.index[rows]), least=_LEAST)
        found[name] = ({g.name: g for g in part}, gaps)
    return found


def _summary(column: str, metric: str, worst: Group, best: Group, widest: Gap, real: list[Gap]) -> str:
    gap = f"{widest.gap.value:.1%} (simultaneous 95 % interval {widest.gap.low:.1%} to {widest.gap.high:.1%})"
    ends = (
        f"By {column}, the {metric} is lowest for {worst.name} ({worst.value.value:.1%} of {worst.size}) and highest "
        f"for {best.name} ({best.value.value:.1%} of {best.size}): a gap of {gap}."
    )
    many = (
        f"{len(real)} of the gaps between two groups {'is' if len(real) == 1 else 'are'} more than chance would give."
    )
    return f"{ends} {many if real else 'No gap between two groups is more than chance would give.'}"


def _table(subject: Subject, groups: Grouping, found: list[Group], rates: dict[str, Any], metric: str) -> Table:
    rows: list[list[Any]] = []
    sure = _overconfidence(subject, groups)
    for g in found:
        row: list[Any] = [g.name, g.size, g.value.value, *_ends(g.value)]
        row += [part[g.name].value.value if g.name in part else None for part, _ in rates.values()]
        rows.append([*row, *sure.get(g.name, [])])
    more = [name.replace("_", " ") for name in rates]
    columns = ["group", "samples", metric, "95 % from", "95 % to", *more, *(["confidence - accuracy"] if sure else [])]
    few = any(g.size < _LEAST for g in found)
    note = f"; those with fewer than {_LEAST} samples aren't compared" if few else ""
    return Table(columns, rows, f"groups of {subject.groups}, worst first{note}")


def _ends(value: Interval) -> list[float | None]:
    return [v if abs(v) != float("inf") else None for v in (value.low, value.high)]


def _overconfidence(subject: Subject, groups: Grouping) -> dict[str, list[Any]]:
    """Mean confidence less accuracy of each group: 0 is calibrated in the large."""
    if not subject.has_classes or subject.without_scores:
        return {}
    gap: Tensor = subject.logits().softmax(1).max(1).values.double() - subject.right.double()
    parts = {name: gap[groups.index == k] for k, name in enumerate(groups.names)}
    return {name: [float(part.mean())] for name, part in parts.items() if len(part)}


def _pairs(gaps: list[Gap]) -> list[Table]:
    rows: list[list[Any]] = [[g.better, g.worse, g.gap.value, g.gap.low, g.gap.high, g.p] for g in gaps[:30]]
    more = f" ({len(rows)} of {len(gaps)})" if len(rows) < len(gaps) else ""
    return (
        [Table(["better", "worse", "gap", "95 % from", "95 % to", "p (Holm)"], rows, f"pairs of groups{more}")]
        if rows
        else []
    )


def _figure(found: list[Group], metric: str) -> Figure:
    shown = found[:20]
    series = {"name": metric, "x": [g.name for g in shown], "y": [g.value.value for g in shown]}
    series |= {"low": [max(0.0, g.value.low) for g in shown], "high": [min(1.0, g.value.high) for g in shown]}
    return Figure("bar", f"{metric[:1].upper()}{metric[1:]} by group", [series], "", metric, y_range=(0.0, 1.0))
