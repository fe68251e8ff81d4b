"""How confidences are graded and drawn, whatever they are confidences in: classes, labels, pixels, boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from deepwright.checks.findings.finding import at_best, grade_down
from deepwright.checks.grading import Graded, at_end, graded, no_skill
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Figure
from deepwright.core.statistics import Interval
from deepwright.risk.calibration import Reliability

STEPS = (0.02, 0.05, 0.1, 0.2)
_OF_SURE = ((0.5, "B"), (0.8, "C"))  # share of what an always sure network would show -> the best grade above it


def graded_confidence(
    subject: Subject, found: Interval, error: float, gap: float, sample: str = "test sample"
) -> tuple[Graded, str]:
    """By the debiased ECE; over-confident networks also by how near they come to one that is always sure.

    Args:
        subject: whose confidences they are.
        found: the ECE without what few samples add.
        error: share of the decisions that are wrong.
        gap: mean confidence less the share that is right.
        sample: the word for what is decided.
    """
    why = no_skill(subject)
    if why:
        return Graded("info"), f"Not graded: {why}; a confidence in guesses is of no use, however true."

    def letter(side: int) -> str:
        value = at_end(found, side, lower_is_better=True)
        grade = grade_down(value, STEPS)
        for share, best in _OF_SURE:
            if gap > 0 and value > share * error:
                grade = at_best(grade, best)
        return grade

    grade = graded(letter)
    rule = (
        f"ECE without what few samples add is {found.value:.3f}: A up to 0.02, B up to 0.05, C up to 0.1, D up to 0.2, "
        "E beyond."
    )
    if gap > 0:
        share = f"it is {found.value / error:.2f} of that" if error > 0 else f"no {sample} is wrong"
        rule += (
            f" A network that is always sure and errs as often would show {error:.3f} ({share}): over 0.5 of that B "
            "at best, over 0.8 C at best."
        )
    return grade, rule + grade.words


def direction(gap: float) -> str:
    """Over- or under-confident.

    Args:
        gap: mean confidence less the share that is right.
    """
    return "over-confident" if gap > 0 else "under-confident"


def reliability_figure(lines: Sequence[tuple[str, Reliability]], y_label: str = "accuracy") -> Figure:
    """The reliability diagram, the first line whole and the others dashed.

    Args:
        lines: names and bins.
        y_label: what confidences are held against.
    """
    drawn: list[dict[str, Any]] = [
        {"name": name, **_points(bins.confidence, bins.accuracy), **({"dashed": True} if i else {})}
        for i, (name, bins) in enumerate(lines)
    ]
    perfect = {"name": "perfect", "x": [0, 1], "y": [0, 1], "dashed": True}
    return Figure("line", "Reliability diagram", [*drawn, perfect], "confidence", y_label, y_range=(0.0, 1.0))


def _points(x: Tensor, y: Tensor) -> dict[str, list[float]]:
    keep = torch.isfinite(x)
    return {"x": x[keep].tolist(), "y": y[keep].tolist()}
