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
from deepwright.ood.dgp import (
    AAGOD,
    AUGMENTATIONS,
    DGP,
    GOODD,
    SSD,
    EdgePrompt,
    FiveStatistics,
    GraphDetector,
    GraphSuite,
    LinearHead,
    WeightedGIN,
    WeisfeilerLehman,
    adapt_encoder,
    augmented,
    draw_edges,
    embed,
    pretrain_graphcl,
    pretrain_simgrace,
)
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
    "AAGOD",
    "ALL",
    "ASH",
    "AUGMENTATIONS",
    "BBAS",
    "DGP",
    "DICE",
    "GEN",
    "GOODD",
    "KNN",
    "MDS",
    "MSP",
    "ODIN",
    "RMDS",
    "SCALE",
    "SHE",
    "SSD",
    "Activations",
    "ConformalFusion",
    "Detector",
    "DetectorSuite",
    "DriftAlarm",
    "EdgePrompt",
    "Energy",
    "Entropy",
    "Exceedance",
    "FiveStatistics",
    "GraphDetector",
    "GraphSuite",
    "LinearHead",
    "MaxLogit",
    "OutsideTheBox",
    "ReAct",
    "ViM",
    "WeightedGIN",
    "WeisfeilerLehman",
    "WrappedDetector",
    "adapt_encoder",
    "augmented",
    "aupr",
    "auroc",
    "complete_linkage",
    "conformal_threshold",
    "detection_error",
    "draw_edges",
    "embed",
    "extract",
    "fpr_at_tpr",
    "pretrain_graphcl",
    "pretrain_simgrace",
    "wrap_pytorch_ood",
]
