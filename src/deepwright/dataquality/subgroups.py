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
from deepwright.core.requirements import require_finite, require_whole
from deepwright.core.statistics import Interval, holm
from deepwright.dataquality.resampling import interval_of_gap, interval_of_mean, subset_sums
from deepwright.dataquality.values import column_of_values, is_unknown, name_of_value, names_of_ends

_MOST_VALUES = 20  # of a column of numbers whose values are the groups; more are cut into quartiles
_MOST_GROUPS = 50
_PERMUTATIONS = 2000
_FLOOR = 1 / (_PERMUTATIONS + 1)
# Permutations as far out, below which the p-value comes from a fitted tail: of many pairs Holm asks for less.
_RARE = 10
_MANY = 500  # samples of each group from which on Student's distribution stands in for permutations


@dataclass(frozen=True)
class Grouping:
    """Samples sorted into groups.

    Attributes:
        names: of the groups.
        index: (N,) group of each sample, -1 for none.
    """

    names: tuple[str, ...]
    index: Int64[Tensor, " n"]

    @property
    def unknown(self) -> int:
        """Samples that are in no group."""
        return int((self.index < 0).sum())


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
        gap: better - worse, with an interval that holds for all pairs at once, with 95 % (Bonferroni): the widest of
            many gaps may be picked.
        p: two-sided, adjusted by Holm over all pairs.
    """

    better: str
    worse: str
    gap: Interval
    p: float


def grouping(column: Any) -> Grouping:
    """Groups of a column: one a value; of many numbers one a quarter.

    Args:
        column: N numbers, texts or booleans; what is unknown (NaN, infinities, None, "") is in no group.

    Raises:
        InputError: more than 50 values that aren't numbers; a column that isn't one.
    """
    values = column_of_values(column, "groups")
    if not len(values):
        raise InputError("groups", given="no value", expected="a column: one value a sample")
    known = np.unique(values[~is_unknown(values)])
    if values.dtype.kind in "fiu":
        if len(known) > _MOST_VALUES:
            return _quarters(values.astype(float))
        return Grouping(tuple(name_of_value(v) for v in known), _index(values, known))
    if len(known) > _MOST_GROUPS:
        hint = "name a column with fewer values"
        raise InputError("groups", given=f"{len(known)} values", expected=f"{_MOST_GROUPS} at most", hint=hint)
    return Grouping(tuple(str(v) for v in known), _index(values, known))


def _index(values: np.ndarray, known: np.ndarray) -> Tensor:
    if not len(known):
        raise InputError("groups", given="no value", expected="at least one")
    place = np.searchsorted(known, values).clip(max=len(known) - 1)
    return torch.from_numpy(np.where(known[place] == values, place, -1))


def _quarters(values: np.ndarray) -> Grouping:
    known = values[np.isfinite(values)]
    ends = np.unique(np.quantile(known, (0.25, 0.5, 0.75)))
    told = names_of_ends(ends, known)
    names = [f"up to {told[0]}", *(f"{a} to {b}" for a, b in pairwise(told)), f"above {told[-1]}"]
    index = np.where(np.isfinite(values), np.searchsorted(ends, values), -1)
    return Grouping(tuple(names), torch.from_numpy(index))


def compare_groups(
    values: Float[Tensor, " n"] | Bool[Tensor, " n"], groups: Grouping, *, least: int = 30, seed: int = 0
) -> tuple[list[Group], list[Gap]]:
    """The mean of each group, and each pair of groups compared.

    Shares (of booleans) have Wilson's intervals, their differences Newcombe's, and pairs Fisher's exact test; other
    values have bootstrapped intervals (a pair's from both, by MOVER) and a permutation test, whose far tail is fitted
    and which is Student's where both groups have 500 samples. Groups with fewer than `least` samples are shown and not
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
    found = [Group(name, len(part), interval_of_mean(part, seed)) for name, part in parts.items() if len(part)]
    compared = [g.name for g in found if g.size >= least]
    means = {g.name: g.value for g in found}
    pairs = list(combinations(compared, 2))
    gaps = [_gap((a, b), (parts[a], parts[b]), (means[a], means[b]), 1 - 0.05 / len(pairs), seed) for a, b in pairs]
    if gaps:
        adjusted = holm([g.p for g in gaps])
        gaps = sorted((Gap(g.better, g.worse, g.gap, p) for g, p in zip(gaps, adjusted)), key=lambda g: g.p)
    return sorted(found, key=lambda g: g.value.value), gaps


def _gap(
    names: tuple[str, str], parts: tuple[Tensor, Tensor], means: tuple[Interval, Interval], level: float, seed: int
) -> Gap:
    """Two groups compared; the interval's level is that of one pair."""
    if float(parts[0].double().mean()) < float(parts[1].double().mean()):
        names, parts, means = names[::-1], parts[::-1], means[::-1]
    p = _exact(*parts) if parts[0].dtype == torch.bool else _permuted(*parts, seed)
    return Gap(*names, interval_of_gap(parts, means, level), p)


def _exact(first: Tensor, second: Tensor) -> float:
    """Two-sided p-value of equal shares (Fisher)."""
    from scipy import stats

    return float(stats.fisher_exact([[int(part.sum()), int((~part).sum())] for part in (first, second)]).pvalue)


def _permuted(first: Tensor, second: Tensor, seed: int) -> float:
    """Two-sided p-value of equal means under random exchange."""
    from scipy import stats

    both, n = torch.cat([first, second]), len(first)
    if float(both.min()) == float(both.max()):
        return 1.0
    if min(len(first), len(second)) >= _MANY:  # the exchange's distribution is Student's (Pitman 1937)
        return float(stats.ttest_ind(first.numpy(), second.numpy()).pvalue)
    centred = both - both.mean()
    seen = abs(float(centred[:n].sum()))
    drawn = np.abs(subset_sums(centred, [n], _PERMUTATIONS, seed)[0])
    hits = int((drawn >= seen - 1e-12 * max(1.0, float(centred.abs().sum()))).sum())
    return (1 + hits) / (_PERMUTATIONS + 1) if hits >= _RARE or not drawn.any() else _beyond(seen, drawn)


def _beyond(seen: float, drawn: np.ndarray) -> float:
    """P-value beyond what so few permutations reach: an exponential tail from their 2 % largest (T. Knijnenburg et al.,
    "Fewer permutations, more accurate P-values", 2009, with the generalised Pareto tail's shape 0)."""
    largest = np.sort(drawn)[-(len(drawn) // 50) :]
    excess = float((largest - largest[0]).mean())
    return min(1.0, len(largest) / len(drawn) * float(np.exp(-(seen - largest[0]) / excess))) if excess else _FLOOR
