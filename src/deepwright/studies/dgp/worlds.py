"""The benchmarks: generated graphs, and the TU sets at hand in pairs and against themselves."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

from deepwright.core.randomness import derive_seed, generator
from deepwright.graphs import (
    Graph,
    GraphBatch,
    GraphBenchmark,
    feature_ood,
    motif_ood,
    pack,
    read_gin_text,
    swap_edges,
    undirected,
)

FILE = "graphs-gin.zip"
PAIRS = {"PTC": "MUTAG", "IMDBMULTI": "IMDBBINARY"}
"""In distribution: foreign; both are among the paper's ten pairs."""
MOTIFS, BLOCKS = "motifs", "blocks"


def world(name: str, seed: int, n: int, root: Path | None) -> GraphBenchmark:
    """One benchmark.

    Args:
        name: `MOTIFS`, `BLOCKS`, or a key of `PAIRS`.
        seed: of the draw, or of the split.
        n: graphs a class to train on, of those that are drawn; at most so many of a set that is read.
        root: where the TU sets are.
    """
    if name == MOTIFS:
        return motif_ood(seed, n)
    if name == BLOCKS:
        return feature_ood(seed, n)
    assert root is not None
    return _pair(name, seed, n, root)


def _pair(name: str, seed: int, n: int, root: Path) -> GraphBenchmark:
    """80 % to train, 10 % to validate, 10 % to test, and as many foreign graphs; features are constant in both."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="MUTAG: 7439 neighbours")
        known, other = (read_gin_text(root / FILE, each, tags=False) for each in (name, PAIRS[name]))
    rng = generator(seed, "split", name)
    order = torch.randperm(len(known), generator=rng)[:n]
    tenth = len(order) // 10
    test, val, train = (known[rows] for rows in (order[:tenth], order[tenth : 2 * tenth], order[2 * tenth :]))
    foreign = other[torch.randperm(len(other), generator=rng)[:tenth]]
    return GraphBenchmark(train, val, test, {PAIRS[name]: foreign, "swapped": swapped(test, seed)})


def swapped(graphs: GraphBatch, seed: int) -> GraphBatch:
    """Each graph after ten swaps an edge that keep every degree.

    Args:
        graphs: with edges both ways.
        seed: of the swaps.
    """
    drawn: list[Graph] = []
    for number in range(len(graphs)):
        one = graphs[[number]]
        pairs = one.edge_index.T.numpy()
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        rng = np.random.default_rng(derive_seed("swapped", number, seed=seed))
        drawn.append(undirected(swap_edges(pairs, 10 * len(pairs), rng).reshape(-1, 2), len(one.x)))
    return pack(drawn)
