"""Phase 1: one threshold a layer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from deepwright.compress.search.engines import Engine
from deepwright.compress.search.space import Space

LARGEST = 2.5
LEVELS = 10


def first_thresholds(space: Space, count: int, rng: np.random.Generator) -> Float[Array, "count layers"]:
    """The dense network, global cuts at ten levels (the front starts as good as magnitude pruning), random ones.

    Args:
        space: of masks.
        count: how many, two at least.
        rng: for the random ones.
    """
    layers = len(space.names)
    levels = np.quantile(space.score, np.linspace(0.05, 0.95, LEVELS))
    cuts = np.minimum(levels[:, None] / space.scale, LARGEST)
    rest = max(0, count - LEVELS - 1)
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
