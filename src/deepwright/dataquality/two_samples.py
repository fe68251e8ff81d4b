"""Do two sets come from one distribution? A classifier that tells them apart, and which features move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_finite, require_whole
from deepwright.core.statistics import Interval, holm, newcombe
from deepwright.dataquality.logistic import folds_of, random_features
from deepwright.dataquality.values import column_of_values, is_unknown, name_of_value

_FOLDS = 5
_LEAST = 20  # samples of each set
_MOST_VALUES = 10  # of a column that is compared value by value
_COMMON = 5  # expected samples of a value, below which values are put together


@dataclass(frozen=True)
class TwoSampleTest:
    """Whether a classifier tells two sets apart.

    Attributes:
        auroc: of the classifier on samples that it wasn't fitted on; 0.5 where it can't tell. With its 95 % interval,
            which leaves 0.5 out as seldom where both come from one distribution.
        p: P(an AUROC as high where both sets come from one distribution), by permutation.
        scores: (N,) how much each sample looks like one of the second set; those of the first set come first.
    """

    auroc: Interval
    p: float
    scores: Float[Tensor, " n"]


def classifier_two_sample_test(
    first: Float[Tensor, "n d"],
    second: Float[Tensor, "m d"],
    *,
    permutations: int = 499,
    penalty: float = 1.0,
    features: int = 64,
    seed: int = 0,
) -> TwoSampleTest:
    """Whether a classifier tells two sets apart, on samples that it wasn't fitted on.

    The classifier is a ridge regression of the set on the standardised columns and on random rectified features of
    them, cross-fitted in five folds. Its AUROC over all samples is compared with those under permuted sets. Scores are
    linear in the sets' signs, so that all permutations are fitted with one factorisation a fold, and the p-value is
    exact: (1 + permutations as high) / (1 + permutations).

    Args:
        first: rows of one set.
        second: rows of the other.
        permutations: of the sets.
        penalty: of the ridge regression, as a share of the samples.
        features: random ones, beside the columns.
        seed: of features, folds and permutations.

    Raises:
        InputError: other columns, fewer than 20 rows of a set, values that aren't finite.

    Source: D. Lopez-Paz and M. Oquab, "Revisiting Classifier Two-Sample Tests", arXiv 1610.06545.
    """
    require_whole(1, permutations=permutations)
    require_whole(0, features=features, seed=seed)
    x = _scaled(_both(first, second))
    if x.shape[1] == 0:
        return TwoSampleTest(Interval(0.5, 0.5, 0.5), 1.0, x.new_zeros(len(x)))
    x = torch.cat([x, random_features(x, features, seed)], dim=1) if features else x
    belongs = (torch.arange(len(x)) >= len(first)).double()
    source = generator(seed, "permutations")
    orders = [torch.arange(len(x)), *(torch.randperm(len(x), generator=source) for _ in range(permutations))]
    sets = torch.stack([belongs[order] for order in orders], dim=1).to(x)
    fold = folds_of(torch.zeros(len(x), dtype=torch.long, device=x.device), _FOLDS, seed)
    scores = _cross_fitted(x, sets, fold, penalty)
    areas = _areas(scores, sets)
    p = (1 + int((areas[1:] >= areas[0] - 1e-12).sum())) / (permutations + 1)
    return TwoSampleTest(_interval(areas, len(first), len(second)), p, scores[:, 0])


def _interval(areas: Tensor, n: int, m: int) -> Interval:
    """Newcombe's, widened to what permuted sets spread: cross-fitted scores vary more than fixed ones where sets are
    alike, so that Newcombe's alone would leave 0.5 out too often.
    """
    area = float(areas[0])
    low, high = torch.quantile(areas[1:], areas.new_tensor([0.025, 0.975])).tolist()
    fixed = newcombe(area, m, n)
    return Interval(area, max(0.0, min(fixed.low, area - high + 0.5)), min(1.0, max(fixed.high, area - low + 0.5)))


def _both(first: Tensor, second: Tensor) -> Tensor:
    for name, rows in (("first", first), ("second", second)):
        if not isinstance(rows, Tensor) or rows.ndim != 2 or not rows.is_floating_point():
            raise InputError(f"{name} set", given=type(rows).__name__, expected="a tensor of floats (N, columns)")
        if len(rows) < _LEAST:
            raise InputError(f"{name} set", given=f"{len(rows)} rows", expected=f"{_LEAST} or more")
        require_finite(rows, f"{name} set")
    if first.shape[1] != second.shape[1]:
        given = f"{first.shape[1]} and {second.shape[1]} columns"
        raise InputError("two sets", given=given, expected="the same columns")
    return torch.cat([first.double(), second.double().to(first.device)])


def _scaled(x: Tensor) -> Tensor:
    """Standardised columns, without those of one value; numbers of any size, whose squares needn't be finite."""
    largest = x.abs().amax(0) if x.shape[1] else x.new_zeros(0)
    x = x / torch.where(largest > 0, largest, 1.0)
    low, high = (x.amin(0), x.amax(0)) if x.shape[1] else (largest, largest)
    x = (x - low)[:, high > low] / (high - low)[high > low]
    return (x - x.mean(0)) / x.std(0, correction=0) if x.shape[1] else x


def _cross_fitted(x: Tensor, sets: Float[Tensor, "n columns"], fold: Tensor, penalty: float) -> Tensor:
    """Scores of each sample by the fit to the other folds, for each column of sets."""
    scores = torch.empty_like(sets)
    for k in range(_FOLDS):
        out, seen = fold == k, fold != k
        mean = sets[seen].mean(0)
        centre = x[seen].mean(0)
        inner = x[seen] - centre
        wide = inner.shape[1] > len(inner)  # then the same fit is cheaper from the other side
        gram = inner @ inner.T if wide else inner.T @ inner
        gram.diagonal().add_(penalty * len(inner))
        target = sets[seen] - mean
        weight = inner.T @ torch.linalg.solve(gram, target) if wide else torch.linalg.solve(gram, inner.T @ target)
        scores[out] = (x[out] - centre) @ weight  # without the mean, which knows how many of a set are left out
    return scores


def _areas(scores: Float[Tensor, "n columns"], sets: Float[Tensor, "n columns"]) -> Float[Tensor, " columns"]:
    """AUROC of each column, equal scores half: equal up to rounding, for a sum's last bits depend on its place."""
    rows = (scores / scores.abs().amax(0).clamp_min(1e-300) * 1e10).round().T.contiguous()
    ordered = rows.sort(dim=1).values
    below = torch.searchsorted(ordered, rows, right=False)
    ranks = (below + torch.searchsorted(ordered, rows, right=True) + 1).T.to(scores.dtype) / 2
    m = sets.sum(0)
    return ((ranks * sets).sum(0) - m * (m + 1) / 2) / (m * (len(scores) - m))


@dataclass(frozen=True)
class Moved:
    """How one column differs between two sets.

    Attributes:
        name: of the column.
        test: "Kolmogorov-Smirnov" or "chi square".
        statistic: the largest distance of the distribution functions; of values half of the sum of absolute differences
            of their shares (total variation). Both lie in [0, 1].
        p: adjusted by Holm over all columns.
        before: mean in the first set, or its most moved value's share.
        after: the same in the second.
        value: the value that moved most; empty for numbers.
        unknown: samples of the first set and of the second that were left out, for their value is unknown.
    """

    name: str
    test: str
    statistic: float
    p: float
    before: float
    after: float
    value: str = ""
    unknown: tuple[int, int] = (0, 0)


def moved_columns(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Moved]:
    """Each column of two sets, most moved first: numbers by Kolmogorov and Smirnov's test, values by chi square.

    Args:
        first: name -> values, numbers or texts; what is unknown (NaN, infinities, None, "") is left out of its column.
        second: the same names, in any order.

    Raises:
        InputError: other names; a column without a known value in one of the sets.
    """
    if set(first) != set(second):
        missing = sorted(set(first) ^ set(second))
        raise InputError("columns", given=f"{missing} in one set only", expected="the same names in both")
    found = [_compared(name, first[name], second[name]) for name in first]
    if not found:
        return []
    adjusted = holm([m.p for m in found])
    judged = [replace(m, p=p) for m, p in zip(found, adjusted)]
    return sorted(judged, key=lambda m: (m.p, -m.statistic))


def _compared(name: str, first: Any, second: Any) -> Moved:
    from scipy import stats

    a, b = (column_of_values(side, f"column {name!r}") for side in (first, second))
    unknown = int(is_unknown(a).sum()), int(is_unknown(b).sum())
    a, b = a[~is_unknown(a)], b[~is_unknown(b)]
    if not len(a) or not len(b):
        given = f"{len(a)} and {len(b)} known values"
        raise InputError(f"column {name!r}", given=given, expected="known values in both sets")
    is_number = a.dtype.kind in "fiub" and b.dtype.kind in "fiub"
    if is_number and len(np.unique(np.concatenate([a, b]))) > _MOST_VALUES:
        found = stats.ks_2samp(a.astype(float), b.astype(float), method="asymp")
        p = min(1.0, float(found.pvalue))
        means = float(a.astype(float).mean()), float(b.astype(float).mean())
        return Moved(name, "Kolmogorov-Smirnov", float(found.statistic), p, *means, unknown=unknown)
    if a.dtype.kind != b.dtype.kind and not is_number:
        a, b = (np.array([name_of_value(v) for v in side]) for side in (a, b))
    values = np.unique(np.concatenate([a, b]))
    counts = np.array([[(side == value).sum() for value in values] for side in (a, b)], dtype=float)
    shares = counts / counts.sum(1, keepdims=True)
    most = int(np.abs(shares[0] - shares[1]).argmax())
    variation = float(np.abs(shares[0] - shares[1]).sum() / 2)
    before, after = float(shares[0, most]), float(shares[1, most])
    return Moved(
        name, "chi square", variation, _chi_square(counts), before, after, name_of_value(values[most]), unknown
    )


def _chi_square(counts: np.ndarray) -> float:
    """P-value of equal shares; rare values are put together, for the distribution is an approximation."""
    from scipy import stats

    expected = counts.sum(0) * counts.sum(1).min() / counts.sum()
    rare = expected < _COMMON
    if rare.any():
        counts = np.concatenate([counts[:, ~rare], counts[:, rare].sum(1, keepdims=True)], axis=1)
    counts = counts[:, counts.sum(0) > 0]
    if counts.shape[1] < 2:
        return 1.0
    if counts.shape[1] == 2:
        return float(stats.fisher_exact(counts.astype(int)).pvalue)
    return float(stats.chi2_contingency(counts).pvalue)
