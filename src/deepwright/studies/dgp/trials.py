"""One trial: an encoder is pre-trained, every detector is fitted on it, and what each tells apart is measured."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from deepwright.core.randomness import local_rng
from deepwright.graphs import GraphBenchmark
from deepwright.ood import AAGOD, DGP, LinearHead, WeightedGIN, pretrain_graphcl, pretrain_simgrace
from deepwright.studies.dgp.arms import (
    ALONE,
    AMPLIFIED,
    CLASSWISE,
    DEGREES,
    FIVE,
    LONG,
    OURS,
    PAPER,
    RANDOM,
    SSD_,
    Tried,
    amplified,
    by_class,
    classes,
    degrees_alone,
    five_statistics,
    plain,
    prompted,
    sets_of,
    tried,
)
from deepwright.studies.dgp.worlds import world


def trial(
    name: str,
    seed: int,
    pretraining: str,
    epochs: int,
    n: int,
    lrs: tuple[float, ...],
    rivals: bool = True,
    longer: bool = True,
    root: Path | None = None,
) -> dict[str, Any]:
    """All arms on one benchmark, with what the prompts did to the classes.

    Args:
        name: of the benchmark.
        seed: of everything.
        pretraining: "SimGRACE" or "GraphCL".
        epochs: of pre-training, and of the prompts; AAGOD has one pass an epoch and so twice as many.
        n: see `worlds.world`.
        lrs: learning rates of all that trains on the encoder, and of GOOD-D.
        rivals: whether the arms without a ridge run.
        longer: whether DGP also trains without distances and for longer.
        root: where the TU sets are.
    """
    graphs = world(name, seed, n, root)
    sets = sets_of(graphs, seed)
    begin = time.perf_counter()
    encoder = _encoder(graphs, pretraining, epochs, seed)
    trained = time.perf_counter() - begin
    found: dict[str, Tried] = {OURS: [], PAPER: [], AMPLIFIED: []}
    views: dict[str, Any] = {}
    number = classes(graphs)
    for lr in lrs:
        guard = DGP(encoder, number, epochs=epochs, seed=seed, lr=lr).fit(graphs.train)
        views.setdefault(OURS, _views(guard, graphs))
        ours, paper, found[SSD_] = prompted(guard, graphs, sets, lr=lr)
        found[OURS] += ours
        found[PAPER] += paper
        louder = AAGOD(encoder, epochs=2 * epochs, seed=seed, lr=lr).fit(graphs.train)
        found[AMPLIFIED] += amplified(louder, graphs, sets, lr=lr)
    untrained = DGP(encoder, number, epochs=0, seed=seed).fit(graphs.train)
    found[RANDOM] = prompted(untrained, graphs, sets)[0]
    if longer:
        alone = DGP(encoder, number, alpha=(0.0, 0.0), epochs=LONG * epochs, seed=seed).fit(graphs.train)
        views[ALONE] = _views(alone, graphs)
        found[ALONE] = prompted(alone, graphs, sets)[0]
    found |= {CLASSWISE: by_class(encoder, graphs, sets), FIVE: five_statistics(graphs, sets)}
    found[DEGREES] = [tried(degrees_alone(graphs, sets))]
    if rivals:
        found |= plain(encoder, graphs, sets, 4 * epochs, lrs, seed)
    return {"auroc": found, "views": views, "pre-training": trained, "graphs": len(graphs.train)}


def _encoder(graphs: GraphBenchmark, pretraining: str, epochs: int, seed: int) -> nn.Module:
    with local_rng(seed):
        encoder = WeightedGIN(graphs.train.x.shape[1])
    pretrain = pretrain_simgrace if pretraining == "SimGRACE" else pretrain_graphcl
    return pretrain(encoder, graphs.train, epochs=epochs, seed=seed)


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
