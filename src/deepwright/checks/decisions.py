"""Tasks that decide many things a sample (each label, each pixel) as one list of decisions between classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.checks.subjects.subject import Subject
from deepwright.core.tasks import MultiLabel, Segmentation
from deepwright.core.tasks.reading import raised
from deepwright.risk import drawn_pixels

_MOST, _OF_AN_IMAGE, _LEAST = 200_000, 500, 20  # pixels in all, and of each image at most and at least


@dataclass(frozen=True)
class Decisions:
    """Decisions between classes, several of each sample.

    Attributes:
        logits: (M, K).
        labels: (M,) the true class of each.
        sample: (M,) whose it is: those of one sample err together.
        kind: (M,) what it is about: the label, or the pixel's true class.
        names: of the kinds.
        word: for one of them.
        note: how they were drawn; empty where they are all.
    """

    logits: Float[Tensor, "m k"]
    labels: Int64[Tensor, " m"]
    sample: Int64[Tensor, " m"]
    kind: Int64[Tensor, " m"]
    names: tuple[str, ...]
    word: str
    note: str = ""


def decisions(subject: Subject, part: str = "test") -> Decisions | None:
    """Every label of a multi-label network, or pixels of a segmentation, so many of each image; None for other tasks.

    Args:
        subject: of any task.
        part: "validation" or "test".
    """
    task, y = subject.task, getattr(subject.data, part).y
    if isinstance(task, MultiLabel):
        z = raised(subject.outputs(part))
        n, labels = z.shape
        both = torch.stack([torch.zeros_like(z), z], -1).reshape(n * labels, 2)
        sample = torch.arange(n)[:, None].expand(n, labels).reshape(-1)
        return Decisions(both, y.flatten(), sample, torch.arange(labels).repeat(n), subject.class_names, "label")
    if not isinstance(task, Segmentation):
        return None
    out = subject.outputs(part)
    most = max(_LEAST, min(_OF_AN_IMAGE, _MOST // max(1, len(y))))
    image, place = drawn_pixels(y, most, subject.seed, ignore_index=task.ignore_index)
    labels = y.flatten(1)[image, place]
    positions = y[0].numel()
    note = f"{len(labels):,} pixels, at most {most} of each image, drawn at random" if positions > most else ""
    logits = raised(out.flatten(2)[image, :, place])
    return Decisions(logits, labels, image, labels, subject.class_names, "pixel", note)
