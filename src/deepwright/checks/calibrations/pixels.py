"""Calibration of a segmentation: is a pixel that is called road with 0.8 road in 80 %?"""

from __future__ import annotations

from typing import Any

from deepwright.checks.confidences import direction, graded_confidence, reliability_figure
from deepwright.checks.decisions import Decisions, decisions
from deepwright.checks.findings.finding import Finding
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.temperatures import advised_of_decisions
from deepwright.core.results import Table
from deepwright.risk import GroupedCalibration, grouped_calibration


def pixel_calibration(subject: Subject) -> Finding:
    """ECE of pixels drawn from each image, with its interval by images.

    Args:
        subject: of a segmentation.
    """
    drawn = decisions(subject)
    assert drawn is not None
    found = _grouped(subject, drawn)
    fitted = advised_of_decisions(subject)
    values: dict[str, Any] = {
        "ece": found.ece,
        "ece_debiased": found.debiased,
        "ece_of_perfect_calibration": found.by_chance,
        "overconfidence": found.overconfidence,
    }
    lines = [("network", found.reliability)]
    if fitted.temperature is not None:
        after = _grouped(subject, drawn, fitted.temperature)
        values |= {"ece_after_temperature": after.ece, "temperature": fitted.temperature}
        values["nll_saved_by_temperature"] = fitted.saved
        lines.append((f"at temperature {fitted.temperature:.2f}", after.reliability))
    confidence, called = drawn.logits.double().softmax(1).max(1)
    right = called == drawn.labels
    grade, rule = graded_confidence(
        subject, found.debiased, float((~right).double().mean()), found.overconfidence, "pixel"
    )
    rows: list[list[Any]] = []
    for k, name in enumerate(drawn.names):
        mine = drawn.kind == k
        if bool(mine.any()):
            sure, share = float(confidence[mine].mean()), float(right[mine].double().mean())
            rows.append([name, int(mine.sum()), sure, share, sure - share])
    rows.sort(key=lambda row: -abs(row[-1]))
    columns = ["true class", "pixels", "mean confidence", "share right", "confidence less share"]
    gap = found.overconfidence
    return Finding(
        check="calibration",
        grade=grade.grade,
        summary=f"Expected calibration error of a pixel's class {found.ece:.3f}; without what {found.groups} images "
        f"add by chance {found.debiased.value:.3f} (95 % interval by images {found.debiased.low:.3f} to "
        f"{found.debiased.high:.3f}). On average {direction(gap)} by {abs(gap):.1%}. {fitted.words(values)}"
        f"{f' Measured on {drawn.note}.' if drawn.note else ''}",
        values=values,
        rule=rule,
        remedy=fitted.remedy(
            found.ece, values, grade.grade, "Divide the logits by {0} before the softmax (`subject.outputs() / {0}`)"
        ),
        tables=[Table(columns, rows[:100], "confidence in the predicted class, by the true one")],
        figures=[reliability_figure(lines, "share of pixels right")],
        lower_is_better=("ece", "ece_debiased"),
        could_be=grade.could_be,
        graded_by=("ece_debiased",),
    )


def _grouped(subject: Subject, drawn: Decisions, temperature: float = 1.0) -> GroupedCalibration:
    confidence, called = (drawn.logits.double() / temperature).softmax(1).max(1)
    return grouped_calibration(confidence, called == drawn.labels, drawn.sample, seed=subject.seed)
