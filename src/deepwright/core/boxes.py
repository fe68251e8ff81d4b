"""Boxes as corners (x1, y1, x2, y2): overlap, codes relative to anchors, suppression of doubles, average precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError

_SIZE_LIMIT = math.log(1000 / 16)


@dataclass
class Aside:
    """True boxes that neither count as found nor as missed, as those marked crowd or difficult.

    Attributes:
        boxes: corners in pixels (M, 4).
        labels: their classes (M,).
        crowd: (M,) whether a box holds many objects: a detection overlaps it by the share of its own area.
    """

    boxes: Float[Tensor, "m 4"]
    labels: Int64[Tensor, " m"]
    crowd: Bool[Tensor, " m"]

    def overlaps(self, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n m"]:
        """Of detections with each: intersection over union, of a crowd over the detection's own area.

        Args:
            boxes: (n, 4) corners.
        """
        return torch.where(self.crowd, shares_inside(boxes, self.boxes), box_iou(boxes, self.boxes))


@dataclass
class Detections:
    """Boxes in one image: corners in pixels (N, 4), class labels (N,), and for predictions scores (N,).

    A true image may hold boxes that don't count, `aside`.
    """

    boxes: Float[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]
    scores: Float[Tensor, " n"] | None = None
    aside: Aside | None = None

    def __len__(self) -> int:
        return len(self.labels)


def box_iou(a: Float[Tensor, "*batch n 4"], b: Float[Tensor, "*batch m 4"]) -> Float[Tensor, "*batch n m"]:
    """Intersection over union of every pair; 0 for boxes without area.

    Args:
        a: (..., n, 4) corners.
        b: (..., m, 4) corners.
    """
    low = torch.maximum(a[..., :, None, :2], b[..., None, :, :2])
    high = torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    inter = (high - low).clamp_min(0).prod(-1)
    area = lambda x: (x[..., 2:] - x[..., :2]).clamp_min(0).prod(-1)  # noqa: E731
    union = area(a)[..., :, None] + area(b)[..., None, :] - inter
    return torch.where(union > 0, inter / union.clamp_min(1e-30), torch.zeros_like(inter))


def shares_inside(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """The share of each box of `a` that lies inside each of `b`; 0 for boxes without area.

    Args:
        a: (n, 4) corners.
        b: (m, 4) corners.
    """
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    area = (a[:, 2:] - a[:, :2]).clamp_min(0).prod(-1)[:, None]
    inter = (high - low).clamp_min(0).prod(-1)
    return torch.where(area > 0, inter / area.clamp_min(1e-30), torch.zeros_like(inter))


def to_centre(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """(cx, cy, w, h) of corners."""
    return torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)


def to_corners(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """Corners of (cx, cy, w, h)."""
    return torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)


def encode(boxes: Float[Tensor, "*n 4"], anchors: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """Codes 10 (c - c_a) / s_a and 5 ln(s / s_a) of corner boxes relative to corner anchors.

    Args:
        boxes: (..., 4) corners.
        anchors: (..., 4) corners.
    """
    b, a = to_centre(boxes), to_centre(anchors)
    sizes = (b[..., 2:].clamp_min(1e-6) / a[..., 2:]).log()
    return torch.cat([10 * (b[..., :2] - a[..., :2]) / a[..., 2:], 5 * sizes], -1)


def decode(codes: Float[Tensor, "*n 4"], anchors: Float[Tensor, "... 4"]) -> Float[Tensor, "*n 4"]:
    """The inverse of `encode`; sizes are held below 62.5 times the anchor's.

    Args:
        codes: (..., 4).
        anchors: (..., 4) corners.
    """
    a = to_centre(anchors)
    centre = codes[..., :2] / 10 * a[..., 2:] + a[..., :2]
    size = (codes[..., 2:] / 5).clamp_max(_SIZE_LIMIT).exp() * a[..., 2:]
    return to_corners(torch.cat([centre, size], -1))


def nms(boxes: Float[Tensor, "n 4"], scores: Float[Tensor, " n"], threshold: float = 0.5) -> Int64[Tensor, " k"]:
    """Indices that stay, best score first (ties: lower index): a box goes when a kept one overlaps it by more.

    One overlap matrix, then one vector operation for each box that stays.

    Args:
        boxes: (n, 4) corners.
        scores: (n,).
        threshold: the overlap above which the lower score goes.
    """
    if len(boxes) == 0:
        return torch.zeros(0, dtype=torch.long, device=boxes.device)
    order = torch.argsort(scores, descending=True, stable=True)
    overlap = (box_iou(boxes[order], boxes[order]) > threshold).cpu().numpy()
    alive = np.ones(len(order), bool)
    kept = []
    for i in range(len(order)):
        if alive[i]:
            kept.append(i)
            alive &= ~overlap[i]
            alive[i] = False
    return order[torch.tensor(kept, device=order.device)]


def class_nms(
    boxes: Float[Tensor, "n 4"], scores: Float[Tensor, " n"], labels: Int64[Tensor, " n"], threshold: float = 0.5
) -> Int64[Tensor, " k"]:
    """`nms` within each class: boxes of other classes are moved apart first.

    Args:
        boxes: (n, 4) corners.
        scores: (n,).
        labels: (n,) classes.
        threshold: see `nms`.
    """
    if len(boxes) == 0:
        return torch.zeros(0, dtype=torch.long, device=boxes.device)
    span = boxes.max() - boxes.min() + 1
    return nms(boxes + (labels.to(boxes) * span)[:, None], scores, threshold)


def require_boxes(boxes: Tensor, height: float, width: float, name: str = "boxes") -> None:
    """Refuse boxes that are NaN, turned round or outside the image.

    Args:
        boxes: (..., 4) corners.
        height: of the image.
        width: of the image.
        name: how the user knows them.
    """
    bad = (
        ~torch.isfinite(boxes).all(-1)
        | (boxes[..., 2:] < boxes[..., :2]).any(-1)
        | (boxes[..., :2] < -1e-3).any(-1)
        | (boxes[..., 2] > width + 1e-3)
        | (boxes[..., 3] > height + 1e-3)
    )
    if bool(bad.any()):
        first = boxes[bad][0].tolist()
        raise InputError(name, given=f"{first}", expected=f"x1 <= x2 <= {width:g}, y1 <= y2 <= {height:g}, finite")


def mean_average_precision(
    predictions: Sequence[Detections],
    truth: Sequence[Detections],
    iou: float | Sequence[float] | np.ndarray = 0.5,
    *,
    points: int = 101,
    limit: int = 100,
) -> float:
    """Mean over classes (and overlaps) of the interpolated average precision; classes without a true box are left out.

    Detections of a class are taken by score (stable) over all images; each is matched to the free true box of its image
    that it overlaps most, if by at least `iou`; one that finds none and lies on a box set `aside` doesn't count.
    Precision is made monotone from the right and read at `points` recalls.

    Args:
        predictions: one an image, with scores.
        truth: one an image.
        iou: overlap, or several to average over.
        points: recalls at which precision is read.
        limit: detections of a class in an image at most, by score.

    Raises:
        InputError: other numbers of images, predictions without scores.
    """
    values = average_precisions(predictions, truth, iou, points=points, limit=limit)
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan


def average_precisions(
    predictions: Sequence[Detections],
    truth: Sequence[Detections],
    iou: float | Sequence[float] | np.ndarray = 0.5,
    *,
    points: int = 101,
    limit: int = 100,
) -> np.ndarray:
    """(overlaps, classes) average precisions; NaN for classes without a true box."""
    if len(predictions) != len(truth):
        raise InputError("images", given=f"{len(predictions)} predicted, {len(truth)} true", expected="equally many")
    thresholds = np.atleast_1d(np.asarray(iou, dtype=float))
    classes = 1 + max((int(d.labels.max()) for d in (*predictions, *truth) if len(d)), default=-1)
    scores: list[list[np.ndarray]] = [[] for _ in range(classes)]
    hits: list[list[np.ndarray]] = [[] for _ in range(classes)]
    counted: list[list[np.ndarray]] = [[] for _ in range(classes)]
    counts = np.zeros(classes, int)
    for guess, real in zip(predictions, truth):
        if guess.scores is None and len(guess):
            raise InputError("predictions", given="no scores", expected="one a box")
        for c in range(classes):
            true = real.boxes[real.labels == c]
            counts[c] += len(true)
            mine = torch.nonzero(guess.labels == c).flatten()
            if len(mine) == 0:
                continue
            assert guess.scores is not None
            order = mine[torch.argsort(guess.scores[mine], descending=True, stable=True)][:limit]
            scores[c].append(guess.scores[order].double().cpu().numpy())
            overlap = box_iou(guess.boxes[order].double(), true.double()).cpu().numpy()
            found_here = greedy_matches(overlap, thresholds)
            hits[c].append(found_here)
            beside = np.zeros(len(order))
            if real.aside is not None and len(real.aside.labels):
                same = real.aside.labels == c
                lies = torch.where(same, real.aside.overlaps(guess.boxes[order].double()), 0.0)
                beside = lies.amax(1).cpu().numpy()
            counted[c].append(found_here | (beside[None] < thresholds[:, None] - 1e-12))
    result = np.full((len(thresholds), classes), np.nan)
    for c in range(classes):
        if counts[c] == 0:
            continue
        if not scores[c]:
            result[:, c] = 0.0
            continue
        order_all = np.argsort(-np.concatenate(scores[c]), kind="stable")
        found = np.concatenate(hits[c], 1)[:, order_all]
        there = np.concatenate(counted[c], 1)[:, order_all]
        result[:, c] = [_interpolated(row[some], counts[c], points) for row, some in zip(found, there)]
    return result


def greedy_matches(
    overlap: Float[np.ndarray, "k t"], thresholds: Float[np.ndarray, " levels"]
) -> Bool[np.ndarray, "levels k"]:
    """Which detections, each in its turn, take the free true box that they overlap most; others are false positives.

    Args:
        overlap: of detections, by falling score, and true boxes; negative where they are of other classes.
        thresholds: the least overlap of a hit, several at once.
    """
    return greedy_choices(overlap, thresholds) >= 0


def greedy_choices(
    overlap: Float[np.ndarray, "k t"],
    thresholds: Float[np.ndarray, " levels"],
    shared: Bool[np.ndarray, " t"] | None = None,
) -> Int64[np.ndarray, "levels k"]:
    """The true box that each detection takes, see `greedy_matches`; -1 for none.

    Args:
        overlap: of detections, by falling score, and true boxes; negative where they are of other classes.
        thresholds: the least overlap of a hit, several at once.
        shared: boxes that stay free for the next one; none by default.
    """
    found = np.full((len(thresholds), len(overlap)), -1)
    if overlap.shape[1] == 0:
        return found
    taken = np.zeros((len(thresholds), overlap.shape[1]), bool)
    for i in np.flatnonzero(overlap.max(1) >= thresholds.min()):
        free = np.where(taken, -1.0, overlap[i][None])
        best = free.argmax(1)
        rows = np.flatnonzero(free[np.arange(len(thresholds)), best] >= thresholds - 1e-12)
        taken[rows, best[rows]] = True if shared is None else ~shared[best[rows]]
        found[rows, i] = best[rows]
    return found


def _interpolated(hits: np.ndarray, positives: int | np.integer, points: int) -> float:
    """Mean precision at evenly spaced recalls."""
    tp = np.cumsum(hits)
    recall = tp / positives
    precision = tp / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, np.linspace(0, 1, points), side="left")
    padded = np.append(precision, 0.0)
    return float(padded[np.minimum(place, len(precision))].mean())
