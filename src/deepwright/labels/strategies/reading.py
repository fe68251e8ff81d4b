"""A network's outputs as rows of one choice each: what scores and gradients of uncertainty are made from."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.tasks import MultiLabel, Task


def choices(out: Any, task: Task | None) -> tuple[Float[Tensor, "rows options"], int]:
    """Log-probabilities (up to a constant a row) of every choice that the outputs make, and how many a sample has.

    One choice a sample for classes; one a label, yes or no, where labels don't exclude each other; one a position for
    segmentation.

    Args:
        out: raw outputs.
        task: how to read them; None takes them as logits of classes.

    Raises:
        InputError: a task whose outputs claim no probabilities.
    """
    if task is None:
        return out, 1
    z = task.read(out)
    logits = task.class_logits(z)
    if logits is not None:
        return logits, 1
    p = task.probabilities(z)
    if p is None:
        raise InputError(
            "task",
            given=f"{task.kind}, whose outputs claim no probabilities",
            expected="a task with probabilities: without them nothing is said about uncertainty",
            hint="k-center and typiclust need features only",
        )
    p = torch.stack([1 - p, p], -1) if isinstance(task, MultiLabel) else p.movedim(1, -1)
    rows = p.reshape(-1, p.shape[-1])
    return rows.clamp_min(torch.finfo(p.dtype).tiny).log(), p[0, ..., 0].numel() if len(p) else 1
