"""How far does its answer surely hold? Certified radii by randomised smoothing, for those who ask."""

from __future__ import annotations

from typing import Any

from deepwright.adversarial.smoothing import CertifiedAccuracy, Smoothed, certified_accuracy
from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.subjects.subject import Subject

SIGMA = 0.25
"""Deviation of the noise: of the pixel range, or of each column's deviation."""
_SAMPLES, _DRAWS, _ALPHA = 200, 1000, 0.001


def check_smoothing(subject: Subject) -> Finding:
    """Share that is right and certified within L2 radii when noise is voted on, ungraded; only where it is named.

    Applies to one class a sample, on images, tables and series.
    """
    require_smoothable(subject)
    split = subject.data.test.take(min(_SAMPLES, subject.attack_limit), subject.seed)
    smoothed = Smoothed(subject.model, SIGMA, task=subject.task, seed=subject.seed, batch_size=2 * subject.batch_size)
    found = certified_accuracy(smoothed, split.batches(subject.batch_size), draws=_DRAWS, alpha=_ALPHA)
    return _finding(subject, found)


def require_smoothable(subject: Subject) -> None:
    """Refuse what noise on inputs says nothing about.

    Args:
        subject: any.

    Raises:
        NotApplicableError: texts, or a task without one class a sample.
    """
    if subject.data.kind in ("text", "tokens"):
        raise NotApplicableError("Gaussian noise can't be added to words")
    if subject.data.kind == "graphs":
        raise NotApplicableError("Gaussian noise can't be added to edges")
    if not subject.has_classes:
        raise NotApplicableError(f"noise votes on one class a sample, and this is {subject.task.kind}")


def _finding(subject: Subject, found: CertifiedAccuracy) -> Finding:
    unit = "the pixel range" if subject.data.kind == "image" else "the inputs' unit"
    middle = found.radii.index(SIGMA)
    values: dict[str, Any] = {
        f"certified_accuracy_at_{radius:g}": share for radius, share in zip(found.radii, found.curve)
    }
    values |= {"abstained": found.abstained, "mean_radius": found.mean_radius}
    weak = " Without noise in its training a network is mostly undecided." if found.abstained.value > 0.5 else ""
    summary = (
        f"With Gaussian noise of deviation {SIGMA:g} of {unit} voted on ({_DRAWS} draws), {found.curve[0].value:.1%} "
        f"of {len(found.right)} samples are right and certified, {found.curve[middle].value:.1%} within an L2 radius "
        f"of {SIGMA:g}; {found.abstained.value:.1%} are undecided. This is a statement about the smoothed network, not "
        f"about the network by itself.{weak}"
    )
    return Finding(
        check="smoothing",
        grade="info",
        summary=summary,
        values=values,
        rule=f"Not graded. Each certificate holds with a probability of {1 - _ALPHA:.1%}, by itself; the intervals are "
        "over samples.",
        remedy="`deepwright harden MODEL --with smoothing` trains on noise and gives the smoothed network.",
        tables=[found.table()],
        figures=[found.figure()],
        lower_is_better=("abstained",),
        higher_is_better=tuple(name for name in values if name != "abstained"),
        conditions={"sigma": SIGMA, "draws": _DRAWS, "alpha": _ALPHA},
    )
