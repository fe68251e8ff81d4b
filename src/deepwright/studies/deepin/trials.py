"""What is run: every way on every table, and the tests of variables on many small tables."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.randomness import derive_seed, generator
from deepwright.interpret import (
    DeepInRegressor,
    adaptive_lasso,
    forest_selection,
    integrated_gradients,
    permutation_shap,
    plain_mlp,
    principal_angles,
    sliced_directions,
    tuned_mlp,
)
from deepwright.interpret.deepin.baselines import PlainFit
from deepwright.interpret.deepin.evidence import one_split, two_split
from deepwright.interpret.deepin.losses import Squared
from deepwright.interpret.deepin.refits import Splits, compare
from deepwright.interpret.deepin.training import Pool, Recipe
from deepwright.studies.deepin.simulations import TRUE_VARIABLES, Simulated, simulate, true_directions

DEEPIN, BOTTLENECK, PLAIN, TUNED = "DeepIn", "MLP, bottleneck", "MLP, stopped early", "MLP, tuned"
LASSO, ADAPTIVE, FOREST, SIR, SAVE = "lasso", "adaptive lasso", "forest, permutations", "SIR", "SAVE"
NETWORKS = (DEEPIN, BOTTLENECK, PLAIN, TUNED)
DIABETES = (DEEPIN, LASSO, TUNED, BOTTLENECK)
RHOS = (0.0, 0.1, 1.0)
_TESTED = (-1, 0, 2, 5)  # the full network, and what each other one lacks


def simulation_trial(name: str, way: str, seed: int, epochs: int) -> dict[str, Any]:
    """One way on one simulated table.

    Args:
        name: of the simulation.
        way: of the arms.
        seed: of the table and of the way.
        epochs: of a network.
    """
    torch.set_num_threads(1)
    data = simulate(name, seed)
    if way == DEEPIN:
        return _deepin(name, data, seed, epochs)
    if way in (SIR, SAVE):
        return _sliced(name, data, way)
    if way in (LASSO, ADAPTIVE, FOREST):
        return _selected(name, data, way, seed)
    return _network(name, data, way, seed, epochs)


def _deepin(name: str, data: Simulated, seed: int, epochs: int) -> dict[str, Any]:
    rows, held, test = (data.part(p) for p in ("train", "validation", "test"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est = DeepInRegressor(epochs=epochs, random_state=seed).fit(
            data.x[rows], data.y[rows].numpy(), data.x[held], data.y[held].numpy()
        )
    error = float(np.square(est.predict(data.x[test]) - data.clean[test].numpy()).mean())
    found = {
        "error": error,
        "dimension": est.dim_,
        "parameters": est.n_params_,
        "scree": [float(v) for v in est.scree_[:6]],
        "path": [[float(v) for v in est.path_[c]] for c in ("lambda", "variables", "dimensions", "selection")],
    } | _counted(name, est.support_)
    if name in ("S1", "S2", "S3"):
        b, truth = torch.as_tensor(est.B_), torch.as_tensor(true_directions(name))
        found["angle"] = float(principal_angles(b, truth).amax()) if est.dim_ else 90.0
    return found


def _counted(name: str, selected: np.ndarray) -> dict[str, Any]:
    true = TRUE_VARIABLES[name]
    return {"found": int(selected[:true].sum()), "false": int(selected[true:].sum())}


def _standardised(data: Simulated) -> tuple[Tensor, Tensor, float, float]:
    rows = data.part("train")
    mean, deviation = data.y[rows].mean(), data.y[rows].std(correction=0)
    x = (data.x - data.x[rows].mean(0)) / data.x[rows].std(0, correction=0)
    return x, (data.y - mean) / deviation, float(mean), float(deviation)


def _fit(way: str, train: Any, held: Any, seed: int, epochs: int) -> PlainFit:
    if way == TUNED:
        return tuned_mlp(train, held, epochs=epochs, seed=seed)
    return plain_mlp(train, held, bottleneck=8 if way == BOTTLENECK else 0, epochs=epochs, seed=seed)


def _network(name: str, data: Simulated, way: str, seed: int, epochs: int) -> dict[str, Any]:
    x, y, mean, deviation = _standardised(data)
    rows, held, test = (data.part(p) for p in ("train", "validation", "test"))
    both = slice(sum(data.parts))
    chosen = _fit(way, (x[rows], y[rows]), (x[held], y[held]), seed, epochs)
    fit = _again(way, chosen, (x[both], y[both]), seed)
    with torch.no_grad():
        out = fit.network(x[test]).squeeze(1) * deviation + mean
    found: dict[str, Any] = {
        "error": float((out - data.clean[test]).square().mean()),
        "decay": fit.decay,
        "dropout": fit.dropout,
    }
    if way == TUNED and name == "S1":
        found |= _attributed(fit, x[held], x[rows], seed)
    return found


def _attributed(fit: PlainFit, x: Tensor, background: Tensor, seed: int) -> dict[str, Any]:
    """What attributions give to the 46 columns of noise, and how many of the four others come first."""
    found: dict[str, Any] = {}
    ways = {
        "integrated gradients": integrated_gradients(fit.network, x, steps=32),
        "permutation SHAP": permutation_shap(fit.network, x[:200], background, 4, seed),
    }
    for name, values in ways.items():
        importance = values.abs().mean(0)
        first = importance.argsort(descending=True)[:4]
        found[name] = float(importance[4:].sum() / importance.sum())
        found[f"{name}, first four"] = int((first < 4).sum())
    return found


def _selected(name: str, data: Simulated, way: str, seed: int) -> dict[str, Any]:
    from sklearn.linear_model import LassoCV

    x, y, mean, deviation = _standardised(data)
    rows, test = slice(sum(data.parts)), data.part("test")
    a, b = x[rows].double().numpy(), y[rows].double().numpy()
    if way == FOREST:
        return _counted(name, forest_selection(a, b, seed, repeats=3, trees=40))
    fit = LassoCV(cv=5).fit(a, b) if way == LASSO else None
    weights = adaptive_lasso(a, b) if fit is None else fit.coef_
    out = x[test].double().numpy() @ weights * deviation + mean
    return {"error": float(np.square(out - data.clean[test].numpy()).mean())} | _counted(name, weights != 0)


def _sliced(name: str, data: Simulated, way: str) -> dict[str, Any]:
    """Directions of as many dimensions as there are, which these are told."""
    truth = true_directions(name)
    rows = slice(sum(data.parts))
    x, y = data.x[rows].double().numpy(), data.y[rows].double().numpy()
    found, _ = sliced_directions(x, y, truth.shape[1], way.lower())
    return {"angle": float(principal_angles(torch.as_tensor(found), torch.as_tensor(truth)).amax())}


def diabetes_trial(way: str, seed: int, epochs: int) -> dict[str, Any]:
    """scikit-learn's diabetes with 20 columns of noise: 80 % of the rows for fitting and choosing, 20 % for the test.

    Args:
        way: of the arms.
        seed: of noise, split and way.
        epochs: of a network.
    """
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import LassoCV

    torch.set_num_threads(1)
    data = load_diabetes()
    rng = np.random.default_rng(derive_seed("diabetes", seed=seed))
    x = np.concatenate([data.data, rng.standard_normal((len(data.data), 20))], 1)
    order = rng.permutation(len(x))
    cut, least = round(0.8 * len(x)), round(0.6 * len(x))
    rows, test = order[:cut], order[cut:]
    mean, deviation = x[rows].mean(0), x[rows].std(0)
    z, y = (x - mean) / deviation, (data.target - data.target[rows].mean()) / data.target[rows].std()
    found: dict[str, Any] = {}
    if way == DEEPIN:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            est = DeepInRegressor(epochs=epochs, random_state=seed).fit(z[rows], y[rows])
        out, found = est.predict(z[test]), {"noise": int(est.support_[10:].sum()), "dimension": est.dim_}
        found |= {"variables": int(est.support_[:10].sum())}
    elif way == LASSO:
        lasso = LassoCV(cv=5).fit(z[rows], y[rows])
        out, found = lasso.predict(z[test]), {"noise": int((lasso.coef_[10:] != 0).sum())}
        found |= {"variables": int((lasso.coef_[:10] != 0).sum())}
    else:
        out = _rival(way, z, y, order[:least], order[least:cut], rows, test, seed, epochs)
    return found | {"r2": 1 - float(np.square(out - y[test]).sum() / np.square(y[test] - y[rows].mean()).sum())}


def _rival(way: str, z: Any, y: Any, train: Any, held: Any, rows: Any, test: Any, seed: int, epochs: int) -> Any:
    """A network's outputs on the rows of the test."""
    x, t = torch.as_tensor(z, dtype=torch.float32), torch.as_tensor(y, dtype=torch.float32)
    chosen = _fit(way, (x[train], t[train]), (x[held], t[held]), seed, epochs)
    again = _again(way, chosen, (x[rows], t[rows]), seed)
    with torch.no_grad():
        return again.network(x[test]).squeeze(1).double().numpy()


def _again(way: str, chosen: PlainFit, rows: tuple[Tensor, Tensor], seed: int) -> PlainFit:
    """With setting and epoch chosen on validation rows, fitted on these and the training rows, as DeepIn is."""
    return plain_mlp(
        rows,
        rows,
        bottleneck=8 if way == BOTTLENECK else 0,
        decay=chosen.decay,
        dropout=chosen.dropout,
        epochs=max(1, chosen.epoch),
        seed=seed,
    )


def tests_trial(start: str, seed: int, block: int, replications: int) -> dict[str, Any]:
    """p-values of x0 (strong), x2 (weak) and x5 (no part in y), each without selection, on tables of their own.

    Args:
        start: "common" random numbers for all refits of a table, or "independent" ones.
        seed: of the study to which the block belongs.
        block: seed of its tables.
        replications: tables, all of whose networks are one stack.
    """
    torch.set_num_threads(1)
    n, arms = 1500, len(_TESTED)
    made = generator(block, "tests")
    x = torch.randn(replications, n, 6, generator=made)
    y = (1.5 * x[..., 0]).sin() + 0.5 * x[..., 1] ** 2 + 0.15 * x[..., 2]
    y = y + 0.5 * torch.randn(replications, n, generator=made)
    x = (x - x[:, :900].mean(1, keepdim=True)) / x[:, :900].std(1, keepdim=True)
    y = (y - y[:, :900].mean(1, keepdim=True)) / y[:, :900].std(1, keepdim=True)
    common = start == "common"
    table = torch.arange(replications).repeat_interleave(arms)
    rows = torch.arange(n) + n * (torch.arange(replications) if common else table)[:, None]
    kept = torch.ones(replications * arms, 6, dtype=torch.bool)
    for k, j in enumerate(_TESTED):
        if j >= 0:
            kept[k::arms, j] = False
    splits = Splits(
        Pool(x.flatten(0, 1), y.flatten()[:, None]),
        *(rows[:, :720], rows[:, 720:900], rows[:, 900:]),
        Squared(1),
        Recipe(27, 5e-3, 250, 1e-4, derive_seed("tests", seed=block)),
        kept,
        (6,),
        (32, 32),
        list(range(6)),
    )
    group = table if common else torch.arange(replications * arms)
    leader = table * arms if common else group
    _, losses = compare(splits, kept, group, leader, [6] * len(group))
    by_table = losses.view(replications, arms, -1)
    found: dict[str, Any] = {}
    for k, j in enumerate(_TESTED[1:], 1):
        for rho in RHOS:
            found[f"x{j}, rho {rho:g}"] = one_split(by_table[:, k], by_table[:, 0], rho, block)[1].tolist()
        found[f"x{j}, two splits"] = two_split(by_table[:, k], by_table[:, 0])[1].tolist()
    return found
