"""Out-of-distribution detection: seventeen post-hoc detectors behind one interface, bounding-box scoring among them.

Example:
    >>> from deepwright.ood import DetectorSuite
    >>> suite = DetectorSuite(model).fit(train_batches)  # doctest: +SKIP
    >>> suite.report(test_batches, {"near": near_batches})  # doctest: +SKIP
"""

from deepwright.core.features import Activations, extract
from deepwright.ood.adapters import WrappedDetector, wrap_pytorch_ood
from deepwright.ood.bbas import BBAS, Exceedance, OutsideTheBox, complete_linkage
from deepwright.ood.conformal import ConformalFusion, DriftAlarm
from deepwright.ood.detector import Detector
from deepwright.ood.metrics import aupr, auroc, conformal_threshold, detection_error, fpr_at_tpr
from deepwright.ood.scores import (
    ASH,
    DICE,
    GEN,
    KNN,
    MDS,
    MSP,
    ODIN,
    RMDS,
    SCALE,
    SHE,
    Energy,
    Entropy,
    MaxLogit,
    ReAct,
    ViM,
)
from deepwright.ood.suite import ALL, DetectorSuite

__all__ = [
    "ALL",
    "ASH",
    "BBAS",
    "DICE",
    "GEN",
    "KNN",
    "MDS",
    "MSP",
    "ODIN",
    "RMDS",
    "SCALE",
    "SHE",
    "Activations",
    "ConformalFusion",
    "Detector",
    "DetectorSuite",
    "DriftAlarm",
    "Energy",
    "Entropy",
    "Exceedance",
    "MaxLogit",
    "OutsideTheBox",
    "ReAct",
    "ViM",
    "WrappedDetector",
    "aupr",
    "auroc",
    "complete_linkage",
    "conformal_threshold",
    "detection_error",
    "extract",
    "fpr_at_tpr",
    "wrap_pytorch_ood",
]
