"""What the trials say, read by arm, ridge and set; tables, figures and the sentence on top."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.studies._frame import Runs, banded, columns, inside, over_trials
from deepwright.studies.dgp.arms import (
    ALONE,
    AMPLIFIED,
    CLASSWISE,
    DEGREES,
    FIVE,
    HIERARCHICAL,
    MIDDLE,
    NEAREST,
    OURS,
    PAPER,
    PLAIN,
    PROMPTLESS,
    RANDOM,
    RIDGED,
    RIDGES,
    SSD_,
)
from deepwright.studies.dgp.worlds import BLOCKS, MOTIFS, PAIRS

SETS = {MOTIFS: ("tree", "er", "clique", "star"), BLOCKS: ("swapped",)}
DRAWN_SHOWN, REAL_SHOWN, RIDGE_SHOWN = "Graphs that are drawn", "Graphs that are read", "By ridge"
CHOSEN_SHOWN, VIEWS_SHOWN, OTHER_SHOWN = "Each at the setting that rewired graphs prefer", "What views say", "GraphCL"
BOUND_SHOWN = "Each at its best setting in hindsight"
HOW = f"ridges at {MIDDLE:g}, all other settings chosen on rewired validation graphs"


@dataclass(frozen=True)
class Found:
    """All that was run.

    Attributes:
        drawn: benchmark -> trials, encoders by SimGRACE.
        other: trials on motifs, encoders by GraphCL.
        real: in-distribution set -> trials; None without data.
        chosen: (benchmark, arm) -> trials at the ridge that was chosen, each of one area a set.
    """

    drawn: dict[str, Runs]
    other: Runs
    real: dict[str, Runs] | None
    chosen: dict[Any, Runs]

    def area(self, bench: str, arm: str, of: str, ridge: float = MIDDLE) -> list[float]:
        """AUROC over the seeds.

        Args:
            bench: of `drawn` or `real`.
            arm: of it.
            of: the foreign set.
            ridge: where the arm has several.
        """
        runs = self.drawn[bench] if bench in self.drawn else (self.real or {})[bench]
        return runs.values(at(arm, of, ridge))


def at(arm: str, of: str, ridge: float = MIDDLE) -> Callable[[Any], float]:
    """What is read from a trial: an arm's AUROC, at one ridge where it has some, and at the best settings else.

    The best are those at which rewired validation graphs are told from themselves; no foreign graph enters.

    Args:
        arm: of the trial.
        of: the foreign set.
        ridge: where the arm has several.
    """

    def read(row: Any) -> float:
        tried = [one for one in row["auroc"][arm] if one["setting"].get("ridge", ridge) == ridge]
        return max(tried, key=_validated)["areas"][of]

    return read


def _validated(one: Any) -> float:
    return one["areas"]["rewired"]


def less(a: list[float], b: list[float]) -> list[float]:
    """One minus the other, seed by seed.

    Args:
        a: one a seed.
        b: in the same order.
    """
    return [x - y for x, y in zip(a, b, strict=True)]


def sets_of(found: Found, bench: str) -> tuple[str, ...]:
    """The foreign sets of a benchmark.

    Args:
        found: everything.
        bench: one of them.
    """
    return SETS[bench] if bench in SETS else (PAIRS[bench], "swapped")


def _arms(runs: Runs) -> list[str]:
    order = (OURS, PAPER, RANDOM, ALONE, SSD_, CLASSWISE, *PLAIN, AMPLIFIED, FIVE, DEGREES)
    return [arm for arm in dict.fromkeys(order) if arm in runs[0]["auroc"]]


def strongest(found: Found, bench: str, of: str) -> str:
    """The detector without prompts whose mean AUROC is the largest.

    Args:
        found: everything.
        bench: of `drawn` or `real`.
        of: the foreign set.
    """
    runs = found.drawn[bench] if bench in found.drawn else (found.real or {})[bench]
    return max((a for a in PROMPTLESS if a in runs[0]["auroc"]), key=lambda arm: runs.mean(at(arm, of)))


def tables(found: Found) -> list[Table]:
    """Drawn graphs, read graphs, in hindsight, by ridge, chosen, views, and the other pre-training.

    Args:
        found: everything.
    """
    shown = [_table(found.drawn, SETS, f"{DRAWN_SHOWN}; {HOW}")]
    if found.real:
        where = {bench: sets_of(found, bench) for bench in found.real}
        shown.append(_table(found.real, where, f"{REAL_SHOWN}, constant features; {HOW}"))
    return [*shown, _bound(found), _by_ridge(found), _chosen(found), _views(found), _other(found)]


def _table(runs: dict[str, Runs], sets: dict[str, tuple[str, ...]], caption: str) -> Table:
    pairs = [(bench, of) for bench in runs for of in sets[bench]]
    rows: list[list[Any]] = []
    for arm in _arms(next(iter(runs.values()))):
        rows.append([arm, *[cell for bench, of in pairs for cell in runs[bench].cells(at(arm, of))]])
    n = len(next(iter(runs.values())))
    heads = columns(*(f"{bench}: {of}" for bench, of in pairs))
    return Table(["detector", *heads], rows, f"{caption}; AUROC, {n} seeds")


def _bound(found: Found) -> Table:
    """No arm is better than this at any setting that was tried, however it is chosen."""
    benches = found.drawn | (found.real or {})
    pairs = [(bench, of) for bench in benches for of in sets_of(found, bench)]
    rows: list[list[Any]] = []
    for arm in _arms(found.drawn[MOTIFS]):
        rows.append([arm, *(_best_mean(benches[bench], arm, of) for bench, of in pairs)])
    heads = [f"{bench}: {of}" for bench, of in pairs]
    caption = f"{BOUND_SHOWN}, for each foreign set anew: the largest mean AUROC over {len(found.drawn[MOTIFS])} seeds"
    return Table(["detector", *heads], rows, caption)


def _best_mean(runs: Runs, arm: str, of: str) -> float | None:
    if arm not in runs[0]["auroc"]:
        return None
    settings = range(len(runs[0]["auroc"][arm]))
    return max(runs.mean(inside("auroc", arm, k, "areas", of)) for k in settings)


def _by_ridge(found: Found) -> Table:
    runs = found.drawn[MOTIFS]
    rows: list[list[Any]] = []
    for arm in RIDGED:
        had = {one["setting"]["ridge"] for one in runs[0]["auroc"][arm]}
        for ridge in (r for r in RIDGES if r in had):
            cells = [cell for of in SETS[MOTIFS] for cell in runs.cells(at(arm, of, ridge))]
            rows.append([arm, f"{ridge:g}", *cells])
    return Table(
        ["detector", "ridge", *columns(*SETS[MOTIFS])], rows, f"{RIDGE_SHOWN}, motifs; AUROC, {len(runs)} seeds"
    )


def _chosen(found: Found) -> Table:
    arms = list(dict.fromkeys(arm for _, arm in found.chosen))
    rows: list[list[Any]] = []
    for arm in arms:
        runs = found.chosen[(MOTIFS, arm)]
        rows.append([arm, *[cell for of in SETS[MOTIFS] for cell in runs.cells(of)]])
    return Table(["detector", *columns(*SETS[MOTIFS])], rows, f"{CHOSEN_SHOWN}, motifs; AUROC")


def _views(found: Found) -> Table:
    rows: list[list[Any]] = []
    for arm in (OURS, ALONE):
        for view in ("original", "specific", "agnostic"):
            row: list[Any] = [arm, view]
            for q in ("shared", "fresh"):
                row += found.drawn[MOTIFS].cells(inside("views", arm, view, q))
            rows.append(row)
    heads = columns("the prompts' own predictor", "a fresh linear probe")
    return Table(
        ["detector", "view", *heads], rows, f"{VIEWS_SHOWN} of the class, motifs; test accuracy, 0.5 is chance"
    )


def _other(found: Found) -> Table:
    rows: list[list[Any]] = []
    for arm in (OURS, PAPER, RANDOM, SSD_, CLASSWISE):
        rows.append([arm, *[cell for of in SETS[MOTIFS] for cell in found.other.cells(at(arm, of))]])
    caption = f"{OTHER_SHOWN} in place of SimGRACE, motifs, ridge {MIDDLE:g}; AUROC, {len(found.other)} seeds"
    return Table(["detector", *columns(*SETS[MOTIFS])], rows, caption)


def figures(found: Found) -> list[Figure]:
    """AUROC by foreign set of those that matter, drawn and read.

    Args:
        found: everything.
    """
    arms = (OURS, PAPER, RANDOM, SSD_, NEAREST, HIERARCHICAL, FIVE)
    shown = [_bars(found, found.drawn, arms, DRAWN_SHOWN)]
    if found.real:
        shown.append(_bars(found, found.real, arms, REAL_SHOWN))
    return shown


def _bars(found: Found, runs: dict[str, Runs], arms: tuple[str, ...], title: str) -> Figure:
    pairs = [(bench, of) for bench in runs for of in sets_of(found, bench)]
    names = [f"{bench}: {of}" for bench, of in pairs]
    present = [arm for arm in arms if arm in next(iter(runs.values()))[0]["auroc"]]
    series = [banded(arm, names, [found.area(bench, arm, of) for bench, of in pairs]) for arm in present]
    return Figure("bar", f"{title}: AUROC, ridges at {MIDDLE:g}", series, "foreign set", "AUROC", y_range=(0, 1))


def summary(found: Found) -> str:
    """The sentence on top.

    Args:
        found: everything.
    """
    tree, swapped = (MOTIFS, "tree"), (BLOCKS, "swapped")
    gain = [_gap(less(found.area(b, OURS, s), found.area(b, SSD_, s))) for b, s in (tree, swapped)]
    drawn = _gap(less(found.area(*_with(tree, OURS)), found.area(*_with(tree, RANDOM))))
    said = (
        f"Of graphs that are drawn, DGP less the plain Mahalanobis distance of embeddings (SSD), both with a ridge of "
        f"{MIDDLE:g}, is {gain[0]} AUROC on trees drawn otherwise and {gain[1]} on block graphs with swapped edges. "
        f"Training the prompts is worth {drawn} over leaving them as drawn on those trees. The paper's score, without "
        f"the unprompted distance, reaches {_mean(found, tree, PAPER)} there where SSD reaches "
        f"{_mean(found, tree, SSD_)}, and {_mean(found, (MOTIFS, 'star'), PAPER)} on stars, which five statistics of "
        f"the graph tell with {_mean(found, (MOTIFS, 'star'), FIVE)}: edges less nodes give stars and cliques away, so "
        f"that only trees and swapped edges decide. The best of all rows there are {_best(found, tree)} and "
        f"{_best(found, swapped)}; neighbours of standardised embeddings reach {_mean(found, tree, NEAREST)} and "
        f"{_mean(found, swapped, NEAREST)}."
    )
    if found.real:
        parts = []
        for bench in found.real:
            pair = (bench, PAIRS[bench])
            means = ", ".join(f"{arm} {_mean(found, pair, arm)}" for arm in (OURS, SSD_, FIVE))
            parts.append(f"{bench} against {PAIRS[bench]}: {means}, best {_best(found, pair)}")
        said += f" On graphs that are read: {'; '.join(parts)}."
    return said


def _with(pair: tuple[str, str], arm: str) -> tuple[str, str, str]:
    return pair[0], arm, pair[1]


def _mean(found: Found, pair: tuple[str, str], arm: str) -> str:
    values = found.area(*_with(pair, arm))
    return f"{sum(values) / len(values):.3f}"


def _best(found: Found, pair: tuple[str, str]) -> str:
    """The row with the largest mean, by name."""
    runs = found.drawn[pair[0]] if pair[0] in found.drawn else (found.real or {})[pair[0]]
    arm = max(_arms(runs), key=lambda arm: runs.mean(at(arm, pair[1])))
    return f"{arm} ({_mean(found, pair, arm)})"


def _gap(values: list[float]) -> str:
    found: Interval = over_trials(values)
    ends = f" [{found.low:+.3f}, {found.high:+.3f}]" if found.known else ""
    return f"{found.value:+.3f}{ends}"
