"""Tables, figures and the sentence of the PruneFuse study."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.studies._frame import Runs, Selection, banded, cells, columns, gaps, mean, over_trials, ratios
from deepwright.studies.prunefuse.choosing import Trained
from deepwright.studies.prunefuse.selecting import LABELS, OURS, RANDOM, SELECTIONS, SEPARATE, WHOLE
from deepwright.studies.prunefuse.training import (
    FUSED,
    LENGTHS,
    LONG,
    MATCHED,
    RESTS,
    SCRATCH,
    SMALL,
    STARVED,
    TEN,
)

WAYS_SHOWN = "Fused and from scratch"
LABELS_SHOWN = "Labels by who chose them"
REST_SHOWN = "What stands outside the copied blocks"
ROUNDS_SHOWN = "A round of selection"
SETTLED_SHOWN = "Whether training had settled"


def tables(selectors: Selection, trained: Trained, rounds: dict[int, Runs]) -> list[Table]:
    """All of them, the main one first.

    Args:
        selectors: that were chosen.
        trained: whole networks.
        rounds: CPU seconds of a round by width.
    """
    return [
        _ways(trained),
        _labels(selectors, trained),
        _settled(trained),
        _rests(trained),
        _rounds(rounds),
    ]


def _lengths(trained: Trained) -> list[str]:
    return [length for length in LENGTHS if trained.has(length, OURS, SCRATCH)]


def _ways(trained: Trained) -> Table:
    rows: list[list[Any]] = []
    for labels in (OURS, RANDOM):
        for length in _lengths(trained):
            if not trained.has(length, labels, SCRATCH):
                continue
            scratch = trained.at(length, labels, SCRATCH)
            if not trained.has(length, labels, FUSED):
                rows.append([labels, length, *scratch.cells("test"), *[None] * 6])
                continue
            fused = trained.at(length, labels, FUSED)
            gap = over_trials(gaps(fused, scratch, "test"))
            rows.append([labels, length, *scratch.cells("test"), *fused.cells("test"), *cells(gap)])
    return Table(
        ["labels chosen by", "training", *columns("from scratch", "fused", "fused less scratch")],
        rows,
        f"{WAYS_SHOWN} on the same {LABELS} labels: ResNet-8 (width 8), 14 x 14 digits, test accuracy, each arm's "
        f"learning rate and epochs chosen on validation, {_seeds(trained)} seeds",
    )


def _seeds(trained: Trained) -> int:
    return len(trained.at(TEN, OURS, SCRATCH))


def _labels(selectors: Selection, trained: Trained) -> Table:
    by_name, long = selectors.runs.by("name"), trained.has(LONG, OURS, SCRATCH)
    rows: list[list[Any]] = []
    for name in SELECTIONS:
        own = by_name[name]
        for way in (SCRATCH, FUSED):
            if not trained.has(TEN, name, way):
                continue
            late = trained.at(LONG, name, way).cells("test") if trained.has(LONG, name, way) else [None] * 3
            cost = [None if name == RANDOM else own.mean("macs") / 1e9, None if name == RANDOM else own.mean("seconds")]
            rows.append(
                [name, way, *trained.at(TEN, name, way).cells("test"), *(late if long else []), own.mean("test"), *cost]
            )
    lengths = columns(TEN, LONG) if long else columns(TEN)
    return Table(
        ["labels chosen by", "then", *lengths, "selector itself", "GMACs of selection", "CPU seconds of selection"],
        rows,
        f"{LABELS_SHOWN}: {LABELS} labels in three rounds, least confidence, test accuracy of the whole network and of "
        f"the selector, trained on the same labels; {_seeds(trained)} seeds",
    )


def _settled(trained: Trained) -> Table:
    """Validation accuracy by epochs, at the learning rate that is best for each."""
    rows: list[list[Any]] = []
    for way in (SCRATCH, FUSED):
        for length in _lengths(trained):
            if length == TEN or not trained.has(length, OURS, way):
                continue  # 10 epochs are part of the longest
            for epochs in LENGTHS[length][0]:
                best = _best_validation(trained.all[length, f"{OURS}: {way}"], epochs)
                chosen = [row["epochs"] == epochs for row in trained.at(length, OURS, way)]
                rows.append([way, length, epochs, *cells(over_trials(best)), mean(chosen)])
    return Table(
        ["way", "training", "epochs", "validation accuracy", "low", "high", "share of seeds that chose these epochs"],
        rows,
        f"{SETTLED_SHOWN}: validation accuracy on PruneFuse's labels by epochs, each at its best learning rate",
    )


def _best_validation(runs: Runs, epochs: int) -> list[float]:
    best: dict[int, float] = {}
    for seed, row in zip(runs.seeds, runs):
        if row["epochs"] == epochs:
            best[seed] = max(best.get(seed, 0.0), row["validation"])
    return list(best.values())


def _rests(trained: Trained) -> Table:
    ways = {"random": FUSED} | {rest: f"{FUSED}, {rest}" for rest in RESTS}
    rows = [
        [rest, *trained.at(SMALL, OURS, way).cells("test"), *cells(_gap_to_random(trained, way))]
        for rest, way in ways.items()
    ]
    return Table(
        ["rest of the fused network", *columns("test accuracy", "less that with a random rest")],
        rows,
        f"{REST_SHOWN}: test accuracy on PruneFuse's labels, {SMALL}, {_seeds(trained)} seeds",
    )


def _gap_to_random(trained: Trained, way: str) -> Interval:
    return over_trials(gaps(trained.at(SMALL, OURS, way), trained.at(SMALL, OURS, FUSED), "test"))


def _rounds(rounds: dict[int, Runs]) -> Table:
    rows: list[list[Any]] = []
    for width, runs in rounds.items():
        for name in (WHOLE, OURS, SEPARATE):
            share = over_trials([row[name] / row[WHOLE] for row in runs])
            rows.append([width, name, *runs.cells(name), *cells(share)])
    return Table(
        ["width", "selector", *columns("CPU seconds", "over the whole network's")],
        rows,
        f"{ROUNDS_SHOWN}: 2 epochs on 400 digits of 28 x 28, scores of 2,000, one thread, beside other work",
    )


def figures(trained: Trained) -> list[Figure]:
    """All of them.

    Args:
        trained: whole networks.
    """
    lengths = _lengths(trained)
    by_way = []
    for labels, way, name in (
        (OURS, SCRATCH, "scratch"),
        (OURS, FUSED, "fused"),
        (RANDOM, SCRATCH, "scratch, random labels"),
        (RANDOM, FUSED, "fused, random labels"),
    ):
        there = [length for length in lengths if trained.has(length, labels, way)]
        by_way.append(banded(name, there, [trained.at(length, labels, way).values("test") for length in there]))
    names = {SCRATCH: "scratch", FUSED: "fused"}
    last = LONG if LONG in lengths else TEN
    by_labels = []
    for way, name in names.items():
        there = [labels for labels in SELECTIONS if trained.has(last, labels, way)]
        by_labels.append(banded(name, there, [trained.at(last, labels, way).values("test") for labels in there]))
    return [
        Figure("bar", "Fused and from scratch, by training", by_way, "training", "test accuracy"),
        Figure("bar", f"By who chose the labels, {last}", by_labels, "labels chosen by", "test accuracy"),
    ]


def summary(selectors: Selection, trained: Trained, rounds: dict[int, Runs]) -> str:
    """What was found, the unfavourable first.

    Args:
        selectors: that were chosen.
        trained: whole networks.
        rounds: CPU seconds of a round by width.
    """

    def gap(length: str, labels: str) -> Interval:
        return over_trials(gaps(trained.at(length, OURS, SCRATCH), trained.at(length, labels, SCRATCH), "test"))

    def fused(length: str, other: str = "") -> Interval:
        scratch = trained.at(other or length, OURS, SCRATCH)
        return over_trials(gaps(trained.at(length, OURS, FUSED), scratch, "test"))

    by_name, last = selectors.runs.by("name"), LONG if trained.has(LONG, OURS, FUSED) else TEN
    macs = mean(ratios(by_name[OURS], by_name[WHOLE], "macs"))
    wide, narrow = ([row[OURS] / row[WHOLE] for row in rounds[w]] for w in (max(rounds), min(rounds)))
    matched = ""
    if trained.has(MATCHED, OURS, SCRATCH):
        matched = f"{fused(SMALL, MATCHED):+.3f} against scratch with the selector's MACs trained in its place, "
    starved = trained.at(STARVED, OURS, SCRATCH).mean("test")
    chosen = "; ".join(
        f"against {words}, {_judged(gap(TEN, labels))} and {_judged(gap(last, labels))}"
        for labels, words in (
            (SEPARATE, "those of a separate small network of the same cost"),
            (RANDOM, "random ones"),
            (WHOLE, "the whole network's"),
        )
    )
    return (
        f"Test accuracy that a pruned selector's labels add, from scratch after {TEN} and after {last}: {chosen}. "
        "On the same labels fusing is "
        f"worth {fused(last):+.3f} after {last}, {fused(TEN):+.3f} after {TEN}, {fused(SMALL):+.3f} "
        f"after {SMALL}, {matched}and {fused(STARVED):+.3f} after {STARVED}, where scratch has learned {starved:.3f}. "
        f"Selection costs {macs:.2f} of the whole network's MACs; a round takes {mean(wide):.2f} of its CPU time at "
        f"width {max(rounds)} and {mean(narrow):.2f} at width {min(rounds)}."
    )


def _judged(interval: Interval) -> str:
    if not interval.known or interval.low <= 0 <= interval.high:
        return f"{interval:+.3f} (a difference is not shown)"
    return f"{interval:+.3f} ({'better' if interval.low > 0 else 'worse'})"
