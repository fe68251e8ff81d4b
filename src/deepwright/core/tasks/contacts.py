"""Neighbouring labels: how many touch, and how many of them may not."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.tasks.class_order import ClassOrder


def touching(
    labels: Int64[Tensor, "n ..."], valid: Bool[Tensor, "n ..."] | None, classes: int
) -> Float[Tensor, "n axes classes classes"]:
    """Of each image and axis, how many neighbours are of class k before class j.

    Args:
        labels: of 0..classes-1 where they count.
        valid: which positions count; None where all do.
        classes: how many.
    """
    n, dims = len(labels), labels.ndim - 1
    if dims < 1:
        raise InputError("labels", given=f"shape {tuple(labels.shape)}", expected="(N, *positions)")
    labels = labels if valid is None else labels.where(valid, 0)
    counts = torch.zeros(n, dims, classes * classes, dtype=torch.float64, device=labels.device)
    for axis in range(1, dims + 1):
        length = labels.shape[axis] - 1
        if length < 1:
            continue
        pair = labels.narrow(axis, 0, length) * classes + labels.narrow(axis, 1, length)
        if valid is None:
            weight = torch.ones((), dtype=torch.float64, device=labels.device).expand(pair.shape)
        else:
            weight = (valid.narrow(axis, 0, length) & valid.narrow(axis, 1, length)).double()
        counts[:, axis - 1].scatter_add_(1, pair.flatten(1), weight.flatten(1))
    return counts.reshape(n, dims, classes, classes)


def contact_counts(
    labels: Int64[Tensor, "n ..."], order: ClassOrder, valid: Bool[Tensor, "n ..."] | None = None
) -> Float[Tensor, "n axes two"]:
    """Of each image and axis, contacts that the order forbids, and all contacts of related classes.

    A contact is a pair of neighbours along an axis with different classes; it is forbidden where their levels differ by
    more than one. Classes that aren't related don't count.

    Args:
        labels: of 0..K-1 where they count.
        order: of the classes.
        valid: which positions count; None where all do.
    """
    counts = touching(labels, valid, order.classes)
    distance = order.distance.to(labels.device)
    return torch.stack([(counts * (distance > least)).sum((2, 3)) for least in (1, 0)], 2)
