"""Which segment of a road a place on the ground belongs to, looked up in square tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from deepwright.corruptions.driving.roads import Road

TILE = 0.5  # metres
_BESIDE = 1.5  # metres beside the border that still belong to a segment


@dataclass(frozen=True)
class Tiles:
    """A road for a camera.

    Attributes:
        nearest: (rows, columns) number of the nearest segment, of all segments + 1 where none is near; such a border
            is all around.
        low: (2,) number of the first column and row, counted from the road's start.
        lines: (segments + 1, 6): across and along a segment a place (x, y), in metres from the road's start, is at
            `x * l0 + y * l1 + l2` (to the left of the centre line) and `x * l3 + y * l4 + l5` (from the start on). The
            last is far from everything.
    """

    nearest: np.ndarray
    low: tuple[int, int]
    lines: np.ndarray


@lru_cache(maxsize=64)
def tiles_of(road: Road) -> Tiles:
    """The tiles of a road; those of the last 64 roads are kept.

    Args:
        road: any.
    """
    points = road.points - road.points[0]
    a, step = points[:-1], np.diff(points, axis=0)
    length = np.linalg.norm(step, axis=1, keepdims=True)
    t = step / length
    n = np.stack([-t[:, 1], t[:, 0]], 1)
    lines = np.concatenate(
        [n, -(n * a).sum(1, keepdims=True), t, road.arc[:-1, None] - (t * a).sum(1, keepdims=True)], 1
    )
    lines = np.concatenate([lines, [[0, 0, 1e4, 0, 0, 0]]]).astype(np.float32)
    reach = road.width / 2 + _BESIDE
    low = np.floor((points.min(0) - reach) / TILE).astype(int) - 1
    shape = np.floor((points.max(0) + reach) / TILE).astype(int) + 2 - low
    nearest = np.full((shape[1], shape[0]), len(a), np.int32)
    half = math.ceil((reach + float(length.max()) / 2) / TILE) + 1
    window = np.stack(np.meshgrid(*[np.arange(-half, half + 1)] * 2, indexing="ij"), -1).reshape(1, -1, 2)
    cells = np.floor((a + step / 2) / TILE).astype(int)[:, None] + window  # those around each segment's middle
    offset = (cells + 0.5) * TILE - a[:, None]
    along = np.clip((offset * t[:, None]).sum(2) / length, 0, 1)
    gap = np.linalg.norm(offset - along[..., None] * step[:, None], axis=2)
    segment, k = np.nonzero(gap <= reach)
    order = np.argsort(-gap[segment, k], kind="stable")  # the nearest is written last
    x, y = (cells[segment, k] - low)[order].T
    nearest[y, x] = segment[order]
    return Tiles(nearest, (int(low[0]), int(low[1])), lines)
