"""Calibration of a detector: do boxes that are scored 0.8 find an object in 80 %?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from deepwright.checks.confidences import direction, graded_confidence, reliability_figure
from deepwright.checks.findings.finding import Finding
from deepwright.checks.held_out import why_none
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.temperatures import scaled
from deepwright.core.boxes import box_iou
from deepwright.core.results import Table
from deepwright.core.tasks import Detection
from deepwright.core.tasks.matching import beside_aside, choices
from deepwright.risk import GroupedCalibration, grouped_calibration, localisation_ece


@dataclass(frozen=True)
class _Boxes:
    """All detections of a split: scores, whether each is a hit, its overlap if so (else 0), class and image."""

    score: Tensor
    hit: Tensor
    overlap: Tensor
    label: Tensor
    image: Tensor

    @property
    def logits(self) -> Tensor:
        """(k, 2) with the score as their softmax."""
        p = self.score.clamp(1e-6, 1 - 1e-6)
        return torch.stack([torch.zeros_like(p), (p / (1 - p)).log()], 1)


def box_calibration(subject: Subject) -> Finding:
    """Score against precision at the task's overlap (D-ECE), and against overlap (LaECE), by images.

    Args:
        subject: of a detection.

    Source: "Multivariate Confidence Calibration for Object Detection", arXiv 2004.13546 (D-ECE); "Towards Building
    Self-Aware Object Detectors via Reliable Uncertainty Quantification and Calibration", arXiv 2307.00934 (LaECE).
    """
    task = cast(Detection, subject.task)
    found = _boxes(subject, "test")
    if len(found.score) == 0:
        return Finding.not_applicable("calibration", "the network detects nothing in the test images")
    whole = _grouped(subject, found)
    claimed = found.score >= task.score_threshold
    held = None if why_none(subject) else _boxes(subject, "validation")
    pair = None if held is None else (held.logits, held.hit.long())
    fitted = scaled(pair, why_none(subject), subject.seed, None if held is None else held.image)
    values: dict[str, Any] = {
        "ece": whole.ece,
        "ece_debiased": whole.debiased,
        "ece_of_perfect_calibration": whole.by_chance,
        "localisation_ece": localisation_ece(found.score, found.overlap, found.label),
        "overconfidence": whole.overconfidence,
    }
    if bool(claimed.any()):
        sure = _Boxes(*(part[claimed] for part in vars(found).values()))
        values["ece_of_claimed"] = _grouped(subject, sure).debiased
    lines = [("network", whole.reliability)]
    if fitted.temperature is not None:
        after = _grouped(subject, found, fitted.temperature)
        values |= {"ece_after_temperature": after.ece, "temperature": fitted.temperature}
        values["nll_saved_by_temperature"] = fitted.saved
        lines.append((f"at temperature {fitted.temperature:.2f}", after.reliability))
    wrong = float(((found.score >= 0.5) != found.hit).double().mean())
    gap = whole.overconfidence
    grade, rule = graded_confidence(subject, whole.debiased, wrong, gap, "box")
    return Finding(
        check="calibration",
        grade=grade.grade,
        summary=f"Expected calibration error of a box's score against its precision at an overlap of {task.iou:g}: "
        f"{whole.ece:.3f}; without what {whole.groups} images add by chance {whole.debiased.value:.3f} (95 % "
        f"interval by images {whole.debiased.low:.3f} to {whole.debiased.high:.3f}; {len(found.score):,} boxes). On "
        f"average {direction(gap)} by {abs(gap):.1%}. {fitted.words(values)}",
        values=values,
        rule=rule,
        remedy=fitted.remedy(
            whole.ece, values, grade.grade, "Divide the logits of the scores, log(s / (1 - s)), by {0}"
        ),
        tables=[_classes(subject, found)],
        figures=[reliability_figure(lines, "precision")],
        lower_is_better=("ece", "ece_debiased", "ece_of_claimed", "localisation_ece"),
        could_be=grade.could_be,
        graded_by=("ece_debiased",),
    )


def _boxes(subject: Subject, part: str) -> _Boxes:
    task, parts = cast(Detection, subject.task), []
    level = torch.tensor([task.iou], dtype=torch.float64)
    for i, (guess, truth) in enumerate(zip(subject.outputs(part), getattr(subject.data, part).y, strict=True)):
        assert guess.scores is not None
        at = level.to(guess.boxes.device)
        place, judged = choices(guess, truth, at)[0], ~beside_aside(guess, truth, at)[0]
        hit, overlap = place >= 0, torch.zeros(len(guess), dtype=torch.float64, device=guess.boxes.device)
        if len(guess) and len(truth):  # with the box that it was given, which needn't be the nearest
            own = box_iou(guess.boxes.double(), truth.boxes.double()).gather(1, place.clamp_min(0)[:, None])[:, 0]
            overlap = torch.where(hit, own, overlap)
        row = (guess.scores.double(), hit, overlap, guess.labels, torch.full_like(guess.labels, i))
        parts.append(tuple(each[judged] for each in row))
    return _Boxes(*(torch.cat(each).cpu() for each in zip(*parts)))


def _grouped(subject: Subject, found: _Boxes, temperature: float = 1.0) -> GroupedCalibration:
    p = found.score if temperature == 1 else (found.logits[:, 1] / temperature).sigmoid()
    return grouped_calibration(p, found.hit, found.image, seed=subject.seed)


def _classes(subject: Subject, found: _Boxes) -> Table:
    rows: list[list[Any]] = []
    for c in found.label.unique().tolist():
        mine = found.label == c
        score, share = float(found.score[mine].mean()), float(found.hit[mine].double().mean())
        rows.append([subject.class_names[c], int(mine.sum()), score, share, score - share])
    rows.sort(key=lambda row: -abs(row[-1]))
    columns = ["class", "boxes", "mean score", "precision", "score less precision"]
    return Table(columns, rows[:100], "boxes of each class, all that the network gives")
