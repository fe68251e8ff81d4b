"""Samples that a network surely never saw: what a temperature is fitted on, and what to say where there are none."""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.checks.subjects.subject import Subject

REMEDY = (
    "Give validation samples that the network was never trained on (as validation=..., or a validation part of the "
    "data), with some that it misjudges."
)


def held_out(subject: Subject) -> tuple[Float[Tensor, "n classes"], Int64[Tensor, " n"]] | None:
    """Logits and labels of the validation split; None where the network may have been trained on it, or it is empty.

    Args:
        subject: whose samples have one class each.
    """
    return None if why_none(subject) else (subject.logits("validation"), subject.data.validation.y)


def why_none(subject: Subject) -> str:
    """Why there are no held-out samples, in words; empty where there are.

    Args:
        subject: of any task.
    """
    if not len(subject.data.validation):
        return "there is no validation sample"
    if subject.data.seen_validation:
        return "the validation samples were cut from the training samples, so the network may have been trained on them"
    return ""
