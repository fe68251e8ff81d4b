"""How sure a network is when it is wrong, as metrics; see `risk.fragility`."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from deepwright.core.requirements import require_within
from deepwright.core.tasks.targets import Labels, Rows
from deepwright.integrations.metrics.states import Share, gathered, whole
from deepwright.risk import FragilityIndex, misjudgment

__all__ = ["ConfidentErrors", "FragilityIndex", "WorstMisjudgment"]


class ConfidentErrors(Share):
    """Share of the samples that are confidently wrong: with a margin of another class over the true one.

    Args:
        margin: from which an error is confident, in probability.
    """

    higher_is_better = False

    def __init__(self, margin: float = 0.8) -> None:
        super().__init__((), margin)
        require_within(0, 1, margin=margin)
        self.margin = margin

    def update(self, logits: Rows, labels: Labels) -> None:
        """Add a batch.

        Args:
            logits: (N, K).
            labels: (N,).
        """
        self._see(misjudgment(torch.as_tensor(logits).detach(), labels) > self.margin)


class WorstMisjudgment(Metric):
    """Mean misjudgment of the worst samples (CVaR); see `risk.misjudgment`.

    Args:
        share: of the samples, one at least.
    """

    xi: list[Tensor]
    full_state_update = False
    higher_is_better = False

    def __init__(self, share: float = 0.05) -> None:
        super().__init__()
        require_within(0, 1, ends="(]", share=share)
        self.share = share
        gathered(self, "xi")

    def update(self, logits: Rows, labels: Labels) -> None:
        """Add a batch.

        Args:
            logits: (N, K).
            labels: (N,).
        """
        self.xi.append(misjudgment(torch.as_tensor(logits).detach(), labels))

    def compute(self) -> Tensor:
        """The mean, a float64 scalar."""
        xi = whole(self.xi, self).double()
        return xi.sort(descending=True).values[: max(1, round(self.share * len(xi)))].mean()
