"""Does its confidence mean what it says?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from deepwright.checks.findings.finding import Finding, at_best, grade_down
from deepwright.checks.grading import Graded, at_end, graded, no_skill
from deepwright.checks.held_out import REMEDY, held_out, why_none
from deepwright.checks.subjects.subject import Subject
from deepwright.core.errors import NotIdentified
from deepwright.core.results import Figure
from deepwright.core.statistics import Interval, weighted_bootstrap
from deepwright.risk.calibration import (
    brier,
    ece,
    ece_by_chance,
    ece_interval,
    fit_temperature,
    nll,
    reliability,
    temperature_gain,
)

_STEPS = (0.02, 0.05, 0.1, 0.2)
_OF_SURE = ((0.5, "B"), (0.8, "C"))  # share of what an always sure network would show -> the best grade above it


def check_calibration(subject: Subject) -> Finding:
    """ECE without what few samples add to it, beside that of an always sure network of the same accuracy.

    Applies where each sample has one class.
    """
    if not subject.has_classes:
        return Finding.not_applicable(
            "calibration", f"a {subject.task.kind} states no confidence in one class a sample"
        )
    if subject.without_scores:
        return Finding.not_applicable("calibration", subject.without_scores)
    logits, y = subject.logits(), subject.data.test.y
    diagram, found = reliability(logits, y), ece_interval(logits, y, seed=subject.seed)
    floor = ece_by_chance(logits, seed=subject.seed)
    confidence, predicted = logits.double().softmax(1).max(1)
    gap = float(confidence.mean()) - float((predicted == y).double().mean())
    direction = "over-confident" if gap > 0 else "under-confident"
    scaled = _scaled(subject)
    values: dict[str, Interval | float] = {
        "ece": diagram.ece,
        "ece_debiased": found,
        "ece_adaptive": ece(logits, y, adaptive=True),
        "ece_of_perfect_calibration": floor,
        "brier": mean_of(brier(logits, y), subject.seed),
        "nll": mean_of(nll(logits, y), subject.seed),
        "overconfidence": gap,
    }
    lines: list[dict[str, Any]] = [{"name": "network", **_points(diagram.confidence, diagram.accuracy)}]
    if scaled.temperature is not None:
        after = reliability(logits / scaled.temperature, y)
        values |= {"ece_after_temperature": after.ece, "temperature": scaled.temperature}
        values["nll_saved_by_temperature"] = scaled.saved
        name = f"at temperature {scaled.temperature:.2f}"
        lines.append({"name": name, **_points(after.confidence, after.accuracy), "dashed": True})
    grade, rule = _grade(subject, found, 1 - float((predicted == y).double().mean()), gap)
    return Finding(
        check="calibration",
        grade=grade.grade,
        summary=f"Expected calibration error {diagram.ece:.3f}; without what {len(y)} samples add by chance "
        f"{found.value:.3f} (95 % interval {found.low:.3f} to {found.high:.3f}; a perfectly calibrated network would "
        f"show up to {floor:.3f}). On average {direction} by {abs(gap):.1%}. {scaled.words(values)}",
        values=values,
        rule=rule,
        remedy=scaled.remedy(diagram.ece, values, grade.grade),
        figures=[
            Figure(
                "line",
                "Reliability diagram",
                [*lines, {"name": "perfect", "x": [0, 1], "y": [0, 1], "dashed": True}],
                "confidence",
                "accuracy",
                y_range=(0.0, 1.0),
            )
        ],
        lower_is_better=("ece", "ece_debiased", "ece_adaptive", "brier", "nll"),
        could_be=grade.could_be,
        graded_by=("ece_debiased",),
    )


def _grade(subject: Subject, found: Interval, error: float, gap: float) -> tuple[Graded, str]:
    """By the debiased ECE; over-confident networks also by how near they come to one that is always sure."""
    why = no_skill(subject)
    if why:
        return Graded("info"), f"Not graded: {why}; a confidence in guesses is of no use, however true."

    def letter(side: int) -> str:
        value = at_end(found, side, lower_is_better=True)
        grade = grade_down(value, _STEPS)
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
        share = f"it is {found.value / error:.2f} of that" if error > 0 else "no test sample is wrong"
        rule += (
            f" A network that is always sure and errs as often would show {error:.3f} ({share}): over 0.5 of that B "
            "at best, over 0.8 C at best."
        )
    return grade, rule + grade.words


def mean_of(values: torch.Tensor, seed: int) -> Interval:
    """The mean of one value a sample, with its interval.

    Args:
        values: (N,).
        seed: of the resamples.
    """
    rows = values.double()
    if len(rows) > 1 and bool((rows == rows[0]).all()):
        return Interval(float(rows[0]), float(rows[0]), float(rows[0]))
    found = weighted_bootstrap(
        len(rows), lambda w: {"mean": (w @ rows) / w.sum(1)}, resamples=500, seed=seed, device=rows.device
    )
    return found["mean"]


@dataclass(frozen=True)
class _Scaled:
    """What a temperature does.

    Attributes:
        temperature: fitted on validation data; None where they have none.
        saved: nats of NLL that it saves a sample there, out of the fit.
        why: there is none.
    """

    temperature: float | None
    saved: Interval
    why: str = ""

    def remedy(self, before: float, values: Mapping[str, Any], grade: str) -> str:
        if self.temperature is None:
            return f"No temperature is advised. {REMEDY}"
        if self.saved.low > 0 and values["ece_after_temperature"] < before:
            return (
                f"Divide the logits by {self.temperature:.3g} before the softmax (`subject.logits() / "
                f"{self.temperature:.3g}`): it changes the ECE here from {before:.3f} to "
                f"{values['ece_after_temperature']:.3f}, and no prediction."
            )
        if grade == "A":
            return "Nothing to do for calibration."
        if self.saved.low > 0:
            return f"A temperature saves {self.saved} nats a sample on validation data, but doesn't lower the ECE here."
        return f"No temperature is shown to help: on validation data one saves {self.saved} nats a sample."

    def words(self, values: Mapping[str, Any]) -> str:
        if self.temperature is None:
            return f"No temperature can be fitted: {self.why}."
        text = f"Temperature {self.temperature:.2f} (fitted on validation data) changes it to "
        return f"{text}{values['ece_after_temperature']:.3f}."


def _scaled(subject: Subject) -> _Scaled:
    found = held_out(subject)
    if found is None:
        return _Scaled(None, Interval(0.0, 0.0, 0.0), why_none(subject))
    logits, y = found
    try:
        temperature = fit_temperature(logits, y)
    except NotIdentified as error:
        return _Scaled(None, Interval(0.0, 0.0, 0.0), str(error.given))
    gain = temperature_gain(logits, y, folds=min(5, len(y)), seed=subject.seed) if len(y) > 1 else logits.new_zeros(1)
    return _Scaled(temperature, mean_of(gain, subject.seed))


def _points(x: torch.Tensor, y: torch.Tensor) -> dict[str, list[float]]:
    keep = torch.isfinite(x)
    return {"x": x[keep].tolist(), "y": y[keep].tolist()}
