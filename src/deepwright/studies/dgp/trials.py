"""One trial: an encoder is pre-trained, every detector is fitted on it, and what each tells apart is measured."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from deepwright.core.randomness import local_rng
from deepwright.graphs import GraphBenchmark
from deepwright.ood import DGP, LinearHead, WeightedGIN, pretrain_graphcl, pretrain_simgrace
from deepwright.studies.dgp.arms import OURS, areas, degrees_alone, plain, ridged, scores, sets_of
from deepwright.studies.dgp.worlds import world

LONG, ALONE = 4, "DGP without distances, four times as long"
DEGREES = "four statistics of degrees"
MIDDLE = 1e-2
ONLY = ""
"""The ridge of an arm that has none."""


def trial(
    name: str,
    seed: int,
    pretraining: str,
    epochs: int,
    n: int,
    ridges: tuple[float, ...],
    rivals: bool = True,
    root: Path | None = None,
) -> dict[str, Any]:
    """All arms on one benchmark, with what the prompts did to the classes.

    Args:
        name: of the benchmark.
        seed: of everything.
        pretraining: "SimGRACE" or "GraphCL".
        epochs: of pre-training, and of the prompts.
        n: see `worlds.world`.
        ridges: of the arms that have one, `MIDDLE` among them.
        rivals: whether the arms without a ridge run.
        root: where the TU sets are.
    """
    graphs = world(name, seed, n, root)
    sets = sets_of(graphs, seed)
    begin = time.perf_counter()
    encoder = _encoder(graphs, pretraining, epochs, seed)
    trained = time.perf_counter() - begin
    found: dict[str, dict[float | str, Any]] = {}
    guards = {}
    for ridge in ridges:
        by_arm, guards[ridge] = ridged(encoder, graphs, sets, ridge, epochs, seed)
        for arm, area in by_arm.items():
            found.setdefault(arm, {})[ridge] = area
    alone = _alone(encoder, graphs, epochs, seed)
    found[ALONE] = {ONLY: areas(scores(alone, sets))}
    found[DEGREES] = {ONLY: areas(degrees_alone(graphs, sets))}
    if rivals:
        found |= {arm: {ONLY: area} for arm, area in plain(encoder, graphs, sets, 4 * epochs, seed).items()}
    views = {OURS: _views(guards[MIDDLE], graphs), ALONE: _views(alone, graphs)}
    return {"auroc": found, "views": views, "pre-training": trained, "graphs": len(graphs.train)}


def _encoder(graphs: GraphBenchmark, pretraining: str, epochs: int, seed: int) -> nn.Module:
    with local_rng(seed):
        encoder = WeightedGIN(graphs.train.x.shape[1])
    pretrain = pretrain_simgrace if pretraining == "SimGRACE" else pretrain_graphcl
    return pretrain(encoder, graphs.train, epochs=epochs, seed=seed)


def _alone(encoder: nn.Module, graphs: GraphBenchmark, epochs: int, seed: int) -> DGP:
    assert graphs.train.y is not None
    classes = int(graphs.train.y.max()) + 1
    return DGP(encoder, classes, alpha=(0.0, 0.0), epochs=LONG * epochs, seed=seed).fit(graphs.train)


def _views(guard: DGP, graphs: GraphBenchmark) -> dict[str, dict[str, float]]:
    """Test accuracy of the shared predictor and of a fresh probe on each view."""
    assert graphs.train.y is not None
    train, test = guard.views(graphs.train), guard.views(graphs.test)
    found = {}
    for view, h in test.items():
        probe = LinearHead(train[view], graphs.train.y, cast(nn.Linear, guard.predictor[-1]).out_features)
        with torch.no_grad():
            right = [(q(h).argmax(1) == graphs.test.y).double().mean() for q in (guard.predictor, probe)]
        found[view] = dict(zip(("shared", "fresh"), map(float, right)))
    return found
