"""Refits for tests: with and without something, from the same start, on the same batches, for as many steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from deepwright.core.devices import resolve
from deepwright.core.errors import InputError
from deepwright.core.randomness import derive_seed
from deepwright.interpret.deepin import tables
from deepwright.interpret.deepin.base import DeepIn
from deepwright.interpret.deepin.losses import RowLoss
from deepwright.interpret.deepin.stack import Stack
from deepwright.interpret.deepin.training import Pool, Recipe, Rows, losses_of, train

LEAST = 50
_ESTIMATION, _STOP = 0.6, 0.2


@dataclass(frozen=True)
class Splits:
    """Rows of each split, in one pool, each split's standardised by its own rows for estimation.

    Attributes:
        pool: (splits * n, p).
        fit: (splits, n_fit) rows that are fitted.
        stop: (splits, n_stop) rows on which the epoch is chosen.
        infer: (splits, m) rows on which losses are compared.
        loss: of a row.
        recipe: of a refit.
        support: (splits, p) variables of the full network.
        dims: (splits,) its columns.
        hidden: widths.
        names: of the columns.
        groups: (p,) the group of each column, or None: what was selected together is left out together.
        center: whether a common shift of the outputs says nothing.
        draws: (splits,) as `training.Rows` has them.
    """

    pool: Pool
    fit: Tensor
    stop: Tensor
    infer: Tensor
    loss: RowLoss
    recipe: Recipe
    support: Tensor
    dims: tuple[int, ...]
    hidden: tuple[int, ...]
    names: list[Any]
    groups: np.ndarray | None = None
    center: bool = False
    draws: Tensor | None = None

    def __len__(self) -> int:
        return len(self.fit)


def split(est: DeepIn, X: Any, y: Any, n_splits: int, select: bool, seed: int) -> Splits:
    """Random splits, and the variables and dimensions of each: selected on its rows for estimation only.

    Args:
        est: an estimator; one that isn't fitted is fitted to each split's rows for estimation, one that is must not
            have seen any of these rows, and its selection holds for all splits.
        X: (n, p).
        y: targets.
        n_splits: how many.
        select: False tests all columns at the estimator's `max_dim`, without selection.
        seed: of the splits.

    Raises:
        InputError: fewer than 50 rows, or rows that the estimator was fitted on.
    """
    fitted = est.__sklearn_is_fitted__()
    own = clone(est)
    if fitted:
        est._read(X)  # refuses other columns
        X = tables.in_order(X, est._names)
    x, target, _ = own._rows(X, y, None, None)
    if fitted and own._names is None:
        own._names = est._names
    n, p = x.shape
    if n < LEAST:
        raise InputError("X", given=f"{n} rows", expected=f"at least {LEAST}", hint="a test on fewer says nothing")
    if fitted and select:
        _require_fresh(est, x)
    parts, supports, dims, xs, ys = [], [], [], [], []
    for k in range(n_splits):
        order = tables.balanced_order(n, derive_seed("split", k, seed=seed), tables.strata(target, own._kind))
        cut = round(_ESTIMATION * n)
        estimation = order[np.argsort(_spread(n), kind="stable")][:cut]
        infer = np.setdiff1d(np.arange(n), estimation)
        stop = np.zeros(cut, dtype=bool)
        stop[:: round(1 / _STOP)] = True
        parts.append((estimation[~stop], estimation[stop], infer))
        scale = tables.Scale.of(x[estimation])
        z = (x - scale.mean) / scale.deviation
        xs.append(z)
        ys.append(own._scaled_target(target, estimation))
        varies = np.isin(np.arange(p), scale.varies)
        if not select:
            supports.append(varies)
            dims.append(min(est.max_dim, int(varies.sum())))
            continue
        chooser = est
        if not fitted:
            chooser = clone(est).set_params(random_state=derive_seed("chooser", k, seed=seed) % 2**31)
            chooser.fit(_rows_of(X, estimation), _rows_of(y, estimation))
        supports.append(chooser.support_ & varies)
        dims.append(max(1, chooser.dim_))
    device = torch.device("cpu") if est.device is None else resolve(est.device, "device")
    kind = torch.long if own._kind == "classes" else torch.float32
    pool = Pool(
        torch.as_tensor(np.concatenate(xs), dtype=torch.float32, device=device),
        torch.as_tensor(np.concatenate(ys), dtype=kind, device=device),
    )
    shift = [n * k for k in range(n_splits)]
    fitted_on, stopped_on, inferred_on = (
        torch.stack([torch.as_tensor(part[i] + s) for part, s in zip(parts, shift, strict=True)]) for i in range(3)
    )
    recipe = Recipe(est.epochs, est.lr, est.batch_size, est.weight_decay, derive_seed("test", seed=seed))
    loss = own._loss(target)
    support = torch.as_tensor(np.stack(supports))
    return Splits(
        pool,
        fitted_on,
        stopped_on,
        inferred_on,
        loss,
        recipe,
        support,
        tuple(dims),
        tuple(est.hidden),
        own._labels(),
        tables.variable_groups(est.groups, own._names, p),
        own._center,
    )


def _spread(n: int) -> np.ndarray:
    """Which places of a balanced order come first when a share of them is taken: three of each five."""
    return np.isin(np.arange(n) % 5, (1, 3)).astype(float)


def _rows_of(X: Any, rows: np.ndarray) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else np.asarray(tables.as_numbers(X))[rows]


def _require_fresh(est: DeepIn, x: np.ndarray) -> None:
    exact, single = tables.fingerprints(x), tables.fingerprints(tables.rounded(x))
    known = np.isin(exact, est.training_rows_) | np.isin(single, est.training_rows_)
    seen = int((known | np.isin(exact, est._rounded_rows)).sum())
    if seen:
        raise InputError(
            "X",
            given=f"{seen} rows that the estimator was fitted on",
            expected="rows that had no part in the selection",
            hint="give an estimator that isn't fitted: each split then selects on its own rows; or other rows",
        )


def compare(
    splits: Splits, kept: Tensor, group: Tensor, leader: Tensor, dims: Sequence[int], start: Stack | None = None
) -> tuple[Stack, Tensor]:
    """Fit all networks together: those of a split share start, batches, and the epoch that its leader keeps.

    Args:
        splits: the rows.
        kept: (K, p) variables of each network.
        group: (K,) its split.
        leader: (K,) the full network of its split.
        dims: (K,) columns of each network.
        start: K networks to start from; drawn by default.

    Returns:
        The networks, and (K, m) losses on the rows for inference.
    """
    if start is None:
        widest, p = max(dims), splits.pool.x.shape[1]
        seeds = [derive_seed("start", int(k), seed=splits.recipe.seed) for k in group]
        start = Stack.drawn(seeds, p, widest, splits.hidden, splits.loss.outputs).to(splits.pool.x)
    with torch.no_grad():
        for k, d in enumerate(dims):
            start.b[k, :, d:] = 0.0
            start.weights[0][k, d:] = 0.0
    rows = Rows(splits.fit, splits.stop, group, splits.draws)
    made = train(start, splits.pool, rows, splits.loss, splits.recipe, kept_rows=kept, leader=leader).stack
    judged = Rows(splits.infer, group=group.to(splits.pool.x.device))
    return made, losses_of(made, splits.pool, judged, splits.loss)
