"""Would a monitor beside the network see that it is attacked? And an attacker who knows the monitor?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial import PGD, Attack, Noise
from deepwright.adversarial.semantic import (
    AdaptivePGD,
    DenseFeatureDetector,
    DetectionReport,
    FeatureSqueezing,
    InputDetector,
    frames_needed,
    measure_detection,
)
from deepwright.checks.budgets import budgets
from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.held_out import why_none
from deepwright.checks.subjects.subject import Subject
from deepwright.core.inference import read_outputs
from deepwright.core.statistics import Interval, wilson
from deepwright.data import Split

RATE = 0.05
"""Of false alarms."""
_FITTED, _CALIBRATED, _SAMPLES, _CLEAN = 2000, 1000, 100, 1000
_STEPS, _KNOWING = 20, 40


@dataclass
class Monitoring:
    """What a monitor is worth beside a network.

    Attributes:
        detector: fitted on training and calibrated on validation samples.
        without: the finding of the network alone.
        beside: the finding of the network with the detector.
    """

    detector: InputDetector
    without: Finding
    beside: Finding


def check_monitor(subject: Subject) -> Finding:
    """How many attacked inputs a monitor of dense features sees, with and without the attacker's knowledge of it.

    Ungraded, and only where it is named. Applies to pictures and series with held-out validation samples, of any task
    whose outputs are tensors, and to networks with gradients.
    """
    return measured_monitor(subject, RATE).beside


def require_monitorable(subject: Subject) -> None:
    """Refuse what no monitor of this kind can stand beside.

    Args:
        subject: any.

    Raises:
        NotApplicableError: words or tables, no gradients, nothing to calibrate on that the network never saw.
    """
    if subject.data.kind not in ("image", "series"):
        raise NotApplicableError(
            f"dense features are those of pictures and series, and this is {subject.data.kind} data"
        )
    if not subject.has_gradients:
        raise NotApplicableError("the network gives scores only, and its attacker here follows gradients")
    if subject.task.kind == "detection":
        raise NotApplicableError("the attacker who knows the monitor needs outputs in one tensor")
    if not len(subject.data.train):
        raise NotApplicableError("there are no training samples to fit the monitor on")
    if why_none(subject):
        raise NotApplicableError(f"the rate of false alarms needs held-out samples: {why_none(subject)}")


def measured_monitor(subject: Subject, rate: float) -> Monitoring:
    """The check at a rate of false alarms.

    Args:
        subject: see `require_monitorable`.
        rate: that the monitor is calibrated for.

    Raises:
        NotApplicableError: see `require_monitorable`; too few validation samples for the rate.
    """
    require_monitorable(subject)
    scores = ("image", "entropy") if subject.has_classes or subject.task.kind == "segmentation" else ("image",)
    needed = frames_needed(len(scores), rate)
    held_out = subject.data.validation.take(_CALIBRATED, subject.seed)
    if len(held_out) < needed:
        raise NotApplicableError(f"{len(held_out)} held-out samples, and {needed} are needed for a rate of {rate:g}")
    train = subject.data.train.take(_FITTED, subject.seed)
    ours = _fitted(DenseFeatureDetector(scores), subject, train, held_out, rate)
    attacks = _attacks(subject, ours)
    split = subject.data.test.take(min(_SAMPLES, subject.attack_limit), subject.seed)
    attacked = {name: _attacked(subject, attack, split) for name, attack in attacks.items()}
    clean = [x for x, _ in subject.data.test.take(_CLEAN, subject.seed).batches(subject.batch_size)]
    found = measure_detection(ours, clean, attacked)
    wrong = {name: ~_right(subject, batches, split) for name, batches in attacked.items()}
    silent = {name: ~ours.predict(batches) for name, batches in attacked.items()}
    rival = None
    if len(scores) > 1 and subject.data.kind == "image":
        squeezed = _fitted(FeatureSqueezing(), subject, train, held_out, rate)
        rival = measure_detection(squeezed, clean, {name: attacked[name] for name in ("noise", "PGD")})
    return _findings(subject, ours, found, rival, wrong, silent)


def _fitted(detector: InputDetector, subject: Subject, train: Split, held_out: Split, rate: float) -> InputDetector:
    detector.bind(subject.model, task=subject.task)
    if detector.trainable:
        detector.fit(train.batches(subject.batch_size))
    return detector.calibrate(list(held_out.batches(subject.batch_size)), 1 - rate)


def _attacks(subject: Subject, detector: InputDetector) -> dict[str, Attack]:
    eps, bounds = budgets(subject).judged, (0.0, 1.0) if subject.data.kind == "image" else (-torch.inf, torch.inf)
    options: dict[str, Any] = {"task": subject.task, "seed": subject.seed, "bounds": bounds}
    return {
        "noise": Noise(eps, **options),
        "PGD": PGD(eps, steps=_STEPS, early_stop=False, **options),
        "PGD who knows the monitor": AdaptivePGD(eps, detector, steps=_KNOWING, **options),
    }


def _attacked(subject: Subject, attack: Attack, split: Split) -> list[Tensor]:
    return [attack(subject.model, x, y).x_adv for x, y in split.batches(subject.batch_size)]


def _right(subject: Subject, batches: list[Tensor], split: Split) -> Tensor:
    task = subject.task
    out = task.join(read_outputs(subject.model, batches, lambda o, n: task.read(o, n, strict=False)))
    return (task.right(out, split.y) & task.finite(out)).cpu()


def _findings(
    subject: Subject,
    detector: InputDetector,
    found: DetectionReport,
    rival: DetectionReport | None,
    wrong: dict[str, Tensor],
    silent: dict[str, Tensor],
) -> Monitoring:
    n = len(wrong["PGD"])
    knowing = "PGD who knows the monitor"

    def share(rows: Tensor) -> Interval:
        return wilson(int(rows.sum()), n)

    unnoticed = {name: share(wrong[name] & silent[name].cpu()) for name in wrong}
    alone = {name: share(wrong[name]) for name in wrong}
    values: dict[str, Any] = {
        "wrong_unnoticed_pgd": unnoticed["PGD"],
        "wrong_unnoticed_adaptive": unnoticed[knowing],
        "false_alarms": found.false_alarms,
        "alarmed_pgd": found.rows["PGD"].alarmed,
        "alarmed_adaptive": found.rows[knowing].alarmed,
        "alarmed_noise": found.rows["noise"].alarmed,
        "auroc_pgd": found.rows["PGD"].auroc,
        "auroc_adaptive": found.rows[knowing].auroc,
    }
    if rival is not None:
        values |= {"auroc_pgd_squeezing": rival.rows["PGD"].auroc, "alarmed_pgd_squeezing": rival.rows["PGD"].alarmed}
    promised = "as promised" if found.as_promised else f"MORE than its calibration allows for (at most {found.most})"
    beaten = unnoticed[knowing].high >= alone["PGD"].value
    first = (
        "An attacker who knows the monitor isn't shown to lose anything by it: "
        if beaten
        else "An attacker who knows the monitor gets past it in part: "
    )
    summary = (
        f"{first}{unnoticed[knowing].value:.1%} of {n} samples go wrong unnoticed then ({alone['PGD'].value:.1%} go "
        f"wrong under plain PGD without any monitor). Against one who doesn't, it leaves {unnoticed['PGD'].value:.1%} "
        f"unnoticed, at {found.false_alarms.value:.1%} false alarms on {found.n} clean samples ({promised}); "
        f"AUROC {found.rows['PGD'].auroc.value:.3f}{_beside(rival)}."
    )
    conditions = {"eps": budgets(subject).judged, "rate": found.rate, "steps": _STEPS, "adaptive steps": _KNOWING}
    tables = [found.table(), *([] if rival is None else [rival.table()])]
    lower = tuple(v for v in values if v.startswith(("wrong_", "false_", "alarmed_noise")))
    beside = Finding(
        check="monitor",
        grade="info",
        summary=summary,
        values=values,
        rule="Not graded: no monitor of this kind stops an attacker who knows it. Intervals are over samples.",
        remedy="`deepwright harden MODEL --with detector` writes network and monitor.",
        tables=tables,
        lower_is_better=lower,
        higher_is_better=tuple(v for v in values if v not in lower),
        conditions=conditions,
    )
    without = Finding(
        check="monitor",
        grade="info",
        summary=f"Without a monitor what goes wrong goes unnoticed: {alone['PGD'].value:.1%} of {n} samples under PGD.",
        values={"wrong_unnoticed_pgd": alone["PGD"], "wrong_unnoticed_adaptive": alone["PGD"]},
        rule="Not graded.",
        remedy="",
        lower_is_better=("wrong_unnoticed_pgd", "wrong_unnoticed_adaptive"),
        conditions=conditions,
    )
    return Monitoring(detector, without, beside)


def _beside(rival: DetectionReport | None) -> str:
    if rival is None:
        return ""
    return f" (feature squeezing, at three passes: {rival.rows['PGD'].auroc.value:.3f})"
