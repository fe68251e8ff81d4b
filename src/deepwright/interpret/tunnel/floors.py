"""How far any map without critical points must stay from a target: before anything is trained.

Following -grad Phi from x* such a map falls until it leaves the domain. A target that must climb by beta to leave is
missed by at least beta / 2 somewhere (in the maximum norm). Source: arXiv 2603.28591; the bound is derived in the
documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.interpret.tunnel.components import barriers
from deepwright.interpret.tunnel.domains import Domain

MOST = 2**24  # points of a grid


@dataclass(frozen=True)
class Floor:
    """What no map without critical points gets below.

    Attributes:
        sup: in the maximum norm.
        mse: in the mean square; None in more than one dimension, where thin tunnels make it 0.
        argmin: (n,) bottom of the valley (top of the hill) that is enclosed; None where nothing is.
        path: (T, n) the cheapest way from there to the edge.
        sign: +1 where a valley is enclosed, -1 where a hill is.
        level: the fit's breakpoint in one dimension: its constant value; None elsewhere.
    """

    sup: float
    mse: float | None
    argmin: Tensor | None
    path: Tensor | None
    sign: int = 1
    level: float | None = None


def approximation_floor(target: Callable[[Tensor], Tensor], domain: Domain, resolution: int = 201) -> Floor:
    """The floor of a target that is known everywhere, on a grid.

    Args:
        target: (batch, n) float64 -> (batch,).
        domain: of one to six dimensions.
        resolution: points a side.

    Raises:
        InputError: a grid of more than 2^24 points, a target with values that aren't finite.
    """
    require_whole(3, resolution=resolution)
    n = domain.dimension
    if resolution**n > MOST:
        raise InputError(
            "resolution", given=f"{resolution} points in {n} dimensions", expected=f"at most {MOST} in all"
        )
    points = domain.spread(
        torch.cartesian_prod(*[torch.linspace(0, 1, resolution, dtype=torch.float64)] * n).view(-1, n)
    )
    with torch.no_grad():
        found = torch.cat([target(part).reshape(-1) for part in points.split(2**18)])
    if len(found) != len(points):
        raise InputError("target", given=f"{len(found)} values of {len(points)} points", expected="one a point")
    kept = found.detach().double().cpu().numpy()
    if not np.isfinite(kept).all():
        raise InputError("target", given="values that aren't finite", expected="finite ones on the domain")
    starts, neighbours, border = _grid_graph(resolution, n)
    best = max(((*barriers(s * kept, starts, neighbours, border), s) for s in (1, -1)), key=_climb)
    mse, level = (None, None) if n > 1 else _isotonic(kept)
    if best[1] < 0:
        return Floor(0.0, mse, None, None, level=level)
    path = _way_out(best[3] * kept, starts, neighbours, border, best[1], best[2])
    return Floor(best[0] / 2, mse, points[best[1]], points[torch.from_numpy(path)], best[3], level)


def _climb(found: tuple[float, int, float, int]) -> float:
    return found[0]


def _grid_graph(resolution: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours along the axes of a grid, and its outermost vertices."""
    shape = (resolution,) * n
    number = np.arange(resolution**n).reshape(shape)
    columns = []
    for axis in range(n):
        for shift in (1, -1):
            beside = np.full(shape, -1, np.int64)
            to, of = [slice(None)] * n, [slice(None)] * n
            to[axis], of[axis] = (slice(0, -1), slice(1, None)) if shift == 1 else (slice(1, None), slice(0, -1))
            beside[tuple(to)] = number[tuple(of)]
            columns.append(beside.reshape(-1))
    table = np.stack(columns, 1)
    there = table >= 0
    starts = np.concatenate(([0], np.cumsum(there.sum(1))))
    return starts, table[there], np.asarray(~there.all(1))


def _way_out(
    values: np.ndarray, starts: np.ndarray, neighbours: np.ndarray, border: np.ndarray, bottom: int, level: float
) -> np.ndarray:
    """The way with fewest steps from a bottom to the border below a level."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order

    of = np.repeat(np.arange(len(values)), np.diff(starts))
    low = (values[of] <= level) & (values[neighbours] <= level)
    graph = csr_matrix((np.ones(int(low.sum()), np.int8), (of[low], neighbours[low])), shape=(len(values),) * 2)
    order, before = breadth_first_order(graph, bottom)
    out = order[border[order]]
    if not len(out):
        return np.array([bottom])
    way = [int(out[0])]
    while way[-1] != bottom:
        way.append(int(before[way[-1]]))
    return np.array(way[::-1])


def _isotonic(values: np.ndarray) -> tuple[float, float]:
    """The mean-square error of the best monotone fit, up or down, and the constant at its flat end."""
    from sklearn.isotonic import IsotonicRegression

    place, weight = np.arange(len(values)), np.ones(len(values))
    weight[[0, -1]] = 0.5  # the trapezoid rule
    fits = [
        IsotonicRegression(increasing=up).fit_transform(place, values, sample_weight=weight) for up in (True, False)
    ]
    errors = [float(np.average((fit - values) ** 2, weights=weight)) for fit in fits]
    best = fits[int(np.argmin(errors))]
    sizes, counts = np.unique(best, return_counts=True)
    return min(errors), float(sizes[counts.argmax()])


@dataclass(frozen=True)
class SampleFloor:
    """The floor of labelled samples: an estimate, since a tunnel may pass between them.

    Attributes:
        raw: of the labels as they are; None where nothing can be said.
        majority: of the labels that most of eight neighbours and the sample itself have (the median of real targets).
        border_share: of samples on the edge of the cloud: above one half nothing can be said.
        by_class: by class, the floor of its majority labels, where labels are classes.
        wiped_out: classes that no majority has.
        reason: where nothing can be said, why.
    """

    raw: float | None
    majority: float | None
    border_share: float
    by_class: dict[int, float] = field(default_factory=dict)
    wiped_out: tuple[int, ...] = ()
    reason: str = ""


def approximation_floor_from_samples(
    x: Float[Tensor, "batch n"], y: Shaped[Tensor, " batch"], k: int = 8
) -> SampleFloor:
    """The floor that samples suggest, on the graph of nearest neighbours.

    A class that lies inside others must be left through them: 0.5 for a label field in {0, 1}. One wrong label is
    enough for that, hence the floor of majority labels beside the raw one.

    Args:
        x: inputs.
        y: classes (whole numbers) or real targets.
        k: neighbours.

    Raises:
        InputError: fewer than k + 2 samples, the same input with different labels, values that aren't finite.
    """
    from sklearn.neighbors import NearestNeighbors

    require_whole(1, k=k)
    points, target = x.detach().double().cpu().numpy(), y.detach().cpu().numpy()
    if len(points) < k + 2 or points.shape[0] != target.shape[0]:
        raise InputError(
            "samples", given=f"{len(points)} and {len(target)} labels", expected=f"at least {k + 2} of each"
        )
    if not np.isfinite(points).all() or not np.isfinite(target.astype(float)).all():
        raise InputError("samples", given="values that aren't finite", expected="finite ones")
    _refuse_twins(points, target)
    beside = NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(return_distance=False)
    border = border_of(points)
    share = float(border.mean())
    if share > 0.5:
        return SampleFloor(None, None, share, reason=f"{share:.0%} of the samples lie on the edge of the cloud")
    starts, neighbours = _symmetric(_joined(points, beside[:, :k]))
    classes = not np.issubdtype(target.dtype, np.floating)
    if not classes:
        smooth = np.median(np.concatenate((target[:, None], target[beside[:, :k]]), 1), 1)
        raw, most = (_largest(t, starts, neighbours, border) for t in (target, smooth))
        return SampleFloor(raw, most, share)
    labels = np.unique(target)
    votes = np.stack([(target[beside[:, :k]] == c).sum(1) + (target == c) for c in labels], 1)
    smooth = labels[votes.argmax(1)]
    by_class = {int(c): _enclosed(smooth == c, starts, neighbours, border) for c in labels}
    gone = tuple(int(c) for c in labels if not (smooth == c).any())
    raw = max(_enclosed(target == c, starts, neighbours, border) for c in labels)
    kept = {c: floor for c, floor in by_class.items() if c not in gone}
    return SampleFloor(raw, max(kept.values()), share, kept, gone)


def border_of(points: np.ndarray) -> np.ndarray:
    """Which samples no other exceeds along their own direction from the mean.

    Args:
        points: (N, n).
    """
    centred = points - points.mean(0)
    length = np.linalg.norm(centred, axis=1)
    unit = centred / np.maximum(length, 1e-300)[:, None]
    reach = np.concatenate([(part @ centred.T).max(1) for part in np.array_split(unit, max(1, len(points) // 1024))])
    found: np.ndarray = reach <= length * (1 + 1e-12)
    return found


def _enclosed(own: np.ndarray, starts: np.ndarray, neighbours: np.ndarray, border: np.ndarray) -> float:
    """Half of what a class's indicator must fall on the way out of its best enclosed part."""
    return barriers(-own.astype(float), starts, neighbours, border)[0] / 2


def _refuse_twins(points: np.ndarray, target: np.ndarray) -> None:
    _, which = np.unique(points, axis=0, return_inverse=True)
    which = which.reshape(-1)
    order = np.argsort(which, kind="stable")
    same = which[order][1:] == which[order][:-1]
    if bool((same & (target[order][1:] != target[order][:-1])).any()):
        raise InputError("samples", given="the same input with different labels", expected="one label an input")


def _joined(points: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """Edges (E, 2) to the neighbours, and from each part that has none outside to the nearest sample outside: a class
    behind a gap is enclosed, too."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components
    from sklearn.neighbors import NearestNeighbors

    n, k = beside.shape
    edges = np.stack((np.repeat(np.arange(n), k), beside.reshape(-1)), 1)
    while True:
        graph = csr_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(n, n))
        count, part = connected_components(graph, directed=False)
        if count == 1:
            return edges
        new = []
        for c in range(count):
            own, rest = np.flatnonzero(part == c), np.flatnonzero(part != c)
            far, which = NearestNeighbors(n_neighbors=1).fit(points[rest]).kneighbors(points[own])
            i = int(far[:, 0].argmin())
            new.append((own[i], rest[which[i, 0]]))
        edges = np.concatenate((edges, np.array(new)))


def _symmetric(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = edges.T
    n = int(edges.max()) + 1
    pairs = np.unique(np.stack((np.concatenate((a, b)), np.concatenate((b, a))), 1), axis=0)
    return np.concatenate(([0], np.cumsum(np.bincount(pairs[:, 0], minlength=n)))), pairs[:, 1]


def _largest(values: np.ndarray, starts: np.ndarray, neighbours: np.ndarray, border: np.ndarray) -> float:
    return max(barriers(s * values, starts, neighbours, border)[0] for s in (1.0, -1.0)) / 2
