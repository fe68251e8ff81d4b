"""Duplicates, exact and near, within and across the parts of a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole
from deepwright.dataquality.fingerprints import (
    Fingerprints,
    picture_fingerprints,
    row_fingerprints,
    text_fingerprints,
)
from deepwright.dataquality.neighbours import close_pairs, equal_pairs, groups_of

_PICTURES, _ROWS, _TEXTS = 6, 3, 8  # differing bits of 64 of a pair that is looked at
_UNLIKE = 0.2  # 1 - Jaccard similarity of near copies among texts
_ASKED, _AMONG = 400, 4000  # samples whose nearest neighbours tell what is near, and those among which they are sought
_DENSE = 0.25  # share of the samples that lie closest together: what is near is told by them, if fewer are copies
_BY_CHANCE = 0.05  # pairs that a set without copies may give
_AROUND, _NEARER = 5, 0.6  # of the distance to the fifth of the other samples: copies are at most so far apart
_NEAREST = 0.5  # of what is near among the closest: copies are at most so far apart


@dataclass(frozen=True)
class Duplicates:
    """Copies among N samples.

    Attributes:
        pairs: (pairs, 2) each pair once, exact ones first, then near ones, closest first.
        exact: (pairs,) whether a pair is equal in all values.
        distance: (pairs,) 0 of exact ones; see `Fingerprints.distance`.
        group: (N,) smallest index of each sample's copies; its own where it has none.
        limit: distance up to which a pair counts as near; NaN where near copies can't be told.
    """

    pairs: Int64[Tensor, "pairs 2"]
    exact: Bool[Tensor, " pairs"]
    distance: Float[Tensor, " pairs"]
    group: Int64[Tensor, " n"]
    limit: float

    def with_copy(self, rows: Tensor, among: Tensor) -> Bool[Tensor, " n"]:
        """(N,) which of some samples have a copy among others.

        Args:
            rows: (N,) booleans: those that are asked for.
            among: (N,) booleans: those among which a copy is sought, beside the sample itself.
        """
        count = torch.zeros(len(self.group) + 1, dtype=torch.long).index_add_(0, self.group, among.long())
        others = count[self.group] - (among & rows).long()
        return rows & (others > 0)

    def conflicting(self, labels: Int64[Tensor, " n"]) -> Bool[Tensor, " pairs"]:
        """(pairs,) whether the two samples of a pair bear different labels.

        Args:
            labels: of all samples.
        """
        a, b = self.pairs.T
        return labels[a] != labels[b]


def find_duplicates(samples: Tensor | Sequence[str] | Fingerprints, *, near: bool = True, seed: int = 0) -> Duplicates:
    """Equal and nearly equal samples.

    Near copies are looked for among pairs whose 64-bit hashes nearly agree, which are found by sorting, and are those
    that are closer than two different samples of the set would come by chance. That distance is told from nearest
    neighbours within the set: if F is their distribution, F(t) = 0.25 (t / q)^d below its quartile q, with the
    dimension d from the ratios of second to first distances, and t is such that 0.05 pairs are expected. That stands as
    long as fewer than a quarter of the samples have a near copy. The same is asked of
    the distance to the fifth of the samples around either one: where a class is dense, near is usual.

    Args:
        samples: pictures (N, C, H, W) in [0, 1], rows (N, columns), texts, or the fingerprints of any of these.
        near: look for near copies too.
        seed: of hashes and of the samples that are asked for their neighbours.

    Sources: M. Charikar (2002), for hashes; E. Facco et al., "Estimating the intrinsic dimension of datasets by a
    minimal neighborhood information", 2017, for d.
    """
    require_whole(0, seed=seed)
    prints = _fingerprints(samples, seed)
    n = len(prints)
    equal = equal_pairs(prints.exact)
    limit, ratio = _limits(prints, seed) if near else (math.nan, math.nan)
    close, distance = torch.zeros(0, 2, dtype=torch.long), torch.zeros(0)
    if limit > 0:
        close, distance = _near(prints, equal, (limit, ratio), seed)
    pairs = torch.cat([equal, close])
    is_exact = torch.arange(len(pairs)) < len(equal)
    return Duplicates(pairs, is_exact, torch.cat([torch.zeros(len(equal)), distance]), groups_of(pairs, n), limit)


def _fingerprints(samples: Tensor | Sequence[str] | Fingerprints, seed: int) -> Fingerprints:
    if isinstance(samples, Fingerprints):
        return samples
    if isinstance(samples, Tensor):
        if samples.ndim == 4 and samples.is_floating_point():
            return picture_fingerprints(samples.split(500))
        if samples.ndim == 2 and samples.is_floating_point():
            return row_fingerprints(samples, seed)
        given = f"{samples.dtype} of shape {tuple(samples.shape)}"
        raise InputError("samples", given=given, expected="floats (N, C, H, W) or (N, columns), or texts")
    return text_fingerprints(samples, seed)


def _near(prints: Fingerprints, equal: Tensor, limits: tuple[float, float], seed: int) -> tuple[Tensor, Tensor]:
    """Near pairs and their distances; of equal samples only the first is looked at."""
    first = groups_of(equal, len(prints)) == torch.arange(len(prints))
    rows = (first & prints.telling).nonzero().flatten()
    variants = prints.near.shape[1]
    most = _TEXTS if prints.texts else _PICTURES if prints.of_pictures else _ROWS
    found = close_pairs(prints.near[rows].flatten(), most, seed=seed) // variants
    found = found[found[:, 0] != found[:, 1]].sort(dim=1).values
    keys = torch.unique(found[:, 0] * len(rows) + found[:, 1])
    a, b = rows[keys // max(1, len(rows))], rows[keys % max(1, len(rows))]
    distance = prints.distance(a, b, limits[0])
    near = (distance <= limits[0]).nonzero().flatten()
    near = near[distance[near].argsort(stable=True)]
    around = _around(prints, a[near], b[near], seed)
    near = near[distance[near] <= limits[1] * around]
    return torch.stack([a[near], b[near]], dim=1), distance[near]


def _around(prints: Fingerprints, a: Tensor, b: Tensor, seed: int) -> Tensor:
    """(pairs,) how far the fifth of the other samples is from the denser of the two of each pair.

    Some classes are denser than others (handwritten ones), and what is near in the whole set is usual there.
    """
    if prints.texts or not len(a):
        return torch.full((len(a),), math.inf)
    ends = torch.stack([a, b]).unique()
    rows = _sampled(prints, seed)
    apart = torch.cat([torch.cdist(part, prints.points(rows)) for part in prints.points(ends).split(500)])
    apart[ends[:, None] == rows] = math.inf
    around = apart.kthvalue(min(_AROUND, len(rows)), dim=1).values
    return around[torch.searchsorted(ends, torch.stack([a, b]))].amin(0)


def _sampled(prints: Fingerprints, seed: int) -> Tensor:
    """Samples that stand for all, in random order."""
    rows = prints.telling.nonzero().flatten()
    return rows[torch.randperm(len(rows), generator=generator(seed, "neighbours"))[:_AMONG]]


def _limits(prints: Fingerprints, seed: int) -> tuple[float, float]:
    """The distance up to which two samples are copies, in the whole set and as a share of that to others around them.

    NaN where the samples are too few or too alike to tell.
    """
    if prints.texts:
        return _UNLIKE, 1.0
    rows = _sampled(prints, seed)
    if len(rows) < 50:
        return math.nan, math.nan
    points = prints.points(rows)
    first, second = _nearest(points)
    apart = first > 1e-6 * float(points.std())  # of copies nothing is learnt
    first, second = first[apart], second[apart]
    if len(first) < 20:
        return math.nan, math.nan
    dimension = math.log(2) / max(float((second / first).log().median()), 1e-9)
    per_pair = len(prints) ** 2 / len(rows) / 2  # a share of samples with a neighbour -> expected pairs

    def shrunk(share: float, most: float) -> float:
        return min(most, (_BY_CHANCE / (share * per_pair)) ** (1 / dimension))

    return float(torch.quantile(first, _DENSE)) * shrunk(_DENSE, _NEAREST), shrunk(_AROUND, _NEARER)


def _nearest(points: Float[Tensor, "m d"]) -> tuple[Tensor, Tensor]:
    """Distances of the first points to their nearest and second nearest others, copies of themselves left out."""
    asked = points[:_ASKED]
    apart = torch.cdist(asked, points, compute_mode="use_mm_for_euclid_dist")
    apart[torch.arange(len(asked)), torch.arange(len(asked))] = math.inf
    two = apart.topk(2, dim=1, largest=False).values
    return two[:, 0], two[:, 1]
