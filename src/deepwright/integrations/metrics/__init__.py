"""The house's numbers as `torchmetrics.Metric`: they accumulate over batches and sync over processes.

A metric of ranks or of bins with their noise needs all samples at once: it keeps the few numbers a sample that it is
made of, so `compute` is the function on the whole. docs/rooms/integrations.md says which class gives which number.

Example:
    >>> import torch
    >>> from deepwright.core.tasks import Classification
    >>> from deepwright.integrations.metrics import TaskMetrics
    >>> metric = TaskMetrics(Classification(3))
    >>> metric.update(torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 3.0]]), torch.tensor([0, 1]))
    >>> float(metric.compute()["accuracy"])
    0.5
"""

from torchmetrics import Metric

from deepwright.integrations.metrics.calibration import (
    Accuracy,
    BrierScore,
    CalibrationError,
    ClaimCalibrationError,
    LocalisationCalibrationError,
    NegativeLogLikelihood,
    Overconfidence,
)
from deepwright.integrations.metrics.corruptions import MeanCorruptionError, RelativeError
from deepwright.integrations.metrics.foreign import ForeignAUPR, ForeignAUROC, ForeignDetectionError, ForeignFPR
from deepwright.integrations.metrics.fragility import ConfidentErrors, FragilityIndex, WorstMisjudgment
from deepwright.integrations.metrics.groups import GroupScores
from deepwright.integrations.metrics.intervals import IntervalCoverage, IntervalWidth, Miscoverage
from deepwright.integrations.metrics.robustness import AccuracyKept, RobustAccuracy, RobustnessArea
from deepwright.integrations.metrics.selective import AreaUnderRiskCoverage, RiskAtCoverage
from deepwright.integrations.metrics.tasks import DetectionMetrics, SegmentationMetrics, TaskMetrics

__all__ = [
    "ALL",
    "Accuracy",
    "AccuracyKept",
    "AreaUnderRiskCoverage",
    "BrierScore",
    "CalibrationError",
    "ClaimCalibrationError",
    "ConfidentErrors",
    "DetectionMetrics",
    "ForeignAUPR",
    "ForeignAUROC",
    "ForeignDetectionError",
    "ForeignFPR",
    "FragilityIndex",
    "GroupScores",
    "IntervalCoverage",
    "IntervalWidth",
    "LocalisationCalibrationError",
    "MeanCorruptionError",
    "Miscoverage",
    "NegativeLogLikelihood",
    "Overconfidence",
    "RelativeError",
    "RiskAtCoverage",
    "RobustAccuracy",
    "RobustnessArea",
    "SegmentationMetrics",
    "TaskMetrics",
    "WorstMisjudgment",
]

ALL: tuple[type[Metric], ...] = tuple(globals()[name] for name in __all__ if name != "ALL")
