"""PruneFuse: does a pruned copy choose labels as well as the whole network, and is its training worth fusing?"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.statistics import mean_interval
from deepwright.labels import LabelingLoop, PrunedSelector, WholeSelector, default_trainer, train_fused
from deepwright.nets import cifar_resnet
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, banded, cross, gaps, mean, ratios, run_grid, study_result
from deepwright.studies._networks import accuracy, built, mnist_small

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
SMALL = 16  # samples a step: three epochs of 480 labels are 90 steps, of 32 samples a step only 45
LIMITS = (
    "Digits of 14 x 14 and a ResNet-8 of width 8: selection costs little here, and what it saves at the paper's size "
    "isn't shown.",
    "Training is short on purpose (3 and 10 epochs): what fusing is worth after long training isn't shown.",
)
OURS, WHOLE = "PruneFuse, least confidence", "whole network, least confidence"


def run(settings: Settings) -> StudyResult:
    """Labels chosen by pruned, whole and separate networks; training from scratch and fused on each choice."""
    seeds = settings.seeds_or(range(2 if settings.quick else 5))
    names = list(SELECTIONS)[:4] if settings.quick else list(SELECTIONS)
    grid = cross(name=names, seed=seeds, epochs=6 if settings.quick else 20)
    runs = run_grid(trial, grid, settings, "prunefuse")
    arms, timing = runs.by("name"), _timing(settings.quick)
    return study_result(
        "prunefuse",
        [runs],
        seeds=seeds,
        claims=[*_claims(arms, timing), *_more_claims(arms)],
        tables=[_table(arms, len(seeds)), _ablation(arms)],
        figures=[_figure(arms)],
        summary=_summary(arms, timing),
        limits=LIMITS,
        settings={"removed": 0.5, "labels": 480, "timing": {k: round(v, 2) for k, v in timing.items()}},
    )


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
    small_batches = default_trainer(3, batch_size=SMALL)(_network(seed), x, y, 0, seed)
    out["scratch 3, small batches"] = accuracy(small_batches, data.test)
    if name == OURS:
        fused = train_fused(
            loop.selector, trained, x, y, rest="random", epochs=3, distill=0.0, seed=seed, batch_size=SMALL
        )
        out["fused 3 random, small batches"] = accuracy(fused, data.test)
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
    """Seconds of one round (training on 400, scoring 2,000) with either selector, at a width where MACs count."""
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


def _claims(arms: dict[str, Runs], timing: dict[str, float]) -> list[Claim]:
    ours = arms[OURS]
    early = gaps(ours, ours, "fused 3 random", "scratch 3")
    late = gaps(ours, ours, "fused 10 random", "scratch 10")
    faster = timing["whole"] / timing["pruned"]
    return [
        Claim.at_least("fused above scratch on the same labels after 3 epochs of 15 steps", early, 0.025),
        Claim.at_least("... in the worst seed", early, 0.01, every=True),
        Claim.at_least(
            "fused above scratch after 3 epochs of 30 steps (batches of 16), where scratch isn't starved",
            gaps(ours, ours, "fused 3 random, small batches", "scratch 3, small batches"),
            0.025,
        ),
        Claim.at_least("fused not below scratch by more than 1 point after 10 epochs", late, -0.01),
        Claim.at_least(
            "pruned selector's labels against random ones (10 epochs, scratch)",
            gaps(ours, arms["random"], "scratch 10"),
            -0.005,
        ),
        Claim.at_least(
            "pruned selector's labels against the whole network's (10 epochs, scratch)",
            gaps(ours, arms[WHOLE], "scratch 10"),
            -0.015,
        ),
        Claim.at_most(
            "MACs of selection against the whole network's (p = 0.5)", ratios(ours, arms[WHOLE], "macs"), 0.25 * 1.35
        ),
        Claim.at_least(
            "seconds of a round at width 32: the whole network's over the pruned one's",
            faster,
            2.0,
            timing=True,
            basis="one round each, side by side",
        ),
        Claim.at_least(
            "zeros in the rest are below random re-initialisation after 3 epochs (they never wake)",
            gaps(ours, ours, "fused 3 random", "fused 3 zero"),
            0.0,
        ),
    ]


def _more_claims(arms: dict[str, Runs]) -> list[Claim]:
    """About the selectors that a quick run leaves out."""
    if "PruneFuse, units at random" not in arms:
        return []
    ours = arms[OURS]
    interval = mean_interval(gaps(ours, arms["PruneFuse, units at random"], "scratch 10"))
    return [
        Claim.at_most(
            "L2 at initialisation against units at random: the 95 % interval of the difference holds 0 (0 = it does)",
            float(not interval.low <= 0 <= interval.high) if interval.known else math.nan,
            0.0,
            basis="decided by the interval over the seeds",
        ),
        Claim.at_least(
            "pruned selector's labels against a separate small network's (10 epochs, scratch)",
            gaps(ours, arms["small separate network (SVP)"], "scratch 10"),
            0.0,
        ),
    ]


def _table(arms: dict[str, Runs], n: int) -> Table:
    keys = ("selector", "scratch 3, small batches", "scratch 3", "fused 3 random", "scratch 10", "fused 10 random")
    rows: list[list[Any]] = []
    for name, runs in arms.items():
        cells = [runs.mean(k) if k in runs[0] else None for k in keys]
        rows.append([name, *cells, runs.mean("macs") / 1e9, runs.mean("seconds")])
    lengths = [f"{way}, {epochs} epochs" for epochs in (3, 10) for way in ("scratch", "fused")]
    columns = ["selector", "scratch, 3 epochs in batches of 16", *lengths]
    return Table(
        ["labels chosen by", *columns, "GMACs of selection", "seconds"],
        rows,
        f"ResNet-8 (width 8), 14 x 14 digits, 480 labels in six rounds, test accuracy, means over {n} seeds",
    )


def _ablation(arms: dict[str, Runs]) -> Table:
    rests = ("random", "random + teacher", "keep", "function_preserving", "zero")
    return Table(
        ["rest of the fused network", "3 epochs", "10 epochs", "3 epochs, random labels", "10 epochs, random labels"],
        [[r, *(arms[n].mean(f"fused {e} {r}") for n in (OURS, "random") for e in (3, 10))] for r in rests],
        "fused training by what stands outside the copied blocks",
    )


def _figure(arms: dict[str, Runs]) -> Figure:
    series = []
    for key in ("scratch 3", "fused 3 random", "scratch 10", "fused 10 random"):
        names = [n for n in arms if key in arms[n][0]]
        series.append(banded(key, names, [arms[n].values(key) for n in names]))
    return Figure("bar", "Test accuracy after 3 and 10 epochs", series, "labels chosen by", "accuracy")


def _summary(arms: dict[str, Runs], timing: dict[str, float]) -> str:
    ours = arms[OURS]
    early, late = (mean_interval(gaps(ours, ours, f"fused {e} random", f"scratch {e}")) for e in (3, 10))
    fair = mean_interval(gaps(ours, ours, "fused 3 random, small batches", "scratch 3, small batches"))
    return (
        f"On the same labels the fused network is {fair:+.3f} above scratch after 3 epochs in batches of 16 (90 "
        f"steps). In batches of 32 it is {early:+.3f}, most of which is a scratch network that 45 steps have starved. "
        f"After 10 epochs: {late:+.3f}. Selection costs "
        f"{mean(ratios(ours, arms[WHOLE], 'macs')):.2f} of the whole network's MACs; one round at width 32 takes "
        f"{timing['pruned']:.1f} s against {timing['whole']:.1f} s. At width 8 the small selector isn't faster in "
        "seconds: overhead decides there."
    )
