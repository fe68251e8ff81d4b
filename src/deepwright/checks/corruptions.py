"""Does it break in bad weather?"""

from __future__ import annotations

from typing import Any

from deepwright.checks.finding import Finding, at_best, grade_down
from deepwright.checks.subject import Subject
from deepwright.core.tasks import Classification, Detection, MultiLabel
from deepwright.corruptions import CorruptionReport, Suite


def check_corruptions(subject: Subject) -> Finding:
    """Score under every perturbation and severity, against the simple baseline on the same inputs.

    Applies to every task on images and tables. Where targets have places (all but classes and labels), perturbations
    that move what is in a picture are left out: the targets would have to move along.
    """
    if subject.data.kind == "series":
        return Finding.not_applicable("corruptions", "no perturbations of series are known")
    if isinstance(subject.task, Detection):
        return Finding.not_applicable("corruptions", "boxes don't move with the pixels yet")
    split = subject.data.test.take(subject.corruption_limit, subject.seed)
    suite = Suite(_which(subject), seed=subject.seed)
    report = _evaluated(subject, suite, list(split.batches(subject.batch_size)))
    clean, mean = 1 - report.clean.value, 1 - report.mean_error.value
    skill = max(clean - subject.chance, 1e-9)
    lost = (clean - mean) / skill
    grade = grade_down(lost, (0.1, 0.25, 0.5, 0.75))
    rule = (
        f"{lost:.0%} of the skill above chance ({skill:.2f}) is lost on average: "
        "A up to 10 %, B 25 %, C 50 %, D 75 %, E beyond."
    )
    if subject.baseline is not None:
        rule += (
            f" Mean corruption error relative to {subject.baseline_name} is {report.mce:.2f}; "
            "above 1 the grade is D at best."
        )
        if report.mce > 1:
            grade = at_best(grade, "D")
    worst = [str(row[0]) for row in report.table().rows[:3]]
    space = "standardised features" if subject.data.kind == "tabular" else "images"
    return Finding(
        check="corruptions",
        grade=grade,
        summary=f"{subject.score_name.capitalize()} falls from {clean:.1%} to {mean:.1%} on average over "
        f"{len(report.errors)} perturbations of {space} x 5 severities ({report.n} samples). "
        f"Worst: {', '.join(worst)}.",
        values=_values(report, lost),
        rule=rule,
        remedy=f"Train with corruptions.Compose over the worst families ({', '.join(worst)}) and re-test on the ones "
        "held out.",
        tables=[report.table()],
        figures=[report.figure()],
        lower_is_better=("mean_error", "mce", "relative_error", "skill_lost"),
        conditions={"perturbations": sorted(report.errors)},
    )


def _which(subject: Subject) -> str:
    if subject.data.kind == "tabular":
        return "tables"
    placeless = subject.has_classes or isinstance(subject.task, MultiLabel)
    return "all" if placeless else "label_preserving"


def _evaluated(subject: Subject, suite: Suite, batches: list[Any]) -> CorruptionReport:
    """Errors of the network and of the baseline, each as its task reads it."""
    task = subject.baseline_task
    options: dict[str, Any] = (
        {} if isinstance(task, Classification) else {"wrong": lambda out, y: 1 - task.score(out, y)}
    )
    return suite.evaluate(subject.network, batches, baseline=subject.baseline, description="corruptions", **options)


def _values(report: CorruptionReport, lost: float) -> dict[str, Any]:
    return {
        "clean_error": report.clean,
        "mean_error": report.mean_error,
        "mce": report.mce,
        "relative_error": report.relative,
        "skill_lost": lost,
    }
