"""Where a network is weak: groups of samples with a short description, found on one half and tested on the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import numbers, require_finite, require_whole, require_within
from deepwright.core.statistics import Interval, holm
from deepwright.dataquality.attributes import Literals, literals_of
from deepwright.dataquality.resampling import interval_of_gap, interval_of_mean, subset_sums
from deepwright.dataquality.values import column_of_values

_BEAM = 60  # slices of a level that are made longer
_TESTED = 10
_SAME = 0.7  # Jaccard similarity of two slices that are one for people
_PERMUTATIONS = 2000


@dataclass(frozen=True)
class Slice:
    """A group of samples on which losses are higher.

    Attributes:
        words: its description.
        rows: indices of its samples, of both halves.
        size: of its samples in the half that it was tested on.
        loss: mean there.
        elsewhere: mean loss of the other samples of that half.
        gap: loss - elsewhere, with an interval that holds for all slices that were tested at once, with 95 %
            (Bonferroni).
        p: one-sided, adjusted by Holm over all slices that were tested.
    """

    words: str
    rows: Int64[Tensor, " m"]
    size: int
    loss: float
    elsewhere: float
    gap: Interval
    p: float


def find_weak_slices(
    losses: Float[Tensor, " n"],
    attributes: Mapping[str, Any],
    *,
    depth: int = 2,
    least: int = 20,
    level: float = 0.05,
    seed: int = 0,
) -> tuple[list[Slice], list[Slice]]:
    """Slices whose losses are higher than elsewhere: those that stand, and those that were tested and don't.

    On one half of the samples conjunctions of statements about attributes are searched level by level: those with
    fewer than `least` samples are cut off with all that they would hold, and so are those whose mean isn't above that
    of all (a slice whose every part looks average isn't found); of each level the best are made longer.

    The score is a (e - E) / D - (1 - a) (n / s - 1), with the mean losses e within and E over all, their mean distance
    D from the median, size s and a = 0.95: SliceLine's where losses are 0 or 1 and fewer than half are 1 (there D = E),
    and for losses of any sign the same whatever is added to all.

    The ten best that aren't nearly the same are tested on the other half, which had no part in the search: exactly
    (hypergeometric) where losses are 0 or 1, else by permutation, and adjusted by Holm.

    Args:
        losses: of each sample; 1 for an error and 0 for none, or any numbers.
        attributes: name -> N numbers or texts; see `literals_of`.
        depth: statements of a description at most.
        least: samples of a slice in each half.
        level: of the test.
        seed: of the halves.

    Returns:
        Slices that pass, lowest p first, and the others that were tested.

    Source: S. Sagadeeva and M. Boehm, "SliceLine: Fast, Linear-Algebra-based Slice Finding for ML Model Debugging",
    2021.
    """
    require_whole(1, depth=depth, least=least)
    require_within(0.0, 1.0, ends="()", level=level)
    loss = require_finite(numbers(losses, "losses"), "losses").double().cpu()
    for name, values in attributes.items():
        if (length := len(column_of_values(values, f"attribute {name!r}"))) != len(loss):
            raise InputError(f"attribute {name!r}", given=f"{length} values", expected=f"{len(loss)}, one a loss")
    half = torch.randperm(len(loss), generator=generator(seed, "halves"))
    search, test = half[: len(loss) // 2].sort().values, half[len(loss) // 2 :].sort().values
    literals = literals_of(attributes, least=least)
    if len(loss) < 4 * least or not literals.words:
        return [], []
    found = _searched(loss[search], literals, search, depth, least)
    tested = [members for members in found if int(literals.holds[test][:, list(members)].all(1).sum()) >= least]
    kept = _distinct(tested, literals)
    if not kept:
        return [], []
    slices = _judged(loss, literals, kept, test, seed)
    adjusted = holm([s.p for s in slices])
    judged = sorted((replace(s, p=p) for s, p in zip(slices, adjusted)), key=lambda s: s.p)
    return [s for s in judged if s.p < level], [s for s in judged if s.p >= level]


def _searched(loss: Tensor, literals: Literals, rows: Tensor, depth: int, least: int) -> list[tuple[int, ...]]:
    """Literals of the slices with a higher loss than the mean, best score first."""
    holds = literals.holds[rows].double()
    total, n = float(loss.mean()), len(loss)
    spread = float((loss - loss.median()).abs().mean())
    if spread <= 0:
        return []
    frontier: list[tuple[int, ...]] = [()]
    member = torch.ones(n, 1, dtype=torch.float64)
    scored: dict[tuple[int, ...], float] = {}
    for _ in range(depth):
        sizes = member.T @ holds
        sums = (member * loss[:, None]).T @ holds
        mean = sums / sizes.clamp_min(1)
        score = 0.95 * (mean - total) / spread - 0.05 * (n / sizes.clamp_min(1) - 1)
        level: dict[tuple[int, ...], float] = {}
        for i, j in ((sizes >= least) & (mean > total)).nonzero().tolist():
            name = tuple(sorted({*frontier[i], j}))
            if len({literals.of[k] for k in name}) == len(frontier[i]) + 1:  # a statement a column
                level[name] = float(score[i, j])
        better = {k: v for k, v in level.items() if all(v > scored.get(p, -np.inf) for p in _parents(k))}
        scored |= better
        frontier = sorted(level, key=lambda k: -level[k])[:_BEAM]
        if not frontier:
            break
        member = torch.stack([holds[:, list(k)].prod(1) for k in frontier], dim=1)
    return sorted(scored, key=lambda k: -scored[k])


def _parents(name: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [name[:i] + name[i + 1 :] for i in range(len(name))]


def _distinct(found: list[tuple[int, ...]], literals: Literals) -> list[tuple[int, ...]]:
    """The best slices, without those that hold nearly the same samples as a better one."""
    kept: list[tuple[int, ...]] = []
    masks: list[Bool[Tensor, " n"]] = []
    for members in found[: 20 * _TESTED]:
        mask = literals.holds[:, list(members)].all(1)
        if all(int((mask & m).sum()) < _SAME * int((mask | m).sum()) for m in masks):
            kept.append(members)
            masks.append(mask)
        if len(kept) == _TESTED:
            break
    return kept


def _judged(loss: Tensor, literals: Literals, kept: list[tuple[int, ...]], test: Tensor, seed: int) -> list[Slice]:
    """Slices on the half that had no part in the search, their p-values not yet adjusted."""
    binary = bool(((loss == 0) | (loss == 1)).all())
    values = loss[test] > 0 if binary else loss[test]
    wholes = [literals.holds[:, list(members)].all(1) for members in kept]
    insides = [whole[test] for whole in wholes]
    if any(bool(inside.all()) for inside in insides):
        raise InputError("a slice", given="all samples", expected="some of them")
    ps = [_exact(values[i], values) for i in insides] if binary else _permuted(values, insides, seed)
    level = 1 - 0.05 / len(kept)
    return [
        _slice(" and ".join(literals.words[k] for k in members), whole, values, inside, level, p, seed)
        for members, whole, inside, p in zip(kept, wholes, insides, ps)
    ]


def _slice(words: str, whole: Tensor, values: Tensor, inside: Tensor, level: float, p: float, seed: int) -> Slice:
    parts = values[inside], values[~inside]
    within, rest = interval_of_mean(parts[0], seed), interval_of_mean(parts[1], seed)
    gap = interval_of_gap(parts, (within, rest), level)
    return Slice(words, whole.nonzero().flatten(), len(parts[0]), within.value, rest.value, gap, p)


def _exact(within: Tensor, values: Tensor) -> float:
    """P(at least so many of the errors fall into the slice by chance)."""
    from scipy import stats

    return float(stats.hypergeom.sf(int(within.sum()) - 1, len(values), int(values.sum()), len(within)))


def _permuted(values: Tensor, insides: list[Tensor], seed: int) -> list[float]:
    """Of each slice the share of random subsets of its size whose sum is as large."""
    centred = values - values.mean()
    seen = [float(centred[inside].sum()) for inside in insides]
    drawn = subset_sums(centred, [int(inside.sum()) for inside in insides], _PERMUTATIONS, seed)
    slack = 1e-12 * float(centred.abs().sum())
    return [(1 + int((sums >= value - slack).sum())) / (_PERMUTATIONS + 1) for value, sums in zip(seen, drawn)]
