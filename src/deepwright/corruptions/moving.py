"""Perturbations that move pixels: label maps and boxes move along; where targets can't, the perturbation is left out.

A perturbation that moves pixels is applied, with the same random streams, to a picture whose two first channels are the
row and the column of each pixel. What comes back says where each pixel came from; the label map is read there, and a
box is drawn around all that came from inside of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from deepwright.core.boxes import Aside, Detections
from deepwright.core.errors import InputError
from deepwright.core.tasks import (
    Binary,
    Classification,
    Detection,
    DetectionBatch,
    GraphClassification,
    MultiLabel,
    Segmentation,
    Task,
)
from deepwright.corruptions.engine import Perturbation
from deepwright.corruptions.guided.perturbation import Guided

_LEAST_LEFT = 0.25  # of a box in view: less is no object to be found any more

# Tasks whose targets belong to the whole picture, wherever things in it are.
_OF_WHOLE_PICTURES = (Classification, Binary, MultiLabel, GraphClassification)


def move_labels(
    perturbation: Perturbation,
    labels: Int64[Tensor, "n h w"],
    severity: float,
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
    down, across, inside = _sources(perturbation, n, (h, w), severity, seed, ids, labels.device)
    rows, columns = down.round().long().clamp(0, h - 1), across.round().long().clamp(0, w - 1)
    found = labels.flatten(1).gather(1, (rows * w + columns).flatten(1)).view(n, h, w)
    return torch.where(inside, found, outside)


def _sources(
    perturbation: Perturbation,
    n: int,
    size: tuple[int, int],
    severity: float,
    seed: int,
    ids: Tensor | None,
    device: torch.device,
) -> tuple[Tensor, Tensor, Tensor]:
    """The row and the column (N, H, W) that each pixel came from, and whether it came from inside of the picture."""
    h, w = size
    down = torch.linspace(0, 1, h, device=device)[:, None].expand(h, w)
    across = torch.linspace(0, 1, w, device=device).expand(h, w)
    places = torch.stack([down, across, torch.ones_like(down)]).repeat(n, 1, 1, 1)
    down, across, inside = perturbation(places, severity, seed, ids=ids).unbind(1)
    weight = inside.clamp_min(0.5)  # at the rim the black outside has its share in the coordinates
    return down / weight * (h - 1), across / weight * (w - 1), inside > 0.5


def move_boxes(
    perturbation: Perturbation,
    boxes: Sequence[Detections],
    size: tuple[int, int],
    severity: float,
    seed: int = 0,
    *,
    ids: Tensor | None = None,
) -> DetectionBatch:
    """Boxes moved as `perturbation(images, severity, seed, ids=ids)` moves the pixels of images.

    Each is the extent of the pixels that came from inside of it: what a person would draw around a full box. One of
    which less than a quarter is left in view is gone.

    Args:
        perturbation: any; one that doesn't move pixels leaves the boxes as they are.
        boxes: of each image, corners in its pixels.
        size: height and width of the images.
        severity: 0..5.
        seed: of the streams.
        ids: (N,) identity of each image (0..N-1 by default).

    Raises:
        InputError: images smaller than 8 x 8.
    """
    if severity == 0 or not perturbation.moves_pixels or len(boxes) == 0:
        return DetectionBatch(boxes)
    down, across, inside = _sources(perturbation, len(boxes), size, severity, seed, ids, boxes[0].boxes.device)
    return DetectionBatch(
        _moved(each, y + 0.5, x + 0.5, there) for each, y, x, there in zip(boxes, down, across, inside)
    )


def _moved(found: Detections, y: Tensor, x: Tensor, inside: Tensor) -> Detections:
    """The boxes of one image, from the places (H, W) that its pixels came from."""
    index, corners = _seen(found.boxes, y, x, inside)
    scores, beside = None if found.scores is None else found.scores[index], found.aside
    if beside is not None:
        rest, moved = _seen(beside.boxes, y, x, inside)
        beside = Aside(moved, beside.labels[rest], beside.crowd[rest])
    return Detections(corners, found.labels[index], scores, beside)


def _seen(boxes: Tensor, y: Tensor, x: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Which boxes are left in view, and their corners there."""
    kept, corners = [], []
    for i, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        mask = inside & (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)
        if not bool(mask.any()):
            continue
        seen_x, seen_y = x[mask], y[mask]
        left = (float(seen_x.max() - seen_x.min()) + 1) * (float(seen_y.max() - seen_y.min()) + 1)
        if left < _LEAST_LEFT * (x2 - x1) * (y2 - y1):
            continue
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        kept.append(i)
        corners.append([int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1])
    index = torch.tensor(kept, dtype=torch.long, device=boxes.device)
    return index, torch.tensor(corners, dtype=boxes.dtype, device=boxes.device).reshape(-1, 4)


def reason_to_leave_out(perturbation: Perturbation | Guided, task: Task, x: Tensor, y: Any) -> str | None:
    """Why a perturbation says nothing about a network on these targets, or None where it does.

    Args:
        perturbation: which.
        task: what the targets are.
        x: (N, C, H, W) images.
        y: their targets, as `task.check_targets` gives them.
    """
    if isinstance(task, _OF_WHOLE_PICTURES):
        return None
    if isinstance(perturbation, Guided) and perturbation.moves_pixels and isinstance(task, Detection | Segmentation):
        return "it moves pixels inside of a region only, and targets can't be moved along there"
    if isinstance(task, Detection):
        return None
    if not isinstance(task, Segmentation):
        moving = not perturbation.label_preserving
        return f"it moves pixels, and the targets of {task.kind} aren't moved along" if moving else None
    if not perturbation.moves_pixels:
        return None
    if tuple(y.shape[1:]) != tuple(x.shape[2:]):
        size = " x ".join(map(str, y.shape[1:]))
        return f"it moves pixels, and labels of {size} aren't moved along with images of {x.shape[2]} x {x.shape[3]}"
    if task.ignore_index is None:
        return "it moves pixels, and without an ignore_index nothing can stand for what comes into view"
    return None
