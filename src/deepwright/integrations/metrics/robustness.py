"""What stays right under attacks, as metrics; see `adversarial`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_same_length
from deepwright.integrations.metrics.states import Share, Sums, flags


class RobustAccuracy(Share):
    """The share of samples that are right and that no attack made wrong."""

    higher_is_better = True

    def update(self, success: Tensor) -> None:
        """Add a batch.

        Args:
            success: (N,) booleans of `AttackResult.success`: wrong after the attack (also where it was wrong before).
        """
        self._see(~flags(success, "success"))


class AccuracyKept(Share):
    """Of the samples that are right without attack, the share that stays right under it."""

    higher_is_better = True

    def update(self, right: Tensor, success: Tensor) -> None:
        """Add a batch.

        Args:
            right: (N,) booleans: whether each is right without attack.
            success: (N,) booleans of `AttackResult.success`.
        """
        before, after = flags(right, "right"), ~flags(success, "success").to(right.device)
        require_same_length(before, after, "right and success")
        self._add("held", (before & after).sum())
        self._add("count", before.sum())


class RobustnessArea(Sums):
    """Mean share that stays right over rising budgets: the area under the curve of shares, by trapezoids.

    Args:
        budgets: rising; the first is 0, at which nothing is attacked.
    """

    names = ("held", "count")
    higher_is_better = True

    def __init__(self, budgets: Sequence[float]) -> None:
        self.budgets = tuple(budgets)
        if len(self.budgets) < 2 or self.budgets[0] != 0 or list(self.budgets) != sorted(set(self.budgets)):
            raise InputError("budgets", given=repr(budgets), expected="0 and one or more above it, rising")
        super().__init__((len(self.budgets),), self.budgets)

    def update(self, budget: float, success: Tensor) -> None:
        """Add a batch; each budget should have the same samples.

        Args:
            budget: one of `budgets`.
            success: (N,) booleans: wrong under an attack of that budget.
        """
        if budget not in self.budgets:
            raise InputError("budget", given=budget, expected=", ".join(map(str, self.budgets)))
        held = ~flags(success, "success")
        self._add("held", held.sum(), self.budgets.index(budget))
        self._add("count", len(held), self.budgets.index(budget))

    def compute(self) -> Tensor:
        """The mean, a float64 scalar."""
        held, count = self._sum("held"), self._sum("count")
        missing = [str(b) for b, n in zip(self.budgets, count.tolist()) if not n]
        if missing:
            raise InputError("RobustnessArea", given=f"no samples at {', '.join(missing)}", hint="call update first")
        x = torch.tensor(self.budgets, dtype=torch.float64, device=held.device)
        return torch.trapezoid(held / count, x) / self.budgets[-1]
