"""The simple predictors of every grade: nearest class mean for classes, the best constant answer for other tasks."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.tasks import DetectionBatch, Forecast, Task
from deepwright.core.tasks.targets import require_range
from deepwright.data import Split

_AT_ONCE = 2**22  # numbers


class NearestMean(nn.Module):
    """logits_k = -||x - m_k||^2 / (2 sqrt(d) s^2): nearest class mean as a differentiable classifier.

    With s^2 per dimension, ||x - m_k||^2 / s^2 is d give or take sqrt(2 d) for x of class k: sqrt(d) is the size of
    its noise. Without it (d independent Gaussians, which pixels are not) nearly every softmax rounds to one class, and
    no attack on the cross-entropy has a gradient.

    Args:
        means: (classes, d) m_k.
        scale: s^2.
    """

    means: Tensor
    scale: Tensor

    def __init__(self, means: Float[Tensor, "classes d"], scale: Float[Tensor, ""]) -> None:
        super().__init__()
        self.register_buffer("means", means)
        self.register_buffer("scale", scale)

    @classmethod
    def fit(cls, split: Split, classes: int, batch: int | None = None) -> NearestMean:
        """Means of the training inputs; s^2 is the mean squared distance to the own class's mean per dimension.

        The network lives where the split is.

        Args:
            split: training inputs and labels.
            classes: how many; one without samples is never the nearest.
            batch: samples that are turned into floats at once; fewer of large ones by default.
        """
        if not len(split):
            raise InputError("training data", given="no sample", expected="at least one")
        require_range(split.y, classes, "labels")
        d = split.x.shape[1:].numel()
        total = torch.zeros(classes, d, dtype=torch.float64, device=split.x.device)
        squares, largest = 0.0, 1.0
        for x, y in split.batches(batch or max(1, min(512, _AT_ONCE // d))):
            flat = x.flatten(1).double()
            total.index_add_(0, y, flat)
            squares += float(flat.square().sum())
            largest = max(largest, float(flat.abs().max()))
        counts = torch.bincount(split.y, minlength=classes).double()
        means = total / counts.clamp_min(1)[:, None]
        within = squares - float((means.square().sum(1) * counts).sum())
        means[counts == 0] = 1e3 * largest  # never the nearest
        scale = torch.tensor(max(within / (len(split) * d), 1e-6 / d), device=means.device).float()
        return cls(means.float(), scale).eval()

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n classes"]:
        """(N, classes) logits."""
        flat = x.flatten(1)
        squared = flat.square().sum(1, keepdim=True) - 2 * flat @ self.means.T + self.means.square().sum(1)
        return -squared / (2 * flat.shape[1] ** 0.5 * self.scale)


class TrivialPredictor(nn.Module):
    """A task's trivial predictor as a network: the same answer for every input, but for forecasts.

    Those repeat the end of their input where that is a history of the forecast channels.

    Args:
        task: whose `baseline` it is.
        train: training targets.
        persists: whether inputs are histories that a forecast can repeat.
    """

    def __init__(self, task: Task, train: Any, persists: bool = False) -> None:
        super().__init__()
        self.task, self.persists = task, persists
        if not len(train):
            raise InputError("training targets", given="none", expected="at least one")
        answer = task.baseline(train, train[:1])
        self.answer: Any
        if isinstance(answer, Tensor):
            self.register_buffer("answer", answer.clone())
        else:
            self.answer = answer

    def forward(self, x: Any) -> Any:
        """Outputs in the task's form, one a sample."""
        if isinstance(self.answer, DetectionBatch):
            return DetectionBatch([self.answer[0]] * len(x)).to(x.device)
        everyone = self.answer.expand(len(x), *self.answer.shape[1:])
        return self.task.baseline(everyone, everyone, x) if self.persists else everyone


def repeats_history(task: Task, history: Any) -> bool:
    """Whether inputs are histories (N, time, channels) of what a task forecasts.

    Args:
        task: any task.
        history: inputs, a tensor or `Rows`.
    """
    if not isinstance(task, Forecast):
        return False
    shape = (*history.shape[1:], 1) if history.ndim == 2 else history.shape[1:]
    return len(shape) == 2 and shape[1] == task.channels and shape[0] >= task.season
