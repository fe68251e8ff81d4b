"""What does a printed patch do? One for all images, beside noise and grey at the same places, for those who ask."""

from __future__ import annotations

from typing import Any

from deepwright.adversarial.patches import AdversarialPatch, PatchReport, Placement
from deepwright.adversarial.victim import NoGradientError
from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.subjects.subject import Subject
from deepwright.core.pictures import encode
from deepwright.core.results import Figure, Table
from deepwright.core.tasks import CandidateDetection, Detection, Segmentation

_SIZE, _ON_OBJECTS, _STEPS, _FITTED, _PIXELS = 0.3, 0.5, 60, 64, 32
_SMOOTH, _PRINTABLE = 0.02, 0.02
_LARGE, _AT_ONCE = 64, 8  # pixels of the longer side beyond which a step takes so many images, and not all of them


def check_patches(subject: Subject) -> Finding:
    """Share of images that one pasted patch fools, beside noise and grey, ungraded; only where it is named.

    Applies to pictures (with a class, label maps or boxes) and networks with gradients. The patch is made on validation
    images and measured on test images; label maps don't count under it.
    """
    placement = require_pasteable(subject)
    options: dict[str, Any] = {"bounds": subject.bounds, "seed": subject.seed, "task": subject.task}
    if isinstance(subject.task, CandidateDetection):
        options["loss"] = "vanish"
    attack = AdversarialPatch(placement, pixels=_PIXELS, steps=_STEPS, smooth=_SMOOTH, printable=_PRINTABLE, **options)
    own = subject.data.validation.take(_FITTED, subject.seed)
    size = min(subject.batch_size, _AT_ONCE if max(subject.data.shape[-2:]) > _LARGE else _FITTED)
    split = subject.data.test.take(subject.attack_limit, subject.seed)
    try:
        attack.fit(subject.model, list(own.batches(size)))
    except NoGradientError as error:
        raise NotApplicableError("no gradient leads from its outputs back to the picture") from error
    report = attack.measure(subject.model, split.batches(subject.batch_size))
    if not report.n:
        raise NotApplicableError("none of the test images looked at is right without a patch")
    return _finding(subject, attack, report, len(own))


def require_pasteable(subject: Subject) -> Placement:
    """Where patches go in a subject's pictures.

    Args:
        subject: any.

    Raises:
        NotApplicableError: no pictures, no gradients, nothing to make a patch on, a label for every position.
    """
    if subject.data.kind not in ("image", "segmentation", "detection"):
        raise NotApplicableError(f"patches are pasted into pictures, and this is {subject.data.kind} data")
    if not subject.has_gradients:
        raise NotApplicableError("the network gives scores only, and patches follow gradients")
    if not len(subject.data.validation):
        raise NotApplicableError("there are no validation images to make a patch on")
    if isinstance(subject.task, Segmentation) and subject.task.ignore_index is None:
        raise NotApplicableError("every position of its label maps counts, those under a patch among them")
    return Placement("objects", _ON_OBJECTS) if isinstance(subject.task, Detection) else Placement(size=_SIZE)


def _finding(subject: Subject, attack: AdversarialPatch, report: PatchReport, made_on: int) -> Finding:
    values: dict[str, Any] = {"fooled": report.fooled, "fooled_by_noise": report.random, "fooled_by_grey": report.grey}
    values |= {"p_value": report.p_value, "covered": report.covered}
    rows: list[list[Any]] = [
        [name, at.value, at.low, at.high]
        for name, at in (("patch", report.fooled), ("noise", report.random), ("grey", report.grey))
    ]
    caption = f"{report.n} test images that are right without a patch; all three at the same places"
    tables = [Table(["pasted", "fooled", "95 % from", "95 % to"], rows, caption)]
    if report.rates:
        columns = ["pasted", "objects missed", "false alarms an image", "average precision"]
        read = ("false_negative_rate", "false_positives_per_image", "average_precision")
        cells: list[list[Any]] = [[name, *(rates[r] for r in read)] for name, rates in report.rates.items()]
        tables.append(Table(columns, cells, "What the detector misses and makes up"))
    shown = report.p_value < 0.05 and report.fooled.value > report.random.value
    verdict = "more than noise does" if shown else "no more than noise, as far as this shows"
    assert attack.patch is not None
    low, high = attack.bounds
    picture = {"png": encode((attack.patch[0].float().cpu() - low) / (high - low)), "caption": "the patch"}
    return Finding(
        check="patches",
        grade="info",
        summary=(
            f"One patch that covers {report.covered:.1%} of an image, made on {made_on} validation images, fools "
            f"{report.fooled.value:.1%} of {report.n} test images, {verdict}: noise in its place fools "
            f"{report.random.value:.1%}, grey {report.grey.value:.1%} (p {report.p_value:.2g})."
        ),
        values=values,
        rule="Not graded. A patch that fools no more than grey of its size only hides what it covers. It is drawn anew "
        "in place, size, turn and brightness for each image; a longer search may find a stronger one.",
        remedy="`adversarial.patches.AdversarialPatch` makes larger ones in more steps; train on images that have it.",
        tables=tables,
        figures=[Figure("images", "The patch", [picture])],
        lower_is_better=("fooled", "fooled_by_noise", "fooled_by_grey"),
        conditions={"size": attack.placement.size, "where": str(attack.placement.where), "steps": _STEPS},
    )
