"""Tables and figures of the surgery study."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.studies._frame import Runs, banded, cells, curve, mean, over_trials
from deepwright.studies.surgery.trials import SHARES

Arms = dict[Any, Runs]
Speed = dict[Any, tuple[float, float]]
TRAINED, LATENCY, FOREIGN = "After equal training", "Latency", "Networks from elsewhere"


def accuracy_table(arms: Arms, trials: Runs, size: str) -> Table:
    """Accuracies and sizes by importance and share.

    Args:
        arms: by (share, importance), each at its chosen learning rate.
        trials: one a seed.
        size: of network and data, in words.
    """
    dense = trials.interval("dense")
    sizes = [int(trials[0][k]) for k in ("params", "macs")]
    none = [None] * 3
    rows: list[list[Any]] = [["all", "dense", *sizes, dense.value, None, *cells(dense), *none]]
    for (share, name), runs in arms.items():
        sizes = [int(runs.mean(k)) for k in ("params", "macs")]
        after, gap = runs.interval("test"), over_trials([row["test"] - row["dense"] for row in runs])
        before = [runs.mean(k) for k in ("before", "settled")]
        rows.append([share, name, *sizes, *before, *cells(after), *cells(gap)])
    columns = ["cut", "statistics anew", "after training", "low", "high", "minus dense", "low ", "high "]
    return Table(["asked", "importance", "params", "MACs", *columns], rows, f"{TRAINED}: {size}")


def latency_table(speed: Speed) -> Table:
    """Milliseconds by share, with any width and with rounded ones.

    Args:
        speed: (eager, ONNX Runtime) by key.
    """
    dense = speed[1.0]
    names: dict[Any, str] = {1.0: "dense"}
    for s in SHARES:
        names |= {s: f"{s:.0%} of the MACs", f"{s}/8": f"{s:.0%} of the MACs, widths in multiples of 8"}
    names["mask"] = "a mask that leaves 25% of the MACs"
    rows: list[list[Any]] = [
        [name, *speed[key], dense[0] / speed[key][0], dense[1] / speed[key][1]] for key, name in names.items()
    ]
    return Table(
        ["network", "eager ms", "ONNX Runtime ms", "times faster, eager", "times faster, ONNX Runtime"],
        rows,
        f"{LATENCY} of a batch of 32 digits of 28 x 28 through a ResNet-20 of 16 channels at first, CPU "
        "time on one thread, median of 41 that take turns; no seeds",
    )


def foreign_table(others: list[dict[str, Any]], share: float) -> Table:
    """What was found in each network from elsewhere, and how its cuts went.

    Args:
        others: rows of all seeds.
        share: of the MACs that was asked for.
    """
    rows: list[list[Any]] = []
    for name in dict.fromkeys(row["network"] for row in others):
        here = [row for row in others if row["network"] == name]
        first = here[0]
        errors = [row["error"] for row in here if row["error"] is not None]
        shares = [mean([row[k] for row in here]) for k in ("proved", "agrees")]
        found = [first[k] for k in ("groups", "units", "frozen", "reason")]
        largest = max(errors) if errors else None
        rows.append([name, *found, shares[0], largest, shares[1], first["repaired"], first["peer"]])
    columns = ["groups", "units", "frozen axes", "first reason", "share proved", "largest difference", "ONNX agrees"]
    return Table(
        ["network", *columns, "sizes repaired", "torch-pruning, default call"],
        rows,
        f"{FOREIGN}, units drawn at random, {share:.0%} of the MACs, a cut a seed; torch-pruning without hints, a "
        "fifth of the channels, first seed",
    )


def figures(arms: Arms, speed: Speed) -> list[Figure]:
    """Accuracy after training by share, and latencies.

    Args:
        arms: by (share, importance).
        speed: (eager, ONNX Runtime) by key.
    """
    asked = list(dict.fromkeys(share for share, _ in arms))
    names = dict.fromkeys(name for _, name in arms)
    series = [banded(n, SHARES, [arms[share, n].values("test") for share in asked]) for n in names]
    keys: list[Any] = [1.0, *(k for s in SHARES for k in (s, f"{s}/8")), "mask"]
    labels = ["100%", *(t for s in SHARES for t in (f"{s:.0%}", f"{s:.0%}, 8s")), "mask 25%"]
    bars = [curve(n, labels, [speed[k][i] for k in keys]) for i, n in ((0, "eager"), (1, "ONNX Runtime"))]
    title = "CPU time of a batch of 32, one thread (8s: widths are multiples of 8)"
    return [
        Figure("line", "Accuracy after cutting and one epoch", series, "share of MACs kept", "test accuracy"),
        Figure("bar", title, bars, "share of MACs", "milliseconds", note="one machine's medians: no seeds"),
    ]
