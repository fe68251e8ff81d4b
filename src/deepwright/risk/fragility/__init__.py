"""The Fragility Index: tail risk of confident misjudgments as metric, loss, exact linear training, report (arXiv 2502.13024).

Example:
    >>> from deepwright.risk.fragility import fragility_index
    >>> fragility_index(logits, labels, normalize=True)  # doctest: +SKIP
"""

from deepwright.risk.fragility.index import (
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
from deepwright.risk.fragility.linear import FragileLinearClassifier, flip_wasserstein_index, linear_wasserstein_index
from deepwright.risk.fragility.loss import FragilityLoss, FragilityTargetSearch, TargetTrial
from deepwright.risk.fragility.metric import FragilityIndex
from deepwright.risk.fragility.report import (
    FragilityReport,
    bootstrap_index,
    expected_cost,
    fragility_report,
    group_gap_pvalue,
    selective_curve,
)
from deepwright.risk.fragility.wasserstein import WassersteinInterval, lipschitz_estimate, wasserstein_interval

__all__ = [
    "CROSS_ENTROPY_BOUND",
    "HINGE_BOUND",
    "FragileLinearClassifier",
    "FragilityIndex",
    "FragilityLoss",
    "FragilityReport",
    "FragilityTargetSearch",
    "SurrogateBound",
    "TargetTrial",
    "WassersteinInterval",
    "bootstrap_index",
    "expected_cost",
    "expected_cost_bound",
    "flip_wasserstein_index",
    "fragility_curve",
    "fragility_index",
    "fragility_report",
    "group_gap_pvalue",
    "kl_roots",
    "linear_wasserstein_index",
    "lipschitz_estimate",
    "misjudgment",
    "selective_curve",
    "tail_bound",
    "wasserstein_interval",
    "worst_case_mean",
    "worst_case_weights",
]
