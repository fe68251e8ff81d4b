"""On which kinds of samples is it weak?"""

from __future__ import annotations

from typing import Any

import torch

from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.quality.samples import are_pictures, attributes_of, name_of
from deepwright.checks.subjects.subject import Subject
from deepwright.core.pictures import Strip, strips
from deepwright.core.results import Figure, Table
from deepwright.data import Split, stratified_order
from deepwright.dataquality import Slice, find_weak_slices
from deepwright.dataquality.values import column_of_values, is_unknown

_MOST = 20_000  # test samples that are searched
_LEAST, _SHARE = 20, 0.01  # samples of a slice in each half: so many, and so large a share
_STRIPS, _PICTURES, _NAMED = 5, 6, 10
_COLUMNS = 100  # of a table that are searched: pairs of statements grow with their square


def check_slices(subject: Subject) -> Finding:
    """On which kinds of samples is it weak: found on one half of the test samples, tested on the other?

    Applies to every task, where something is known of the samples and some of them are wrong.
    """
    test, seed = subject.data.test, subject.seed
    rows = stratified_order(test.y, seed)[:_MOST].sort().values.cpu()
    least = max(_LEAST, round(_SHARE * len(rows) / 2))
    if len(rows) < 4 * least:
        raise NotApplicableError(f"{len(rows)} test samples are too few to search one half and test on the other")
    split = test.where(rows) if len(rows) < len(test) else test
    losses = (~subject.right[rows]).double() if subject.has_classes else 1 - subject.score[rows].double()
    if float(losses.max()) <= 0:
        raise NotApplicableError("no test sample is wrong")
    attributes = attributes_of(subject, split, most=_COLUMNS)
    columns = split.x.shape[1] if subject.data.kind == "tabular" else 0
    if not attributes:
        raise NotApplicableError("nothing is known of the samples that they could be sorted by")
    found, others = find_weak_slices(losses, attributes, least=least, seed=seed)
    values: dict[str, Any] = {"weak_slices": len(found), "tested_slices": len(found) + len(others)}
    if found:
        values["largest_gap"] = max((s.gap for s in found), key=lambda gap: gap.value)
    what = "wrong" if subject.has_classes else "mean loss of score"
    return Finding(
        check="slices",
        grade="info",
        summary=_summary(found, others, list(attributes), what, subject.has_classes),
        values=values,
        rule=f"Not graded. Searched: descriptions of up to two statements about {_listed(list(attributes))}, with "
        f"{least} samples or more in each half; a slice stands if its loss is higher on the half that had no part in "
        "the search, at p < 0.05 after Holm's correction over all that were tested, "
        "and intervals of gaps hold for all of them at once."
        + (f" Of the table's {columns} columns the first {_COLUMNS} were searched." if columns > _COLUMNS else "")
        + _unknown(attributes),
        remedy=_remedy(found),
        tables=_tables(found, others, split, rows, what),
        figures=_figures(found, split, losses),
        lower_is_better=("weak_slices", "largest_gap"),
    )


def _summary(found: list[Slice], others: list[Slice], names: list[str], what: str, shares: bool) -> str:
    count = len(found) + len(others)
    were = "candidate of the search was" if count == 1 else "candidates of the search were"
    tested = f"{count} {were} tested on the other half"
    if not found:
        return f"No weak slice stands: {tested} of the test samples ({len(names)} attribute{'s' * (len(names) != 1)})."
    worst = found[0]
    loss, rest = (f"{v:.1%}" if shares else f"{v:.3g}" for v in (worst.loss, worst.elsewhere))
    return (
        f"{len(found)} weak {'slices stand' if len(found) > 1 else 'slice stands'} ({tested}). "
        f"The clearest: {worst.words}, {what} {loss} of {worst.size} samples there and {rest} elsewhere."
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _unknown(attributes: dict[str, Any]) -> str:
    """How many values aren't known: no statement holds for them."""
    counts = {name: int(is_unknown(column_of_values(v, name)).sum()) for name, v in attributes.items()}
    some = [f"{name} of {n} samples" for name, n in counts.items() if n]
    return f" Unknown, and so in no slice of its column: {_listed(some)}." if some else ""


def _remedy(found: list[Slice]) -> str:
    if not found:
        return "Nothing to do here; name more about your samples (file folders, columns) to have them searched."
    return "Gather or weight more training samples of the slices below, and look at their wrong samples first."


def _tables(found: list[Slice], others: list[Slice], split: Split, rows: Any, what: str) -> list[Table]:
    def cells(s: Slice) -> list[Any]:
        return [s.words, s.size, s.loss, s.elsewhere, s.gap.value, s.gap.low, s.gap.high, s.p]

    columns = ["slice", "samples", what, "elsewhere", "gap", "95 % from", "95 % to", "p (Holm)"]
    shown = [
        Table(columns, [cells(s) for s in part], caption)
        for part, caption in ((found, "slices that stand"), (others, "candidates that don't stand on the other half"))
        if part
    ]
    if found:
        named: list[list[Any]] = []
        for s in found:
            named.append([s.words, ", ".join(name_of(split, i) for i in s.rows[:_NAMED].tolist())])
        shown.append(Table(["slice", "first samples"], named, "where to look"))
    return shown


def _figures(found: list[Slice], split: Split, losses: torch.Tensor) -> list[Figure]:
    if not found or not are_pictures(split):
        return []
    drawn = []
    for s in found[:_STRIPS]:
        worst = s.rows[losses[s.rows].argsort(descending=True, stable=True)][:_PICTURES]
        drawn.append(Strip(s.words, split.inputs(worst), [name_of(split, i) for i in worst.tolist()]))
    return [strips("Weak slices", drawn, note="The worst samples of each.")]
