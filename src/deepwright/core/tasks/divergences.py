"""How far apart two predictions of a task are: Kullback-Leibler and Jensen-Shannon divergences, one number a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.tasks.binary import Binary
from deepwright.core.tasks.classes import Classification
from deepwright.core.tasks.multilabel import MultiLabel
from deepwright.core.tasks.protocol import Task
from deepwright.core.tasks.reading import raised
from deepwright.core.tasks.segmentation import Segmentation

DISTRIBUTIONS = (Classification, Binary, MultiLabel, Segmentation)
"""Tasks whose outputs are probabilities: of classes, of each label, at each position."""


def log_probabilities(task: Task, out: Any) -> Float[Tensor, "n classes ..."]:
    """Log-probabilities of what excludes one another, along the second axis.

    Args:
        task: of `DISTRIBUTIONS`; of several labels each has two classes, as a position has.
        out: as the task reads it.

    Raises:
        InputError: a task without probabilities.
    """
    if not isinstance(task, DISTRIBUTIONS):
        raise InputError("task", given=task.kind, expected=f"{', '.join(t.__name__ for t in DISTRIBUTIONS)}")
    z = raised(out)
    if isinstance(task, MultiLabel):
        z = torch.stack([torch.zeros_like(z), z], 1)
    return z.log_softmax(1)


def kullback_leibler(task: Task, p: Any, q: Any, y: Any) -> Float[Tensor, " n"]:
    """KL(p || q) = sum p (log p - log q), differentiable in both; the mean over labels, or positions that count.

    Args:
        task: of `DISTRIBUTIONS`.
        p: outputs as the task reads them.
        q: others for the same samples.
        y: targets, which say what positions of `Segmentation` count.
    """
    a, b = log_probabilities(task, p), log_probabilities(task, q)
    return _mean(task, (a.exp() * (a - b)).sum(1), y)


def jensen_shannon(task: Task, outs: Sequence[Any], y: Any) -> Float[Tensor, " n"]:
    """The mean of KL(p_i || m), m the mean of the p_i; differentiable in all; likewise averaged.

    Args:
        task: of `DISTRIBUTIONS`.
        outs: two outputs or more for the same samples, as the task reads them.
        y: targets, which say what positions of `Segmentation` count.
    """
    logs = torch.stack([log_probabilities(task, out) for out in outs])
    middle = logs.logsumexp(0) - torch.log(torch.tensor(float(len(outs)))).to(logs)
    return _mean(task, (logs.exp() * (logs - middle)).sum(2).mean(0), y)


def _mean(task: Task, values: Tensor, y: Any) -> Tensor:
    if isinstance(task, Segmentation):
        return task.mean_valid(values, task.valid(y).to(values.device), 0.0)
    return values if values.ndim == 1 else values.flatten(1).mean(1)
