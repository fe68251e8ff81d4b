"""Tables, figures and the sentence on top."""

from __future__ import annotations

from deepwright.core.results import Cell, Figure, Table
from deepwright.studies._frame import Runs, barred, cells, columns, geometric, inside
from deepwright.studies.paths.claims import ARMS_SHOWN, COURSE_SHOWN, Best
from deepwright.studies.paths.trials import BOUNDS, CONFLICT, DAVI, LHBL, MANHATTAN, PATTERNS, PLAIN, WALKS

LIMITS = (
    "The 8-puzzle, whose 181,440 boards a table holds: what training buys where no table and no pattern database fits "
    "isn't shown here.",
    "CPU seconds of one thread decide how much each arm learns: a faster machine gives another table.",
    "One network, two residual blocks of 128, and walks of up to 100 steps; other sizes and lengths weren't tried.",
    "Every seed chose the fewest iterations between copies that were tried, and walks the larger learning rate: others "
    "may be better still.",
    "Nodes are counted, not seconds: a network costs more a node than a table does.",
    "A learned heuristic promises nothing: its paths were held against exact costs, which larger puzzles don't have.",
)
_ORDER = (DAVI, LHBL, WALKS, PLAIN, *BOUNDS)


def tables(best: Best, seconds: float) -> list[Table]:
    """Arms at their best, then errors beside expansions.

    Args:
        best: by arm, the chosen trials.
        seconds: of training.
    """
    seeds = len(best[DAVI])
    caption = (
        f"{ARMS_SHOWN}: batch weighted A* with batches of ten, each at the weight that validation chose; mean of "
        f"{seeds} seeds, {seconds:g} CPU seconds of training, Student's intervals"
    )
    heads = ["heuristic", *columns("nodes expanded"), *columns("cost over the least"), "optimal", "solved", "weight"]
    rows: list[list[Cell]] = [
        [
            arm,
            *best[arm].cells("expanded"),
            *best[arm].cells("over"),
            best[arm].mean("optimal"),
            best[arm].mean("solved"),
            best[arm].mean("weight"),
        ]
        for arm in _ORDER
    ]
    return [Table(heads, rows, caption), _course(best), _ratios(best)]


def _course(best: Best) -> Table:
    caption = (
        f"{COURSE_SHOWN}, on validation boards, half way and at the end of training: mean |h - h*| and mean h - h* on "
        "5,000 boards"
    )
    rows: list[list[Cell]] = []
    for arm in (DAVI, LHBL, WALKS, PLAIN):
        for i in range(2):
            runs = best[arm]
            seconds = float(runs[0]["course"][i]["seconds"])
            rows.append(
                [
                    arm,
                    seconds,
                    *runs.cells(inside("course", i, "mae")),
                    *runs.cells(inside("course", i, "bias")),
                    *runs.cells(inside("course", i, "validation")),
                ]
            )
    heads = ["heuristic", "CPU seconds", *columns("mean error"), *columns("bias"), *columns("nodes expanded")]
    return Table(heads, rows, caption)


def _ratios(best: Best) -> Table:
    caption = "Nodes expanded over those of each bound, on the same test boards; geometric means over the seeds"
    rows: list[list[Cell]] = []
    for arm in (DAVI, LHBL, WALKS, PLAIN):
        for bound in BOUNDS:
            ratio = geometric(best[arm], best[bound], "expanded")
            rows.append([arm, bound, *cells(ratio)])
    return Table(["heuristic", "over", *columns("ratio")], rows, caption)


def figures(best: Best) -> list[Figure]:
    """Expansions of each arm, and errors beside them.

    Args:
        best: by arm, the chosen trials.
    """
    bars = [barred("test boards", list(_ORDER), [best[arm].interval("expanded") for arm in _ORDER])]
    first = Figure(
        "bar", "Nodes expanded", bars, "", "mean over test boards", note="Student's intervals over the seeds."
    )
    dots = [_dots(arm, best[arm]) for arm in (DAVI, LHBL, WALKS, PLAIN)]
    note = "A dot is a seed at the end of training; its intervals are in the table."
    second = Figure("scatter", "Errors don't order searches", dots, "mean |h - h*|", "nodes expanded", note=note)
    return [first, second]


def _dots(arm: str, runs: Runs) -> dict[str, object]:
    return {
        "name": arm,
        "x": runs.values(inside("end", "mae")),
        "y": runs.values(inside("end", "validation")),
    }


def summary(best: Best, ours: str, seconds: float) -> str:
    """The sentence on top.

    Args:
        best: by arm, the chosen trials.
        ours: the learned arm that validation prefers.
        seconds: of training.
    """
    ratios = {b: geometric(best[ours], best[b], "expanded") for b in BOUNDS}
    return (
        f"After {seconds:g} CPU seconds {ours} (chosen on validation boards) expands {ratios[MANHATTAN]:.2f} times as "
        f"many nodes as Manhattan distance at its own best weight, {ratios[CONFLICT]:.2f} as linear conflict and "
        f"{ratios[PATTERNS]:.2f} as two pattern databases, which are built in under a second; paths cost "
        f"{best[ours].mean('over'):.3f} times the least."
    )
