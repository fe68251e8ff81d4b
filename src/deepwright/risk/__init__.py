"""Risk of being wrong: the Fragility Index (metric, loss, exact linear training, report), calibration, ordered
segmentation, intervals.

Example:
    >>> import torch
    >>> from deepwright.risk import fragility_index
    >>> scores = torch.tensor([[4.0, 0.0], [0.0, 3.0], [1.0, 0.5], [0.2, 0.6]])
    >>> round(float(fragility_index(scores, torch.tensor([0, 1, 0, 0]))), 4)
    0.1477
"""

from typing import TYPE_CHECKING, Any

from deepwright.risk import fragility, ordinal
from deepwright.risk.calibration import (
    Reliability,
    brier,
    confidence_ece,
    ece,
    ece_by_chance,
    ece_interval,
    fit_temperature,
    nll,
    reliability,
    temperature_gain,
)
from deepwright.risk.clustered import GroupedCalibration, grouped_calibration
from deepwright.risk.fragility import (
    CROSS_ENTROPY_BOUND,
    HINGE_BOUND,
    FragilityLoss,
    FragilityReport,
    FragilityTargetSearch,
    SurrogateBound,
    TargetTrial,
    WassersteinInterval,
    bootstrap_index,
    expected_cost,
    expected_cost_bound,
    fragility_curve,
    fragility_index,
    fragility_report,
    group_gap_pvalue,
    kl_roots,
    lipschitz_estimate,
    misjudgment,
    selective_curve,
    tail_bound,
    wasserstein_interval,
    worst_case_mean,
    worst_case_weights,
)
from deepwright.risk.intervals import Coverage, conformal_half_width, coverage, miscoverage
from deepwright.risk.localisation import localisation_ece
from deepwright.risk.ordinal import (
    AllowedContactRate,
    ClassOrder,
    ContactDistanceLoss,
    ContactNeighborLoss,
    CumulativeLinkLoss,
    EntropyTerm,
    ExpectedSquaredErrorLoss,
    FoundOrder,
    HardOrdinalHead,
    OrderedNeighborLoss,
    OrdinalEncodingHead,
    OrdinalLogLoss,
    OrdinalSegmentationLoss,
    QuasiUnimodalLoss,
    SoftLabelLoss,
    SquaredEMDLoss,
    TotalVariationLoss,
    UnimodalHead,
    decode,
    find_order,
    forbidden_pairs,
    repair_labels,
    require_order,
    wrap_logits,
)
from deepwright.risk.segmentation import boundary_f1, drawn_pixels
from deepwright.risk.selective import aurc, excess_aurc, risk_at_coverage

if TYPE_CHECKING:
    from deepwright.risk.fragility import (
        FragileLinearClassifier,
        FragilityIndex,
        flip_wasserstein_index,
        linear_wasserstein_index,
    )
    from deepwright.risk.ordinal import (
        ContainmentViolation,
        InvalidContactRate,
        OrdinalScores,
        UnimodalPixelRate,
        ordinal_inconsistency,
        surface_distances,
    )

__all__ = [
    "CROSS_ENTROPY_BOUND",
    "HINGE_BOUND",
    "AllowedContactRate",
    "ClassOrder",
    "ContactDistanceLoss",
    "ContactNeighborLoss",
    "ContainmentViolation",
    "Coverage",
    "CumulativeLinkLoss",
    "EntropyTerm",
    "ExpectedSquaredErrorLoss",
    "FoundOrder",
    "FragileLinearClassifier",
    "FragilityIndex",
    "FragilityLoss",
    "FragilityReport",
    "FragilityTargetSearch",
    "GroupedCalibration",
    "HardOrdinalHead",
    "InvalidContactRate",
    "OrderedNeighborLoss",
    "OrdinalEncodingHead",
    "OrdinalLogLoss",
    "OrdinalScores",
    "OrdinalSegmentationLoss",
    "QuasiUnimodalLoss",
    "Reliability",
    "SoftLabelLoss",
    "SquaredEMDLoss",
    "SurrogateBound",
    "TargetTrial",
    "TotalVariationLoss",
    "UnimodalHead",
    "UnimodalPixelRate",
    "WassersteinInterval",
    "aurc",
    "bootstrap_index",
    "boundary_f1",
    "brier",
    "confidence_ece",
    "conformal_half_width",
    "coverage",
    "decode",
    "drawn_pixels",
    "ece",
    "ece_by_chance",
    "ece_interval",
    "excess_aurc",
    "expected_cost",
    "expected_cost_bound",
    "find_order",
    "fit_temperature",
    "flip_wasserstein_index",
    "forbidden_pairs",
    "fragility_curve",
    "fragility_index",
    "fragility_report",
    "group_gap_pvalue",
    "grouped_calibration",
    "kl_roots",
    "linear_wasserstein_index",
    "lipschitz_estimate",
    "localisation_ece",
    "miscoverage",
    "misjudgment",
    "nll",
    "ordinal_inconsistency",
    "reliability",
    "repair_labels",
    "require_order",
    "risk_at_coverage",
    "selective_curve",
    "surface_distances",
    "tail_bound",
    "temperature_gain",
    "wasserstein_interval",
    "worst_case_mean",
    "worst_case_weights",
    "wrap_logits",
]


def __getattr__(name: str) -> Any:
    if name in fragility.LAZY:
        return getattr(fragility, name)
    if name in ordinal.LAZY:
        return getattr(ordinal, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
