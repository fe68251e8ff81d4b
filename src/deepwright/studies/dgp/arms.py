"""The detectors that are compared, each made at one ridge."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepwright.graphs import GraphBatch, GraphBenchmark, join, rewire, statistics
from deepwright.ood import (
    AAGOD,
    DGP,
    GOODD,
    KNN,
    MSP,
    SSD,
    Energy,
    FiveStatistics,
    GraphSuite,
    WeisfeilerLehman,
    auroc,
    embed,
)
from deepwright.ood.dgp.distances import distance, whitening

SSD_, CLASSWISE, RANDOM, OURS, PAPER = "SSD", "SSD by class", "random prompts", "DGP", "DGP, the paper's score"
AMPLIFIED, HIERARCHICAL, TOGETHER, FIVE = "AAGOD", "GOOD-D", "GOOD-D, scored together", "five statistics"
COLOURS, MACHINE, NEAREST, FOREST = "WL + Mahalanobis", "WL + OCSVM", "KNN", "isolation forest"
OUTLIER, ONE_CLASS, SURE, ENERGY = "LOF", "OCSVM", "MSP", "Energy"
RIDGED = (SSD_, CLASSWISE, RANDOM, OURS, PAPER, AMPLIFIED, FIVE)
PLAIN = (NEAREST, OUTLIER, ONE_CLASS, FOREST, SURE, ENERGY, HIERARCHICAL, TOGETHER, MACHINE, COLOURS)
RIDGES = (1e-6, 1e-2, 1e-1)
Scored = dict[str, Tensor]
"""Scores by set of graphs."""
Areas = dict[str, float]
"""AUROC by foreign set."""


def sets_of(world: GraphBenchmark, seed: int) -> dict[str, GraphBatch]:
    """All that is scored: test and validation graphs, the latter's rewired selves, the foreign sets.

    Args:
        world: the benchmark.
        seed: of the rewiring.
    """
    return {"test": world.test, "val": world.val, "rewired": rewire(world.val, 0.3, seed), **world.ood}


def ridged(
    encoder: nn.Module, world: GraphBenchmark, sets: dict[str, GraphBatch], ridge: float, epochs: int, seed: int
) -> tuple[dict[str, Areas], DGP]:
    """The arms whose distances have a ridge.

    Args:
        encoder: pre-trained.
        world: the benchmark.
        sets: see `sets_of`.
        ridge: of all of them.
        epochs: of the prompts; AAGOD has one pass an epoch and so twice as many.
        seed: of the prompts.

    Returns:
        their areas, and DGP itself.
    """
    classes = _classes(world)
    made: dict[str, Any] = {
        SSD_: SSD(encoder, ridge),
        CLASSWISE: SSD(encoder, max(ridge, 1e-4), per_class=True),
        RANDOM: DGP(encoder, classes, ridge=ridge, epochs=0, seed=seed),
        OURS: DGP(encoder, classes, ridge=ridge, epochs=epochs, seed=seed),
        AMPLIFIED: AAGOD(encoder, ridge=ridge, epochs=2 * epochs, seed=seed),
        FIVE: FiveStatistics(ridge),
    }
    found = {name: areas(scores(guard.fit(world.train), sets)) for name, guard in made.items()}
    guard = made[OURS]
    guard.include_original = False
    found[PAPER] = areas(scores(guard, sets))
    guard.include_original = True
    return found, guard


def scores(guard: Any, sets: dict[str, GraphBatch]) -> Scored:
    """Scores of every set.

    Args:
        guard: fitted.
        sets: see `sets_of`.
    """
    return {key: guard.score(graphs) for key, graphs in sets.items()}


def plain(
    encoder: nn.Module, world: GraphBenchmark, sets: dict[str, GraphBatch], epochs: int, seed: int
) -> dict[str, Areas]:
    """The arms without a ridge.

    Args:
        encoder: pre-trained.
        world: the benchmark.
        sets: see `sets_of`.
        epochs: of GOOD-D, which trains encoders of its own.
        seed: of what draws.
    """
    classes = _classes(world)
    suite = GraphSuite(encoder, classes, {NEAREST: KNN(5), SURE: MSP(), ENERGY: Energy()}).fit(world.train)
    by_set = {key: suite.score(graphs) for key, graphs in sets.items()}
    found = {name: areas({key: by_set[key][name] for key in sets}) for name in (NEAREST, SURE, ENERGY)}
    found |= {name: areas(scored) for name, scored in _of_others(encoder, world, sets, seed).items()}
    hierarchical = GOODD(epochs=epochs, seed=seed).fit(world.train)
    found[HIERARCHICAL] = areas(scores(hierarchical, sets))
    found[TOGETHER] = _together(hierarchical, world, sets)
    found[MACHINE] = areas(scores(WeisfeilerLehman().fit(world.train), sets))
    found[COLOURS] = areas(scores(WeisfeilerLehman(on="mahalanobis").fit(world.train), sets))
    return found


def _together(guard: GOODD, world: GraphBenchmark, sets: dict[str, GraphBatch]) -> Areas:
    """GOOD-D as it is published: the graphs that are tested are each other's negatives, foreign ones among them."""

    def errors(graphs: GraphBatch) -> Tensor:
        with torch.no_grad():
            return guard.two(guard._encoded(graphs)).double()

    usual = errors(world.train)
    mean, std = usual.mean(1, keepdim=True), usual.std(1, keepdim=True)
    found = {}
    for key, foreign in sets.items():
        if key in ("test", "val"):
            continue
        inside = sets["val" if key == "rewired" else "test"]
        total = ((errors(join([inside.labelled(None), foreign.labelled(None)])) - mean) / std).sum(0)
        found[key] = auroc(total[: len(inside)], total[len(inside) :])
    return found


def _of_others(encoder: nn.Module, world: GraphBenchmark, sets: dict[str, GraphBatch], seed: int) -> dict[str, Scored]:
    """scikit-learn's detectors on standardised embeddings."""
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.svm import OneClassSVM

    h = embed(encoder, world.train)
    mean, std = h.mean(0), h.std(0).clamp_min(1e-6)
    made: dict[str, Any] = {
        OUTLIER: LocalOutlierFactor(novelty=True),
        ONE_CLASS: OneClassSVM(nu=0.1),
        FOREST: IsolationForest(random_state=seed),
    }
    found: dict[str, Scored] = {}
    for name, guard in made.items():
        guard.fit(((h - mean) / std).numpy())
        found[name] = {
            key: -torch.from_numpy(guard.score_samples(((embed(encoder, g) - mean) / std).numpy()))
            for key, g in sets.items()
        }
    return found


def degrees_alone(world: GraphBenchmark, sets: dict[str, GraphBatch]) -> Scored:
    """Distance in nodes, edges, mean and largest degree: what `swapped` graphs can't be told by.

    Args:
        world: the benchmark.
        sets: see `sets_of`.
    """
    mean, white = whitening(statistics(world.train)[:, :4])
    return {key: distance(statistics(graphs)[:, :4], mean, white) for key, graphs in sets.items()}


def areas(scored: Scored) -> Areas:
    """AUROC of each foreign set against the test graphs, and of rewired validation graphs against themselves.

    Args:
        scored: by set.
    """
    foreign = [key for key in scored if key not in ("test", "val", "rewired")]
    return {key: auroc(scored["test"], scored[key]) for key in foreign} | {
        "rewired": auroc(scored["val"], scored["rewired"])
    }


def _classes(world: Any) -> int:
    labels = world.train.y
    assert labels is not None
    return int(labels.max()) + 1
