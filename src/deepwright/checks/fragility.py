"""How sure is it when it is wrong?"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch

from deepwright.checks.always_sure import STEPS, always_sure, over
from deepwright.checks.decision_fragility import BETTER_FIT, decision_fragility
from deepwright.checks.decisions import decisions
from deepwright.checks.findings.finding import Finding
from deepwright.checks.grading import Graded, graded_down, no_skill
from deepwright.checks.held_out import REMEDY, held_out, why_none
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.subjects.texts import excerpt
from deepwright.core.errors import NotIdentified
from deepwright.core.inference import logits_of
from deepwright.core.pictures import encode
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, wilson
from deepwright.core.tasks import Detection
from deepwright.risk import FragilityReport, fragility_index, fragility_report, misjudgment
from deepwright.risk.calibration import fit_temperature
from deepwright.risk.fragility.report import FEW


def check_fragility(subject: Subject) -> Finding:
    """Fragility Index, normalised and at matched temperature, with the cases to review.

    Applies where there are margins between classes: of a sample, of its labels, of its pixels.
    """
    if not subject.has_classes:
        drawn = decisions(subject)
        if drawn is not None:
            return decision_fragility(subject, drawn)
        why = f"the index is of margins between classes, and a {subject.task.kind} has none"
        if isinstance(subject.task, Detection):
            why = (
                "the index is of margins between classes, and objects that aren't found have no score to take one from"
            )
        return Finding.not_applicable("fragility", why)
    if subject.without_scores:
        return Finding.not_applicable("fragility", subject.without_scores)
    data = subject.data
    with warnings.catch_warnings():  # where tau lies is said in the summary
        warnings.filterwarnings("ignore", message="tau = ")
        report = fragility_report(
            subject.logits(),
            data.test.y,
            held_out=held_out(subject),
            class_names=subject.class_names,
            seed=subject.seed,
        )
        found, rule, base = _against_baseline(subject, report)
    rule = f"{rule} {subject.thin_classes if base is not None else ''}".rstrip()
    xi = misjudgment(subject.logits(), data.test.y)
    confident = wilson(int((xi > 0.8).sum()), len(xi))
    values: dict[str, Any] = {
        "fi": report.fi,
        "nfi": report.nfi,
        "confident_errors": confident,
        "cvar95": report.cvar,
    }
    if report.matched is not None:
        values |= {"fi_matched": report.matched.fi, "nfi_matched": report.matched.nfi}
    if base is not None:
        values["baseline_nfi"] = base
    figures = [report.plot()]
    if data.kind == "image":
        figures.append(_pictures(subject, report))
    return Finding(
        check="fragility",
        grade=found.grade,
        summary=f"{_in_words(report, float(xi.mean()))} "
        f"{confident.value:.2%} of all samples are confidently wrong (margin above 0.8).",
        values=values,
        rule=rule,
        remedy=_remedy(found, report.nfi.value > 0, subject.has_gradients),
        tables=[_per_class(report), _cases(subject, report)],
        figures=figures,
        could_be=found.could_be,
        graded_by=("nfi_matched",) if report.matched is not None else ("nfi",),
        lower_is_better=("fi", "nfi", "fi_matched", "nfi_matched", "confident_errors", "cvar95"),
    )


def _remedy(found: Graded, errors: bool, trainable: bool = True) -> str:
    if found.grade == "A":
        return "Review the cases below when the data change."
    if not errors:
        return "No sample misses the target: measure more of them to tell how sure it is when it is wrong."
    if not trainable:
        return "Review the cases below first."
    return f"Review the cases below first. {BETTER_FIT}"


def _in_words(report: FragilityReport, today: float) -> str:
    fi = report.fi.value
    if math.isinf(fi):
        return (
            "FI is infinite: the mean misjudgment isn't below a coin flip on the test set itself, so nothing bounds it."
        )
    high = report.fi.high
    said = f"FI {fi:.3g} (95 % interval {report.fi.low:.3g} to {high:.3g}): the mean misjudgment is {today:.3g} today"
    scale = "(-1 = sure and right, 0 = a coin flip between the true and the best other class, 1 = sure and wrong)"
    if math.isinf(high):
        return f"{said} {scale}; the interval leaves no bound on what a drift of the population makes of it."
    return (
        f"{said} {scale}; a drift of the population by a divergence of 0.1 raises it to {0.1 * high:.3g} at the very "
        "most, a loose bound (from the interval's upper end) and no forecast."
    )


def _against_baseline(subject: Subject, report: FragilityReport) -> tuple[Graded, str, float | None]:
    """(grade, the rule in words, the baseline's normalised FI); no grade without skill or without a temperature."""
    why = no_skill(subject)
    if why:
        return Graded("info"), f"Not graded: {why}; mistakes are all that there is.", None
    base = _baseline_nfi(subject)
    if report.nfi.value == 0:
        return *_of_no_error(subject, report.n, base), base
    matched = report.matched
    if matched is None:
        why = why_none(subject) or report.unmatched
        why = f"Not graded, for FI compares at matched temperatures only: {why}. {REMEDY}"
        return Graded("info"), why, None
    nfi = matched.nfi
    if base is not None and math.isfinite(base):
        name, reference = "nearest class mean", base
    else:
        # Without a baseline: a classifier that errs as often and is always fully sure.
        q = min(max(1 - matched.accuracy, 0.5 / matched.n), 0.499)
        name, reference = "a classifier as accurate that is always fully sure", always_sure(q)
    ratio = Interval(*(over(end, reference) for end in (nfi.value, nfi.low, nfi.high)))
    found = graded_down(ratio, STEPS)
    few = ""
    wrong = int((misjudgment(subject.logits(), subject.data.test.y) > 0).sum())
    if wrong < FEW:
        few = (
            f" Only {wrong} of {matched.n} samples miss the target: the interval allows for as many, fully sure, as "
            "that number leaves open; measure more samples."
        )
    rule = (
        f"Normalised FI at matched temperature ({nfi.value:.3f}) over that of {name} ({reference:.3f}) is "
        f"{ratio.value:.2f}: A up to 0.5, B up to 0.8, C up to 1, D up to 1.5, E beyond or infinite.{found.words}{few}"
    )
    return found, rule, base


def _of_no_error(subject: Subject, n: int, base: float | None) -> tuple[Graded, str]:
    """The grade where FI is 0 at every temperature, since no score misses the target: by what n samples leave open.

    With 0 of n wrong, up to 3 of n may be (at 95 %), and fully sure. Without a baseline whose index is above 0 and
    finite, that is held against a classifier that is always sure and errs a tenth as often as guessing.
    """
    if base is not None and math.isfinite(base) and base > 0:
        name, reference = "nearest class mean", base
    else:
        name, reference = (
            "a classifier that is always sure and errs a tenth as often as guessing",
            always_sure(max(0.1 * (1 - subject.chance), 0.5 / n)),
        )
    most = 3 / n  # the rule of three
    ratio = Interval(0.0, 0.0, over(always_sure(most), reference))
    found = graded_down(ratio, STEPS)
    return found, (
        f"FI is 0 at every temperature, for no score of {n} misses the target; {min(most, 1):.1%} of all may still do "
        f"(3 of n, at 95 %), and fully sure. That would be {ratio.high:.2f} of the index of {name} ({reference:.3f}): "
        f"A up to 0.5, B up to 0.8, C up to 1, D up to 1.5, E beyond.{found.words}"
    )


def _baseline_nfi(subject: Subject) -> float | None:
    if subject.baseline is None or subject.baseline_outputs is None or not len(subject.data.validation):
        return None
    validation = logits_of(subject.baseline, subject.data.validation.batches(subject.batch_size).inputs)
    try:
        temperature = fit_temperature(validation, subject.data.validation.y)
    except NotIdentified:
        return None
    return float(fragility_index(subject.baseline_outputs / temperature, subject.data.test.y, normalize=True))


def _per_class(report: FragilityReport) -> Table:
    rows: list[list[Any]] = sorted(
        ([name, value] for name, value in report.per_class.items()), key=lambda row: -float(row[1])
    )
    return Table(["class", "FI"], rows[:100], "fragility per class, worst first (0: no error that misses the target)")


def _cases(subject: Subject, report: FragilityReport) -> Table:
    p = subject.logits().softmax(1)
    rows: list[list[Any]] = []
    for i, weight in report.worst:
        label, guess = int(subject.data.test.y[i]), int(p[i].argmax())
        rows.append(
            [
                i,
                subject.class_names[label],
                subject.class_names[guess],
                float(p[i, guess]),
                float(p[i, label]),
                weight,
                *([excerpt(subject.data.test.x[i])] if subject.data.kind == "text" else []),
            ]
        )
    columns = ["test sample", "true class", "predicted", "confidence", "probability of truth", "worst-case weight"]
    columns += ["text"] if subject.data.kind == "text" else []
    caption = "the cases that a worst-case shift would multiply (weight relative to today)"
    if math.isinf(report.fi.value):
        caption = "the most misjudged cases first: FI is infinite, so that no worst-case shift weighs them"
    return Table(columns, rows, caption)


def _pictures(subject: Subject, report: FragilityReport) -> Figure:
    series = []
    p = subject.logits().softmax(1)
    for i, weight in report.worst[:12]:
        label, guess = int(subject.data.test.y[i]), int(p[i].argmax())
        caption = f"{subject.class_names[label]} taken for {subject.class_names[guess]} ({float(p[i, guess]):.0%})"
        if label == guess:
            caption = f"{subject.class_names[label]}, right ({float(p[i, guess]):.0%})"
        picture = encode(subject.data.test.inputs(torch.tensor([i]))[0])
        series.append({"png": picture, "caption": caption, "note": f"weight x{weight:.0f}"})
    return Figure("images", "Cases to review first", series, note="the most misjudged first")
