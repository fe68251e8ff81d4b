"""The two-phase search against sweeps, a longer first phase, unguided bits and a flat binary search, at equal budgets."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from deepwright.compress import EvolutionaryPruner, WeightSpace, accuracy_on, measure_latency
from deepwright.core.pareto import hypervolume, nondominated
from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.statistics import mean_interval, paired_permutation
from deepwright.core.trials import run as run_trials
from deepwright.nets import cifar_resnet, load, mlp
from deepwright.studies import Settings
from deepwright.studies.training import accuracy, built, digits_small, mnist_small, train

METHODS = (
    "random sweep", "layer-uniform magnitude", "global magnitude", "LAMP", "flat binary", "phase 1", "phase 1, full budget",
    "phase 1 + 2, unguided", "phase 1 + 2", "phase 1 + 2, MOEA/D",
)  # fmt: skip


def run(settings: Settings) -> StudyResult:
    """Hypervolume at equal evaluations on an MLP's 7,648 weights; ResNet-20 in coupled units, really smaller."""
    seeds = 2 if settings.quick else 5
    grid: list[dict[str, Any]] = [
        {"method": m, "seed": s, "short": settings.quick} for m in METHODS for s in range(seeds)
    ]
    options = {"store": settings.store, "jobs": settings.jobs, "backend": settings.backend}
    rows = run_trials(weights_trial, grid, description="weights", **options)  # type: ignore[arg-type]
    units = run_trials(
        units_trial, [{"seed": s, "short": settings.quick} for s in range(1 if settings.quick else 3)], description="units", **options,  # type: ignore[arg-type]
    )  # fmt: skip
    real: list[dict[str, Any]] = []
    if settings.data_root is not None and (settings.data_root / "cifar10-images.zip").exists() and not settings.quick:
        real = run_trials(cifar_trial, [{"seed": 0, "root": str(settings.data_root)}], description="cifar10", **options)  # type: ignore[arg-type]
    found: dict[str, list[dict[str, Any]]] = {}
    for spec, row in zip(grid, rows):
        found.setdefault(spec["method"], []).append(row)
    return _result(found, units, real, seeds)


def weights_trial(method: str, seed: int, short: bool) -> dict[str, Any]:
    """One search over the weights of an MLP 64-64-48-10 on the small digits."""
    data = digits_small(seed)
    model = train(built(partial(mlp, 64, 10, (64, 48)), seed), data.train, 60, seed)
    evaluate = accuracy_on(*data.validation)
    generations = 10 if short else 50
    if method in ("random sweep", "layer-uniform magnitude", "global magnitude", "LAMP"):
        points, masks = _sweep(method, model, evaluate, seed, 40 * generations)
        space: Any = WeightSpace.of(model)
    else:
        search = _search(method, model, data.train[0][:2], seed, generations)
        result = search.fit(evaluate, budget=40.0 * (generations + 1) * 2)
        points, masks, space = result.F, result.masks, search.space
    best = points[:, 0].min()
    dense = float(evaluate.wrong(space, np.ones((1, space.size), bool)).mean())
    good = points[:, 0] <= dense + 0.01
    chosen = int(np.flatnonzero(good)[np.argmin(points[good, 1])])
    held = float(accuracy_on(*data.test).wrong(space, masks[chosen : chosen + 1]).mean())
    return {
        "hypervolume": hypervolume(points, (1.0, 1.0)),
        "reduction": 1 - float(points[good, 1].min()),
        "best error": float(best),
        "picked validation error": float(points[chosen, 0]),
        "picked test error": held,
        "front": points[nondominated(points)].tolist(),
    }


def _search(method: str, model: Any, example: Any, seed: int, generations: int) -> EvolutionaryPruner:
    first = {"pop": 40, "gen": generations}
    options: dict[str, Any] = {"granularity": "weight", "seed": seed, "phase1": first, "phase2": dict(first)}
    if method == "phase 1":
        options["phase2"] = {"gen": 0}
    elif method == "phase 1, full budget":
        options |= {"phase1": {"pop": 40, "gen": 2 * generations + 1}, "phase2": {"gen": 0}}
    elif method == "phase 1 + 2, unguided":
        options["guided"] = False
    elif method == "phase 1 + 2, MOEA/D":
        options["engine"] = "moead"
    elif method == "flat binary":
        options |= {"guided": False, "escape": 0.0, "phase2": {"pop": 40, "gen": 2 * generations + 1}}
    search = EvolutionaryPruner(model, example, **options)
    if (
        method == "flat binary"
    ):  # no thresholds, no corridor, no importance: random masks of every density to begin with
        rng = search.state.rng
        search.begin_with(np.stack([rng.random(search.space.size) < density for density in rng.random(40)]))
    return search


def _sweep(method: str, model: Any, evaluate: Any, seed: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """One order of the weights, cut at many levels: points and masks."""
    space = WeightSpace.of(model)
    score = space.score
    if method == "random sweep":
        score = np.random.default_rng(seed).random(space.size)
    elif method == "layer-uniform magnitude":
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


def units_trial(seed: int, short: bool) -> dict[str, Any]:
    """ResNet-20 in coupled units on 14 x 14 digits, 400 evaluations, then two epochs; one-shot cuts beside it."""
    from deepwright.compress import importance, plan, shrink

    data = mnist_small(14)
    model = train(built(partial(cifar_resnet, 20, channels=1), seed), data.train, 2 if short else 10, seed)
    search = EvolutionaryPruner(
        model,
        data.test[0][:2],
        objectives=("error", "macs"),
        phase1={"pop": 20, "gen": 12},
        phase2={"pop": 20, "gen": 12},
        seed=seed,
    )
    front = search.fit(accuracy_on(*data.validation), budget=60 if short else 400, racing=True)
    dense = accuracy(model, data.test)
    points = []
    for share in (0.7, 0.5, 0.35):
        fitting = np.flatnonzero(front.F[:, 1] <= share)
        if len(fitting) == 0:
            continue
        picked = front.pick(data.test, index=int(fitting[np.argmin(front.F[fitting, 0])]))
        assert picked.surgery is not None
        assert picked.surgery.verification is not None
        before = accuracy(picked.model, data.test)
        train(picked.model, data.train, 2, seed, lr=1e-3)
        one_shot = plan(search.space.graph, importance(search.space.graph, "l2"), target={"macs": share})  # type: ignore[attr-defined]
        other = shrink(model, one_shot).model
        other_before = accuracy(other, data.test)
        train(other, data.train, 2, seed, lr=1e-3)
        points.append(
            {"share": share, "macs": picked.costs["macs"], "before": before, "after": accuracy(picked.model, data.test),
             "one-shot before": other_before, "one-shot after": accuracy(other, data.test),
             "error": picked.surgery.verification.error}
        )  # fmt: skip
    x = torch.rand(32, 1, 14, 14)
    small = front.pick(data.test, index=int(np.argmin(np.abs(front.F[:, 1] - 0.5)))).model
    speed = measure_latency(model, x, min_run_time=0.3).median / measure_latency(small, x, min_run_time=0.3).median
    return {
        "dense": dense,
        "points": points,
        "evaluations": front.evaluations,
        "speed": speed,
        "front": front.F.tolist(),
    }


def cifar_trial(seed: int, root: str) -> dict[str, Any]:
    """The bundled ResNet-20 on real photographs: a search on 1,000 validation images, then two epochs on 20,000."""
    from pathlib import Path

    from deepwright.data import load as load_data

    data = load_data("cifar10", root=Path(root), limit=2000, train_limit=20_000)
    model = load("resnet20-cifar10")
    validation = (data.validation.inputs(slice(0, 1000)), data.validation.y[:1000])
    test = (data.test.inputs(), data.test.y)
    search = EvolutionaryPruner(
        model,
        test[0][:2],
        objectives=("error", "macs"),
        phase1={"pop": 20, "gen": 9},
        phase2={"pop": 20, "gen": 9},
        seed=seed,
    )
    front = search.fit(accuracy_on(*validation), racing=True, test=test)
    fitting = np.flatnonzero(front.F[:, 1] <= 0.7)
    picked = front.pick(test, index=int(fitting[np.argmin(front.F[fitting, 0])]))
    train(picked.model, (data.train.inputs(), data.train.y), 2, seed, lr=1e-3, batch=128)
    return {
        "dense": accuracy(model, test), "macs": picked.costs["macs"], "before": 1 - picked.held_out.value,
        "after": accuracy(picked.model, test), "evaluations": front.evaluations,
        "validation": 1 - picked.validation_error,
    }  # fmt: skip


def _result(
    found: dict[str, list[dict[str, Any]]], units: list[dict[str, Any]], real: list[dict[str, Any]], seeds: int
) -> StudyResult:
    def values(method: str, measure: str = "hypervolume") -> list[float]:
        return [r[measure] for r in found[method]]

    def gap(a: str, b: str) -> list[float]:
        return [x - y for x, y in zip(values(a), values(b))]

    ours = "phase 1 + 2"
    long_gap, guide_gap = gap(ours, "phase 1, full budget"), gap(ours, "phase 1 + 2, unguided")
    curse = [t - v for t, v in zip(values(ours, "picked test error"), values(ours, "picked validation error"))]
    half = [p for u in units for p in u["points"] if p["share"] == 0.7]
    claims = [
        Claim.at_least("phases 1 + 2 above a flat binary search by 0.10 hypervolume, in every seed", min(gap(ours, "flat binary")), 0.10),
        Claim.at_least("phases 1 + 2 above the global magnitude sweep, in every seed", min(gap(ours, "global magnitude")), 0.0),
        Claim.at_least("phases 1 + 2 not below a longer phase 1 of the same budget by more than 0.002", long_gap, -0.002),
        Claim.at_least("phase 2 adds 0.04 hypervolume to its own phase 1 (the paper's lower figure)", gap(ours, "phase 1"), 0.04),
        Claim.at_least("importance guides phase 2: above unguided bits", guide_gap, 0.0),
        Claim.at_least("ResNet-20 in units: at 70 % of the MACs or fewer, test accuracy within 1 point after 2 epochs (worst seed)",
                       min(p["after"] - u["dense"] for u in units for p in u["points"] if p["share"] == 0.7), -0.01),
        Claim.at_most("ResNet-20 in units: MACs of that network", [p["macs"] for p in half], 0.70),
        Claim.at_least("before any training the search's network is above the one-shot L2 cut of the same MACs",
                       [p["before"] - p["one-shot before"] for p in half], 0.0),
        Claim.at_most("every picked network equals its masked original (largest difference, float64)",
                      max(p["error"] for u in units for p in u["points"]), 1e-9),
        Claim.at_least("winner's curse: held-out error of the picked network minus its validation error is positive", curse, 0.0),
    ]  # fmt: skip
    if real:
        claims.append(
            Claim.at_least("CIFAR-10, ResNet-20 at 70 % of its MACs: test accuracy within 2 points after 2 epochs",
                           [r["after"] - r["dense"] for r in real], -0.02)
        )  # fmt: skip
    rows: list[list[Any]] = []
    for m in METHODS:
        hv, red = mean_interval(values(m)), mean_interval(values(m, "reduction"))
        rows.append(
            [
                m,
                hv.value,
                hv.low,
                hv.high,
                red.value,
                *(sum(values(m, k)) / seeds for k in ("picked validation error", "picked test error")),
            ]
        )
    table = Table(
        ["search", "hypervolume", "low", "high", "weights gone at <= 1 point", "picked: validation error", "picked: test error"], rows,
        f"MLP 64-64-48-10 on 1,797 digits, {seeds} seeds, 95 % intervals; sweeps have 2,000 levels, searches 4,080 evaluations (phase 1: 2,040)",
    )  # fmt: skip
    unit_rows: list[list[Any]] = [
        [i, p["share"], p["macs"], u["dense"], p["before"], p["after"], p["one-shot before"], p["one-shot after"]]
        for i, u in enumerate(units) for p in u["points"]
    ]  # fmt: skip
    columns = [
        "seed",
        "MACs asked",
        "MACs",
        "dense",
        "search, cut",
        "search, 2 epochs",
        "one-shot L2, cut",
        "one-shot L2, 2 epochs",
    ]
    tables = [
        Table(
            columns,
            unit_rows,
            "ResNet-20 in coupled units on 14 x 14 digits, at most 400 evaluations with racing; test accuracy",
        )
    ]
    if real:
        tables.append(
            Table(["dense", "MACs", "validation accuracy, cut", "test accuracy, cut", "test accuracy, 2 epochs", "evaluations"],
                  [[r["dense"], r["macs"], r["validation"], r["before"], r["after"], r["evaluations"]] for r in real], "ResNet-20 on CIFAR-10 photographs")
        )  # fmt: skip
    p_long, p_guide = (
        paired_permutation(values(ours), values("phase 1, full budget")),
        paired_permutation(values(ours), values("phase 1 + 2, unguided")),
    )
    a, b = mean_interval(long_gap), mean_interval(guide_gap)
    trained = [p["after"] - p["one-shot after"] for u in units for p in u["points"] if p["share"] == 0.5]
    summary = (
        f"The hierarchy is what counts: {_mean(gap(ours, 'flat binary')):+.3f} hypervolume over a flat search, {_mean(gap(ours, 'global magnitude')):+.4f} over the "
        f"magnitude sweep. Whether phase 2 beats a longer phase 1 of the same budget: {a.value:+.4f} [{a.low:+.4f}, {a.high:+.4f}], p = {p_long:.2g}. "
        f"Guidance by importance against none: {b.value:+.4f} [{b.low:+.4f}, {b.high:+.4f}], p = {p_guide:.2g}. Phase 2 over its own phase 1: "
        f"{_mean(gap(ours, 'phase 1')):+.4f} (the paper reports 0.04 to 0.06 at its size). In coupled units the search's networks are ahead of one-shot "
        f"L2 cuts before any training and {_mean(trained):+.3f} against them after two epochs at half of the MACs: the error of an untrained cut is a poor "
        "guide to what it learns again."
    )
    fronts = Figure(
        "scatter", "Fronts of one seed",
        [{"name": m, "x": [p[1] for p in found[m][0]["front"]], "y": [p[0] for p in found[m][0]["front"]]}
         for m in ("global magnitude", "flat binary", "phase 1", "phase 1 + 2")], "share of weights kept", "validation error",
    )  # fmt: skip
    bars = Figure(
        "bar", "Hypervolume (higher is better)",
        [{"name": "hypervolume", "x": list(METHODS), "y": [r[1] for r in rows], "low": [r[2] for r in rows], "high": [r[3] for r in rows]}],
        "search", "hypervolume",
    )  # fmt: skip
    settings = {"seeds": seeds, "unit seeds": len(units), "cifar10": bool(real)}
    return StudyResult(
        "evolutionary-pruning", claims, table, [fronts, bars], tables, summary=summary, settings=settings
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
