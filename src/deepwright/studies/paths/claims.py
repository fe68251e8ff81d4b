"""What is claimed of learned heuristics on two puzzles and of searches by actions, and why it doesn't hold."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, ratios
from deepwright.studies.paths.trials import (
    ACTIONS,
    COLOURS,
    CONFLICT,
    CUBE_LEARNED,
    DAVI,
    LEARNED,
    LHBL,
    MANHATTAN,
    NEAR,
    PATTERNS,
    SLACK,
    SLACK_OF_CUBES,
    WALKS,
)

ARMS_SHOWN, COURSE_SHOWN = "Heuristics of the 8-puzzle", "Errors and expansions"
CUBES_SHOWN, NOISE_SHOWN = "Heuristics of the 2 x 2 x 2 cube", "States or actions"
Best = dict[str, Runs]


def claims_of(best: Best, ours: str, cube: Best, spoilt: dict[float, Runs]) -> list[Claim]:
    """All of them.

    Args:
        best: by arm, the chosen trials on boards.
        ours: the learned arm with the fewest expansions on validation boards.
        cube: by arm, the chosen trials on cubes.
        spoilt: by standard deviation of the noise, searches by states and by actions.
    """
    return [*_of_boards(best, ours), *_of_cubes(cube), *_of_actions(spoilt)]


def _of_cubes(cube: Best) -> list[Claim]:
    few = min(CUBE_LEARNED, key={arm: cube[arm].mean("validation") for arm in CUBE_LEARNED}.__getitem__)
    near = "In so short a time a network learns little of cubes that are ten turns away and farther."
    return [
        Claim.at_least(f"cube, {few}: share of the states solved", cube[few].values("solved"), 0.95).because(
            near, CUBES_SHOWN
        ),
        Claim.at_most(
            f"cube, {few}: paths cost at most {SLACK_OF_CUBES} times the least",
            cube[few].values("over"),
            SLACK_OF_CUBES,
        ).because("The weight was chosen on a few other cubes, at the edge of what was allowed.", CUBES_SHOWN),
        *(
            Claim.at_most(
                f"cube, {few}: states evaluated, over those of {bound}",
                ratios(cube[few], cube[bound], "evaluated"),
                0.5,
            ).because(near, CUBES_SHOWN)
            for bound in (NEAR, COLOURS)
        ),
        Claim.at_most(
            "cube: states evaluated by actions, over those by states, both after the walks' lengths",
            ratios(cube[ACTIONS], cube[WALKS], "evaluated"),
            1.0,
        ).because("A walk tells one action of a state, so each output learns from a sixth of the states.", CUBES_SHOWN),
    ]


def _of_actions(spoilt: dict[float, Runs]) -> list[Claim]:
    claims = []
    for sd, runs in spoilt.items():
        fewer = ratios(runs, runs, "states", "actions")
        dearer = ratios(runs, runs, "cost of actions", "cost of states")
        words = f"pancakes, exact distances with noise of {sd:g}"
        claims += [
            Claim.at_least(f"{words}: evaluations by states, over those by actions", fewer, 3.0).because(
                "Most children of a state are asked for in either search.", NOISE_SHOWN
            ),
            Claim.at_most(f"{words}: cost of paths by actions, over that by states", dearer, 1.05).because(
                "The noise of actions comes on top of that of states.", NOISE_SHOWN
            ),
        ]
    return claims


def _of_boards(best: Best, ours: str) -> list[Claim]:
    learned = best[ours]
    few = "It expands as many nodes as they do, and they are nearer to the truth: their paths are cheapest more often."
    return [
        *(
            Claim.at_most(
                f"{arm}: paths cost at most {SLACK} times the least", best[arm].values("over"), SLACK
            ).because("The weight was chosen on other boards, at the edge of what was allowed.", ARMS_SHOWN)
            for arm in (*LEARNED, MANHATTAN, CONFLICT, PATTERNS)
        ),
        Claim.at_most(
            f"{ours}: nodes expanded, over Manhattan's", ratios(learned, best[MANHATTAN], "expanded"), 0.5
        ).because("What was learned in so short a time is hardly nearer to the truth.", ARMS_SHOWN),
        Claim.at_most(
            f"{ours}: nodes expanded, over linear conflict's", ratios(learned, best[CONFLICT], "expanded"), 1.0
        ).because("Linear conflict is exact where the network still errs.", ARMS_SHOWN),
        Claim.at_most(
            f"{ours}: nodes expanded, over two pattern databases'", ratios(learned, best[PATTERNS], "expanded"), 1.1
        ).because("The databases, built in under a second, are nearer to the truth.", ARMS_SHOWN),
        Claim.at_most(
            f"{ours}: half of two pattern databases' (aim)", ratios(learned, best[PATTERNS], "expanded"), 0.5
        ).because(few, ARMS_SHOWN),
        Claim.at_most("LHBL: nodes expanded, over DAVI's", ratios(best[LHBL], best[DAVI], "expanded"), 1.0).because(
            "At its best interval between copies DAVI isn't starved.", COURSE_SHOWN
        ),
        Claim.at_least(
            "LHBL: mean error over DAVI's at the end: errors pick wrongly (LHBL larger)",
            ratios(best[LHBL], best[DAVI], "mae"),
            1.0,
        ).because("Both errors are alike.", COURSE_SHOWN),
        Claim.at_most(
            "DAVI: nodes expanded, over those after learning the walks' lengths alone",
            ratios(best[DAVI], best[WALKS], "expanded"),
            1.0,
        ).because("A walk's length orders boards as well, and it needs no copies.", ARMS_SHOWN),
    ]
