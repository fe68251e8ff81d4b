"""Tables, figures and the sentence on top."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Cell, Figure, Table
from deepwright.studies._frame import Runs, barred, cells, columns, geometric, inside
from deepwright.studies.paths.claims import (
    ERRORS_SHOWN,
    NOISE_SHOWN,
    SEARCHES_SHOWN,
    Best,
    Everywhere,
    ours_of,
    shown_of,
)
from deepwright.studies.paths.places import ACTIONS, BOARDS, CUBES, PLACES, STACKS, WALKS, Place

LIMITS = (
    "Three puzzles whose states a table holds or whose bounds are sharp: what training buys where neither is so isn't "
    "shown here.",
    "CPU seconds of one thread decide how much each arm learns: a faster machine, or more of them, gives another "
    "table; a few seconds are far from what DeepCubeA or others spent.",
    "One network, two residual blocks of 128; two settings for each learned arm, none for what is built: others may "
    "be better still.",
    "Claims count nodes and evaluations; CPU seconds of a search are in the tables: a network costs more a state "
    "than a table, and searches with bounds of permutations and tiles run compiled.",
    "A learned heuristic promises nothing: its paths were held against exact costs, which larger puzzles don't have.",
    "Searches end at 20,000 states made; those that end so count with what they evaluated, and are left out of the "
    "mean cost.",
    "Weights of at most 1 only make the path's cost count less: one that says too much isn't mended by them.",
    "That a search by actions asks less with exact distances and noise was tried on eight pancakes alone, and of a "
    "learned Q on ten.",
)


def tables(everywhere: Everywhere, spoilt: dict[float, Runs]) -> list[Table]:
    """Arms at their best in each place, errors, four searches with the same networks, and searches by actions.

    Args:
        everywhere: by place and arm, the chosen trials.
        spoilt: by standard deviation of the noise, searches by states and by actions.
    """
    places = [_place(place, everywhere[place]) for place in PLACES]
    return [*places, _ratios(everywhere), _errors(everywhere), _searches(everywhere), _noise(spoilt)]


def _place(place: Place, best: Best) -> Table:
    caption = (
        f"{shown_of(place)}: batch weighted A* with batches of ten (Q*, by actions, for Q), each at the weight that "
        f"validation chose; mean of {len(best[WALKS])} seeds, Student's intervals; CPU seconds to make it, "
        "and of a search"
    )
    heads = ["heuristic", *columns("nodes expanded", "cost over the least"), "optimal", "solved", "states evaluated"]
    heads += ["weight", "CPU s to make", "CPU s a search"]
    more = ("optimal", "solved", "evaluated", "weight", "built", "seconds")
    rows: list[list[Cell]] = [
        [
            arm,
            *best[arm].cells("expanded"),
            *best[arm].cells("over"),
            *(best[arm].mean(what) for what in more),
        ]
        for arm in (*place.learned, *place.bounds)
    ]
    return Table(heads, rows, caption)


def _ratios(everywhere: Everywhere) -> Table:
    caption = "Nodes expanded over those of what is built, on the same test states; geometric means over the seeds"
    rows: list[list[Cell]] = []
    for place in PLACES:
        best = everywhere[place]
        for arm in place.learned:
            if arm == ACTIONS:
                continue
            for bound in place.bounds:
                rows.append([place.words, arm, bound, *cells(geometric(best[arm], best[bound], "expanded"))])
    return Table(["puzzle", "heuristic", "over", *columns("ratio")], rows, caption)


def _errors(everywhere: Everywhere) -> Table:
    caption = f"{ERRORS_SHOWN}: mean |h - h*| and mean h - h* on the test states, and what searches evaluate there"
    rows: list[list[Cell]] = []
    for place in PLACES:
        best = everywhere[place]
        for arm in place.learned:
            if arm != ACTIONS:
                parts = (best[arm].cells(what) for what in ("mae", "bias", "evaluated"))
                rows.append([place.words, arm, *(cell for part in parts for cell in part)])
    heads = ["puzzle", "heuristic", *columns("mean error", "bias", "states evaluated")]
    return Table(heads, rows, caption)


def _searches(everywhere: Everywhere) -> Table:
    caption = (
        f"{SEARCHES_SHOWN}: networks that learned the walks' lengths, of states (A*, weighted A*, beams of the width "
        "that validation chose) and of actions (Q*); costs over the least of what was solved"
    )
    heads = ["puzzle", "search", *columns("states evaluated", "cost over the least"), "solved", "CPU s a search"]
    rows = []
    for place in PLACES:
        best = everywhere[place]
        ways: list[tuple[str, Runs, tuple[str, ...]]] = [
            ("A*", best[WALKS], ("A*",)),
            ("weighted A*", best[WALKS], ()),
            ("beam", best[WALKS], ("beam",)),
        ]
        ways += [("Q*", best[ACTIONS], ())] if ACTIONS in best else []
        rows += [[place.words, name, *_of_search(runs, at)] for name, runs, at in ways]
    return Table(heads, rows, caption)


def _of_search(runs: Runs, at: tuple[str, ...]) -> list[Cell]:
    evaluated, over, solved, seconds = (
        inside(*at, what) if at else what for what in ("evaluated", "over", "solved", "seconds")
    )
    return [*runs.cells(evaluated), *runs.cells(over), runs.mean(solved), runs.mean(seconds)]


def _noise(spoilt: dict[float, Runs]) -> Table:
    caption = (
        f"{NOISE_SHOWN}: eight pancakes, exact distances with noise (and half as much more for each action), weight 1, "
        "batches of ten; mean over the seeds"
    )
    heads = [
        "noise",
        "evaluations by states",
        "by actions",
        *columns("times fewer"),
        "cost by states",
        "cost by actions",
    ]
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


def figures(everywhere: Everywhere) -> list[Figure]:
    """Expansions of each arm in each place, and errors beside them.

    Args:
        everywhere: by place and arm, the chosen trials.
    """
    note = "Student's intervals over the seeds; searches that reached their limit count with what they did until then."
    bars = [_bars(place, everywhere[place], note) for place in PLACES]
    dots = [_dots(place, everywhere[place]) for place in PLACES]
    beside = "A dot is a learned arm and seed, at the setting that validation chose."
    title = "Errors don't order searches"
    return [*bars, Figure("scatter", title, dots, "mean |h - h*|", "states evaluated", note=beside, log_y=True)]


def _bars(place: Place, best: Best, note: str) -> Figure:
    arms = [arm for arm in (*place.learned, *place.bounds) if arm != ACTIONS]
    series = [barred("test states", arms, [best[arm].interval("expanded") for arm in arms])]
    return Figure("bar", f"Nodes expanded, {place.words}", series, "", "mean over test states", note=note)


def _dots(place: Place, best: Best) -> dict[str, Any]:
    arms = [arm for arm in place.learned if arm != ACTIONS]
    return {
        "name": place.words,
        "x": [v for arm in arms for v in best[arm].values("mae")],
        "y": [v for arm in arms for v in best[arm].values("evaluated")],
    }


def summary(everywhere: Everywhere, spoilt: dict[float, Runs], seconds: dict[Place, float]) -> str:
    """The sentences on top.

    Args:
        everywhere: by place and arm, the chosen trials.
        spoilt: by standard deviation of the noise, searches by states and by actions.
        seconds: of training, by place.
    """
    said = [_said(place, everywhere[place], seconds[place]) for place in PLACES]
    fewer = [geometric(runs, runs, "states", "actions").value for runs in spoilt.values()]
    walks = everywhere[STACKS][WALKS], everywhere[STACKS][ACTIONS]
    return (
        f"{' '.join(said)} With exact distances and noise a search by actions asks for {min(fewer):.1f} to "
        f"{max(fewer):.1f} times fewer estimates than one by states; with what was learned of ten pancakes it "
        f"evaluates {geometric(walks[1], walks[0], 'evaluated').value:.2f} times as many states, and its paths cost "
        f"{walks[1].mean('over'):.2f} times the least against {walks[0].mean('over'):.2f}."
    )


def _said(place: Place, best: Best, seconds: float) -> str:
    ours = ours_of(place, best)
    ratios = [f"{geometric(best[ours], best[b], 'expanded').value:.2f} times those with {b}" for b in place.bounds]
    start = {BOARDS: "8-puzzle", CUBES: "2 x 2 x 2 cube", STACKS: "Ten pancakes"}[place]
    return (
        f"{start}: after {seconds:g} CPU seconds {ours} (chosen on validation states) expands "
        f"{', '.join(ratios[:-1])} and {ratios[-1]}, solves {best[ours].mean('solved'):.0%}, and its paths cost "
        f"{best[ours].mean('over'):.3f} times the least."
    )
