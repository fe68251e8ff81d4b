"""Calibration of a multi-label network: does a label that is given 0.8 apply to 80 %?"""

from __future__ import annotations

from typing import Any

import torch

from deepwright.checks.confidences import graded_confidence, reliability_figure
from deepwright.checks.decisions import decisions
from deepwright.checks.findings.finding import Finding
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.temperatures import advised_of_decisions, endless, mean_of, ruled_out
from deepwright.core.results import Table
from deepwright.core.statistics import Interval
from deepwright.risk import confidence_ece, grouped_calibration


def label_calibration(subject: Subject) -> Finding:
    """ECE of each label's probability and its mean over the labels, graded by the mean.

    Args:
        subject: of a multi-label task.
    """
    y, p = subject.data.test.y, subject.task.probabilities(subject.outputs())
    assert p is not None
    p = p.double()
    each = [confidence_ece(p[:, k], y[:, k] == 1, seed=subject.seed) for k in range(p.shape[1])]
    mean = Interval.mean_of(each)
    worst = max(range(len(each)), key=lambda k: each[k].value)
    pooled = _pooled(subject, p)
    sure, right = torch.maximum(p, 1 - p), (p > 0.5) == (y == 1)
    gap = float(sure.mean() - right.double().mean())
    fitted = advised_of_decisions(subject)
    values: dict[str, Any] = {
        "ece": pooled.ece,
        "ece_debiased": mean,
        "ece_worst_label": each[worst],
        "ece_of_perfect_calibration": pooled.by_chance,
        "brier": mean_of((p - y.double()).square().mean(1), subject.seed),
        "nll": mean_of(subject.task.loss(subject.outputs(), y), subject.seed),
        "overconfidence": gap,
    }
    drawn = decisions(subject)
    assert drawn is not None
    event = endless(values, ruled_out(subject, drawn.logits, drawn.labels, word=drawn.word))
    lines = [("network", pooled.reliability)]
    if fitted.temperature is not None:
        after = _pooled(subject, (subject.outputs().double() / fitted.temperature).sigmoid())
        values |= {"ece_after_temperature": after.ece, "temperature": fitted.temperature}
        values["nll_saved_by_temperature"] = fitted.saved
        lines.append((f"at temperature {fitted.temperature:.2f}", after.reliability))
    found, rule = graded_confidence(subject, mean, float((~right).double().mean()), gap, "label")
    names = subject.class_names
    rows: list[list[Any]] = [
        [names[k], e.value, e.low, e.high, float(p[:, k].mean()), float(y[:, k].double().mean())]
        for k, e in enumerate(each)
    ]
    rows.sort(key=lambda row: -row[1])
    columns = ["label", "calibration error", "95 % from", "95 % to", "mean probability", "share that has it"]
    return Finding(
        check="calibration",
        grade=found.grade,
        summary=f"Expected calibration error of a label's probability, without what {len(y)} samples add by chance: "
        f"{mean.value:.3f} in the mean over {len(each)} labels (95 % interval {mean.low:.3f} to {mean.high:.3f}); "
        f"worst for {names[worst]!r}: {each[worst].value:.3f}. All together {pooled.ece:.3f}. "
        f"{event}{fitted.words(values)}",
        values=values,
        rule=rule,
        remedy=fitted.remedy(
            pooled.ece, values, found.grade, "Divide the logits by {0} before the sigmoid (`subject.outputs() / {0}`)"
        ),
        tables=[Table(columns, rows[:100], "labels, worst calibrated first")],
        figures=[reliability_figure(lines, "share that has the label")],
        lower_is_better=("ece", "ece_debiased", "ece_worst_label", "brier", "nll"),
        could_be=found.could_be,
        graded_by=("ece_debiased",),
    )


def _pooled(subject: Subject, p: torch.Tensor) -> Any:
    """Of all labels together; those of one sample count as one where noise is concerned."""
    y = subject.data.test.y
    sample = torch.arange(len(y))[:, None].expand_as(y).flatten()
    return grouped_calibration(p.flatten(), y.flatten() == 1, sample, seed=subject.seed)
