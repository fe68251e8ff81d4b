"""What an attack raises and when it has succeeded: per-sample losses and success tests for any task."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError

LossFunction = Callable[[Tensor, Tensor], Float[Tensor, " n"]]
SuccessFunction = Callable[[Tensor, Tensor], Bool[Tensor, " n"]]


def cross_entropy(out: Float[Tensor, "n classes"], y: Tensor) -> Float[Tensor, " n"]:
    """-log softmax(z)_y."""
    return F.cross_entropy(out, y, reduction="none")


def margin(out: Float[Tensor, "n classes"], y: Tensor) -> Float[Tensor, " n"]:
    """max_{i != y} z_i - z_y: above 0 when the sample is misclassified."""
    true = out.gather(1, y[:, None])[:, 0]
    return out.scatter(1, y[:, None], -torch.inf).amax(1) - true


def dlr(out: Float[Tensor, "n classes"], y: Tensor) -> Float[Tensor, " n"]:
    """-(z_y - max_{i != y} z_i) / (z_(1) - z_(3)), free of the logits' scale. Source: arXiv 2003.01690."""
    if out.shape[1] < 3:
        warnings.warn("DLR needs three classes: the margin is used", stacklevel=2)
        return margin(out, y)
    top = out.topk(3, dim=1).values
    return margin(out, y) / (top[:, 0] - top[:, 2] + 1e-12)


def targeted_dlr(out: Float[Tensor, "n classes"], y: Tensor, target: Tensor) -> Float[Tensor, " n"]:
    """-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2)."""
    gap = (out.gather(1, target[:, None]) - out.gather(1, y[:, None]))[:, 0]
    if out.shape[1] < 4:
        return gap
    top = out.topk(4, dim=1).values
    return gap / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)


def squared_error(out: Tensor, y: Tensor) -> Float[Tensor, " n"]:
    """Sum of squared deviations of each sample."""
    return (out - y.reshape(out.shape)).square().flatten(1).sum(1)


def misclassified(out: Float[Tensor, "n classes"], y: Tensor) -> Bool[Tensor, " n"]:
    """Whether the prediction differs from y."""
    return out.argmax(1) != y


def deviates(tolerance: float) -> SuccessFunction:
    """Success for regression: some output is off by more than `tolerance`."""
    return lambda out, y: (out - y.reshape(out.shape)).abs().flatten(1).amax(1) > tolerance


LOSSES: dict[str, LossFunction] = {"ce": cross_entropy, "margin": margin, "dlr": dlr, "squared_error": squared_error}


@dataclass(frozen=True)
class Task:
    """Loss to raise (or to lower, when targeted) and success test.

    `classification` tells whether y are class labels, which are then checked.
    """

    loss: LossFunction
    success: SuccessFunction
    targeted: bool = False
    classification: bool = True

    @classmethod
    def of(cls, loss: str | LossFunction, success: SuccessFunction | None, targeted: bool) -> Task:
        """From an attack's arguments; a named classification loss brings its success test."""
        if isinstance(loss, str) and loss not in LOSSES:
            raise InputError("loss", given=repr(loss), expected=f"one of {', '.join(LOSSES)}, or a per-sample callable")
        function = LOSSES[loss] if isinstance(loss, str) else loss
        classification = isinstance(loss, str) and loss != "squared_error"
        if success is None:
            if not classification:
                raise InputError(
                    "success", given="None", expected="(out, y) -> bool (N,)", hint="e.g. losses.deviates(0.1)"
                )
            success = (lambda out, y: out.argmax(1) == y) if targeted else misclassified
        return cls(function, success, targeted, classification)
