"""Fragility of tasks that decide many things a sample: each label, each pixel is a decision between classes.

The index is one of a population of decisions: a drift changes how often each kind of them comes. Its interval draws
whole samples, since the decisions of one aren't independent.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepwright.checks.always_sure import STEPS, always_sure, over
from deepwright.checks.decisions import Decisions, decisions
from deepwright.checks.findings.finding import Finding, with_interval
from deepwright.checks.grading import Graded, graded_down, no_skill
from deepwright.checks.held_out import REMEDY, why_none
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.temperatures import scaled
from deepwright.core.results import Table
from deepwright.core.statistics import Interval
from deepwright.risk import bootstrap_index, kl_roots, misjudgment

BETTER_FIT = (
    "What lowers the index at matched temperature is a better fit: choose epochs, learning rate and weight decay by "
    "the loss on held-out samples, at the temperature fitted there. By how much is known when it is trained: audit "
    "again with --compare. No other loss lowered it on every table (deepwright study fragility-index)."
)
_CONFIDENT, _RESAMPLES = 0.8, 200


def decision_fragility(subject: Subject, drawn: Decisions) -> Finding:
    """Fragility Index over all decisions, normalised and at matched temperature, with a table of its kinds.

    Args:
        subject: of a multi-label task or a segmentation.
        drawn: its decisions.
    """
    xi = misjudgment(drawn.logits, drawn.labels)
    fi, nfi = bootstrap_index(xi, rows=_RESAMPLES, seed=subject.seed, group=drawn.sample)
    held = None if why_none(subject) else decisions(subject, "validation")
    fitted = scaled(None if held is None else (held.logits, held.labels), why_none(subject), subject.seed)
    confident = float((xi > _CONFIDENT).double().mean())
    values: dict[str, Any] = {"fi": fi, "nfi": nfi, "confident_errors": confident}
    matched = None
    if fitted.temperature is not None:
        cooled = misjudgment(drawn.logits.double() / fitted.temperature, drawn.labels)
        values["fi_matched"], matched = bootstrap_index(cooled, rows=_RESAMPLES, seed=subject.seed, group=drawn.sample)
        values["nfi_matched"] = matched
    found, rule = _grade(subject, xi, matched, fitted.why, drawn)
    mean = float(xi.mean())
    how = "infinite: the mean decision is no better than a coin flip" if math.isinf(fi.value) else with_interval(fi)
    return Finding(
        check="fragility",
        grade=found.grade,
        summary=f"Fragility Index over {len(xi):,} {drawn.word}s of {len(subject.data.test)} samples: {how}."
        f" The mean misjudgment is {mean:.3g} (-1 = sure and right, 0 = a coin flip, 1 = sure and wrong); "
        f"{confident:.2%} of the {drawn.word}s are confidently wrong (margin above {_CONFIDENT}). "
        f"{f'Measured on {drawn.note}.' if drawn.note else ''}".rstrip(),
        values=values,
        rule=rule,
        remedy="Nothing to do here; look at the kinds below when the data change."
        if found.grade == "A"
        else f"Look at the {drawn.word}s of the first kinds below, where it errs most surely. {BETTER_FIT}",
        tables=[_kinds(drawn, xi)],
        could_be=found.could_be,
        graded_by=("nfi_matched",) if matched is not None else ("nfi",),
        lower_is_better=tuple(values),
    )


def _grade(
    subject: Subject, xi: Tensor, matched: Interval | None, unmatched: str, drawn: Decisions
) -> tuple[Graded, str]:
    """Against an always sure network of as many errors; no grade without skill, errors or a temperature."""
    why = no_skill(subject)
    if why:
        return Graded("info"), f"Not graded: {why}; mistakes are all that there is."
    if float(xi.max()) <= 0:
        return Graded(
            "info"
        ), f"Not graded: no {drawn.word} of {len(xi):,} is wrong, so nothing says how sure it is then."
    if matched is None:
        return Graded("info"), f"Not graded, for FI compares at matched temperatures only: {unmatched}. {REMEDY}"
    q = min(max(float((xi > 0).double().mean()), 0.5 / len(xi)), 0.499)
    reference = always_sure(q)
    ratio = Interval(*(over(end, reference) for end in (matched.value, matched.low, matched.high)))
    found = graded_down(ratio, STEPS)
    return found, (
        f"Normalised FI at matched temperature ({matched.value:.3f}) over that of a network that errs on as many "
        f"{drawn.word}s ({q:.1%}) and is always fully sure ({reference:.3f}) is {ratio.value:.2f}: A up to 0.5, B up "
        f"to 0.8, C up to 1, D up to 1.5, E beyond or infinite.{found.words}"
    )


def _kinds(drawn: Decisions, xi: Tensor) -> Table:
    """Index, errors and confident errors of each label, or of the pixels of each true class."""
    rows: list[list[Any]] = []
    for k, name in enumerate(drawn.names):
        mine = xi[drawn.kind == k]
        if len(mine):
            index = float(kl_roots(mine[None], torch.zeros(1, dtype=torch.float64, device=mine.device))[0])
            wrong, sure = (float((mine > limit).double().mean()) for limit in (0.0, _CONFIDENT))
            rows.append([name, index, wrong, sure])
    rows.sort(key=lambda row: -row[1])
    kind = "label" if drawn.word == "label" else "true class"
    caption = f"fragility of each {kind}, worst first (0: no error that misses the target)"
    return Table([kind, "FI", "share wrong", "confidently wrong"], rows[:100], caption)
