"""Does its confidence mean what it says?"""

from __future__ import annotations

import torch

from deepwright.checks.finding import Finding, grade_down
from deepwright.checks.subject import Subject
from deepwright.core.randomness import generator
from deepwright.core.results import Figure
from deepwright.core.statistics import Interval, bootstrap
from deepwright.risk.calibration import brier, ece, fit_temperature, nll, reliability


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
    temperature = fit_temperature(subject.logits("validation"), subject.data.validation.y)
    after = reliability(logits / temperature, y)
    confidence, predicted = logits.double().softmax(1).max(1)
    gap = float(confidence.mean()) - float((predicted == y).double().mean())
    ratio = diagram.ece / floor
    direction = "over-confident" if gap > 0 else "under-confident"
    return Finding(
        check="calibration",
        grade=grade_down(ratio, (1.0, 2.0, 4.0, 8.0)),
        summary=f"Expected calibration error {diagram.ece:.3f}; a perfectly calibrated network would show up to "
        f"{floor:.3f} on so few samples. On average {direction} by {abs(gap):.1%}. Temperature {temperature:.2f} "
        f"(fitted on validation data) brings it to {after.ece:.3f}.",
        values={
            "ece": _ece_interval(logits, y, subject.seed),
            "ece_adaptive": ece(logits, y, adaptive=True),
            "ece_after_temperature": after.ece,
            "ece_of_perfect_calibration": floor,
            "brier": bootstrap(brier(logits, y), seed=subject.seed),
            "nll": bootstrap(nll(logits, y), seed=subject.seed),
            "temperature": temperature,
            "overconfidence": gap,
        },
        rule=f"ECE over the 95th percentile that perfect calibration shows with these confidences is {ratio:.1f}: "
        "A up to 1, B up to 2, C up to 4, D up to 8, E beyond.",
        remedy=f"Divide the logits by {temperature:.2f} before the softmax."
        if after.ece < diagram.ece
        else "Temperature scaling does not help here.",
        figures=[
            Figure(
                "line",
                "Reliability diagram",
                [
                    {"name": "network", **_points(diagram.confidence, diagram.accuracy)},
                    {
                        "name": f"at temperature {temperature:.2f}",
                        **_points(after.confidence, after.accuracy),
                        "dashed": True,
                    },
                    {"name": "perfect", "x": [0, 1], "y": [0, 1], "dashed": True},
                ],
                "confidence",
                "accuracy",
                y_range=(0.0, 1.0),
            )
        ],
        lower_is_better=("ece", "ece_adaptive", "brier", "nll"),
    )


def _points(x: torch.Tensor, y: torch.Tensor) -> dict[str, list[float]]:
    keep = torch.isfinite(x)
    return {"x": x[keep].tolist(), "y": y[keep].tolist()}


def _floor(logits: torch.Tensor, seed: int, rows: int = 200) -> float:
    """95th percentile of the ECE when labels are drawn from the network's own probabilities."""
    p = logits.double().softmax(1)
    draws = torch.multinomial(p, rows, replacement=True, generator=generator(seed, "calibration-floor"))
    values = torch.tensor([ece(logits, draws[:, i]) for i in range(rows)])
    return max(float(values.quantile(0.95)), 1e-6)


def _ece_interval(logits: torch.Tensor, y: torch.Tensor, seed: int, rows: int = 200) -> Interval:
    index = torch.randint(0, len(y), (rows, len(y)), generator=generator(seed, "ece"))
    values = torch.tensor([ece(logits[i], y[i]) for i in index])
    return Interval(ece(logits, y), float(values.quantile(0.025)), float(values.quantile(0.975)))
