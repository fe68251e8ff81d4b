"""Do two sets come from one distribution? A classifier that tells them apart, and which features move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

_FOLDS = 5
_LEAST = 20  # samples of each set
_MOST_VALUES = 10  # of a column that is compared value by value
_COMMON = 5  # expected samples of a value, below which values are put together


@dataclass(frozen=True)
class TwoSampleTest:
    """Whether a classifier tells two sets apart.

    Attributes:
        auroc: of the classifier on samples that it wasn't fitted on; 0.5 where it can't tell. With its 95 % interval.
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
    x = _both(first, second)
    scale = x.std(0, correction=0)
    x = ((x - x.mean(0)) / scale.clamp_min(1e-9))[:, scale > 1e-9]
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
    p = float((1 + (areas[1:] >= areas[0] - 1e-12).sum()) / (permutations + 1))
    return TwoSampleTest(newcombe(float(areas[0]), len(second), len(first)), p, scores[:, 0])


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


def _cross_fitted(x: Tensor, sets: Float[Tensor, "n columns"], fold: Tensor, penalty: float) -> Tensor:
    """Scores of each sample by the fit to the other folds, for each column of sets."""
    scores = torch.empty_like(sets)
    for k in range(_FOLDS):
        out, seen = fold == k, fold != k
        mean = sets[seen].mean(0)
        centre = x[seen].mean(0)
        inner = x[seen] - centre
        gram = inner.T @ inner + penalty * len(inner) * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        weight = torch.linalg.solve(gram, inner.T @ (sets[seen] - mean))
        scores[out] = (x[out] - centre) @ weight  # without the mean, which knows how many of a set are left out
    return scores


def _areas(scores: Float[Tensor, "n columns"], sets: Float[Tensor, "n columns"]) -> Float[Tensor, " columns"]:
    """AUROC of each column; ties of real numbers are of no account."""
    order = scores.argsort(dim=0)
    ranks = torch.empty_like(scores)
    place = torch.arange(1, len(scores) + 1, dtype=scores.dtype, device=scores.device)[:, None]
    ranks.scatter_(0, order, place.expand_as(scores))
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
    """

    name: str
    test: str
    statistic: float
    p: float
    before: float
    after: float
    value: str = ""


def moved_columns(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Moved]:
    """Each column of two sets, most moved first: numbers by Kolmogorov and Smirnov's test, values by chi square.

    Args:
        first: name -> values, numbers or texts.
        second: the same names.

    Raises:
        InputError: other names; a column without values.
    """
    if list(first) != list(second):
        missing = sorted(set(first) ^ set(second))
        raise InputError("columns", given=f"{missing} in one set only", expected="the same names in both")
    found = [_compared(name, _array(first[name]), _array(second[name])) for name in first]
    if not found:
        return []
    adjusted = holm([m.p for m in found])
    judged = [Moved(m.name, m.test, m.statistic, p, m.before, m.after, m.value) for m, p in zip(found, adjusted)]
    return sorted(judged, key=lambda m: (m.p, -m.statistic))


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _compared(name: str, a: np.ndarray, b: np.ndarray) -> Moved:
    from scipy import stats

    if a.ndim != 1 or b.ndim != 1 or not len(a) or not len(b):
        raise InputError(f"column {name!r}", given=f"shapes {a.shape} and {b.shape}", expected="values in both sets")
    is_number = a.dtype.kind in "fiub" and b.dtype.kind in "fiub"
    if is_number and len(np.unique(np.concatenate([a, b]))) > _MOST_VALUES:
        found = stats.ks_2samp(a.astype(float), b.astype(float), method="asymp")
        p = min(1.0, float(found.pvalue))
        return Moved(name, "Kolmogorov-Smirnov", float(found.statistic), p, float(a.mean()), float(b.mean()))
    if not is_number:
        a, b = a.astype(str), b.astype(str)
    values = np.unique(np.concatenate([a, b]))
    counts = np.array([[(side == value).sum() for value in values] for side in (a, b)], dtype=float)
    shares = counts / counts.sum(1, keepdims=True)
    most = int(np.abs(shares[0] - shares[1]).argmax())
    variation = float(np.abs(shares[0] - shares[1]).sum() / 2)
    before, after = float(shares[0, most]), float(shares[1, most])
    return Moved(name, "chi square", variation, _chi_square(counts), before, after, str(values[most]))


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
