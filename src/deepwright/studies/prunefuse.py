"""PruneFuse: does a pruned copy choose labels as well as the whole network, and is its training worth fusing?"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.statistics import mean_interval
from deepwright.core.trials import run as run_trials
from deepwright.labels import LabelingLoop, PrunedSelector, WholeSelector, default_trainer, train_fused
from deepwright.nets import cifar_resnet
from deepwright.studies import Settings
from deepwright.studies.training import accuracy, built, mnist_small

# name -> (selector, strategy)
SELECTIONS = {
    "random": ("pruned", "random"),
    "whole network, least confidence": ("whole", "least-confidence"),
    "PruneFuse, least confidence": ("pruned", "least-confidence"),
    "PruneFuse, synchronised": ("synchronised", "least-confidence"),
    "PruneFuse, units at random": ("pruned at random", "least-confidence"),
    "small separate network (SVP)": ("separate", "least-confidence"),
    "PruneFuse, entropy": ("pruned", "entropy"),
    "PruneFuse, margin": ("pruned", "margin"),
    "PruneFuse, k-centers": ("pruned", "k-center"),
    "PruneFuse, BADGE": ("pruned", "badge"),
    "PruneFuse, TypiClust": ("pruned", "typiclust"),
}
OURS = "PruneFuse, least confidence"


def run(settings: Settings) -> StudyResult:
    """Labels chosen by pruned, whole and separate networks; training from scratch and fused on each choice."""
    seeds = 2 if settings.quick else 5
    names = list(SELECTIONS)[:4] if settings.quick else list(SELECTIONS)
    grid = [{"name": n, "seed": s, "epochs": 6 if settings.quick else 20} for n in names for s in range(seeds)]
    rows = run_trials(
        trial, grid, store=settings.store, jobs=settings.jobs, backend=settings.backend, description="prunefuse"
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for spec, row in zip(grid, rows):
        found.setdefault(str(spec["name"]), []).append(row)
    return _result(found, _timing(settings.quick), seeds)


def _network(seed: int, width: int = 8) -> nn.Module:
    return built(partial(cifar_resnet, 8, channels=1, width=width), seed)


def _selector(kind: str, seed: int, x: Tensor) -> Any:
    if kind == "whole":
        return WholeSelector(_network(seed))
    if kind == "separate":
        return WholeSelector(_network(seed + 1000, width=4))
    if kind == "pruned at random":
        return PrunedSelector(_network(seed), x, criterion="random", generator=torch.Generator().manual_seed(seed))
    return PrunedSelector(_network(seed), x)


def trial(name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Choose 480 labels in six rounds, then train whole networks on them in every way that is compared."""
    data = mnist_small(14)
    pool, truth = torch.cat([data.train[0], data.validation[0]]), torch.cat([data.train[1], data.validation[1]])
    kind, strategy = SELECTIONS[name]
    loop = LabelingLoop(
        pool,
        _selector(kind, seed, pool[:2]),
        strategy,
        budget=480,
        round_size=80,
        trainer=default_trainer(epochs),
        oracle=lambda i: truth[i],
        classes=10,
        t_sync=1 if kind == "synchronised" else 0,
        seed=seed,
    )
    result = loop.run()
    x, y = loop.data()
    trained = result.selector
    assert trained is not None
    out: dict[str, Any] = {"selector": accuracy(trained, data.test), "macs": result.macs, "seconds": result.seconds}
    for length in (3, 10):
        scratch = default_trainer(length)(_network(seed), x, y, 0, seed)
        out[f"scratch {length}"] = accuracy(scratch, data.test)
        if not isinstance(loop.selector, PrunedSelector):
            continue
        if name == "random":  # nobody trained a selector on purpose: fused initialisation on random labels
            trained = default_trainer(epochs)(loop.selector.fresh(), x, y, 0, seed)
        for rest, distill in (
            ("random", 0.0),
            ("keep", 0.0),
            ("zero", 0.0),
            ("function_preserving", 0.0),
            ("random", 0.3),
        ):
            key = f"fused {length} {rest}" + (" + teacher" if distill else "")
            if name not in (OURS, "random") and key != f"fused {length} random":
                continue
            fused = _quietly(loop.selector, trained, x, y, rest, length, distill, seed)
            out[key] = accuracy(fused, data.test)
    return out


def _quietly(
    selector: PrunedSelector, small: nn.Module, x: Tensor, y: Tensor, rest: str, epochs: int, distill: float, seed: int
) -> nn.Module:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rest='zero' warns that its channels never wake: that is what is shown here
        return train_fused(selector, small, x, y, rest=rest, epochs=epochs, distill=distill, seed=seed)


def _timing(quick: bool) -> dict[str, float]:
    """Seconds of one round (training on 400, scoring 2,000) with whole and pruned selectors, at a width where MACs count."""
    data = mnist_small()
    x, y, pool = data.train[0][:400], data.train[1][:400], data.train[0][:2000]
    found = {}
    for label, selector in (
        ("whole", WholeSelector(_network(0, 32))),
        ("pruned", PrunedSelector(_network(0, 32), x[:2])),
    ):
        epochs = 1 if quick else 3
        begin = time.perf_counter()
        model = default_trainer(epochs)(selector.fresh(), x, y, 0, 0)
        with torch.inference_mode():
            for part in pool.split(250):
                model(part)
        found[label] = time.perf_counter() - begin
    return found


def _result(found: dict[str, list[dict[str, Any]]], timing: dict[str, float], seeds: int) -> StudyResult:
    def values(name: str, key: str) -> list[float]:
        return [r[key] for r in found[name]]

    def gaps(a: tuple[str, str], b: tuple[str, str]) -> list[float]:
        return [x - y for x, y in zip(values(*a), values(*b))]

    ours, whole = OURS, "whole network, least confidence"
    early = gaps((ours, "fused 3 random"), (ours, "scratch 3"))
    late = gaps((ours, "fused 10 random"), (ours, "scratch 10"))
    macs = [a / b for a, b in zip(values(ours, "macs"), values(whole, "macs"))]
    claims = [
        Claim.at_least("fused above scratch on the same labels after 3 epochs", early, 0.025),
        Claim.at_least("... in the worst seed", min(early), 0.01),
        Claim.at_least("fused not below scratch by more than 1 point after 10 epochs", late, -0.01),
        Claim.at_least("pruned selector's labels against random ones (10 epochs, scratch)", gaps((ours, "scratch 10"), ("random", "scratch 10")), -0.005),
        Claim.at_least("pruned selector's labels against the whole network's (10 epochs, scratch)", gaps((ours, "scratch 10"), (whole, "scratch 10")), -0.015),
        Claim.at_most("MACs of selection against the whole network's (p = 0.5)", macs, 0.25 * 1.35),
        Claim.at_least("seconds of a round at width 32: the whole network's over the pruned one's", timing["whole"] / timing["pruned"], 2.0),
        Claim.at_least("zeros in the rest are below random re-initialisation after 3 epochs (they never wake)",
                       gaps((ours, "fused 3 random"), (ours, "fused 3 zero")), 0.0),
    ]  # fmt: skip
    if "PruneFuse, units at random" in found:
        difference = gaps((ours, "scratch 10"), ("PruneFuse, units at random", "scratch 10"))
        interval = mean_interval(difference)
        claims.append(
            Claim.at_most(
                "L2 at initialisation against units at random: the 95 % interval of the difference holds 0 (0 = it does)",
                0.0 if interval.low <= 0 <= interval.high else 1.0,
                0.0,
            )
        )
        claims.append(
            Claim.at_least("pruned selector's labels against a separate small network's (10 epochs, scratch)",
                           gaps((ours, "scratch 10"), ("small separate network (SVP)", "scratch 10")), 0.0)
        )  # fmt: skip
    rows: list[list[Any]] = []
    keys = ["selector", "scratch 3", "fused 3 random", "scratch 10", "fused 10 random"]
    for name in found:
        cells = [sum(v) / len(v) if (v := [r[k] for r in found[name] if k in r]) else None for k in keys]
        rows.append([name, *cells, sum(values(name, "macs")) / seeds / 1e9, sum(values(name, "seconds")) / seeds])
    table = Table(
        ["labels chosen by", "selector", "scratch, 3 epochs", "fused, 3 epochs", "scratch, 10 epochs", "fused, 10 epochs", "GMACs of selection", "seconds"],
        rows, f"ResNet-8 (width 8), 14 x 14 digits, 480 labels in six rounds, test accuracy, means over {seeds} seeds",
    )  # fmt: skip
    rests = ("random", "random + teacher", "keep", "function_preserving", "zero")
    ablation = Table(
        ["rest of the fused network", "3 epochs", "10 epochs", "3 epochs, random labels", "10 epochs, random labels"],
        [[r, *(sum(values(n, f"fused {e} {r}")) / seeds for n in (ours, "random") for e in (3, 10))] for r in rests],
        "fused training by what stands outside the copied blocks",
    )  # fmt: skip
    a, b = mean_interval(early), mean_interval(late)
    summary = (
        f"On the same labels the fused network is {a.value:+.3f} [{a.low:+.3f}, {a.high:+.3f}] above scratch after 3 epochs and {b.value:+.3f} "
        f"[{b.low:+.3f}, {b.high:+.3f}] after 10. Selection costs {sum(macs) / len(macs):.2f} of the whole network's MACs; one round at width 32 takes "
        f"{timing['pruned']:.1f} s against {timing['whole']:.1f} s. At width 8 the small selector isn't faster in seconds: overhead decides there."
    )
    figure = Figure(
        "bar", "Test accuracy after 3 and 10 epochs",
        [_bar(found, "scratch 3"), _bar(found, "fused 3 random"), _bar(found, "scratch 10"), _bar(found, "fused 10 random")],
        "labels chosen by", "accuracy",
    )  # fmt: skip
    settings = {"seeds": seeds, "removed": 0.5, "labels": 480, "timing": {k: round(v, 2) for k, v in timing.items()}}
    return StudyResult("prunefuse", claims, table, [figure], [ablation], summary=summary, settings=settings)


def _bar(found: dict[str, list[dict[str, Any]]], key: str) -> dict[str, Any]:
    names = [n for n in found if key in found[n][0]]
    points = [mean_interval([r[key] for r in found[n]]) for n in names]
    return {
        "name": key, "x": names, "y": [p.value for p in points],
        "low": [p.low for p in points], "high": [p.high for p in points],
    }  # fmt: skip
