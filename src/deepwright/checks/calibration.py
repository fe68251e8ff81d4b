"""Does its confidence mean what it says?"""

from __future__ import annotations

from deepwright.checks.calibrations.boxes import box_calibration
from deepwright.checks.calibrations.intervals import interval_calibration
from deepwright.checks.calibrations.labels import label_calibration
from deepwright.checks.calibrations.pixels import pixel_calibration
from deepwright.checks.confidences import direction, graded_confidence, reliability_figure
from deepwright.checks.findings.finding import Finding, with_interval
from deepwright.checks.held_out import held_out
from deepwright.checks.shown import risk_coverage
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.temperatures import advised, endless, mean_of, ruled_out
from deepwright.core.statistics import Interval
from deepwright.core.tasks import Binary, Detection, MultiLabel, Regression, Segmentation
from deepwright.risk.calibration import (
    brier,
    confidence_ece,
    ece,
    ece_beside_chance,
    nll,
    reliability,
)

_DIVIDE = "Divide the logits by {0} before the softmax (`subject.logits() / {0}`)"


def check_calibration(subject: Subject) -> Finding:
    """What is claimed against what comes true: confidences in classes, labels, pixels and boxes, intervals of numbers.

    Of confidences the ECE without what few samples add to it, beside that of an always sure network of the same
    accuracy. Of numbers the coverage of the intervals that the network claims; where it claims none, what conformal
    ones would be, which isn't graded. Does not apply to forecasts.
    """
    if subject.has_classes:
        return _of_classes(subject)
    by_task = {
        MultiLabel: label_calibration,
        Segmentation: pixel_calibration,
        Detection: box_calibration,
        Regression: interval_calibration,
    }
    for task, check in by_task.items():
        if isinstance(subject.task, task):
            return check(subject)
    return Finding.not_applicable("calibration", f"a {subject.task.kind} claims no confidence and no interval")


def _of_classes(subject: Subject) -> Finding:
    if subject.without_scores:
        return Finding.not_applicable("calibration", subject.without_scores)
    logits, y = subject.logits(), subject.data.test.y
    diagram = reliability(logits, y)
    found, floor = ece_beside_chance(logits, y, seed=subject.seed)
    confidence, predicted = logits.double().softmax(1).max(1)
    gap = float(confidence.mean()) - float((predicted == y).double().mean())
    fitted = advised(subject, held_out(subject))
    values: dict[str, Interval | float] = {
        "ece": diagram.ece,
        "ece_debiased": found,
        "ece_adaptive": ece(logits, y, adaptive=True),
        "ece_of_perfect_calibration": floor,
        "brier": mean_of(brier(logits, y), subject.seed),
        "nll": mean_of(nll(logits, y), subject.seed),
        "overconfidence": gap,
    }
    event = endless(values, ruled_out(subject, logits, y))
    if isinstance(subject.task, Binary):
        happens = logits.double().softmax(1)[:, 1]
        values["ece_of_the_event"] = off = confidence_ece(happens, y == 1, seed=subject.seed)
        event += (
            f"Probabilities of {subject.class_names[1]!r} itself are off by {with_interval(off)} "
            f"(mean {float(happens.mean()):.1%}, it happens in {float((y == 1).double().mean()):.1%}). "
        )
        if subject.task.threshold != 0.5:
            right = float((predicted == y).double().mean())
            event += f"Confidence is in the more probable label, which is right on {right:.1%} (a threshold of 0.5). "
    lines = [("network", diagram)]
    if fitted.temperature is not None:
        after = reliability(logits / fitted.temperature, y)
        values |= {"ece_after_temperature": after.ece, "temperature": fitted.temperature}
        values["nll_saved_by_temperature"] = fitted.saved
        lines.append((f"at temperature {fitted.temperature:.2f}", after))
    grade, rule = graded_confidence(subject, found, 1 - float((predicted == y).double().mean()), gap)
    return Finding(
        check="calibration",
        grade=grade.grade,
        summary=f"Expected calibration error {diagram.ece:.3f}; without what {len(y)} samples add by chance "
        f"{found.value:.3f} (95 % interval {found.low:.3f} to {found.high:.3f}; a perfectly calibrated network would "
        f"show up to {floor:.3f}). On average {direction(gap)} by {abs(gap):.1%}. {event}{fitted.words(values)}",
        values=values,
        rule=rule,
        remedy=fitted.remedy(diagram.ece, values, grade.grade, _DIVIDE),
        figures=[reliability_figure(lines), risk_coverage(confidence, predicted == y)],
        lower_is_better=("ece", "ece_debiased", "ece_adaptive", "ece_of_the_event", "brier", "nll"),
        could_be=grade.could_be,
        graded_by=("ece_debiased",),
    )
