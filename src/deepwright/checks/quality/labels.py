"""Which labels are likely wrong?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.grading import no_skill
from deepwright.checks.held_out import held_out
from deepwright.checks.quality.samples import SHOWN, are_pictures, name_of, pictures
from deepwright.checks.subjects.simple_models import feature_rows
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.data import Split
from deepwright.dataquality import LabelErrors, find_label_errors, out_of_fold, random_features

_LEAST = 50
_FITTED = 2000  # training samples that the cross-validated classifier judges
_PENALTY = 1e-2
_GOOD = 0.8  # of the out-of-fold answers must be right, before its doubt says something about labels
_PICTURES = 12
_ONE = 0.5  # expected wrong labels that round to one


@dataclass(frozen=True)
class _Judged:
    """A part of the data with what was found in it; `rows` are its samples that were judged."""

    part: str
    split: Split
    rows: Tensor
    probabilities: Tensor
    found: LabelErrors
    by: str


def check_labels(subject: Subject) -> Finding:
    """Which labels are likely wrong, by confident learning on samples that whoever judges them never learned?

    Applies where each sample has one class.
    """
    if not subject.has_classes:
        raise NotApplicableError(f"a {subject.task.kind} has no classes of which each sample has one")
    if len(subject.data.test) < _LEAST:
        raise NotApplicableError(f"{len(subject.data.test)} test samples are too few ({_LEAST} at least)")
    if subject.without_scores:
        raise NotApplicableError(f"{subject.without_scores}, which tell how sure it is of another class")
    why = no_skill(subject)
    if why:
        raise NotApplicableError(f"{why}; what doesn't know the classes can't tell wrong labels")
    judged = [_by_network(subject, "test", subject.logits())]
    beside = held_out(subject)
    if beside is not None and len(beside[1]) >= _LEAST:
        judged.append(_by_network(subject, "validation", beside[0]))
    train, note = _by_cross_validation(subject)
    judged += [] if train is None else [train]
    values: dict[str, Any] = {}
    for each in judged:
        n, expected = len(each.rows), each.found.expected
        if each.found.identified:
            values[f"wrong_{each.part}_labels"] = Interval(expected.value / n, expected.low / n, expected.high / n)
        values[f"suspect_{each.part}_labels"] = len(each.found.rows)
    return Finding(
        check="labels",
        grade="info",
        summary=f"{' '.join(_words(each) for each in judged)}{note}",
        values=values,
        rule="Not graded: confident errors of whoever judges count as wrong labels, so the numbers are upper ends "
        "where it is weak; the samples themselves tell.",
        remedy=_remedy(judged),
        tables=[_table(subject, each) for each in judged if len(each.found.rows)],
        figures=_figures(subject, judged),
        lower_is_better=tuple(values),
    )


def _by_network(subject: Subject, part: str, logits: Tensor) -> _Judged:
    split: Split = getattr(subject.data, part)
    p = logits.double().softmax(1)
    return _Judged(part, split, torch.arange(len(split)), p, find_label_errors(p, split.y), "the network")


def _by_cross_validation(subject: Subject) -> tuple[_Judged | None, str]:
    """Training samples judged by a simple classifier that was fitted to the others, where it is good enough."""
    train = subject.data.train
    counts = torch.bincount(train.y, minlength=subject.classes) if len(train) else torch.zeros(1)
    if len(train) < 2 * _LEAST or int(counts.min()) < 10:
        return None, " Training labels weren't judged: too few samples of each class."
    few = train.take(_FITTED, subject.seed)
    rows = feature_rows(few, subject.seed)
    p = out_of_fold(
        random_features(rows, 512, subject.seed), few.y, subject.classes, penalty=_PENALTY, seed=subject.seed
    )
    right = float((p.argmax(1) == few.y).double().mean())
    if right < _GOOD:
        return None, (
            f" Training labels weren't judged: the network has learned them, and the simple classifier that hasn't "
            f"(cross-validated) agrees with {right:.0%} of them only."
        )
    found = find_label_errors(p.double(), few.y)
    by = (
        f"a cross-validated simple classifier that agrees with {right:.0%} of them (an upper end: its own errors count)"
    )
    return _Judged("train", few, torch.arange(len(few)), p, found, by), ""


def _words(each: _Judged) -> str:
    expected, n, suspects = each.found.expected, len(each.rows), len(each.found.rows)
    if not each.found.identified:
        return (
            f"How many of {n:,} {each.part} labels are wrong can't be told by {each.by}: its doubt and wrong labels "
            f"explain its disagreements equally well. It disagrees clearly with {suspects}."
        )
    told = (
        f"Of {n:,} {each.part} labels about {expected.value:.0f} seem wrong (95 % interval {expected.low:.0f} to "
        f"{expected.high:.0f}), by {each.by}"
    )
    among = _among(each)
    if not suspects:
        return f"{told}; no sample is suspect."
    if among < _ONE:
        return f"{told}; it disagrees clearly with {suspects}, and none of these is expected to be a wrong label."
    return f"{told}; {suspects} samples are suspect, of which about {among:.0f} are expected to be wrong."


def _among(each: _Judged) -> float:
    """Wrong labels that are expected among the suspects; 0 where that isn't identified."""
    return float(each.found.wrong[each.found.rows].sum()) if each.found.identified else 0.0


def _remedy(judged: list[_Judged]) -> str:
    if not any(len(each.found.rows) for each in judged):
        return "Nothing to do here."
    if not any(each.found.identified for each in judged):
        return (
            "Whether labels are wrong can't be told by this network: have people look at a random hundred of them, or "
            "judge them by a better one."
        )
    if all(_among(each) < _ONE for each in judged):
        return (
            "Nothing says that labels need correcting: where it disagrees with a label, likelier it errs itself. "
            "Look at the first samples below if labels are in doubt for other reasons."
        )
    return (
        "Look at the suspect samples below, first ones first, and correct the labels that are wrong; then measure anew."
    )


def _table(subject: Subject, each: _Judged) -> Table:
    names, found = subject.class_names, each.found
    rows: list[list[Any]] = []
    for i, k in zip(found.rows[:SHOWN].tolist(), found.suggested[:SHOWN].tolist()):
        label = int(each.split.y[i])
        p = each.probabilities[i]
        row = [name_of(each.split, i), names[label], names[k], float(p[label]), float(p[k])]
        rows.append([*row, float(found.wrong[i])] if found.identified else row)
    columns = ["sample", "label", "seems to be", "p(label)", "p(other)"]
    columns += ["probably wrong"] if found.identified else []
    more = f" ({len(rows)} of {len(found.rows)})" if len(rows) < len(found.rows) else ""
    return Table(columns, rows, f"suspect {each.part} labels, likeliest first{more}")


def _figures(subject: Subject, judged: list[_Judged]) -> list[Figure]:
    if not are_pictures(subject.data.test):
        return []
    drawn = []
    for each in judged:
        rows, other = each.found.rows[:_PICTURES].tolist(), each.found.suggested[:_PICTURES].tolist()
        if rows:
            names = subject.class_names
            captions = [f"{names[int(each.split.y[i])]}? seems {names[k]}" for i, k in zip(rows, other)]
            title = f"Suspect {each.part} labels"
            drawn.append(Figure("images", title, pictures(each.split, rows, captions), note="likeliest first"))
    return drawn
