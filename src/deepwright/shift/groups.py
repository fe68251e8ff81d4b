"""Groups of samples: who fares worst, by name, with intervals; and groups where nobody recorded an attribute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.inference import require_labels
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_finite, require_whole
from deepwright.core.results import Table
from deepwright.core.statistics import Interval, wilson


@dataclass(frozen=True)
class GroupMetrics:
    """Accuracy by group.

    Attributes:
        per_group: (G,) accuracy of each group; NaN where it has no sample.
        n_per_group: (G,) samples of each.
        names: of the groups.
        empty: names of those without a sample, which are in no mean and in no minimum.
        worst_group: the least accuracy of a group that has samples.
        worst_group_id: which group that is; the first of several.
        average: accuracy over all samples.
        weighted_average: mean of the groups' accuracies by their training counts; None where none were given.
    """

    per_group: Float[Tensor, " groups"]
    n_per_group: Int64[Tensor, " groups"]
    names: tuple[str, ...]
    empty: tuple[str, ...]
    worst_group: float
    worst_group_id: int
    average: float
    weighted_average: float | None = None

    @property
    def worst_name(self) -> str:
        """The name of the worst group."""
        return self.names[self.worst_group_id]

    def intervals(self, level: float = 0.95) -> tuple[Interval | None, ...]:
        """Wilson's interval of each group's accuracy; None for an empty one.

        The worst group was picked among all: its interval holds for it alone where `level` is that of all together
        (1 - 0.05 / groups).

        Args:
            level: of each interval.
        """
        right = (self.per_group.nan_to_num() * self.n_per_group).round().long().tolist()
        return tuple(wilson(k, n, level) if n else None for k, n in zip(right, self.n_per_group.tolist()))

    def table(self) -> Table:
        """A row a group, worst first; empty ones at the end."""
        rows: list[list[Any]] = [
            [name, n, *((None, None, None) if found is None else (found.value, found.low, found.high))]
            for name, n, found in zip(self.names, self.n_per_group.tolist(), self.intervals())
        ]
        rows.sort(key=_worst_first)
        return Table(["group", "samples", "accuracy", "95 % from", "95 % to"], rows, "accuracy by group, worst first")


def _worst_first(row: list[Any]) -> float:
    return math.inf if row[2] is None else float(row[2])


def group_metrics(
    logits_or_pred: Tensor,
    y: Int64[Tensor, " n"],
    groups: Int64[Tensor, " n"],
    train_counts: Sequence[int] | Tensor | None = None,
    *,
    names: Sequence[str] | None = None,
) -> GroupMetrics:
    """Accuracy of each group, of the worst, and on average.

    Args:
        logits_or_pred: (n, classes) logits, or (n,) predicted classes.
        y: (n,) classes.
        groups: (n,) group of each sample, from 0.
        train_counts: training samples of each group, which weigh `weighted_average` (the convention of Waterbirds).
        names: of the groups; there may be more than occur: those are `empty`.

    Returns:
        Empty groups are NaN, named, and left out of every mean and minimum.

    Raises:
        InputError: no sample, unlike lengths, groups that aren't whole numbers from 0, other counts or names than
            groups; a training count of a group that has no sample to weigh.
    """
    n = len(y)
    if n == 0:
        raise InputError("samples", given="none", expected="at least one")
    if logits_or_pred.ndim == 2:
        require_finite(logits_or_pred, "logits")
        require_labels(y, logits_or_pred.shape[1], n)
        predicted = logits_or_pred.argmax(1)
    else:
        if logits_or_pred.is_floating_point():
            expected = "whole numbers (classes), or logits (n, classes)"
            raise InputError("predictions", given=f"{logits_or_pred.dtype} of shape (n,)", expected=expected)
        require_labels(y, None, n)
        predicted = logits_or_pred
    if len(predicted) != n or len(groups) != n:
        given = f"{len(predicted)} predictions, {n} labels, {len(groups)} groups"
        raise InputError("samples", given=given, expected="equal lengths")
    require_group_ids(groups, "groups")
    sized = [len(v) for v in (names, train_counts) if v is not None]
    size = max([int(groups.max()) + 1, *sized])
    if any(s != size for s in sized):
        raise InputError("names and train_counts", given=f"{sized} of them", expected=f"{size}, one a group")
    right = (predicted.to(y.device) == y).double()
    hits, counts = totals(right, groups.to(y.device), size)
    per_group = hits / counts  # 0 / 0 is NaN: an empty group has no accuracy
    worst = int(per_group.nan_to_num(nan=math.inf).argmin())
    said = tuple(map(str, names)) if names is not None else tuple(f"group {k}" for k in range(size))
    empty = tuple(name for name, count in zip(said, counts.tolist()) if not count)
    return GroupMetrics(
        per_group,
        counts.long(),
        said,
        empty,
        float(per_group[worst]),
        worst,
        float(right.mean()),
        None if train_counts is None else _weighted(per_group, torch.as_tensor(train_counts), empty),
    )


def totals(
    values: Float[Tensor, " n"], groups: Int64[Tensor, " n"], size: int
) -> tuple[Float[Tensor, " groups"], Float[Tensor, " groups"]]:
    """Sum of values and number of samples by group.

    Args:
        values: one a sample.
        groups: of the samples.
        size: number of groups.
    """
    sums = values.new_zeros(size).index_add_(0, groups, values)
    counts = values.new_zeros(size).index_add_(0, groups, torch.ones_like(values))
    return sums, counts


def _weighted(per_group: Tensor, train_counts: Tensor, empty: tuple[str, ...]) -> float:
    weights = train_counts.to(per_group.device).double()
    if bool((weights < 0).any()) or not bool(weights.isfinite().all()) or float(weights.sum()) == 0:
        raise InputError("train_counts", given=train_counts.tolist(), expected="counts of 0 or more, not all 0")
    lost = bool((weights[per_group.isnan()] > 0).any())
    if lost:
        raise InputError(
            "train_counts",
            given=f"training samples of groups without a sample here ({', '.join(empty)})",
            expected="a sample of each group that has a weight",
            hint="leave train_counts out: a mean without that group would look better than it is",
        )
    return float((per_group.nan_to_num() * weights).sum() / weights.sum())


def require_group_ids(groups: Tensor, what: str) -> None:
    """Whole numbers from 0, one a sample.

    Args:
        groups: to look at.
        what: they are, in an error's words.

    Raises:
        InputError: anything else.
    """
    whole = isinstance(groups, Tensor) and not groups.is_floating_point() and not groups.is_complex()
    if not whole or groups.dtype == torch.bool or groups.ndim != 1:
        given = (
            f"{groups.dtype} of shape {tuple(groups.shape)}" if isinstance(groups, Tensor) else type(groups).__name__
        )
        raise InputError(what, given=given, expected="a tensor (n,) of whole numbers", hint="make_groups(y, attribute)")
    if len(groups) and int(groups.min()) < 0:
        raise InputError(what, given=f"a group {int(groups.min())}", expected="numbers from 0")


def make_groups(y: Int64[Tensor, " n"], attribute: Int64[Tensor, " n"], attributes: int | None = None) -> Tensor:
    """(n,) groups g = y * attributes + attribute: every pair of class and attribute is one.

    Args:
        y: (n,) classes from 0.
        attribute: (n,) values of the attribute from 0.
        attributes: how many values there are; by default as many as occur. Name it where splits may lack one.

    Raises:
        InputError: unlike lengths, numbers below 0, an attribute out of its range.
    """
    require_group_ids(y, "y")
    require_group_ids(attribute, "attribute")
    if len(y) != len(attribute) or len(y) == 0:
        raise InputError("y and attribute", given=f"{len(y)} and {len(attribute)}", expected="equal lengths, not 0")
    most = int(attribute.max()) + 1
    size = most if attributes is None else attributes
    require_whole(1, attributes=size)
    if most > size:
        raise InputError("attribute", given=f"a value {most - 1}", expected=f"0..{size - 1}")
    return y.long() * size + attribute.to(y.device).long()


def discover_groups(
    features: Float[Tensor, "n d"],
    y: Int64[Tensor, " n"],
    k: int = 2,
    *,
    logits: Float[Tensor, "n classes"] | None = None,
    seed: int = 0,
    iterations: int = 100,
) -> Int64[Tensor, " n"]:
    """(n,) pseudo-groups for who has no attribute: k clusters of each class, so that a group has one class.

    Lloyd's algorithm on standardised features (the best of five starts by k-means++). With `logits` a sample's own loss
    (its log odds against its class) is one more feature that weighs as all the others together, which pulls those that
    a network gets wrong apart from the rest. They are guesses: clusters needn't be the shortcut, so say that they were
    discovered wherever their worst accuracy stands.

    Args:
        features: (n, d) embeddings.
        y: (n,) classes from 0.
        k: clusters of each class, at most as many as it has samples.
        logits: (n, classes) of the network that is to be looked at.
        seed: of the starts.
        iterations: of Lloyd's algorithm at most.

    Raises:
        InputError: features that aren't finite, unlike lengths, a class of fewer than k samples.
    """
    require_whole(1, k=k, iterations=iterations)
    require_finite(features, "features")
    require_group_ids(y, "y")
    if len(y) != len(features) or len(y) == 0:
        raise InputError("features and y", given=f"{len(features)} and {len(y)}", expected="equal lengths, not 0")
    y = y.to(features.device).long()
    x = features.to(torch.promote_types(features.dtype, torch.float32))
    x = (x - x.mean(0)) / spread(x)
    if logits is not None:
        require_labels(y, logits.shape[1], len(y))
        odds = _log_odds(logits.to(x), y)[:, None]
        require_finite(odds, "log odds by the logits")
        x = torch.cat([x, (odds - odds.mean(0)) / spread(odds) * math.sqrt(x.shape[1])], 1)
    groups = torch.empty_like(y)
    for label in y.unique().tolist():
        rows = (y == label).nonzero().flatten()
        if len(rows) < k:
            raise InputError(f"class {label}", given=f"{len(rows)} samples", expected=f"{k} or more, one a cluster")
        groups[rows] = label * k + _k_means(x[rows], k, seed, iterations)
    return groups


def spread(x: Tensor) -> Tensor:
    """Deviation of each column; 1 where it has none but that of rounding its mean.

    Args:
        x: (n, d) rows.
    """
    std = x.std(0, correction=0)
    rounding = 16 * torch.finfo(x.dtype).eps * x.abs().amax(0)
    return torch.where(std > rounding, std, torch.ones_like(std))


def _log_odds(logits: Tensor, y: Tensor) -> Tensor:
    own = logits.gather(1, y[:, None])[:, 0]
    return logits.scatter(1, y[:, None], -math.inf).logsumexp(1) - own


def _k_means(x: Tensor, k: int, seed: int, iterations: int, starts: int = 5) -> Tensor:
    """The clusters of the start with the smallest sum of squares; the largest is number 0."""
    tried = [_lloyd(x, _start(x, k, seed, start), iterations) for start in range(starts)]
    index = min(tried, key=_inertia)[1]
    order = torch.bincount(index, minlength=k).argsort(descending=True, stable=True)
    return order.argsort()[index]


def _inertia(found: tuple[float, Tensor]) -> float:
    return found[0]


def _start(x: Tensor, k: int, seed: int, start: int) -> Tensor:
    """k rows far from each other (k-means++)."""
    draws = torch.rand(k, generator=generator(seed, "clusters", start), dtype=torch.float64).to(x.device)
    chosen = [x[(draws[0] * len(x)).long().clamp_max(len(x) - 1)]]
    for j in range(1, k):
        far = torch.stack([(x - c).square().sum(1) for c in chosen]).amin(0).double().cumsum(0)
        chosen.append(x[torch.searchsorted(far, draws[j] * far[-1]).clamp_max(len(x) - 1)])
    return torch.stack(chosen)


def _lloyd(x: Tensor, centres: Tensor, iterations: int) -> tuple[float, Tensor]:
    index = torch.cdist(x, centres).argmin(1)
    for _ in range(iterations):
        sums = torch.zeros_like(centres).index_add_(0, index, x)
        counts = torch.bincount(index, minlength=len(centres))[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
        moved = torch.cdist(x, centres).argmin(1)
        if torch.equal(moved, index):
            break
        index = moved
    return float((x - centres[index]).square().sum()), index
