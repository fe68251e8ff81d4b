"""Curves of roads: splines through nodes, curvature, turns, and whether a strip of some width crosses itself."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree

Array = np.ndarray

POINTS_A_SPAN = 20
_TURNS = 0.018  # radians from one segment to the next: less is straight
_SHORT_TURN, _SHORT_STRAIGHT = 15, 10  # points


def nodes_of(angles: Sequence[float], lengths: Sequence[float], start: tuple[float, float], literal: bool) -> Array:
    """(2 + n, 2) control nodes: one behind the start, the start, then one for each angle.

    The road begins towards 90 degrees; at each node the heading turns first, then the next node is set.

    Args:
        angles: degrees, to the left where positive.
        lengths: of each segment, in metres.
        start: where it begins.
        literal: truncate the heading to whole degrees at each node, as the reference code does.
    """
    x, y = start
    if literal:
        behind = (x + lengths[0] * math.cos(math.radians(270)), y + lengths[0] * math.sin(math.radians(270)))
        nodes = [behind, (x, y)]
        for angle, length in zip(angles, lengths):
            (x0, y0), (x1, y1) = nodes[-2:]
            towards = math.radians(int(math.degrees(math.atan2(y1 - y0, x1 - x0))) + angle)
            nodes.append((x1 + length * math.cos(towards), y1 + length * math.sin(towards)))
        return np.array(nodes)
    turned = np.radians(np.cumsum(np.asarray(angles, dtype=float)))
    steps = np.asarray(lengths, dtype=float)[:, None] * np.stack([-np.sin(turned), np.cos(turned)], 1)
    ahead = np.array([x, y]) + np.cumsum(steps, 0)
    return np.concatenate([[[x, y - lengths[0]], [x, y]], ahead])


def spline(nodes: Float[Array, "k 2"], points: int = POINTS_A_SPAN) -> Float[Array, "n 2"]:
    """Centripetal Catmull-Rom curve through all nodes but the first and the last, which set its end tangents.

    Args:
        nodes: at least four, no two in a row alike.
        points: of each span; those where spans meet are there once.

    Source: P. J. Barry and R. N. Goldman, "A recursive evaluation algorithm for a class of Catmull-Rom splines", 1988.
    """
    p = [nodes[i : len(nodes) - 3 + i, None] for i in range(4)]  # the four nodes of each span
    knots = [np.zeros((len(p[0]), 1, 1))]
    for a, b in itertools.pairwise(p):
        knots.append(knots[-1] + np.sqrt(np.linalg.norm(b - a, axis=2, keepdims=True)))
    t = knots[1] + np.linspace(0, 1, points)[None, :, None] * (knots[2] - knots[1])
    for width in (1, 2, 3):
        p = [_between(p[i], p[i + 1], t, *_ends(knots, i, width)) for i in range(4 - width)]
    spans = p[0]
    return np.concatenate([spans[0], spans[1:, 1:].reshape(-1, 2)])


def _ends(knots: list[Array], i: int, width: int) -> tuple[Array, Array]:
    """The two knots between which a level of the pyramid interpolates."""
    if width == 1:
        return knots[i], knots[i + 1]
    return (knots[i], knots[i + 2]) if width == 2 else (knots[1], knots[2])


def _between(a: Array, b: Array, t: Array, low: Array, high: Array) -> Array:
    return ((high - t) * a + (t - low) * b) / (high - low)


def curvatures(points: Float[Array, "n 2"]) -> Float[Array, " m"]:
    """1/radius of the circles through points i, i+2 and i+4.

    Args:
        points: at least five.
    """
    a, b, c = points[:-4], points[2:-2], points[4:]
    ab, bc, ca = b - a, c - b, a - c
    area = ab[:, 0] * bc[:, 1] - ab[:, 1] * bc[:, 0]  # twice that of the triangle
    sides = np.linalg.norm(ab, axis=1) * np.linalg.norm(bc, axis=1) * np.linalg.norm(ca, axis=1)
    return np.abs(2 * area / np.maximum(sides, 1e-300))


def count_turns(points: Float[Array, "n 2"]) -> int:
    """Runs of points where the road bends one way.

    Straight runs of less than 10 points belong to the bend before them; bends of less than 15 points to what is before
    them (at the start: behind them).

    Args:
        points: at least three.
    """
    steps = np.diff(points, axis=0)
    bends = np.diff(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0])))
    runs = _runs(np.sign(bends) * (np.abs(bends) > _TURNS))
    runs = _absorbed(runs, lambda way, size: way == 0 and size < _SHORT_STRAIGHT)
    runs = _absorbed(runs, lambda way, size: way != 0 and size < _SHORT_TURN)
    return sum(way != 0 for way, _ in runs)


def _runs(ways: Array) -> list[tuple[float, int]]:
    starts = np.flatnonzero(np.diff(ways, prepend=np.nan))
    sizes = np.diff(starts, append=len(ways))
    return [(float(ways[start]), int(size)) for start, size in zip(starts, sizes)]


def _absorbed(runs: list[tuple[float, int]], short: Callable[[float, int], bool]) -> list[tuple[float, int]]:
    """Runs of which the short ones were added to their neighbours."""
    kept: list[tuple[float, int]] = []
    waiting = 0  # points before the first run that is long enough
    for way, size in runs:
        if short(way, size):
            if kept:
                kept[-1] = (kept[-1][0], kept[-1][1] + size)
            else:
                waiting += size
        elif kept and kept[-1][0] == way:
            kept[-1] = (way, kept[-1][1] + size)
        else:
            kept.append((way, size + waiting))
            waiting = 0
    return kept


def normals(points: Float[Array, "n 2"]) -> Float[Array, "n 2"]:
    """Unit vectors to the left of the road at each point.

    Args:
        points: of the centre line.
    """
    tangents = np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    return np.stack([-tangents[:, 1], tangents[:, 0]], 1)


def crosses_itself(left: Float[Array, "n 2"], right: Float[Array, "n 2"]) -> bool:
    """Whether any two of the quadrilaterals between two borders overlap that aren't neighbours.

    Candidates come from a tree over their centres, so that time grows with the length of the road.

    Args:
        left: border.
        right: border, point by point beside it.
    """
    quads = np.stack([left[:-1], left[1:], right[1:], right[:-1]], 1)
    centres = quads.mean(1)
    reach = float(np.linalg.norm(quads - centres[:, None], axis=2).max())
    pairs = cKDTree(centres).query_pairs(2 * reach, output_type="ndarray")
    pairs = pairs[np.abs(pairs[:, 0] - pairs[:, 1]) > 1]
    return bool(_overlap(quads[pairs[:, 0]], quads[pairs[:, 1]]).any())


def _overlap(a: Float[Array, "m 4 2"], b: Float[Array, "m 4 2"]) -> Bool[Array, " m"]:
    """Separating axes of convex quadrilaterals; touching ones don't overlap."""
    apart = np.zeros(len(a), bool)
    for quads in (a, b):
        edges = np.roll(quads, -1, 1) - quads
        axes = np.stack([-edges[..., 1], edges[..., 0]], 2)
        axes /= np.maximum(np.linalg.norm(axes, axis=2, keepdims=True), 1e-12)
        one, other = (np.einsum("mkd,mad->mak", q, axes) for q in (a, b))
        gap = np.maximum(other.min(2) - one.max(2), one.min(2) - other.max(2))
        apart |= (gap > -1e-9).any(1)
    return ~apart
