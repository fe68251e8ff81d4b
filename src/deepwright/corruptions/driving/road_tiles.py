"""Which segment of a road a place on the ground belongs to, looked up in square tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from deepwright.core.errors import InputError
from deepwright.corruptions.driving.roads import Road

TILE = 0.5  # metres
_BESIDE = 1.5  # metres beside the border that still belong to a segment
_MOST = 1 << 26  # tiles of a road, and tiles that are looked at around its segments


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

    Raises:
        InputError: one that needs too many tiles: it is too large, too long, or has points too far from each other.
    """
    points = road.points - road.points[0]
    a, step = points[:-1], np.diff(points, axis=0)
    length = np.linalg.norm(step, axis=1, keepdims=True)
    reach = road.width / 2 + _BESIDE
    _require_size(points, float(length.max()), reach)
    t = step / length
    n = np.stack([-t[:, 1], t[:, 0]], 1)
    lines = np.concatenate(
        [n, -(n * a).sum(1, keepdims=True), t, road.arc[:-1, None] - (t * a).sum(1, keepdims=True)], 1
    )
    lines = np.concatenate([lines, [[0, 0, 1e4, 0, 0, 0]]]).astype(np.float32)
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


def _require_size(points: np.ndarray, longest: float, reach: float) -> None:
    """Refuse what would fill the memory: whoever sends a road may send any numbers."""
    wide, deep = (float(side) + 2 * reach for side in points.max(0) - points.min(0))
    side = longest + 2 * reach
    if not max(wide * deep, len(points) * side * side) / TILE**2 <= _MOST:
        given = f"{wide:.4g} m x {deep:.4g} m, points up to {longest:.4g} m apart"
        raise InputError("a road", given=given, expected="a smaller one, or points closer together")
