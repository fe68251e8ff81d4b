"""How the groups of a column fare: a metric with its interval for each, and which gaps are more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_finite, require_whole
from deepwright.core.statistics import Interval, bootstrap, holm, share_difference, wilson

_MOST_VALUES = 20  # of a column of numbers whose values are the groups; more are cut into quartiles
_MOST_GROUPS = 50
_PERMUTATIONS = 2000


@dataclass(frozen=True)
class Grouping:
    """Samples sorted into groups.

    Attributes:
        names: of the groups.
        index: (N,) group of each sample, -1 for none.
    """

    names: tuple[str, ...]
    index: Int64[Tensor, " n"]


@dataclass(frozen=True)
class Group:
    """One group.

    Attributes:
        name: of it.
        size: samples with a value.
        value: mean, with its 95 % interval.
    """

    name: str
    size: int
    value: Interval


@dataclass(frozen=True)
class Gap:
    """Two groups.

    Attributes:
        better: name of the group with the higher mean.
        worse: of the other.
        gap: better - worse, with its 95 % interval.
        p: two-sided, adjusted by Holm over all pairs.
    """

    better: str
    worse: str
    gap: Interval
    p: float


def grouping(column: Any) -> Grouping:
    """Groups of a column: one a value; of many numbers one a quarter.

    Args:
        column: N numbers, texts or booleans; NaN and "" are in no group.

    Raises:
        InputError: more than 50 values that aren't numbers; a column that isn't one.
    """
    values = column.detach().cpu().numpy() if isinstance(column, Tensor) else np.asarray(column)
    if values.ndim != 1 or not len(values):
        raise InputError("groups", given=f"shape {values.shape}", expected="a column: one value a sample")
    if values.dtype.kind in "fiu":
        known = np.unique(values[np.isfinite(values.astype(float))])
        if len(known) > _MOST_VALUES:
            return _quarters(values.astype(float))
        names = tuple(f"{v:.6g}" for v in known)
        return Grouping(names, _index(values, known))
    texts = values.astype(str)
    known = np.unique(texts[texts != ""])
    if len(known) > _MOST_GROUPS:
        hint = "name a column with fewer values"
        raise InputError("groups", given=f"{len(known)} values", expected=f"{_MOST_GROUPS} at most", hint=hint)
    return Grouping(tuple(known.tolist()), _index(texts, known))


def _index(values: np.ndarray, known: np.ndarray) -> Tensor:
    if not len(known):
        raise InputError("groups", given="no value", expected="at least one")
    place = np.searchsorted(known, values).clip(max=len(known) - 1)
    return torch.from_numpy(np.where(known[place] == values, place, -1))


def _quarters(values: np.ndarray) -> Grouping:
    known = values[np.isfinite(values)]
    ends = np.unique(np.quantile(known, (0.25, 0.5, 0.75)))
    names = [f"up to {ends[0]:.4g}", *(f"{a:.4g} to {b:.4g}" for a, b in pairwise(ends)), f"above {ends[-1]:.4g}"]
    index = np.where(np.isfinite(values), np.searchsorted(ends, values), -1)
    return Grouping(tuple(names), torch.from_numpy(index))


def compare_groups(
    values: Float[Tensor, " n"] | Bool[Tensor, " n"], groups: Grouping, *, least: int = 30, seed: int = 0
) -> tuple[list[Group], list[Gap]]:
    """The mean of each group, and each pair of groups compared.

    Shares (of booleans) have Wilson's intervals, their differences Newcombe's, and pairs Fisher's exact test; other
    values have bootstrapped intervals and a permutation test. Groups with fewer than `least` samples are shown and not
    compared.

    Args:
        values: of each sample, as whether it is right.
        groups: of the samples.
        least: samples of a group that is compared.
        seed: of resamples and permutations.

    Returns:
        Groups, lowest mean first, and gaps, lowest p first.

    Raises:
        InputError: other lengths; a number that isn't finite.
    """
    require_whole(2, least=least)
    v = values.detach().cpu()
    if v.ndim != 1 or len(v) != len(groups.index):
        given = f"values of shape {tuple(v.shape)} and groups of {len(groups.index)} samples"
        raise InputError("values", given=given, expected="one value a sample")
    if v.dtype != torch.bool:
        v = require_finite(v.double(), "values")
    parts = {name: v[groups.index == k] for k, name in enumerate(groups.names)}
    found = [Group(name, len(part), _mean(part, seed)) for name, part in parts.items() if len(part)]
    compared = [g.name for g in found if g.size >= least]
    gaps = [_gap(a, parts[a], b, parts[b], seed) for a, b in combinations(compared, 2)]
    if gaps:
        adjusted = holm([g.p for g in gaps])
        gaps = sorted((Gap(g.better, g.worse, g.gap, p) for g, p in zip(gaps, adjusted)), key=lambda g: g.p)
    return sorted(found, key=lambda g: g.value.value), gaps


def _mean(values: Tensor, seed: int) -> Interval:
    if values.dtype == torch.bool:
        return wilson(int(values.sum()), len(values))
    return bootstrap(values, seed=seed) if len(values) > 1 else Interval(float(values[0]), -torch.inf, torch.inf)


def _gap(a: str, first: Tensor, b: str, second: Tensor, seed: int) -> Gap:
    if float(first.double().mean()) < float(second.double().mean()):
        return _gap(b, second, a, first, seed)
    if first.dtype == torch.bool:
        from scipy import stats

        hits, sizes = (int(first.sum()), int(second.sum())), (len(first), len(second))
        p = float(stats.fisher_exact([[hits[0], sizes[0] - hits[0]], [hits[1], sizes[1] - hits[1]]]).pvalue)
        return Gap(a, b, share_difference(hits[0], sizes[0], hits[1], sizes[1]), p)
    p = _permuted(first, second, seed)
    ends = bootstrap(first, seed=seed), bootstrap(second, seed=seed + 1)
    value = ends[0].value - ends[1].value
    below = np.hypot(ends[0].value - ends[0].low, ends[1].high - ends[1].value)
    above = np.hypot(ends[0].high - ends[0].value, ends[1].value - ends[1].low)
    return Gap(a, b, Interval(value, value - float(below), value + float(above)), p)


def _permuted(first: Tensor, second: Tensor, seed: int) -> float:
    """Two-sided p-value of equal means under random exchange."""
    both, n = torch.cat([first, second]), len(first)
    seen = abs(float(first.mean() - second.mean()))
    source, hits = generator(seed, "exchange"), 0
    for _ in range(_PERMUTATIONS):
        mixed = both[torch.randperm(len(both), generator=source)]
        hits += abs(float(mixed[:n].mean() - mixed[n:].mean())) >= seen - 1e-12
    return (1 + hits) / (_PERMUTATIONS + 1)
