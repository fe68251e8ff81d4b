"""How well scores tell foreign inputs from known ones, as metrics; see `ood.metrics`."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from deepwright.core.errors import InputError
from deepwright.core.requirements import numbers, require_same_length, require_within
from deepwright.core.statistics import Interval, newcombe
from deepwright.integrations.metrics.states import gathered, scalar, whole
from deepwright.ood import aupr, auroc, detection_error, fpr_at_tpr


class _Foreign(Metric):
    """Scores of known and of foreign inputs."""

    scores: list[Tensor]
    foreign: list[Tensor]
    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        gathered(self, "scores", "foreign")

    def update(self, scores: Tensor, is_foreign: Tensor | bool) -> None:
        """Add a batch.

        Args:
            scores: (N,) larger = more foreign.
            is_foreign: (N,) booleans, or one for all.
        """
        flat = numbers(scores, "scores").detach()
        foreign = torch.as_tensor(is_foreign, device=flat.device)
        if foreign.dtype != torch.bool:
            raise InputError("is_foreign", given=foreign.dtype, expected="booleans")
        foreign = foreign.expand(len(flat)) if foreign.ndim == 0 else foreign
        require_same_length(flat, foreign, "scores and is_foreign")
        self.scores.append(flat)
        self.foreign.append(foreign)

    def compute(self) -> Tensor:
        """The number of everything seen, a float64 scalar."""
        scores, foreign = whole(self.scores, self), whole(self.foreign, self)
        return scalar(self._of(scores[~foreign], scores[foreign]), scores)

    def _of(self, known: Tensor, foreign: Tensor) -> float:
        raise NotImplementedError


class ForeignAUROC(_Foreign):
    """How well scores tell foreign inputs (larger) from known ones; see `ood.auroc`."""

    higher_is_better = True

    def interval(self) -> Interval:
        """With its interval, of what this process has seen."""
        foreign = whole(self.foreign, self)
        count = int(foreign.sum())
        return newcombe(float(self.compute()), count, len(foreign) - count)

    def _of(self, known: Tensor, foreign: Tensor) -> float:
        return auroc(known, foreign)


class ForeignAUPR(_Foreign):
    """Average precision of foreign inputs, or of known ones; see `ood.aupr`.

    Args:
        positive: "ood" or "id".
    """

    higher_is_better = True

    def __init__(self, positive: str = "ood") -> None:
        super().__init__()
        self.positive = _side(positive)

    def _of(self, known: Tensor, foreign: Tensor) -> float:
        return aupr(known, foreign, self.positive)


class ForeignFPR(_Foreign):
    """Share of the foreign inputs that pass where a share `tpr` of the known ones does; see `ood.fpr_at_tpr`.

    Args:
        tpr: in (0, 1].
        positive: "id", or "ood" for the share of known inputs that are called foreign where `tpr` of the foreign are.
    """

    higher_is_better = False

    def __init__(self, tpr: float = 0.95, positive: str = "id") -> None:
        super().__init__()
        require_within(0, 1, ends="(]", tpr=tpr)
        self.tpr, self.positive = tpr, _side(positive)

    def _of(self, known: Tensor, foreign: Tensor) -> float:
        return fpr_at_tpr(known, foreign, self.tpr, self.positive)


class ForeignDetectionError(_Foreign):
    """The smallest mean of the two error rates over all thresholds; see `ood.detection_error`."""

    higher_is_better = False

    def _of(self, known: Tensor, foreign: Tensor) -> float:
        return detection_error(known, foreign)


def _side(positive: str) -> str:
    if positive not in ("id", "ood"):
        raise InputError("positive", given=repr(positive), expected="'id' or 'ood'")
    return positive
