"""Searches and sweeps over the single weights of a small network, at equal numbers of evaluations."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from torch import nn

from deepwright.compress import EvolutionaryPruner, WeightSpace, accuracy_on
from deepwright.core.pareto import hypervolume, nondominated
from deepwright.nets import mlp
from deepwright.studies._networks import built, digits_small, train

SWEEPS = ("layer-uniform magnitude", "global magnitude", "LAMP")
METHODS = (
    *SWEEPS,
    "flat binary",
    "phase 1",
    "phase 1, full budget",
    "phase 1 + 2, unguided",
    "phase 1 + 2",
)
HIDDEN = (64, 48)
POPULATION, GENERATIONS = 40, 50  # of each phase


def weights_trial(method: str, seed: int, generations: int) -> dict[str, Any]:
    """One search over the weights of an MLP 64-64-48-10 on the small digits.

    Args:
        method: one of `METHODS`.
        seed: of the digits' split, the network and the search.
        generations: of each phase.
    """
    data = digits_small(seed)
    model = trained_mlp(HIDDEN, seed)
    evaluate = accuracy_on(*data.validation)
    if method in SWEEPS:
        points, masks = _sweep(method, model, evaluate, 2 * POPULATION * (generations + 1))
        space: Any = WeightSpace.of(model)
    else:
        search = _search(method, model, data.train[0][:2], seed, generations)
        result = search.fit(evaluate, budget=2.0 * POPULATION * (generations + 1))
        points, masks, space = result.F, result.masks, search.space
    dense = float(evaluate.wrong(space, np.ones((1, space.size), bool)).mean())
    good = points[:, 0] <= dense + 0.01
    chosen = int(np.flatnonzero(good)[np.argmin(points[good, 1])])
    front = np.flatnonzero(nondominated(points))
    held = accuracy_on(*data.test).wrong(space, np.concatenate([masks[front], masks[chosen : chosen + 1]])).mean(1)
    return {
        "hypervolume": hypervolume(points, (1.0, 1.0)),
        "held out": held_out_volume(points[front], held[:-1]),
        "reduction": 1 - float(points[good, 1].min()),
        "picked validation error": float(points[chosen, 0]),
        "picked test error": float(held[-1]),
        "front": points[front].tolist(),
    }


def trained_mlp(hidden: tuple[int, ...], seed: int) -> nn.Module:
    """A perceptron on the small digits, after 60 epochs.

    Args:
        hidden: widths.
        seed: of the digits' split, the start and the batches.
    """
    return train(built(partial(mlp, 64, 10, hidden), seed), digits_small(seed).train, 60, seed)


def held_out_volume(front: np.ndarray, held: np.ndarray) -> float:
    """Area over the test errors of the points that the validation data pick: at each share of weights the densest point
    of the front within it, which is its best on validation; test data choose nothing.

    Args:
        front: (n, 2) validation error and share kept, none dominated.
        held: (n,) test errors of the same points.
    """
    order = np.argsort(front[:, 1], kind="stable")
    widths = np.diff(np.append(front[order, 1], 1.0))
    return float((widths * (1 - held[order])).sum())


def _search(method: str, model: Any, example: Any, seed: int, generations: int) -> EvolutionaryPruner:
    first = {"pop": POPULATION, "gen": generations}
    options: dict[str, Any] = {"granularity": "weight", "seed": seed, "phase1": first, "phase2": dict(first)}
    if method == "phase 1":
        options["phase2"] = {"gen": 0}
    elif method == "phase 1, full budget":
        options |= {"phase1": {"pop": POPULATION, "gen": 2 * generations + 1}, "phase2": {"gen": 0}}
    elif method == "phase 1 + 2, unguided":
        options["guided"] = False
    elif method == "flat binary":
        options |= {"guided": False, "escape": 0.0, "phase2": {"pop": POPULATION, "gen": 2 * generations + 1}}
    search = EvolutionaryPruner(model, example, **options)
    if method == "flat binary":
        # no thresholds, no corridor, no importance: random masks of every density to begin with
        rng = search.state.rng
        search.begin_with(np.stack([rng.random(search.space.size) < density for density in rng.random(POPULATION)]))
    return search


def _sweep(method: str, model: Any, evaluate: Any, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """One order of the weights, cut at many levels: points and masks."""
    space = WeightSpace.of(model)
    score = space.score
    if method == "layer-uniform magnitude":
        score = space.rank
    elif method == "LAMP":
        score = _lamp(space)
    order = np.argsort(-score, kind="stable")
    rank = np.empty(space.size, int)
    rank[order] = np.arange(space.size)
    kept = np.unique(np.linspace(1, space.size, levels).round().astype(int))
    masks = rank[None] < kept[:, None]
    errors = np.concatenate(
        [evaluate.wrong(space, part).mean(1) for part in np.array_split(masks, max(1, len(masks) // 40))]
    )
    return np.stack([errors, masks.mean(1)], 1), masks


def _lamp(space: WeightSpace) -> np.ndarray:
    """w_u^2 over the sum of the squares of all weights of its layer that are at least as large (arXiv 2010.07611)."""
    score = np.empty(space.size)
    for layer in range(len(space.names)):
        inside = np.flatnonzero(space.layer == layer)
        squares = space.score[inside] ** 2
        order = np.argsort(squares, kind="stable")
        tail = np.cumsum(squares[order][::-1])[::-1]
        score[inside[order]] = squares[order] / np.maximum(tail, 1e-30)
    return score
