"""Whether confidences mean what they say, as metrics; see `risk`."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_same_length, require_whole
from deepwright.core.statistics import Interval
from deepwright.core.tasks.targets import Labels, Rows, whole_labels
from deepwright.integrations.metrics.states import Mean, Share, gathered, scalar, whole
from deepwright.risk import (
    brier,
    confidence_ece,
    ece,
    ece_interval,
    grouped_calibration,
    localisation_ece,
    nll,
)
from deepwright.risk.calibration import require_claims, require_logits
from deepwright.risk.localisation import require_overlaps


class CalibrationError(Metric):
    """Expected calibration error; see `risk.ece` and `risk.ece_interval`.

    Args:
        bins: how many.
        debiased: without the part that few samples add; needs bins of equal width.
        adaptive: bins of equal count, which isn't debiased.
    """

    logits: list[Tensor]
    labels: list[Tensor]
    full_state_update = False
    higher_is_better = False

    def __init__(self, bins: int = 15, debiased: bool | None = None, adaptive: bool = False) -> None:
        super().__init__()
        require_whole(1, bins=bins)
        if adaptive and debiased:
            raise InputError("debiased", given="True, with adaptive=True", expected="one of them")
        self.bins, self.adaptive = bins, adaptive
        self.debiased = not adaptive if debiased is None else debiased
        gathered(self, "logits", "labels")

    def update(self, logits: Rows, labels: Labels) -> None:
        """Add a batch.

        Args:
            logits: (N, K).
            labels: (N,).
        """
        _, y = require_logits(logits, labels)
        self.logits.append(torch.as_tensor(logits).detach())
        self.labels.append(y)

    def compute(self) -> Tensor:
        """The error of everything seen, a float64 scalar."""
        logits = whole(self.logits, self)
        if self.debiased:
            return scalar(self.interval().value, logits)
        return scalar(ece(logits, whole(self.labels, self), self.bins, self.adaptive), logits)

    def interval(self) -> Interval:
        """The debiased error with its interval, of what this process has seen."""
        return ece_interval(whole(self.logits, self), whole(self.labels, self), self.bins)


class ClaimCalibrationError(Metric):
    """Debiased calibration error of any claims with a probability: an event, a label, a box; see `risk.confidence_ece`.

    With groups (the image of each pixel or box) it is that of `risk.grouped_calibration`, in which claims of one group
    may err together.

    Args:
        bins: of equal width.
        grouped: whether `update` gets groups.
    """

    confidence: list[Tensor]
    right: list[Tensor]
    group: list[Tensor]
    full_state_update = False
    higher_is_better = False

    def __init__(self, bins: int = 15, grouped: bool = False) -> None:
        super().__init__()
        require_whole(1, bins=bins)
        self.bins, self.grouped = bins, grouped
        gathered(self, "confidence", "right", "group")

    def update(self, confidence: Tensor, right: Tensor, group: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            confidence: (N,) probabilities that were claimed.
            right: (N,) booleans: whether what was claimed came true.
            group: (N,) whole numbers, of which no two batches or processes may give one to different groups.
        """
        p, hit = require_claims(confidence, right)
        if (group is None) == self.grouped:
            given = "none" if group is None else "some"
            raise InputError("group", given=given, expected=f"{'one a claim' if self.grouped else 'none'}, as was said")
        place = torch.zeros(len(p), dtype=torch.long) if group is None else whole_labels(group, "group")
        require_same_length(p, place, "claims and groups")
        self.confidence.append(p)
        self.right.append(hit)
        self.group.append(place.to(p.device))

    def compute(self) -> Tensor:
        """The error of everything seen, a float64 scalar."""
        return scalar(self.interval().value, whole(self.confidence, self))

    def interval(self) -> Interval:
        """With its interval, of what this process has seen."""
        p, hit = whole(self.confidence, self), whole(self.right, self)
        if not self.grouped:
            return confidence_ece(p, hit, self.bins)
        return grouped_calibration(p, hit, whole(self.group, self), self.bins).debiased


class LocalisationCalibrationError(Metric):
    """Whether a detection's score is its precision times its overlap (LaECE); see `risk.localisation_ece`.

    Args:
        bins: of equal width.
    """

    score: list[Tensor]
    overlap: list[Tensor]
    label: list[Tensor]
    full_state_update = False
    higher_is_better = False

    def __init__(self, bins: int = 25) -> None:
        super().__init__()
        require_whole(1, bins=bins)
        self.bins = bins
        gathered(self, "score", "overlap", "label")

    def update(self, score: Tensor, overlap: Tensor, label: Tensor) -> None:
        """Add a batch.

        Args:
            score: (N,) of the detections.
            overlap: (N,) of each with the true box that it finds, 0 where it finds none.
            label: (N,) the class that is claimed.
        """
        require_overlaps(score, overlap, label)
        self.score.append(score.detach())
        self.overlap.append(overlap.detach().to(score.device))
        self.label.append(label.to(score.device))

    def compute(self) -> Tensor:
        """The error of everything seen, a float64 scalar."""
        score = whole(self.score, self)
        found = localisation_ece(score, whole(self.overlap, self), whole(self.label, self), self.bins)
        return scalar(found, score)


class BrierScore(Mean):
    """Mean Brier score in [0, 2]; see `risk.brier`."""

    higher_is_better = False

    def update(self, logits: Rows, labels: Labels) -> None:
        """Add a batch.

        Args:
            logits: (N, K).
            labels: (N,).
        """
        self._see(brier(logits, labels))


class NegativeLogLikelihood(Mean):
    """Mean negative log likelihood in nats; see `risk.nll`."""

    higher_is_better = False

    def update(self, logits: Rows, labels: Labels) -> None:
        """Add a batch.

        Args:
            logits: (N, K).
            labels: (N,).
        """
        self._see(nll(logits, labels))


class Overconfidence(Mean):
    """Mean confidence less the share of what is right: above 0 it claims too much."""

    def update(self, confidence: Tensor, right: Tensor) -> None:
        """Add a batch.

        Args:
            confidence: (N,) probabilities that were claimed.
            right: (N,) booleans: whether what was claimed came true.
        """
        p, hit = require_claims(confidence, right)
        self._see(p - hit.double())


class Accuracy(Share):
    """Share of the samples whose largest logit is the true class's."""

    higher_is_better = True

    def update(self, logits: Rows, labels: Labels) -> None:
        """Add a batch.

        Args:
            logits: (N, K).
            labels: (N,).
        """
        z, y = require_logits(logits, labels)
        self._see(z.argmax(1) == y)
