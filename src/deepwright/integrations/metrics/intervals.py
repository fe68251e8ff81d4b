"""Whether intervals of numbers hold the truth, and how wide they are, as metrics; see `risk.intervals`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_finite, require_within
from deepwright.core.statistics import Interval
from deepwright.integrations.metrics.states import Mean, Share, gathered, scalar, whole
from deepwright.risk import miscoverage


class IntervalCoverage(Share):
    """Share of the targets that lie within their intervals, ends included: claimed ones or conformal ones."""

    def update(self, low: Tensor, high: Tensor, y: Tensor) -> None:
        """Add a batch; each output of a sample counts.

        Args:
            low: (N, ...) lower ends.
            high: (N, ...) upper ends.
            y: (N, ...) targets.
        """
        self._see(_held(low, high, y))


class IntervalWidth(Mean):
    """Mean width of intervals."""

    higher_is_better = False

    def update(self, low: Tensor, high: Tensor) -> None:
        """Add a batch.

        Args:
            low: (N, ...) lower ends.
            high: (N, ...) upper ends.
        """
        _held(low, high, low)
        self._see(high.detach().double() - low.detach().double())


class Miscoverage(Metric):
    """Mean over levels and outputs of |share held - level|, less what few samples add to it; see `risk.miscoverage`.

    Args:
        levels: that are claimed, each within (0, 1).
    """

    inside: list[Tensor]
    full_state_update = False
    higher_is_better = False

    def __init__(self, levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95)) -> None:
        super().__init__()
        self.levels = tuple(levels)
        if not self.levels or len(set(self.levels)) < len(self.levels):
            raise InputError("levels", given=repr(levels), expected="one or more, all different")
        for level in self.levels:
            require_within(0, 1, ends="()", level=level)
        gathered(self, "inside")

    def update(self, low: Tensor, high: Tensor, y: Tensor) -> None:
        """Add a batch.

        Args:
            low: (N, levels, outputs) lower ends.
            high: (N, levels, outputs) upper ends.
            y: (N, outputs) targets.
        """
        if low.ndim != 3 or low.shape[1] != len(self.levels):
            given, expected = f"shape {tuple(low.shape)}", f"(N, {len(self.levels)}, outputs)"
            raise InputError("lower ends", given=given, expected=expected)
        self.inside.append(_held(low, high, y[:, None].expand(-1, len(self.levels), -1)))

    def compute(self) -> Tensor:
        """The error of everything seen, a float64 scalar."""
        return scalar(self.interval().value, whole(self.inside, self))

    def interval(self) -> Interval:
        """With its interval, of what this process has seen."""
        inside = whole(self.inside, self)
        return miscoverage({level: inside[:, i] for i, level in enumerate(self.levels)})


def _held(low: Tensor, high: Tensor, y: Tensor) -> Tensor:
    if low.shape != high.shape or low.shape != y.shape or low.numel() == 0:
        shapes = ", ".join(str(tuple(t.shape)) for t in (low, high, y))
        raise InputError("intervals", given=f"ends and targets of shapes {shapes}", expected="one shape, one or more")
    low, high, y = (require_finite(t.detach(), "intervals").to(low.device).double() for t in (low, high, y))
    return torch.logical_and(low <= y, y <= high)
