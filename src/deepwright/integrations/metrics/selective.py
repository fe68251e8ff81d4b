"""The errors of what is kept when the least sure samples are handed on, as metrics; see `risk.selective`."""

from __future__ import annotations

from torch import Tensor
from torchmetrics import Metric

from deepwright.core.requirements import require_within
from deepwright.integrations.metrics.states import gathered, scalar, whole
from deepwright.risk import aurc, excess_aurc, risk_at_coverage
from deepwright.risk.selective import require_ranked


class _Ranked(Metric):
    """Confidences with their errors."""

    confidence: list[Tensor]
    errors: list[Tensor]
    full_state_update = False
    higher_is_better = False

    def __init__(self) -> None:
        super().__init__()
        gathered(self, "confidence", "errors")

    def update(self, confidence: Tensor, errors: Tensor) -> None:
        """Add a batch.

        Args:
            confidence: (N,) larger = kept longer.
            errors: (N,) booleans, or any loss of 0 or more.
        """
        _, wrong = require_ranked(confidence, errors)
        self.confidence.append(confidence.detach())
        self.errors.append(wrong)


class AreaUnderRiskCoverage(_Ranked):
    """Area under the risk-coverage curve; see `risk.aurc`.

    Args:
        excess: less that of the best ranking (E-AURC; `risk.excess_aurc`).
    """

    def __init__(self, excess: bool = False) -> None:
        super().__init__()
        self.excess = excess

    def compute(self) -> Tensor:
        """The area of everything seen, a float64 scalar."""
        sure = whole(self.confidence, self)
        return scalar((excess_aurc if self.excess else aurc)(sure, whole(self.errors, self)), sure)


class RiskAtCoverage(_Ranked):
    """Mean error of the most confident samples; see `risk.risk_at_coverage`.

    Args:
        coverage: share of the samples to keep, in (0, 1].
    """

    def __init__(self, coverage: float) -> None:
        super().__init__()
        require_within(0, 1, ends="(]", coverage=coverage)
        self.coverage = coverage

    def compute(self) -> Tensor:
        """The risk of everything seen, a float64 scalar."""
        sure = whole(self.confidence, self)
        return scalar(risk_at_coverage(sure, whole(self.errors, self), self.coverage), sure)
