"""Perturbations that move pixels: a label map moves along; where targets can't, the perturbation is left out.

A perturbation that moves pixels is applied, with the same random streams, to a picture whose two first channels are the
row and the column of each pixel. What comes back says where each pixel came from; the label map is read there.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary, Classification, Detection, GraphClassification, MultiLabel, Segmentation, Task
from deepwright.corruptions.engine import Perturbation

# Tasks whose targets belong to the whole picture, wherever things in it are.
_OF_WHOLE_PICTURES = (Classification, Binary, MultiLabel, GraphClassification)


def move_labels(
    perturbation: Perturbation,
    labels: Int64[Tensor, "n h w"],
    severity: int,
    seed: int = 0,
    *,
    ids: Tensor | None = None,
    outside: int,
) -> Int64[Tensor, "n h w"]:
    """A label map moved as `perturbation(images, severity, seed, ids=ids)` moves the pixels, by the nearest neighbour.

    Args:
        perturbation: any; one that doesn't move pixels leaves the labels as they are.
        labels: of the size of the images.
        severity: 0..5.
        seed: of the streams.
        ids: (N,) identity of each image (0..N-1 by default).
        outside: the label of what comes into view from outside of the picture.

    Raises:
        InputError: labels of another shape, or smaller than 8 x 8.
    """
    if labels.ndim != 3:
        raise InputError("labels", given=f"shape {tuple(labels.shape)}", expected="(N, height, width)")
    if severity == 0 or not perturbation.moves_pixels:
        return labels.clone()
    n, h, w = labels.shape
    down = torch.linspace(0, 1, h, device=labels.device)[:, None].expand(h, w)
    across = torch.linspace(0, 1, w, device=labels.device).expand(h, w)
    places = torch.stack([down, across, torch.ones_like(down)]).repeat(n, 1, 1, 1)
    down, across, inside = perturbation(places, severity, seed, ids=ids).unbind(1)
    weight = inside.clamp_min(0.5)  # at the rim the black outside has its share in the coordinates
    rows = (down / weight * (h - 1)).round().long().clamp(0, h - 1)
    columns = (across / weight * (w - 1)).round().long().clamp(0, w - 1)
    found = labels.flatten(1).gather(1, (rows * w + columns).flatten(1)).view(n, h, w)
    return torch.where(inside > 0.5, found, outside)


def reason_to_leave_out(perturbation: Perturbation, task: Task, x: Tensor, y: Any) -> str | None:
    """Why a perturbation says nothing about a network on these targets, or None where it does.

    Args:
        perturbation: which.
        task: what the targets are.
        x: (N, C, H, W) images.
        y: their targets, as `task.check_targets` gives them.
    """
    if isinstance(task, _OF_WHOLE_PICTURES):
        return None
    if not isinstance(task, Segmentation):
        moving = perturbation.moves_pixels if isinstance(task, Detection) else not perturbation.label_preserving
        return f"it moves pixels, and the targets of {task.kind} aren't moved along" if moving else None
    if not perturbation.moves_pixels:
        return None
    if tuple(y.shape[1:]) != tuple(x.shape[2:]):
        size = " x ".join(map(str, y.shape[1:]))
        return f"it moves pixels, and labels of {size} aren't moved along with images of {x.shape[2]} x {x.shape[3]}"
    if task.ignore_index is None:
        return "it moves pixels, and without an ignore_index nothing can stand for what comes into view"
    return None
