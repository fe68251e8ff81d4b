"""The detectors that are compared, each at every setting of its grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
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
from deepwright.ood.dgp.encoders import FrozenEncoder

SSD_, CLASSWISE, RANDOM, OURS, PAPER = "SSD", "SSD by class", "random prompts", "DGP", "DGP, the paper's score"
LONG, ALONE = 4, "DGP without distances, four times as long"
AMPLIFIED, HIERARCHICAL, TOGETHER, FIVE = "AAGOD", "GOOD-D", "GOOD-D, scored together", "five statistics"
COLOURS, MACHINE, NEAREST, FOREST = "WL + Mahalanobis", "WL + OCSVM", "KNN", "isolation forest"
UNIT, OUTLIER, ONE_CLASS, SURE, ENERGY = "KNN, unit length", "LOF", "OCSVM", "MSP", "Energy"
DEGREES = "four statistics of degrees"
RIDGED = (SSD_, CLASSWISE, RANDOM, OURS, PAPER, ALONE, AMPLIFIED, FIVE)
PLAIN = (NEAREST, UNIT, OUTLIER, ONE_CLASS, FOREST, SURE, ENERGY, HIERARCHICAL, TOGETHER, MACHINE, COLOURS)
PROMPTLESS = (SSD_, CLASSWISE, *PLAIN, AMPLIFIED, FIVE)
RIDGES = (1e-6, 1e-4, 1e-2, 1e-1, 1.0)
MIDDLE = 1e-2
NEIGHBOURS = (1, 5, 10, 20)
Scored = Mapping[str, Tensor]
"""Scores by set of graphs."""
Areas = dict[str, float]
"""AUROC by foreign set."""
Tried = list[dict[str, Any]]
"""An arm's settings, each with its areas."""


def sets_of(world: GraphBenchmark, seed: int) -> dict[str, GraphBatch]:
    """All that is scored: test and validation graphs, the latter's rewired selves, the foreign sets.

    Args:
        world: the benchmark.
        seed: of the rewiring.
    """
    return {"test": world.test, "val": world.val, "rewired": rewire(world.val, 0.3, seed), **world.ood}


def tried(scored: Scored, **setting: Any) -> dict[str, Any]:
    """One setting of an arm.

    Args:
        scored: by set.
        setting: its hyper-parameters.
    """
    return {"setting": setting, "areas": areas(scored)}


def prompted(
    guard: DGP, world: GraphBenchmark, sets: Mapping[str, GraphBatch], **setting: Any
) -> tuple[Tried, Tried, Tried]:
    """A fitted DGP, trained once, at each ridge of its distances: its score, the paper's, and the plain distance's.

    Args:
        guard: fitted.
        world: the benchmark.
        sets: see `sets_of`.
        setting: what else it was made with.
    """
    train = guard.views(world.train)
    views = {key: guard.views(graphs) for key, graphs in sets.items()}
    ours, paper, plain = [], [], []
    for ridge in usable(train["original"]):
        fits = {name: whitening(h, ridge) for name, h in train.items()}
        parts = {key: {n: distance(h, *fits[n]) for n, h in by.items()} for key, by in views.items()}
        both = {key: d["specific"] + guard.gamma * d["agnostic"] for key, d in parts.items()}
        paper.append(tried(both, ridge=ridge, **setting))
        ours.append(tried({key: d["original"] + both[key] for key, d in parts.items()}, ridge=ridge, **setting))
        plain.append(tried({key: d["original"] for key, d in parts.items()}, ridge=ridge))
    return ours, paper, plain


def usable(h: Tensor) -> tuple[float, ...]:
    """The ridges that so many embeddings allow.

    Args:
        h: of the training graphs.
    """
    return RIDGES if len(h) >= 2 * h.shape[1] else tuple(r for r in RIDGES if r >= 1e-4)


def by_class(encoder: nn.Module, world: GraphBenchmark, sets: Mapping[str, GraphBatch]) -> Tried:
    """A covariance for each class, at each ridge that allows it.

    Args:
        encoder: pre-trained.
        world: the benchmark.
        sets: see `sets_of`.
    """
    made = {r: SSD(encoder, r, per_class=True).fit(world.train) for r in RIDGES if r >= 1e-4}
    return [tried(scores(guard, sets), ridge=r) for r, guard in made.items()]


def amplified(guard: AAGOD, world: GraphBenchmark, sets: Mapping[str, GraphBatch], **setting: Any) -> Tried:
    """A fitted AAGOD, trained once, at each ridge of its distance.

    Args:
        guard: fitted.
        world: the benchmark.
        sets: see `sets_of`.
        setting: what it was made with.
    """
    frozen = FrozenEncoder(guard.encoder)
    train = guard._embed_amplified(frozen, world.train)
    each = {key: guard._embed_amplified(frozen, graphs) for key, graphs in sets.items()}
    fits = {ridge: whitening(train, ridge) for ridge in usable(train)}
    return [
        tried({key: distance(h, *fit) for key, h in each.items()}, ridge=ridge, **setting)
        for ridge, fit in fits.items()
    ]


def five_statistics(world: GraphBenchmark, sets: Mapping[str, GraphBatch]) -> Tried:
    """Five statistics, as they are and in logarithms, at each ridge.

    Args:
        world: the benchmark.
        sets: see `sets_of`.
    """
    return [
        tried(scores(FiveStatistics(ridge, log).fit(world.train), sets), ridge=ridge, log=log)
        for log, ridge in product((False, True), RIDGES)
    ]


def scores(guard: Any, sets: Mapping[str, GraphBatch]) -> Scored:
    """Scores of every set.

    Args:
        guard: fitted.
        sets: see `sets_of`.
    """
    return {key: guard.score(graphs) for key, graphs in sets.items()}


def plain(
    encoder: nn.Module,
    world: GraphBenchmark,
    sets: Mapping[str, GraphBatch],
    epochs: int,
    lrs: Iterable[float],
    seed: int,
) -> dict[str, Tried]:
    """The arms without a ridge, each at its grid.

    Args:
        encoder: pre-trained.
        world: the benchmark.
        sets: see `sets_of`.
        epochs: of GOOD-D, which trains encoders of its own.
        lrs: learning rates of it.
        seed: of what draws.
    """
    found = _of_suite(encoder, world, sets) | _of_others(encoder, world, sets, seed)
    found |= {HIERARCHICAL: [], TOGETHER: []}
    for lr in lrs:
        guard = GOODD(epochs=epochs, seed=seed, lr=lr).fit(world.train)
        found[HIERARCHICAL].append(tried(scores(guard, sets), lr=lr))
        found[TOGETHER].append({"setting": {"lr": lr}, "areas": _together(guard, world, sets)})
    found[MACHINE] = [
        tried(scores(WeisfeilerLehman(rounds, nu=nu).fit(world.train), sets), rounds=rounds, nu=nu)
        for rounds, nu in product((1, 2, 3, 4), (0.1, 0.5))
    ]
    found[COLOURS] = [
        tried(
            scores(WeisfeilerLehman(rounds, "mahalanobis", components=n).fit(world.train), sets),
            rounds=rounds,
            components=n,
        )
        for rounds, n in product((1, 2, 3, 4), (8, 64))
    ]
    return found


def _together(guard: GOODD, world: GraphBenchmark, sets: Mapping[str, GraphBatch]) -> Areas:
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


def _of_suite(encoder: nn.Module, world: GraphBenchmark, sets: Mapping[str, GraphBatch]) -> dict[str, Tried]:
    """The house's detectors on embeddings, neighbours and what looks at logits."""
    made = {(arm, k): KNN(k, scale) for arm, scale in ((NEAREST, "deviation"), (UNIT, "length")) for k in NEIGHBOURS}
    named = {f"{arm} {k}": guard for (arm, k), guard in made.items()}
    found: dict[str, Tried] = {}
    for decay in (1e-3, 1e-1, 10.0):
        heads = {SURE: MSP(), ENERGY: Energy()}
        suite = GraphSuite(encoder, classes(world), {**heads, **named}, decay).fit(world.train)
        by_set = {key: suite.score(graphs) for key, graphs in sets.items()}
        for arm in heads:
            found.setdefault(arm, []).append(tried({key: s[arm] for key, s in by_set.items()}, decay=decay))
        for (arm, k), name in zip(made, tuple(named)):
            found.setdefault(arm, []).append(tried({key: s[name] for key, s in by_set.items()}, k=k))
        made, named = {}, {}  # no logits enter
    return found


def _of_others(
    encoder: nn.Module, world: GraphBenchmark, sets: Mapping[str, GraphBatch], seed: int
) -> dict[str, Tried]:
    """scikit-learn's detectors on standardised embeddings."""
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.svm import OneClassSVM

    h = embed(encoder, world.train)
    mean, std = h.mean(0), h.std(0)
    std = torch.where(std > 1e-6 * mean.abs(), std, torch.ones_like(std))
    rows = {key: ((embed(encoder, graphs) - mean) / std).numpy() for key, graphs in sets.items()}
    made: list[tuple[str, Any, dict[str, Any]]] = [
        *((OUTLIER, LocalOutlierFactor(n_neighbors=k, novelty=True), {"neighbours": k}) for k in (5, 10, 20, 40)),
        *(
            (ONE_CLASS, OneClassSVM(nu=nu, gamma=wide / h.shape[1]), {"nu": nu, "gamma times d": wide})
            for nu, wide in product((0.01, 0.1, 0.5), (1.0, 10.0))
        ),
        *(
            (FOREST, IsolationForest(max_samples=n, random_state=seed), {"samples a tree": n})
            for n in (32, 64, 128, min(256, len(h)))
        ),
    ]
    found: dict[str, Tried] = {}
    for name, guard, setting in made:
        guard.fit(((h - mean) / std).numpy())
        scored = {key: -torch.from_numpy(guard.score_samples(z)) for key, z in rows.items()}
        found.setdefault(name, []).append(tried(scored, **setting))
    return found


def degrees_alone(world: GraphBenchmark, sets: Mapping[str, GraphBatch]) -> Scored:
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


def classes(world: GraphBenchmark) -> int:
    """How many classes there are.

    Args:
        world: the benchmark.
    """
    labels = world.train.y
    assert labels is not None
    return int(labels.max()) + 1
