"""The house's numbers as `torchmetrics.Metric`: they accumulate over batches and sync over processes.

`FragilityIndex` lives in `deepwright.risk` and is one already. A metric of ranks or of bins with their noise needs all
samples at once: it keeps the few numbers a sample that it is made of, so `compute` is the function on the whole.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from deepwright.core.errors import InputError
from deepwright.core.requirements import numbers, require_same_length, require_whole
from deepwright.core.statistics import Interval, newcombe, wilson
from deepwright.core.tasks.targets import Labels, Rows
from deepwright.ood import auroc
from deepwright.risk import FragilityIndex, ece, ece_interval

__all__ = ["CalibrationError", "ForeignAUROC", "FragilityIndex", "MeanCorruptionError", "RobustAccuracy"]


class CalibrationError(Metric):
    """Expected calibration error; see `risk.ece` and `risk.ece_interval`.

    Args:
        bins: of equal width.
        debiased: without the part that few samples add.
    """

    logits: list[Tensor]
    labels: list[Tensor]
    full_state_update = False
    higher_is_better = False

    def __init__(self, bins: int = 15, debiased: bool = True) -> None:
        super().__init__()
        require_whole(1, bins=bins)
        self.bins, self.debiased = bins, debiased
        self.add_state("logits", default=[], dist_reduce_fx="cat")
        self.add_state("labels", default=[], dist_reduce_fx="cat")

    def update(self, logits: Rows, labels: Labels) -> None:
        """Add a batch.

        Args:
            logits: (N, K).
            labels: (N,).
        """
        logits, labels = torch.as_tensor(logits).detach(), torch.as_tensor(labels)
        ece(logits, labels, self.bins)  # refuses a bad batch while it can still be named
        self.logits.append(logits)
        self.labels.append(labels.to(logits.device))

    def compute(self) -> Tensor:
        """The error of everything seen, a float64 scalar."""
        if self.debiased:
            return _scalar(self.interval().value, _whole(self.logits, self))
        logits = _whole(self.logits, self)
        return _scalar(ece(logits, _whole(self.labels, self), self.bins), logits)

    def interval(self) -> Interval:
        """The debiased error with its interval, of what this process has seen."""
        return ece_interval(_whole(self.logits, self), _whole(self.labels, self), self.bins)


class ForeignAUROC(Metric):
    """How well scores tell foreign inputs (larger) from known ones; see `ood.auroc`."""

    scores: list[Tensor]
    foreign: list[Tensor]
    full_state_update = False
    higher_is_better = True

    def __init__(self) -> None:
        super().__init__()
        self.add_state("scores", default=[], dist_reduce_fx="cat")
        self.add_state("foreign", default=[], dist_reduce_fx="cat")

    def update(self, scores: Tensor, is_foreign: Tensor | bool) -> None:
        """Add a batch.

        Args:
            scores: (N,).
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
        """The area of everything seen, a float64 scalar."""
        scores = _whole(self.scores, self)
        foreign = _whole(self.foreign, self)
        return _scalar(auroc(scores[~foreign], scores[foreign]), scores)

    def interval(self) -> Interval:
        """With its interval, of what this process has seen."""
        foreign = _whole(self.foreign, self)
        count = int(foreign.sum())
        return newcombe(float(self.compute()), count, len(foreign) - count)


class RobustAccuracy(Metric):
    """The share of samples that are right and that no attack made wrong."""

    held: Tensor
    total: Tensor
    full_state_update = False
    higher_is_better = True

    def __init__(self) -> None:
        super().__init__()
        self.add_state("held", default=torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("total", default=torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, success: Tensor) -> None:
        """Add a batch.

        Args:
            success: (N,) booleans of `AttackResult.success`: wrong after the attack (also where it was wrong before).
        """
        if success.dtype != torch.bool or success.ndim != 1:
            raise InputError("success", given=f"{success.dtype} of {success.ndim} axes", expected="booleans (N,)")
        self.held += (~success).sum().to(self.held.device)  # asks no device to wait
        self.total += len(success)

    def compute(self) -> Tensor:
        """The share, a float64 scalar."""
        return _scalar(self.interval().value, self.held)

    def interval(self) -> Interval:
        """With Wilson's interval, of what this process has seen."""
        if not int(self.total):
            raise _nothing(self)
        return wilson(int(self.held), int(self.total))


class MeanCorruptionError(Metric):
    """Mean over perturbations of their error over a reference's error; see `corruptions.CorruptionReport.mce`.

    Args:
        reference: perturbation -> mean error of the reference network; 1 for those that are asked for by a list.
    """

    wrong: Tensor
    total: Tensor
    full_state_update = False
    higher_is_better = False

    def __init__(self, reference: dict[str, float] | list[str]) -> None:
        super().__init__()
        self.reference = dict(reference) if isinstance(reference, dict) else dict.fromkeys(reference, 1.0)
        if not self.reference or not all(value > 0 for value in self.reference.values()):
            raise InputError("reference", given=reference, expected="errors above 0 by perturbation, or their names")
        zeros = torch.zeros(len(self.reference), dtype=torch.float64)
        self.add_state("wrong", default=zeros.clone(), dist_reduce_fx="sum")
        self.add_state("total", default=zeros.clone(), dist_reduce_fx="sum")

    def update(self, perturbation: str, wrong: Tensor) -> None:
        """Add a batch, of any severity; each severity should have the same samples.

        Args:
            perturbation: its name.
            wrong: (N,) whether each sample is misjudged.
        """
        names = list(self.reference)
        if perturbation not in names:
            raise InputError("perturbation", given=repr(perturbation), expected=", ".join(names))
        if wrong.dtype != torch.bool or wrong.ndim != 1:
            raise InputError("wrong", given=f"{wrong.dtype} of {wrong.ndim} axes", expected="booleans (N,)")
        self.wrong[names.index(perturbation)] += wrong.sum().to(self.wrong.device)
        self.total[names.index(perturbation)] += len(wrong)

    def compute(self) -> Tensor:
        """The mean, a float64 scalar."""
        missing = [name for name, n in zip(self.reference, self.total.tolist()) if not n]
        if missing:
            raise InputError("MeanCorruptionError", given=f"no samples of {', '.join(missing)}", hint="update first")
        reference = torch.tensor(list(self.reference.values()), dtype=torch.float64, device=self.wrong.device)
        return (self.wrong / self.total / reference).mean()


def _whole(state: list[Tensor] | Tensor, metric: Metric) -> Tensor:
    """A list state as one tensor; merged across processes it is one already."""
    if isinstance(state, Tensor):
        return state
    if not state:
        raise _nothing(metric)
    return torch.cat(state)


def _nothing(metric: Metric) -> InputError:
    return InputError(type(metric).__name__, given="no data", hint="call update first")


def _scalar(value: float, like: Tensor) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, device=like.device)
