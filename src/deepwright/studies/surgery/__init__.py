"""Surgery at three budgets against masks of the same sparsity, and on networks that nobody here wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, banded, cross, curve, gaps, mean, run_grid, study_result
from deepwright.studies.surgery.foreign_networks import foreign
from deepwright.studies.surgery.trials import CRITERIA, SHARES, latencies, trial

LIMITS = (
    "Accuracy is that of one small network on digits; the networks from elsewhere are cut and proved, not trained.",
    "Latency is one processor's, one thread, batches of 32; accelerators and other runtimes aren't measured.",
)
ALL, FEW = {"trained": 3500, "tested": 10_000}, {"trained": 500, "tested": 1000}  # digits of mnist's splits
Speed = dict[Any, tuple[float, float]]


def run(settings: Settings) -> StudyResult:
    """ResNet-20 cut to 75, 50 and 25 % of its MACs: accuracy, size, latency; foreign networks; masks."""
    seeds = settings.seeds_or(range(1 if settings.quick else 3))
    size = {"epochs": 10, **(FEW if settings.quick else ALL)}
    runs = run_grid(trial, cross(seed=seeds, **size), settings, "model-surgery")
    speed, others = latencies(), foreign()
    return study_result(
        "model-surgery",
        [runs],
        seeds=seeds,
        claims=_claims(runs, speed, others),
        tables=[_table(runs, speed), _foreign_table(others)],
        figures=[_accuracies(runs), _latencies(speed)],
        summary=_summary(speed, others),
        limits=LIMITS,
        settings={**size, "fine-tuning": 3},
    )


def _cut(criterion: str, share: float, key: str) -> Callable[[Any], float]:
    """Reads one number of one cut."""
    return lambda row: row["cut"][f"{criterion}-{share}"][key]


def _gains(speed: Speed) -> tuple[float, float]:
    """How much faster a quarter of the MACs is, in eager PyTorch and in ONNX Runtime."""
    return speed[1.0][0] / speed[0.25][0], speed[1.0][1] / speed[0.25][1]


def _claims(runs: Runs, speed: Speed, others: list[list[Any]]) -> list[Claim]:
    errors = [max(c["error"] for c in row["cut"].values()) for row in runs]
    how: dict[str, Any] = {"timing": True, "basis": "median of a batch's latencies on one thread"}
    once = f"{len(others)} networks, each cut once"
    loss = gaps(runs, runs, "dense", _cut("taylor", 0.5, "after"))
    gain = gaps(runs, runs, _cut("taylor", 0.25, "after"), _cut("random", 0.25, "after"))
    eager, onnx = _gains(speed)
    masked = speed["mask"][0] / speed[1.0][0]
    proved, agree = (mean([row[i] == "yes" for row in others]) for i in (5, 7))
    return [
        Claim.at_most("every cut equals its masked original (largest difference, float64)", errors, 1e-9, every=True),
        Claim.at_least("25 % of the MACs: ONNX Runtime at least 1.5x faster (batch 32, one thread)", onnx, 1.5, **how),
        Claim.at_least("25 % of the MACs: eager PyTorch at least 1.5x faster", eager, 1.5, **how),
        Claim.at_least("a mask of the same units isn't faster: time over the dense network's", masked, 0.9, **how),
        Claim.at_most(
            "half of the MACs (Taylor) after 3 epochs: accuracy within 1 point of the dense network", loss, 0.01
        ),
        Claim.at_least("25 % of the MACs after 3 epochs: Taylor above units chosen at random", gain, 0.0),
        Claim.at_least("foreign networks at 60 % of their MACs: share proved", proved, 1.0, basis=once),
        Claim.at_least("foreign networks: share whose ONNX file agrees", agree, 1.0, basis=once),
    ]


def _table(runs: Runs, speed: Speed) -> Table:
    accuracy = runs.mean("dense")
    sizes = [int(runs[0][k]) for k in ("params", "macs")]
    rows: list[list[Any]] = [["dense", 1.0, *sizes, accuracy, accuracy, *speed[1.0]]]
    for criterion in CRITERIA:
        for share in SHARES:
            sizes = [int(runs.mean(_cut(criterion, share, k))) for k in ("params", "macs")]
            accuracies = [runs.mean(_cut(criterion, share, k)) for k in ("before", "after")]
            rows.append([criterion, share, *sizes, *accuracies, *speed[share]])
    columns = ["accuracy cut", "accuracy after 3 epochs", "eager ms", "ONNX Runtime ms"]
    return Table(
        ["importance", "MACs kept", "params", "MACs", *columns],
        rows,
        f"ResNet-20 on 28 x 28 digits, means over {len(runs)} seeds; latency of a batch of 32 on one thread",
    )


def _foreign_table(others: list[list[Any]]) -> Table:
    found = ["groups", "units", "frozen axes", "first reason", "proved", "largest difference"]
    return Table(
        ["network", *found, "ONNX agrees", "sizes repaired"],
        others,
        "networks from elsewhere, importance L2, 60 % of the MACs",
    )


def _accuracies(runs: Runs) -> Figure:
    title = "Accuracy after cutting and three epochs"
    series = [banded(c, SHARES, [runs.values(_cut(c, s, "after")) for s in SHARES]) for c in CRITERIA]
    return Figure("line", title, series, "share of MACs kept", "test accuracy")


def _latencies(speed: Speed) -> Figure:
    keys: list[Any] = [1.0, *(k for s in SHARES for k in (s, f"{s}/8")), "mask"]
    labels = ["100%", *(t for s in SHARES for t in (f"{s:.0%}", f"{s:.0%}, 8s")), "mask 25%"]
    series = [curve(n, labels, [speed[k][i] for k in keys]) for i, n in ((0, "eager"), (1, "ONNX Runtime"))]
    title = "Latency of a batch of 32, one thread (8s: widths are multiples of 8)"
    note = "one machine's medians: no seeds"
    return Figure("bar", title, series, "share of MACs", "milliseconds", note=note)


def _summary(speed: Speed, others: list[list[Any]]) -> str:
    eager, onnx = _gains(speed)
    proved = sum(row[5] == "yes" for row in others)
    return (
        f"Cut to a quarter of its MACs, ResNet-20 runs {onnx:.2f}x faster in ONNX Runtime and {eager:.2f}x in eager "
        f"PyTorch; a mask over the same units takes {speed['mask'][0] / speed[1.0][0]:.2f} of the dense network's "
        "time. Widths that are multiples of 8 matter as much as MACs: at 75 % of them ONNX Runtime takes "
        f"{speed[0.75][1]:.1f} ms with any width, {speed['0.75/8'][1]:.1f} ms with rounded ones, {speed[1.0][1]:.1f} "
        f"ms dense. Of {len(others)} networks from elsewhere {proved} were cut and proved."
    )
