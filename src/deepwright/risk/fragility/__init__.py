"""The Fragility Index: tail risk of confident misjudgments as metric, loss, exact linear training and report.

Source: arXiv 2502.13024. What needs scikit-learn or torchmetrics is imported when it is first used.

Example:
    >>> import torch
    >>> from deepwright.risk.fragility import fragility_index
    >>> scores = torch.tensor([[4.0, 0.0], [0.0, 3.0], [1.0, 0.5], [0.2, 0.6]])
    >>> round(float(fragility_index(scores, torch.tensor([0, 1, 0, 0]))), 4)
    0.1477
"""

import importlib
from typing import TYPE_CHECKING, Any

from deepwright.risk.fragility.index import fragility_index, kl_roots
from deepwright.risk.fragility.loss import FragilityLoss
from deepwright.risk.fragility.misjudgment_scores import misjudgment
from deepwright.risk.fragility.report import (
    FragilityReport,
    bootstrap_index,
    expected_cost,
    fragility_report,
    group_gap_pvalue,
    selective_curve,
)
from deepwright.risk.fragility.target_search import FragilityTargetSearch, TargetTrial
from deepwright.risk.fragility.wasserstein import WassersteinInterval, lipschitz_estimate, wasserstein_interval
from deepwright.risk.fragility.worst_case import (
    CROSS_ENTROPY_BOUND,
    HINGE_BOUND,
    SurrogateBound,
    expected_cost_bound,
    fragility_curve,
    tail_bound,
    worst_case_mean,
    worst_case_weights,
)

if TYPE_CHECKING:
    from deepwright.risk.fragility.linear import FragileLinearClassifier
    from deepwright.risk.fragility.linear_index import flip_wasserstein_index, linear_wasserstein_index
    from deepwright.risk.fragility.metric import FragilityIndex

LAZY = {
    "FragileLinearClassifier": "linear",
    "flip_wasserstein_index": "linear_index",
    "linear_wasserstein_index": "linear_index",
    "FragilityIndex": "metric",
}

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


def __getattr__(name: str) -> Any:
    if name in LAZY:
        return getattr(importlib.import_module(f"{__name__}.{LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
