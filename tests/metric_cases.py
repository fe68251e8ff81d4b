"""Each metric of the house, made and fed: what tests of batches, devices, halves and processes walk over."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from deepwright.core.boxes import Aside, Detections
from deepwright.core.tasks import Binary, Classification, Detection, MultiLabel, Regression, Segmentation
from deepwright.integrations import metrics as m

SAMPLES = 101  # odd: two processes see unlike many


@dataclass(frozen=True)
class Case:
    """A metric and how it sees some rows of the data."""

    make: Callable[[], Any]
    update: Callable[[Any, dict[str, Any], torch.Tensor], Any]


def data(device="cpu", dtype=torch.float32):
    """Numbers of all kinds, one row a sample; the same for every dtype but for rounding."""
    g, n = torch.Generator().manual_seed(0), SAMPLES
    logits = (2 * torch.randn(n, 4, generator=g)).half()  # what halves hold is the same in all of them
    low, y = torch.randn(n, 2, 3, generator=g).half(), torch.randn(n, 3, generator=g).half()
    found = {
        "logits": logits,
        "score": torch.rand(n, generator=g).half().round(decimals=2),  # with ties
        "low": low,
        "high": low + torch.rand(n, 2, 3, generator=g).half() + 1,
        "number": y,
        "spread": torch.stack([y + torch.randn(n, 3, generator=g).half(), y.abs() + 0.5], 2),
        "maps": torch.randn(n, 3, 4, 4, generator=g).half(),
        "overlap": torch.rand(n, generator=g).half(),
    }
    whole = {
        "labels": torch.randint(0, 4, (n,), generator=g),
        "flag": torch.rand(n, generator=g) < 0.4,
        "other": torch.rand(n, generator=g) < 0.5,
        "several": torch.randint(0, 2, (n, 4), generator=g),
        "pixels": torch.randint(0, 3, (n, 4, 4), generator=g),
        "group": torch.randint(0, 3, (n,), generator=g),
    }
    named = {name: value.to(device, dtype) for name, value in found.items()}
    boxes = [_image(g, i, device) for i in range(n)]
    return named | {name: value.to(device) for name, value in whole.items()} | {"boxes": boxes}


def _image(g, i, device):
    """What was found in an image and what is there; some hold nothing, some a crowd."""
    count = i % 4
    corner, size = 40 * torch.rand(count, 2, generator=g), 8 + 40 * torch.rand(count, 2, generator=g)
    true = torch.cat([corner, corner + size], 1)
    moved = true + 3 * torch.rand(count, 4, generator=g)
    labels = torch.randint(0, 2, (count,), generator=g)
    scores = torch.rand(count, generator=g)
    aside = Aside(true[:1], labels[:1], torch.tensor([True])) if i % 5 == 3 and count else None
    aside = aside and Aside(*(t.to(device) for t in vars(aside).values()))
    found = Detections(moved.to(device), labels.to(device), scores.to(device))
    return found, Detections(true[1:].to(device), labels[1:].to(device), None, aside)


def _boxes(metric, d, rows):
    chosen = [d["boxes"][i] for i in rows.tolist()]
    metric.update([found for found, _ in chosen], [true for _, true in chosen])


def _by(*names):
    return lambda metric, d, rows: metric.update(*(d[name][rows] for name in names))


def _sets(metric, d, rows):
    metric.update(None, d["other"][rows])
    metric.update("fog", d["flag"][rows])
    metric.update("blur", d["flag"][rows] | d["other"][rows])


def _budgets(metric, d, rows):
    for budget, flags in ((0, d["flag"] & d["other"]), (0.1, d["flag"]), (0.3, d["flag"] | d["other"])):
        metric.update(budget, flags[rows])


CASES = {
    "Accuracy": Case(m.Accuracy, _by("logits", "labels")),
    "AccuracyKept": Case(m.AccuracyKept, _by("flag", "other")),
    "AreaUnderRiskCoverage": Case(m.AreaUnderRiskCoverage, _by("score", "flag")),
    "E-AURC": Case(lambda: m.AreaUnderRiskCoverage(excess=True), _by("score", "flag")),
    "BrierScore": Case(m.BrierScore, _by("logits", "labels")),
    "CalibrationError": Case(m.CalibrationError, _by("logits", "labels")),
    "ECE": Case(lambda: m.CalibrationError(debiased=False), _by("logits", "labels")),
    "adaptive ECE": Case(lambda: m.CalibrationError(adaptive=True), _by("logits", "labels")),
    "ClaimCalibrationError": Case(m.ClaimCalibrationError, _by("score", "flag")),
    "grouped": Case(lambda: m.ClaimCalibrationError(grouped=True), _by("score", "flag", "group")),
    "ConfidentErrors": Case(m.ConfidentErrors, _by("logits", "labels")),
    "DetectionMetrics": Case(lambda: m.DetectionMetrics(Detection(2)), _boxes),
    "ForeignAUPR": Case(m.ForeignAUPR, _by("score", "flag")),
    "ForeignAUROC": Case(m.ForeignAUROC, _by("score", "flag")),
    "ForeignDetectionError": Case(m.ForeignDetectionError, _by("score", "flag")),
    "ForeignFPR": Case(m.ForeignFPR, _by("score", "flag")),
    "FragilityIndex": Case(lambda: m.FragilityIndex(tau=0.5), _by("logits", "labels")),
    "normalised FI": Case(lambda: m.FragilityIndex(tau=0.5, normalize=True), _by("logits", "labels")),
    "GroupScores": Case(lambda: m.GroupScores(3, least=1), _by("flag", "group")),
    "IntervalCoverage": Case(
        m.IntervalCoverage, lambda s, d, r: s.update(d["low"][r, 0], d["high"][r, 0], d["number"][r])
    ),
    "IntervalWidth": Case(m.IntervalWidth, _by("low", "high")),
    "LocalisationCalibrationError": Case(m.LocalisationCalibrationError, _by("score", "overlap", "group")),
    "MeanCorruptionError": Case(lambda: m.MeanCorruptionError({"fog": 0.5, "blur": 0.8}, clean=0.3), _sets),
    "Miscoverage": Case(lambda: m.Miscoverage((0.5, 0.9)), _by("low", "high", "number")),
    "NegativeLogLikelihood": Case(m.NegativeLogLikelihood, _by("logits", "labels")),
    "Overconfidence": Case(m.Overconfidence, _by("score", "flag")),
    "RelativeError": Case(lambda: m.RelativeError(["fog", "blur"]), _sets),
    "RiskAtCoverage": Case(lambda: m.RiskAtCoverage(0.8), _by("score", "flag")),
    "RobustAccuracy": Case(m.RobustAccuracy, _by("flag")),
    "RobustnessArea": Case(lambda: m.RobustnessArea((0, 0.1, 0.3)), _budgets),
    "SegmentationMetrics": Case(lambda: m.SegmentationMetrics(Segmentation(3)), _by("maps", "pixels")),
    "TaskMetrics": Case(lambda: m.TaskMetrics(Classification(4)), _by("logits", "labels")),
    "binary": Case(lambda: m.TaskMetrics(Binary()), lambda s, d, r: s.update(d["logits"][r, 0], d["flag"][r].long())),
    "several labels": Case(lambda: m.TaskMetrics(MultiLabel(4)), _by("logits", "several")),
    "numbers": Case(lambda: m.TaskMetrics(Regression(3, spread="variance", tolerance=1.0)), _by("spread", "number")),
    "WorstMisjudgment": Case(m.WorstMisjudgment, _by("logits", "labels")),
}


def computed(name, found, parts):
    """A case's numbers, as plain ones, after the rows of each part."""
    metric = CASES[name].make().to(found["logits"].device)
    for rows in parts:
        CASES[name].update(metric, found, rows.to(found["logits"].device))
    value = metric.compute()
    values = value if isinstance(value, dict) else {"value": value}
    return {key: each.item() for key, each in values.items()}
