"""Fronts of objectives that are minimised: sorting, crowding, hypervolume, knees, and the operators of NSGA-II.

a dominates b when a <= b in every objective and a < b in one; equal vectors don't dominate each other.
Source: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II" (IEEE TEC 2002).
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from jaxtyping import Float, Int64

from deepwright.core.errors import InputError

Array = np.ndarray


def nondominated_sort(objectives: Float[Array, "n k"]) -> Int64[Array, " n"]:
    """Rank of every point: 0 for those that nothing dominates, 1 for those that only rank 0 dominates, and so on.

    Two objectives take O(n log n) (a patience sort), more take pairwise comparisons in blocks.

    Raises:
        InputError: NaN, or not a matrix.
    """
    f = _checked(objectives)
    unique, inverse = np.unique(f, axis=0, return_inverse=True)  # sorted by the first objective, then the second
    inverse = inverse.reshape(-1)
    if f.shape[1] == 2:
        best: list[float] = []  # smallest second objective of every front so far: increasing
        ranks = np.empty(len(unique), np.int64)
        for i, second in enumerate(unique[:, 1].tolist()):
            ranks[i] = bisect_right(best, second)
            if ranks[i] == len(best):
                best.append(second)
            else:
                best[ranks[i]] = second
        return ranks[inverse]
    return _peel(unique)[inverse]


def _peel(f: Array, block: int = 1024) -> Array:
    """Front after front by counting who dominates whom."""
    n = len(f)
    dominates = np.zeros((n, n), bool)
    for start in range(0, n, block):
        part = f[start : start + block, None]
        dominates[start : start + block] = (part <= f).all(2) & (part < f).any(2)
    count = dominates.sum(0)
    ranks, rank = np.full(n, -1, np.int64), 0
    while (ranks < 0).any():
        front = (count == 0) & (ranks < 0)
        ranks[front] = rank
        count = count - dominates[front].sum(0)
        rank += 1
    return ranks


def nondominated(objectives: Float[Array, "n k"]) -> Array:
    """(n,) True for points that nothing dominates: n log n for two objectives, n times the front for more."""
    if not len(objectives):
        return np.zeros(0, bool)
    f = _checked(objectives)
    if f.shape[1] == 2:
        return nondominated_sort(f) == 0
    unique, inverse = np.unique(f, axis=0, return_inverse=True)
    # what dominates has the smaller sum of places, so that whoever is left when its turn comes is on the front
    places = np.stack([np.unique(column, return_inverse=True)[1].reshape(-1) for column in unique.T])
    left = np.argsort(places.sum(0), kind="stable")
    front = np.zeros(len(unique), bool)
    while len(left):
        front[left[0]] = True
        left = left[(unique[left] < unique[left[0]]).any(1)]
    return front[inverse.reshape(-1)]


def crowding_distance(objectives: Float[Array, "n k"]) -> Float[Array, " n"]:
    """Sum over objectives of the gap between a point's neighbours, as a share of the range; infinite at the extremes.

    Of equal vectors only the first has a distance; the others get 0. An objective without range adds nothing.
    """
    f = _checked(objectives)
    unique, first = np.unique(f, axis=0, return_index=True)
    distance = np.zeros(len(unique))
    for column in unique.T:
        order = np.argsort(column, kind="stable")
        values = column[order]
        span = values[-1] - values[0]
        if span > 0 and len(values) > 2:
            distance[order[1:-1]] += (values[2:] - values[:-2]) / span
        distance[order[[0, -1]]] = np.inf
    result = np.zeros(len(f))
    result[first] = distance
    return result


def hypervolume(objectives: Float[Array, "n k"], reference: Array | tuple[float, ...]) -> float:
    """Volume between the points and a reference point that is worse in everything; two or three objectives.

    Args:
        objectives: (n, k) points.
        reference: (k,) the reference point.

    Raises:
        InputError: another number of objectives.
    """
    f, ref = _checked(objectives), np.asarray(reference, dtype=float)
    if f.shape[1] != len(ref) or len(ref) not in (2, 3):
        raise InputError(
            "objectives", given=f"{f.shape[1]}, reference {ref.shape}", expected="2 or 3 and one reference each"
        )
    f = f[(f < ref).all(1)]
    if len(f) == 0:
        return 0.0
    if len(ref) == 2:
        return _area(f, ref)
    order = np.argsort(f[:, 2], kind="stable")
    f = f[order]
    tops = np.append(f[1:, 2], ref[2])
    heights = tops - f[:, 2]
    return float(sum(h * _area(f[: i + 1, :2], ref[:2]) for i, h in enumerate(heights) if h > 0))


def _area(f: Array, ref: Array) -> float:
    """Two objectives: the staircase under the points."""
    order = np.lexsort((f[:, 0], f[:, 1]))
    first = np.minimum.accumulate(f[order, 0])
    before = np.append(ref[0], first[:-1])
    return float(((ref[1] - f[order, 1]) * (before - first)).sum())


def knee(objectives: Float[Array, "n 2"]) -> int:
    """The point of a front farthest from the line through its two extremes (ties: smaller first objective)."""
    f = _checked(objectives)
    low, high = f.min(0), f.max(0)
    g = (f - low) / np.where(high > low, high - low, 1)
    a, b = g[np.lexsort((g[:, 1], g[:, 0]))[0]], g[np.lexsort((g[:, 0], g[:, 1]))[0]]
    chord = b - a
    length = np.linalg.norm(chord)
    if length == 0:
        return int(np.lexsort((f[:, 1], f[:, 0]))[0])
    # towards the origin is better: signed distance on that side
    distance = -(chord[0] * (g[:, 1] - a[1]) - chord[1] * (g[:, 0] - a[0])) / length
    if distance.max() < (-distance).max() and chord[0] < 0:
        distance = -distance
    best = distance.max()
    ties = np.flatnonzero(distance >= best - 1e-12)
    return int(ties[np.argmin(f[ties, 0])])


def survivors(objectives: Float[Array, "n k"], count: int) -> Int64[Array, " count"]:
    """NSGA-II's environmental selection: fronts in order, the last one by crowding.

    The crowding is computed again after each removal when more than a tenth of that front has to go.

    Args:
        objectives: (n, k) points.
        count: how many stay.
    """
    f = _checked(objectives)
    if count >= len(f):
        return np.arange(len(f))
    ranks = nondominated_sort(f)
    chosen: list[int] = []
    for rank in range(int(ranks.max()) + 1):
        front = np.flatnonzero(ranks == rank)
        room = count - len(chosen)
        if len(front) <= room:
            chosen += front.tolist()
            continue
        chosen += front[thin(f[front], room)].tolist()
        break
    return np.array(chosen, dtype=np.int64)


def thin(front: Float[Array, "n k"], count: int, keep: tuple[int, ...] = ()) -> Int64[Array, " count"]:
    """The `count` least crowded points of one front; `keep` are never dropped.

    Args:
        front: (n, k) points.
        count: how many stay.
        keep: rows that stay in any case.
    """
    left = np.arange(len(front))
    gone = len(front) - count
    if gone <= 0:
        return left
    if gone <= 0.1 * len(front) and not keep:
        return np.sort(np.argsort(-crowding_distance(front), kind="stable")[:count])
    while len(left) > count:
        distance = crowding_distance(front[left])
        distance[np.isin(left, keep)] = np.inf
        left = np.delete(left, int(np.argmin(distance)))
    return left


def tournament(objectives: Float[Array, "n k"], count: int, rng: np.random.Generator) -> Int64[Array, " count"]:
    """Winners of pairs drawn without replacement: the lower rank, then the larger crowding, then a coin.

    Args:
        objectives: (n, k) points.
        count: how many winners.
        rng: of the pairs and the coin.
    """
    n = len(objectives)
    ranks = nondominated_sort(objectives)
    crowding = np.zeros(n)
    for rank in np.unique(ranks):
        front = np.flatnonzero(ranks == rank)
        crowding[front] = crowding_distance(objectives[front])
    rounds = -(-2 * count // n)
    order = np.concatenate([rng.permutation(n) for _ in range(rounds)])[: 2 * count]
    a, b = order[::2], order[1::2] if len(order) % 2 == 0 else np.append(order[1::2], order[0])
    coin = rng.random(len(a)) < 0.5
    better = (ranks[a] < ranks[b]) | (
        (ranks[a] == ranks[b]) & ((crowding[a] > crowding[b]) | ((crowding[a] == crowding[b]) & coin))
    )
    return np.where(better, a, b)[:count]


def simulated_binary_crossover(
    a: Array, b: Array, low: Array, high: Array, rng: np.random.Generator, probability: float = 0.9, eta: float = 15.0
) -> tuple[Array, Array]:
    """Deb's SBX on rows of real genomes, within bounds; each variable takes part with probability 1/2.

    Args:
        a: (n, d) parents.
        b: (n, d) the other parents.
        low: lower bounds.
        high: upper bounds.
        rng: of the draws.
        probability: that a pair crosses.
        eta: distribution index; larger = children nearer to their parents.
    """
    u = rng.random(a.shape)
    smaller, larger = np.minimum(a, b), np.maximum(a, b)
    gap = np.maximum(larger - smaller, 1e-14)

    def spread(edge: Array) -> Array:
        alpha = 2 - (1 + 2 * np.maximum(edge, 0) / gap) ** -(eta + 1)
        inside = u <= 1 / alpha
        return np.where(
            inside, (u * alpha) ** (1 / (eta + 1)), (1 / np.maximum(2 - u * alpha, 1e-14)) ** (1 / (eta + 1))
        )

    middle = 0.5 * (smaller + larger)
    first = np.clip(middle - 0.5 * spread(smaller - low) * gap, low, high)
    second = np.clip(middle + 0.5 * spread(high - larger) * gap, low, high)
    swap = rng.random(a.shape) < 0.5
    first, second = np.where(swap, second, first), np.where(swap, first, second)
    take = (rng.random(len(a)) < probability)[:, None] & (rng.random(a.shape) < 0.5) & (larger - smaller > 1e-14)
    return np.where(take, first, a), np.where(take, second, b)


def polynomial_mutation(
    x: Array, low: Array, high: Array, rng: np.random.Generator, probability: float, eta: float = 20.0
) -> Array:
    """Deb's polynomial mutation of rows of real genomes, within bounds.

    Args:
        x: (n, d) genomes.
        low: lower bounds.
        high: upper bounds.
        rng: of the draws.
        probability: of each variable.
        eta: distribution index; larger = smaller steps.
    """
    span = high - low
    u = rng.random(x.shape)
    below = (x - low) / np.maximum(span, 1e-14)
    above = (high - x) / np.maximum(span, 1e-14)
    power = 1 / (eta + 1)
    down = (2 * u + (1 - 2 * u) * (1 - below) ** (eta + 1)) ** power - 1
    up = 1 - (2 * (1 - u) + 2 * (u - 0.5) * (1 - above) ** (eta + 1)) ** power
    moved = x + np.where(u < 0.5, down, up) * span
    return np.clip(np.where(rng.random(x.shape) < probability, moved, x), low, high)


def _checked(objectives: Array) -> Array:
    f = np.asarray(objectives, dtype=float)
    if f.ndim != 2 or np.isnan(f).any():
        raise InputError(
            "objectives", given=f"shape {f.shape}, NaN: {bool(np.isnan(f).any())}", expected="(n, k) numbers"
        )
    return f
