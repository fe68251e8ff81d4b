"""Phase 1: one threshold a layer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from deepwright.compress.search.engines import Engine
from deepwright.compress.search.space import Space

LARGEST = 2.5
LEVELS = 10


def first_thresholds(
    space: Space, count: int, rng: np.random.Generator, raw: bool = False
) -> Float[Array, "count layers"]:
    """The dense network, global cuts at ten levels of the layer-scaled scores, random ones.

    A network whose layers are rescaled (x128 here, / 128 there: the same function) gets the same cuts, since each score
    is taken in units of its layer's `scale`.

    Args:
        space: of masks.
        count: how many, two at least.
        rng: for the random ones.
        raw: also global cuts of the raw scores: the front is then at least as good as magnitude pruning, and depends
            on how the layers are scaled.
    """
    layers, shares = len(space.names), np.linspace(0.05, 0.95, LEVELS)
    cuts = np.repeat(np.quantile(space.score / space.scale[space.layer], shares)[:, None], layers, 1)
    if raw:
        cuts = np.concatenate([cuts, np.quantile(space.score, shares)[:, None] / space.scale])
    cuts = np.minimum(cuts, LARGEST)
    rest = max(0, count - len(cuts) - 1)
    random = rng.random((rest, layers)) * rng.random((rest, 1)) * LARGEST
    return np.concatenate([np.zeros((1, layers)), cuts, random])[: max(count, 2)]


def next_thresholds(
    engine: Engine,
    thresholds: Float[Array, "p layers"],
    fitness: Float[Array, "p k"],
    count: int,
    rng: np.random.Generator,
) -> Float[Array, "count layers"]:
    """Children of a population.

    Args:
        engine: that breeds them.
        thresholds: of the population.
        fitness: its objectives.
        count: how many.
        rng: for all draws.
    """
    layers = thresholds.shape[1]
    return engine.children(thresholds, fitness, np.zeros(layers), np.full(layers, LARGEST), count, rng)
