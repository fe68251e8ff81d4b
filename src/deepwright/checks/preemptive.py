"""Would pictures that are sharpened before release be harder to attack? Beside contrast, at equal squared error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial import PGD, RobustnessReport, robust_accuracy
from deepwright.adversarial.sharpening import ContrastStretch, LaplacianSharpen, psnr, texture_correlation
from deepwright.checks.budgets import budgets
from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Table
from deepwright.core.statistics import mcnemar
from deepwright.data import Split

_SAMPLES, _STEPS, _LEVEL = 200, 20, 0.05
_SMALL = 64  # pixels of the longer side
_SEARCHED = 60  # pictures whose smallest budgets are searched


def check_preemptive(subject: Subject) -> Finding:
    """What sharpening before release does against who has the network, beside contrast; only where it is named.

    Applies to pictures and networks with gradients; "do nothing" is an answer.
    """
    return measured_preemptive(subject, usual_strength(subject))


def usual_strength(subject: Subject) -> float:
    """Of sharpening, by the size of the pictures.

    Args:
        subject: of pictures.
    """
    return 0.5 if max(subject.data.shape[1:]) > _SMALL else 0.25


def require_pictures(subject: Subject) -> None:
    """Refuse what can't be sharpened.

    Args:
        subject: any.

    Raises:
        NotApplicableError: no pictures.
    """
    if subject.data.kind != "image":
        raise NotApplicableError(f"only pictures are sharpened, and this is {subject.data.kind} data")


def measured_preemptive(subject: Subject, strength: float) -> Finding:
    """The check at a strength.

    Args:
        subject: of pictures.
        strength: of `LaplacianSharpen`.

    Raises:
        NotApplicableError: no pictures, or no gradients.
    """
    require_pictures(subject)
    if not subject.has_gradients:
        raise NotApplicableError("the network gives scores only, and its attacker here follows gradients")
    split = subject.data.test.take(min(_SAMPLES, subject.attack_limit), subject.seed)
    sharpen = LaplacianSharpen(strength, quantize=255)
    contrast = ContrastStretch(quantize=255)

    def stretched(x: Tensor) -> Tensor:
        error = (sharpen(x) - x).square().flatten(1).mean(1)
        return contrast.at(x, contrast.strengths(x, error).strength)

    ways: dict[str, Callable[[Tensor], Tensor]] = {"as it is": lambda x: x, "sharpened": sharpen, "contrast": stretched}
    found = {name: _attacked(subject, split, publish) for name, publish in ways.items()}
    return _finding(subject, split, strength, found, _decibels(subject, split, sharpen))


def _attacked(subject: Subject, split: Split, publish: Callable[[Tensor], Tensor]) -> RobustnessReport:
    attack = PGD(budgets(subject).judged, steps=_STEPS, task=subject.task, seed=subject.seed)
    batches = ((publish(x), y) for x, y in split.batches(subject.batch_size))
    return robust_accuracy(subject.model, batches, attack, description="published")


def _decibels(subject: Subject, split: Split, sharpen: LaplacianSharpen) -> float:
    kept = torch.cat([psnr(sharpen(x), x) for x in split.batches(subject.batch_size).inputs])
    return float(kept[torch.isfinite(kept)].double().mean()) if bool(torch.isfinite(kept).any()) else float("inf")


def _finding(
    subject: Subject, split: Split, strength: float, found: dict[str, RobustnessReport], decibels: float
) -> Finding:
    right = {name: torch.tensor(report.right) for name, report in found.items()}
    p = {name: mcnemar(right[name], right["as it is"]) for name in ("sharpened", "contrast")}
    rows: list[list[Any]] = [
        [name, r.clean.value, r.robust.value, r.robust.low, r.robust.high, p.get(name, "")] for name, r in found.items()
    ]
    eps = budgets(subject).judged
    caption = (
        f"{len(split)} test pictures; attacked after release by who has the network (PGD, {_STEPS} steps, L-inf "
        f"{eps:.4g}); p of McNemar's test against as it is; contrast at the squared error of sharpening"
    )
    values: dict[str, Any] = {f"robust_accuracy_{name.replace(' ', '_')}": r.robust for name, r in found.items()}
    values |= {"p_value": p["sharpened"], "clean_accuracy_sharpened": found["sharpened"].clean}
    kept = f"{decibels:.1f} dB" if decibels < float("inf") else "nothing changed"
    summary = (
        f"Sharpened before release (strength {strength:g}, {kept}), {found['sharpened'].robust.value:.1%} of "
        f"{len(split)} pictures stay right under an attacker who has the network, {found['as it is'].robust.value:.1%} "
        f"as they are: {_said(found, p['sharpened'])} (p {p['sharpened']:.2g}). Contrast at the same error: "
        f"{found['contrast'].robust.value:.1%}. {_advice(found, right, p['sharpened'])}"
        f"{_texture(subject, split, values)}"
    )
    return Finding(
        check="preemptive",
        grade="info",
        summary=summary,
        values=values,
        rule="Not graded. Worth doing only where it gains with p below 0.05, and more than contrast does.",
        remedy="`adversarial.sharpening.compare` measures attackers who have another network.",
        tables=[Table(["published", "right", "right under attack", "95 % from", "95 % to", "p"], rows, caption)],
        higher_is_better=tuple(name for name in values if "accuracy" in name),
        conditions={"eps": eps, "strength": strength},
    )


def _said(found: dict[str, RobustnessReport], p: float) -> str:
    if p >= _LEVEL:
        return "no difference shown"
    return "a gain" if found["sharpened"].robust.value > found["as it is"].robust.value else "a loss"


def _advice(found: dict[str, RobustnessReport], right: dict[str, Tensor], p: float) -> str:
    gains = p < _LEVEL and found["sharpened"].robust.value > found["as it is"].robust.value
    if not gains:
        return "Do nothing against this attacker."
    better = found["sharpened"].robust.value > found["contrast"].robust.value
    if not better or mcnemar(right["sharpened"], right["contrast"]) >= _LEVEL:
        return "Do nothing of the kind: plain contrast does as much."
    return "It is worth its error against this attacker."


def _texture(subject: Subject, split: Split, values: dict[str, Any]) -> str:
    """How far texture goes with the smallest budget, where that can be told."""
    few = split.take(min(_SEARCHED, len(split)), subject.seed)
    attack = PGD(budgets(subject).judged, steps=10, task=subject.task, seed=subject.seed)
    ranks = texture_correlation(subject.model, few.inputs(), few.y, attack)
    if not {"laplacian", "contrast"} <= ranks.keys():
        return ""
    values |= {"texture_correlation": ranks["laplacian"], "contrast_correlation": ranks["contrast"]}
    return (
        " The smallest budget that fools the network goes with texture by a rank correlation of "
        f"{ranks['laplacian']:.2f}, with contrast by {ranks['contrast']:.2f}."
    )
