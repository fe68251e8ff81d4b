"""Risk of being wrong: the Fragility Index (metric, loss, exact linear training, report) and calibration.

Example:
    >>> from deepwright.risk import fragility_index
    >>> fragility_index(logits, labels, normalize=True)  # doctest: +SKIP
"""

from deepwright.risk.calibration import Reliability, brier, ece, fit_temperature, nll, reliability
from deepwright.risk.fragility import (
    CROSS_ENTROPY_BOUND,
    HINGE_BOUND,
    SurrogateBound,
    expected_cost_bound,
    fragility_curve,
    fragility_index,
    kl_roots,
    misjudgment,
    tail_bound,
    worst_case_mean,
    worst_case_weights,
)
from deepwright.risk.fragility_linear import FragileLinearClassifier, flip_wasserstein_index, linear_wasserstein_index
from deepwright.risk.fragility_loss import FragilityLoss, FragilityTargetSearch, TargetTrial
from deepwright.risk.fragility_metric import FragilityIndex
from deepwright.risk.fragility_report import (
    FragilityReport,
    bootstrap_index,
    expected_cost,
    fragility_report,
    group_gap_pvalue,
    selective_curve,
)
from deepwright.risk.wasserstein import WassersteinInterval, lipschitz_estimate, wasserstein_interval

__all__ = [
    "CROSS_ENTROPY_BOUND",
    "HINGE_BOUND",
    "FragileLinearClassifier",
    "FragilityIndex",
    "FragilityLoss",
    "FragilityReport",
    "FragilityTargetSearch",
    "Reliability",
    "SurrogateBound",
    "TargetTrial",
    "WassersteinInterval",
    "bootstrap_index",
    "brier",
    "ece",
    "expected_cost",
    "expected_cost_bound",
    "fit_temperature",
    "flip_wasserstein_index",
    "fragility_curve",
    "fragility_index",
    "fragility_report",
    "group_gap_pvalue",
    "kl_roots",
    "linear_wasserstein_index",
    "lipschitz_estimate",
    "misjudgment",
    "nll",
    "reliability",
    "selective_curve",
    "tail_bound",
    "wasserstein_interval",
    "worst_case_mean",
    "worst_case_weights",
]
