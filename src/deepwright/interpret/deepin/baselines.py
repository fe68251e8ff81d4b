"""Rivals: plain and tuned networks, lasso and adaptive lasso, a forest's permutations, SIR and SAVE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.fit import Selection, adamw, fit
from deepwright.core.randomness import derive_seed, local_rng
from deepwright.core.requirements import require_whole

_DECAYS, _DROPOUTS = (0.1, 1.0, 3.0), (0.0, 0.2, 0.4)


def sliced_directions(
    x: np.ndarray, y: np.ndarray, dim: int, method: str = "sir", slices: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Directions of sliced inverse regression (SIR) or sliced average variance estimation (SAVE).

    Args:
        x: (n, p), of more rows than columns.
        y: (n,) numbers or classes.
        dim: directions wanted.
        method: "sir" (means of slices: blind to symmetric dependence) or "save" (their covariances).
        slices: of equally many rows; classes are slices themselves.

    Returns:
        (p, dim) directions and all eigenvalues.

    Raises:
        InputError: an unknown method, or too few rows.
    """
    if method not in ("sir", "save"):
        raise InputError("method", given=repr(method), expected="'sir' or 'save'")
    n, p = x.shape
    if n <= p + 1:
        raise InputError("x", given=f"{n} rows of {p} columns", expected="more rows than columns")
    centered = x - x.mean(0)
    values, vectors = np.linalg.eigh(centered.T @ centered / n)
    whiten = vectors / np.sqrt(np.maximum(values, 1e-12 * values[-1]))
    z = centered @ whiten
    distinct = np.unique(y)
    if len(distinct) <= slices:
        parts = [np.flatnonzero(y == v) for v in distinct]
    else:
        parts = np.array_split(np.argsort(y, kind="stable"), slices)
    kernel = np.zeros((p, p))
    for rows in parts:
        part = z[rows]
        if method == "sir":
            mean = part.mean(0)
            kernel += len(rows) / n * np.outer(mean, mean)
        else:
            gap = np.eye(p) - np.cov(part.T, bias=True).reshape(p, p)
            kernel += len(rows) / n * gap @ gap
    values, vectors = np.linalg.eigh(kernel)
    return whiten @ vectors[:, ::-1][:, :dim], values[::-1]


def adaptive_lasso(x: np.ndarray, y: np.ndarray, gamma: float = 1.0, folds: int = 5) -> np.ndarray:
    """(p,) coefficients of the lasso on columns scaled by a ridge's coefficients; lambda by cross-validation.

    Args:
        x: (n, p) standardised.
        y: (n,).
        gamma: exponent of the weights.
        folds: of the cross-validation.
    """
    from sklearn.linear_model import LassoCV, RidgeCV

    weight = np.abs(RidgeCV(np.logspace(-3, 3, 13)).fit(x, y).coef_) ** gamma
    return np.asarray(LassoCV(cv=folds).fit(x * weight, y).coef_ * weight)


def forest_selection(
    x: np.ndarray, y: np.ndarray, seed: int = 0, repeats: int = 10, trees: int = 200, classes: bool = False
) -> np.ndarray:
    """(p,) whether a variable's permutation importance beats the best of permuted copies of all, as Boruta asks.

    Args:
        x: (n, p).
        y: (n,).
        seed: of forest and permutations.
        repeats: permutations of each column.
        trees: of the forest.
        classes: whether `y` are classes.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.inspection import permutation_importance

    require_whole(1, repeats=repeats, trees=trees)
    rng = np.random.default_rng(derive_seed("forest", seed=seed))
    both = np.concatenate([x, rng.permuted(x, axis=0)], 1)
    state = derive_seed("trees", seed=seed) % 2**31
    order = rng.permutation(len(x))
    fit, held = order[: round(0.7 * len(x))], order[round(0.7 * len(x)) :]
    kind = RandomForestClassifier if classes else RandomForestRegressor
    forest = kind(trees, random_state=state, n_jobs=1).fit(both[fit], y[fit])
    found = permutation_importance(forest, both[held], y[held], n_repeats=repeats, random_state=state).importances_mean
    p = x.shape[1]
    return np.asarray(found[:p] > max(0.0, found[p:].max()))


@dataclass(frozen=True)
class PlainFit:
    """A network that wasn't reduced.

    Attributes:
        network: on standardised columns.
        validation: its mean squared error on validation rows, for standardised targets.
        decay: of AdamW.
        dropout: of its hidden layers.
        epoch: at which it was best.
    """

    network: nn.Module
    validation: float
    decay: float
    dropout: float
    epoch: int


def plain_mlp(
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    *,
    hidden: tuple[int, ...] = (64, 64),
    bottleneck: int = 0,
    decay: float = 1e-4,
    dropout: float = 0.0,
    epochs: int = 60,
    lr: float = 5e-3,
    batch_size: int = 250,
    seed: int = 0,
) -> PlainFit:
    """A ReLU network fitted by AdamW, its epoch chosen by validation rows.

    Args:
        train: standardised columns (n, p) and targets (n,).
        validation: as `train`.
        hidden: widths.
        bottleneck: dimensions of a linear map before the first hidden layer; 0 has none.
        decay: of AdamW.
        dropout: after each hidden layer.
        epochs: at most.
        lr: the highest rate; it falls by a cosine.
        batch_size: rows a step.
        seed: of weights, order and dropout.
    """
    x, y = train
    layers: list[nn.Module] = []
    wide = x.shape[1]
    with local_rng(derive_seed("mlp", seed=seed)):
        if bottleneck:
            layers.append(nn.Linear(wide, bottleneck, bias=False))
            wide = bottleneck
        for width in hidden:
            layers += [nn.Linear(wide, width), nn.ReLU(), nn.Dropout(dropout)]
            wide = width
        network = nn.Sequential(*layers, nn.Linear(wide, 1))
    held, targets = validation

    def validate(model: nn.Module) -> dict[str, float]:
        return {"mse": float((model(held).squeeze(1) - targets).square().mean())}

    network = network.to(x)
    found = fit(
        network,
        (x, y),
        epochs=epochs,
        batch_size=batch_size,
        step=_squared,
        optimizer=adamw(lr, decay),
        scheduler=_cosine,
        selection=Selection(validate, "mse", "min"),
        seed=seed,
    )
    with torch.no_grad():
        value = validate(network.eval())["mse"]
    return PlainFit(network, value, decay, dropout, found.best_epoch or epochs)


def tuned_mlp(
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    *,
    hidden: tuple[int, ...] = (64, 64),
    epochs: int = 60,
    lr: float = 5e-3,
    batch_size: int = 250,
    seed: int = 0,
) -> PlainFit:
    """The best of nine on validation rows: AdamW's decay .1, 1, 3 by dropout 0, .2, .4.

    Args:
        train: as for `plain_mlp`.
        validation: as for `plain_mlp`.
        hidden: widths.
        epochs: of each at most.
        lr: the highest rate.
        batch_size: rows a step.
        seed: of all nine.
    """
    tried = [
        plain_mlp(
            train,
            validation,
            hidden=hidden,
            decay=decay,
            dropout=dropout,
            epochs=epochs,
            lr=lr,
            batch_size=batch_size,
            seed=seed,
        )
        for decay in _DECAYS
        for dropout in _DROPOUTS
    ]
    return min(tried, key=_by_validation)


def _squared(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return (model(x).squeeze(1) - y).square().mean()


def _cosine(optimizer: torch.optim.Optimizer, steps: int) -> Any:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))


def _by_validation(fit: PlainFit) -> float:
    return fit.validation
