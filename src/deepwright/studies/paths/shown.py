"""Tables, figures and the sentence on top."""

from __future__ import annotations

from deepwright.core.results import Cell, Figure, Table
from deepwright.studies._frame import Runs, barred, cells, columns, geometric
from deepwright.studies.paths.claims import ARMS_SHOWN, COURSE_SHOWN, CUBES_SHOWN, NOISE_SHOWN, Best
from deepwright.studies.paths.trials import (
    BOUNDS,
    CONFLICT,
    CUBE_BOUNDS,
    CUBE_LEARNED,
    DAVI,
    LHBL,
    MANHATTAN,
    NEAR,
    PATTERNS,
    WALKS,
)

LIMITS = (
    "The 8-puzzle and the 2 x 2 x 2 cube, all of whose states a table holds: what training buys where no table fits "
    "isn't shown here.",
    "CPU seconds of one thread decide how much each arm learns: a faster machine gives another table.",
    "One network, two residual blocks of 128, walks of up to 100 steps on boards and 20 on cubes; other sizes and "
    "lengths weren't tried.",
    "On boards two intervals between copies, or two learning rates, were tried for each learned arm, on cubes one of "
    "each: others may be better still.",
    "Nodes and evaluations are counted, not seconds: a network costs more a state than a table does.",
    "A learned heuristic promises nothing: its paths were held against exact costs, which larger puzzles don't have.",
    "Searches on cubes end at 50,000 states made; those that end so count with what they evaluated, and "
    "their cubes are left out of the mean cost.",
    "That a search by actions asks less is shown with exact distances and noise, and 7 actions; what a network learns "
    "of actions is another question, of which the table of the cube shows one answer.",
)
_ORDER = (DAVI, LHBL, WALKS, *BOUNDS)


def tables(best: Best, cube: Best, spoilt: dict[float, Runs], seconds: float) -> list[Table]:
    """Arms at their best, errors beside expansions, cubes, and searches by actions.

    Args:
        best: by arm, the chosen trials on boards.
        cube: by arm, the chosen trials on cubes.
        spoilt: by standard deviation of the noise, searches by states and by actions.
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
    return [Table(heads, rows, caption), _errors(best), _ratios(best), _cubes(cube, seconds), _noise(spoilt)]


def _cubes(cube: Best, seconds: float) -> Table:
    caption = (
        f"{CUBES_SHOWN}: searches with batches of ten at the weight that validation chose, by actions for Q; mean of "
        f"{len(cube[LHBL])} seeds, {seconds:g} CPU seconds of training, Student's intervals; costs over the least of "
        "what was solved"
    )
    heads = ["heuristic", *columns("states evaluated"), "nodes expanded", *columns("cost over the least"), "solved"]
    rows: list[list[Cell]] = [
        [
            arm,
            *cube[arm].cells("evaluated"),
            cube[arm].mean("expanded"),
            *cube[arm].cells("over"),
            cube[arm].mean("solved"),
        ]
        for arm in (*CUBE_LEARNED, *CUBE_BOUNDS)
    ]
    return Table(heads, rows, caption)


def _noise(spoilt: dict[float, Runs]) -> Table:
    caption = (
        f"{NOISE_SHOWN}: eight pancakes, exact distances with noise (and half as much more for each action), weight 1, "
        "batches of ten; mean over the seeds"
    )
    heads = ["noise", "evaluations by states", "by actions", *columns("times fewer"), "cost by states", "by actions"]
    rows: list[list[Cell]] = [
        [
            f"sd {sd:g}",
            runs.mean("states"),
            runs.mean("actions"),
            *cells(geometric(runs, runs, "states", "actions")),
            runs.mean("cost of states"),
            runs.mean("cost of actions"),
        ]
        for sd, runs in spoilt.items()
    ]
    return Table(heads, rows, caption)


def _errors(best: Best) -> Table:
    caption = f"{COURSE_SHOWN}: mean |h - h*| and mean h - h* on 5,000 boards, nodes expanded on validation boards"
    rows: list[list[Cell]] = [
        [arm, *best[arm].cells("mae"), *best[arm].cells("bias"), *best[arm].cells("validation")]
        for arm in (DAVI, LHBL, WALKS)
    ]
    return Table(["heuristic", *columns("mean error"), *columns("bias"), *columns("nodes expanded")], rows, caption)


def _ratios(best: Best) -> Table:
    caption = "Nodes expanded over those of each bound, on the same test boards; geometric means over the seeds"
    rows: list[list[Cell]] = []
    for arm in (DAVI, LHBL, WALKS):
        for bound in BOUNDS:
            ratio = geometric(best[arm], best[bound], "expanded")
            rows.append([arm, bound, *cells(ratio)])
    return Table(["heuristic", "over", *columns("ratio")], rows, caption)


def figures(best: Best, cube: Best) -> list[Figure]:
    """Expansions of each arm, errors beside them, and evaluations on cubes.

    Args:
        best: by arm, the chosen trials on boards.
        cube: by arm, the chosen trials on cubes.
    """
    bars = [barred("test boards", list(_ORDER), [best[arm].interval("expanded") for arm in _ORDER])]
    first = Figure(
        "bar", "Nodes expanded, 8-puzzle", bars, "", "mean over test boards", note="Student's intervals over the seeds."
    )
    dots = [_dots(arm, best[arm]) for arm in (DAVI, LHBL, WALKS)]
    note = "A dot is a seed at the end of training; its intervals are in the table."
    second = Figure("scatter", "Errors don't order searches", dots, "mean |h - h*|", "nodes expanded", note=note)
    turned = (*CUBE_LEARNED, *CUBE_BOUNDS)
    bars = [barred("test cubes", list(turned), [cube[arm].interval("evaluated") for arm in turned])]
    note = "Student's intervals over the seeds; searches that reached their limit count with what they evaluated."
    third = Figure("bar", "States evaluated, 2 x 2 x 2 cube", bars, "", "mean over test cubes", note=note)
    return [first, second, third]


def _dots(arm: str, runs: Runs) -> dict[str, object]:
    return {
        "name": arm,
        "x": runs.values("mae"),
        "y": runs.values("validation"),
    }


def summary(best: Best, ours: str, cube: Best, spoilt: dict[float, Runs], seconds: float) -> str:
    """The sentences on top.

    Args:
        best: by arm, the chosen trials on boards.
        ours: the learned arm that validation prefers there.
        cube: by arm, the chosen trials on cubes.
        spoilt: by standard deviation of the noise, searches by states and by actions.
        seconds: of training.
    """
    ratios = {b: geometric(best[ours], best[b], "expanded") for b in BOUNDS}
    few = min(CUBE_LEARNED, key={arm: cube[arm].mean("validation") for arm in CUBE_LEARNED}.__getitem__)
    fewer = [geometric(runs, runs, "states", "actions").value for runs in spoilt.values()]
    return (
        f"After {seconds:g} CPU seconds {ours} (chosen on validation boards) expands {ratios[MANHATTAN]:.2f} times as "
        f"many nodes as Manhattan distance at its own best weight, {ratios[CONFLICT]:.2f} as linear conflict and "
        f"{ratios[PATTERNS]:.2f} as two pattern databases, which are built in under a second; paths cost "
        f"{best[ours].mean('over'):.3f} times the least. On the 2 x 2 x 2 cube {few} solves "
        f"{cube[few].mean('solved'):.0%} and evaluates {geometric(cube[few], cube[NEAR], 'evaluated'):.2f} times "
        f"as many states as the search with {NEAR}. With exact distances and noise a search by actions asks for "
        f"{min(fewer):.1f} to {max(fewer):.1f} times fewer estimates than one by states."
    )
