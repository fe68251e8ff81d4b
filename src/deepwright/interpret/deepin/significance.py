"""Tests of variables, of the dimension, and of directions, on rows that had no part in the selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from deepwright.core.errors import InputError, NotFittedError
from deepwright.core.randomness import derive_seed, generator
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.statistics import benjamini_hochberg, holm
from deepwright.interpret.deepin.base import DeepIn
from deepwright.interpret.deepin.evidence import (
    METHODS,
    blocks,
    cauchy_combination,
    one_split,
    require_permutations,
    twice_median,
    two_split,
)
from deepwright.interpret.deepin.refits import Splits, compare, split
from deepwright.interpret.deepin.rotation import directions, gradient_moments, rotated_basis
from deepwright.interpret.deepin.stack import Stack
from deepwright.interpret.deepin.training import Pool, Rows, losses_of, train

_CORRECTIONS = {"holm": holm, "bh": benjamini_hochberg}
_COMBINED = {"cauchy": cauchy_combination, "median": twice_median}
_NEIGHBOURS = 10
_RHO = 0.1


def test_variables(
    est: DeepIn,
    X: Any,
    y: Any,
    method: str = "one_split",
    n_splits: int = 5,
    correction: str = "holm",
    *,
    variables: Sequence[Any] | None = None,
    select: bool = True,
    rho: float = _RHO,
    permutations: int = 199,
    combine: str = "cauchy",
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Is the target predicted worse without a variable, given the others that were selected?

    Each split selects on 60 % of its rows, fits a network with all of its selected variables and one without each of
    them on these (all of a split from the same start, on the same batches, for as many steps: else luck of training is
    read as evidence), and compares losses on the other 40 %. Of the estimator's `groups` all members are left out
    together (each dummy of a category is known from the others) and have one row.

    Args:
        est: an estimator that isn't fitted; or one fitted on *other* rows, whose selection then holds for all splits.
        X: (n, p), of 50 rows at least.
        y: targets.
        method: "one_split" (differences with noise of `rho`), "two_split" (no tuning, less power), or "permutation" (of
            the variable among rows with similar other directions; it asks the network, not a refit).
        n_splits: random splits, whose p-values are combined.
        correction: for several variables, "holm" or "bh".
        variables: which are tested, by name (number where columns have none), a group by any member; all that a split
            selected by default.
        select: False tests all columns at `max_dim`, without selection.
        rho: noise of "one_split", in spreads of the losses.
        permutations: of "permutation".
        combine: "cauchy" or "median".
        alpha: level at which permutations must be able to reject.
        seed: of splits and noise.

    Returns:
        A row a variable (a group's bears the names of all selected in it): `variable`, `selected` (share of splits),
        `effect` (increase of the loss, relative to the full network's), `low` and `high` of its 95 % interval, `stat`
        (mean), `p`, `p_adj`. A split that didn't select a variable counts as p = 1.

    Raises:
        InputError: what makes no test: rows that chose the selection, variables that no split selected, too few
            permutations, unknown words.
    """
    require_whole(1, n_splits=n_splits)
    require_within(0, 100, rho=rho)
    _require_words(method, correction, combine)
    splits = split(est, X, y, n_splits, select, seed)
    places = _tested(splits, variables)
    if method == "permutation":
        require_permutations(permutations, len(places) * (2 if combine == "median" else 1), alpha)
    if not len(places):
        return _table(
            [], [], np.zeros((0, n_splits)), np.zeros((0, n_splits)), np.zeros((0, n_splits, 2)), correction, combine
        )
    kept, group, leader, removed = _arms(splits, places)
    made, losses = compare(splits, kept, group, leader, [splits.dims[int(k)] for k in group])
    found = [int(a) for a in (removed >= 0).nonzero().flatten()]
    if method == "permutation":
        t, p, effects = _permuted(splits, made, group, leader, removed, found, permutations, seed)
    else:
        without, full = losses[found], losses[leader.to(losses.device)][found]
        t, p = (
            two_split(without, full)
            if method == "two_split"
            else one_split(without, full, rho, derive_seed("noise", seed=seed))
        )
        effects = _effects(without, full)
    shape = (len(places), len(splits))
    stats, ps, effect = np.zeros(shape), np.ones(shape), np.full((*shape, 2), np.nan)
    for i, arm in enumerate(found):
        at = places.index(int(removed[arm])), int(group[arm])
        stats[at], ps[at], effect[at] = float(t[i]), float(p[i]), effects[i]
    together = [_members(splits, j) for j in places]
    shares = [float(splits.support[:, members].any(1).float().mean()) for members in together]
    names = [splits.names[m[0]] if len(m) == 1 else " + ".join(str(splits.names[j]) for j in m) for m in together]
    return _table(names, shares, stats, ps, effect, correction, combine)


def test_dimension(
    est: DeepIn,
    X: Any,
    y: Any,
    max_dim: int | None = None,
    *,
    n_splits: int = 5,
    select: bool = True,
    rho: float = _RHO,
    alpha: float = 0.05,
    combine: str = "cauchy",
    seed: int = 0,
) -> pd.DataFrame:
    """Is the target predicted worse by d directions than by d + 1, for d = 1, 2, ... until that isn't shown?

    The directions are the leading ones of a pilot on the rows for estimation, and both refits start with them. That the
    last d isn't rejected doesn't show that it suffices.

    Args:
        est: as for `test_variables`.
        X: (n, p), of 50 rows at least.
        y: targets.
        max_dim: the last d + 1; the estimator's by default.
        n_splits: random splits, whose p-values are combined.
        select: False uses all columns.
        rho: noise, in spreads of the losses.
        alpha: level.
        combine: "cauchy" or "median".
        seed: of splits and noise.

    Returns:
        A row each d tested: `dimension`, `effect`, `low`, `high`, `stat`, `p`, `rejected`; the last one isn't rejected,
        or is at the cap.
    """
    require_whole(1, n_splits=n_splits)
    require_within(0, 1, alpha=alpha)
    _require_words("one_split", "holm", combine)
    splits = split(est, X, y, n_splits, select, seed)
    most = min(est.max_dim if max_dim is None else max_dim, int(splits.support.sum(1).max()))
    if most < 2:
        return pd.DataFrame(columns=["dimension", "effect", "low", "high", "stat", "p", "rejected"])
    count = len(splits)
    group = torch.arange(count).repeat_interleave(most)
    start = _leading(splits, most).copy(group)
    leader = (torch.arange(count) * most + most - 1)[group]
    _, losses = compare(splits, splits.support[group], group, leader, list(range(1, most + 1)) * count, start)
    by_dim = losses.view(count, most, -1)
    rows = []
    for d in range(1, most):
        without, full = by_dim[:, d - 1], by_dim[:, d]
        t, p = one_split(without, full, rho, derive_seed("dimension", d, seed=seed))
        effect = np.array(_effects(without, full)).mean(0)
        together = float(_COMBINED[combine](p.numpy()))
        rows.append([d, *_interval(effect), float(t.mean()), together, together <= alpha])
        if together > alpha:
            break
    return pd.DataFrame(rows, columns=["dimension", "effect", "low", "high", "stat", "p", "rejected"])


def test_representation(
    est: DeepIn,
    X: Any,
    y: Any,
    *,
    n_splits: int = 5,
    rho: float = _RHO,
    correction: str = "holm",
    combine: str = "cauchy",
    seed: int = 0,
) -> pd.DataFrame:
    """Is the target predicted worse when a canonical direction is projected out of the selected columns?

    Args:
        est: fitted on other rows.
        X: (n, p), of 50 rows at least.
        y: targets.
        n_splits: random splits, whose p-values are combined.
        rho: noise, in spreads of the losses.
        correction: "holm" or "bh".
        combine: "cauchy" or "median".
        seed: of splits and noise.

    Returns:
        A row a direction, with the columns of `test_variables`.

    Raises:
        InputError: an estimator that isn't fitted, or was on these rows.
    """
    if not est.__sklearn_is_fitted__():
        raise NotFittedError(type(est).__name__)
    require_whole(1, n_splits=n_splits)
    _require_words("one_split", correction, combine)
    splits = split(est, X, y, n_splits, True, seed)
    d, count, n = est.dim_, len(splits), len(splits.pool.x)
    empty = np.zeros((d, count))
    if not d:
        return _table([], [], empty, empty, np.zeros((0, count, 2)), correction, combine)
    b = torch.as_tensor(est.B_).to(splits.pool.x)
    units = b / b.norm(dim=0).clamp_min(1e-30)
    x = torch.cat([splits.pool.x, *(splits.pool.x - (splits.pool.x @ u)[:, None] * u for u in units.T)])
    parts = ("fit", "stop", "infer")
    rows: dict[str, Any] = {p: torch.cat([getattr(splits, p) + n * k for k in range(d + 1)]) for p in parts}
    many = replace(
        splits,
        pool=Pool(x, splits.pool.y.repeat(d + 1, *[1] * (splits.pool.y.ndim - 1))),
        draws=torch.arange(count * (d + 1)) % count,
        **rows,
    )
    arms = torch.arange(count * (d + 1))
    leader = arms % count
    p_all = splits.pool.x.shape[1]
    seeds = [derive_seed("start", int(k), seed=splits.recipe.seed) for k in leader]
    start = Stack.drawn(seeds, p_all, max(splits.dims), splits.hidden, splits.loss.outputs).to(x)
    _, losses = compare(many, splits.support[leader], arms, leader, [splits.dims[int(k)] for k in leader], start)
    stacked = losses.view(d + 1, count, -1)
    stats, ps, effect = empty.copy(), np.ones((d, count)), np.zeros((d, count, 2))
    for k in range(d):
        t, p = one_split(stacked[k + 1], stacked[0], rho, derive_seed("direction", k, seed=seed))
        stats[k], ps[k], effect[k] = t.numpy(), p.numpy(), _effects(stacked[k + 1], stacked[0])
    return _table([f"z{k}" for k in range(d)], [1.0] * d, stats, ps, effect, correction, combine)


for _test in (test_variables, test_dimension, test_representation):
    setattr(_test, "__test__", False)  # noqa: B010 - pytest takes any function of this name for a test


def _require_words(method: str, correction: str, combine: str) -> None:
    for what, given, known in (
        ("method", method, METHODS),
        ("correction", correction, tuple(_CORRECTIONS)),
        ("combine", combine, tuple(_COMBINED)),
    ):
        if given not in known:
            raise InputError(what, given=repr(given), expected=" or ".join(map(repr, known)))


def _tested(splits: Splits, variables: Sequence[Any] | None) -> list[int]:
    selected = splits.support.any(0).nonzero().flatten().tolist()
    if variables is None:
        return list(dict.fromkeys(_members(splits, int(j))[0] for j in selected))
    places: list[int] = []
    for name in variables:
        if name not in splits.names:
            raise InputError("variables", given=repr(name), expected="names of columns")
        place = splits.names.index(name)
        if place not in selected:
            hint = "p has no meaning for it; select=False tests all columns"
            raise InputError(
                "variables", given=f"{name!r}, which no split selected", expected="selected ones", hint=hint
            )
        places.append(_members(splits, place)[0])
    return list(dict.fromkeys(places))


def _members(splits: Splits, place: int) -> list[int]:
    """The columns that are left out together with a selected one: those of its group that a split selected."""
    if splits.groups is None:
        return [place]
    alike = torch.as_tensor(splits.groups == splits.groups[place])
    return [int(j) for j in (splits.support.any(0) & alike).nonzero().flatten()]


def _arms(splits: Splits, places: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each split the full network and those without one variable: what each keeps, its split, leader, and lack."""
    kept: list[Tensor] = []
    group: list[int] = []
    leader: list[int] = []
    removed: list[int] = []
    for k in range(len(splits)):
        first = len(kept)
        lacking = [-1, *(j for j in places if bool(splits.support[k, _members(splits, j)].any()))]
        for j in lacking:
            mask = splits.support[k].clone()
            if j >= 0:
                mask[_members(splits, j)] = False
            kept.append(mask)
            group.append(k)
            leader.append(first)
            removed.append(j)
    return torch.stack(kept), torch.tensor(group), torch.tensor(leader), torch.tensor(removed)


def _effects(without: Tensor, full: Tensor) -> list[tuple[float, float]]:
    """Relative increase of the loss and its standard error, for each pair."""
    delta, base = (without - full).double(), full.double().mean(1).clamp_min(1e-30)
    error = delta.std(1) / delta.shape[1] ** 0.5 / base
    return list(zip((delta.mean(1) / base).tolist(), error.tolist(), strict=True))


def _interval(effect: np.ndarray) -> tuple[float, float, float]:
    """Splits share rows: their mean has the standard error of one of them."""
    value, error = float(effect[0]), float(effect[1])
    return value, value - 1.96 * error, value + 1.96 * error


def _table(
    names: list[Any],
    shares: list[float],
    stats: np.ndarray,
    ps: np.ndarray,
    effect: np.ndarray,
    correction: str,
    combine: str,
) -> pd.DataFrame:
    head = ["variable", "selected", "effect", "low", "high", "stat", "p", "p_adj"]
    if not names:
        return pd.DataFrame(columns=head)
    together = _COMBINED[combine](ps, axis=1)
    adjusted = _CORRECTIONS[correction](together.tolist())
    rows = [
        [name, shares[i], *_interval(np.nanmean(effect[i], 0)), stats[i].mean(), together[i], adjusted[i]]
        for i, name in enumerate(names)
    ]
    return pd.DataFrame(rows, columns=head)


def _leading(splits: Splits, dims: int) -> Stack:
    """One network a split, whose columns are the pilot's leading directions and whose g is drawn."""
    count, p = len(splits), splits.pool.x.shape[1]
    seeds = [derive_seed("pilot", k, seed=splits.recipe.seed) for k in range(count)]
    drawn = Stack.drawn(seeds, p, dims, splits.hidden, splits.loss.outputs).to(splits.pool.x)
    rows = Rows(splits.fit, splits.stop, torch.arange(count))
    pilot = train(drawn, splits.pool, rows, splits.loss, splits.recipe, kept_rows=splits.support).stack
    moments = gradient_moments(pilot, splits.pool.x[splits.fit.to(splits.pool.x.device)], splits.center)
    start = drawn.copy()
    with torch.no_grad():
        start.b.copy_(rotated_basis(*directions(pilot.b.detach(), moments), dims))
    return start


def _permuted(
    splits: Splits,
    made: Stack,
    group: Tensor,
    leader: Tensor,
    removed: Tensor,
    found: list[int],
    count: int,
    seed: int,
) -> tuple[Tensor, Tensor, list[tuple[float, float]]]:
    """The full network's losses when a variable is permuted among neighbours in the other variables' directions."""
    ts, ps, effects = [], [], []
    for arm in found:
        k, j, full = int(group[arm]), int(removed[arm]), made.copy([int(leader[arm])])
        rows = splits.infer[k].to(splits.pool.x.device)
        x, y = splits.pool.x[rows], splits.pool.y[rows]
        b = full.b.detach()[0]
        members = _members(splits, j)
        own_part = x[:, members] @ b[members]
        others = x @ b - own_part
        label = torch.as_tensor(blocks(others.cpu().double().numpy(), _NEIGHBOURS), device=x.device)
        order = _within(label, count, derive_seed("permute", k, j, seed=seed)).to(x.device)
        own = losses_of(full, splits.pool, Rows(splits.infer[k][None]), splits.loss)[0]
        moved = _permuted_losses(full, others, own_part, order, y, splits)
        means = moved.mean(1)
        observed = own.mean()
        ps.append((1 + int((means <= observed).sum())) / (count + 1))
        spread = means.std().clamp_min(1e-30)
        ts.append(float((means.mean() - observed) / spread))
        base = float(observed.clamp_min(1e-30))
        effects.append(
            (float(means.mean() - observed) / base, float((moved.mean(0) - own).std()) / len(own) ** 0.5 / base)
        )
    return torch.tensor(ts), torch.tensor(ps, dtype=torch.float64), effects


def _within(label: Tensor, count: int, seed: int) -> Tensor:
    """(count, n) orders that permute rows within their blocks."""
    drawn = torch.rand(count, len(label), generator=generator(seed), dtype=torch.float64)
    blocked = label.cpu().argsort(stable=True)
    shuffled = (label.cpu() + drawn).argsort(1)
    order = torch.empty_like(shuffled)
    order[:, blocked] = shuffled
    return order


@torch.no_grad()
def _permuted_losses(full: Stack, others: Tensor, own: Tensor, order: Tensor, y: Tensor, splits: Splits) -> Tensor:
    """(count, n) losses with the variable's (n, D) part of z taken from other rows."""
    found = []
    for part in order.split(20):
        z = (others + own[part]).flatten(0, 1)[None]
        out = full.head(z)[0].view(len(part), len(y), -1)
        found.append(splits.loss.rows(out, y[None]))
    return torch.cat(found)
