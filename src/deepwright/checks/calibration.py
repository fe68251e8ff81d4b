"""Does its confidence mean what it says?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from deepwright.checks.finding import Finding, grade_down
from deepwright.checks.subject import Subject
from deepwright.core.errors import NotIdentified
from deepwright.core.randomness import generator
from deepwright.core.results import Figure
from deepwright.core.statistics import Interval, bootstrap
from deepwright.risk.calibration import brier, confidence_bins, ece, fit_temperature, nll, reliability, temperature_gain


def check_calibration(subject: Subject) -> Finding:
    """ECE against what a perfectly calibrated network with the same confidences would show by chance.

    Applies where each sample has one class.
    """
    if not subject.has_classes:
        return Finding.not_applicable(
            "calibration", f"a {subject.task.kind} states no confidence in one class a sample"
        )
    logits, y = subject.logits(), subject.data.test.y
    diagram = reliability(logits, y)
    floor = _floor(logits, subject.seed)
    confidence, predicted = logits.double().softmax(1).max(1)
    gap = float(confidence.mean()) - float((predicted == y).double().mean())
    ratio = diagram.ece / floor
    direction = "over-confident" if gap > 0 else "under-confident"
    scaled = _scaled(subject)
    values: dict[str, Interval | float] = {
        "ece": _ece_interval(logits, y, subject.seed),
        "ece_adaptive": ece(logits, y, adaptive=True),
        "ece_of_perfect_calibration": floor,
        "brier": bootstrap(brier(logits, y), seed=subject.seed),
        "nll": bootstrap(nll(logits, y), seed=subject.seed),
        "overconfidence": gap,
    }
    lines: list[dict[str, Any]] = [{"name": "network", **_points(diagram.confidence, diagram.accuracy)}]
    if scaled.temperature is not None:
        after = reliability(logits / scaled.temperature, y)
        values |= {"ece_after_temperature": after.ece, "temperature": scaled.temperature}
        values["nll_saved_by_temperature"] = scaled.saved
        name = f"at temperature {scaled.temperature:.2f}"
        lines.append({"name": name, **_points(after.confidence, after.accuracy), "dashed": True})
    return Finding(
        check="calibration",
        grade=grade_down(ratio, (1.0, 2.0, 4.0, 8.0)),
        summary=f"Expected calibration error {diagram.ece:.3f}; a perfectly calibrated network would show up to "
        f"{floor:.3f} on so few samples. On average {direction} by {abs(gap):.1%}. {scaled.words(values)}",
        values=values,
        rule=f"ECE over the 95th percentile that perfect calibration shows with these confidences is {ratio:.1f}: "
        "A up to 1, B up to 2, C up to 4, D up to 8, E beyond.",
        remedy=scaled.remedy(diagram.ece, values),
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
        lower_is_better=("ece", "ece_adaptive", "brier", "nll"),
    )


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

    def remedy(self, before: float, values: Mapping[str, Any]) -> str:
        if self.temperature is None:
            return "The validation data determine no temperature: take more of them, with some that are misjudged."
        if self.saved.low > 0 and values["ece_after_temperature"] < before:
            return f"Divide the logits by {self.temperature:.2f} before the softmax."
        if self.saved.low > 0:
            return f"A temperature saves {self.saved} nats a sample on validation data, but doesn't lower the ECE here."
        return f"No temperature is shown to help: on validation data one saves {self.saved} nats a sample."

    def words(self, values: Mapping[str, Any]) -> str:
        if self.temperature is None:
            return f"No temperature can be fitted on the validation data: {self.why}."
        text = f"Temperature {self.temperature:.2f} (fitted on validation data) changes it to "
        return f"{text}{values['ece_after_temperature']:.3f}."


def _scaled(subject: Subject) -> _Scaled:
    logits, y = subject.logits("validation"), subject.data.validation.y
    try:
        temperature = fit_temperature(logits, y)
    except NotIdentified as error:
        return _Scaled(None, Interval(0.0, 0.0, 0.0), str(error.given))
    gain = temperature_gain(logits, y, folds=min(5, len(y)), seed=subject.seed) if len(y) > 1 else logits.new_zeros(1)
    return _Scaled(temperature, bootstrap(gain, seed=subject.seed))


def _points(x: torch.Tensor, y: torch.Tensor) -> dict[str, list[float]]:
    keep = torch.isfinite(x)
    return {"x": x[keep].tolist(), "y": y[keep].tolist()}


def _floor(logits: torch.Tensor, seed: int, rows: int = 200) -> float:
    """95th percentile of the ECE when labels are drawn from the network's own probabilities."""
    p = logits.double().softmax(1)
    confidence, predicted = p.max(1)
    draws = torch.multinomial(p, rows, replacement=True, generator=generator(seed, "calibration-floor"))
    gaps = (draws == predicted[:, None]).T.double() - confidence
    values = _eces(gaps, confidence_bins(confidence).expand(rows, -1))
    return max(float(values.quantile(0.95)), 1e-6)


def _ece_interval(logits: torch.Tensor, y: torch.Tensor, seed: int, rows: int = 200) -> Interval:
    index = torch.randint(0, len(y), (rows, len(y)), generator=generator(seed, "ece"))
    confidence, predicted = logits.double().softmax(1).max(1)
    gaps = (predicted == y).double() - confidence
    values = _eces(gaps[index], confidence_bins(confidence)[index])
    return Interval(ece(logits, y), float(values.quantile(0.025)), float(values.quantile(0.975)))


def _eces(gaps: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """ECE of each row, sum over bins of |sum of (right - confidence)| / N.

    Args:
        gaps: (rows, N) right - confidence.
        bins: (rows, N) of the confidences.
    """
    sums = gaps.new_zeros(len(gaps), int(bins.max()) + 1).scatter_add_(1, bins, gaps)
    return sums.abs().sum(1) / gaps.shape[1]
