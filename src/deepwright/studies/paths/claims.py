"""What is claimed of learned heuristics on three puzzles and of four searches, and why it doesn't hold."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, inside, ratios
from deepwright.studies.paths.places import ACTIONS, BALANCED, BOARDS, CUBES, DAVI, LHBL, PLACES, STACKS, WALKS, Place
from deepwright.studies.paths.trials import SLACK

ERRORS_SHOWN, SEARCHES_SHOWN, NOISE_SHOWN = "Errors and searches", "Four searches", "States or actions"
Best = dict[str, Runs]  # by arm, the chosen trials
Everywhere = dict[Place, Best]


def shown_of(place: Place) -> str:
    """The name of a place's table.

    Args:
        place: one of the three.
    """
    return f"Heuristics of the {place.words}" if place is not STACKS else f"Heuristics of {place.words}"


def ours_of(place: Place, best: Best) -> str:
    """The learned arm of states that validation prefers.

    Args:
        place: one of the three.
        best: its chosen trials.
    """
    means = {arm: best[arm].mean("validation") for arm in place.learned if arm != ACTIONS}
    return min(means, key=means.__getitem__)


def claims_of(everywhere: Everywhere, spoilt: dict[float, Runs]) -> list[Claim]:
    """All of them.

    Args:
        everywhere: by place and arm, the chosen trials.
        spoilt: by standard deviation of the noise, searches by states and by actions.
    """
    claims = [claim for place in PLACES for claim in _of_place(place, everywhere[place])]
    return [*claims, *_of_training(everywhere), *_of_searches(everywhere), *_of_actions(spoilt)]


def _of_place(place: Place, best: Best) -> list[Claim]:
    """Costs of all arms, and expansions of the best of the learned ones over those of each that is built."""
    ours, where = ours_of(place, best), f"{place.words}: "
    dear = "The weight was chosen on other states, at the edge of what was allowed, or none was cheap enough."
    far = "What so few seconds of training teach is farther from the truth than what was built."
    asked = dict(zip(place.bounds, (0.5, 1.0) if len(place.bounds) == 3 else (0.5,)))
    return [
        *(
            Claim.at_most(f"{where}{arm}: cost of paths, over the least", best[arm].values("over"), SLACK).because(
                dear, shown_of(place)
            )
            for arm in (*place.learned, *place.bounds)
        ),
        Claim.at_least(f"{where}{ours}: share of the states solved", best[ours].values("solved"), 0.95).because(
            far, shown_of(place)
        ),
        *(
            Claim.at_most(
                f"{where}{ours}: nodes expanded, over those with {bound}",
                ratios(best[ours], best[bound], "expanded"),
                asked.get(bound, 1.1),
            ).because(far, shown_of(place))
            for bound in place.bounds
        ),
        Claim.at_most(
            f"{where}{ours}: nodes expanded, over half of those with {place.bounds[-1]} (aim)",
            [2 * ratio for ratio in ratios(best[ours], best[place.bounds[-1]], "expanded")],
            1.0,
        ).because(far, shown_of(place)),
    ]


def _of_training(everywhere: Everywhere) -> list[Claim]:
    boards, cubes = everywhere[BOARDS], everywhere[CUBES]
    return [
        Claim.at_most(
            "8-puzzle: nodes expanded after LHBL, over those after DAVI",
            ratios(boards[LHBL], boards[DAVI], "expanded"),
            1.0,
        ).because("At its best interval between copies DAVI isn't starved.", ERRORS_SHOWN),
        Claim.at_least(
            "8-puzzle: mean error after LHBL, over that after DAVI (errors pick wrongly)",
            ratios(boards[LHBL], boards[DAVI], "mae"),
            1.0,
        ).because("Both errors are alike, or LHBL's is smaller.", ERRORS_SHOWN),
        Claim.at_most(
            "8-puzzle: nodes expanded after DAVI, over those after the walks' lengths alone",
            ratios(boards[DAVI], boards[WALKS], "expanded"),
            1.0,
        ).because("A walk's length orders boards as well, and it needs no copies.", ERRORS_SHOWN),
        Claim.at_most(
            "2 x 2 x 2 cube: states evaluated after LHBL with a balanced curriculum, over those without one",
            ratios(cubes[BALANCED], cubes[LHBL], "evaluated"),
            1.0,
        ).because("Walks that grow are seen late, and searches begin at states that are far.", ERRORS_SHOWN),
    ]


def _of_searches(everywhere: Everywhere) -> list[Claim]:
    """One network a place, searched with in several ways."""
    claims = []
    for place in PLACES:
        walks, where = everywhere[place][WALKS], f"{place.words}, learned from walks' lengths: "
        claims += [
            Claim.at_most(
                f"{where}states evaluated by beams, over those by weighted A*",
                ratios(walks, walks, inside("beam", "evaluated"), "evaluated"),
                1.0,
            ).because("A beam goes on with all of its width, however clear the way is.", SEARCHES_SHOWN),
            Claim.at_most(
                f"{where}cost of paths by beams, over the least", walks.values(inside("beam", "over")), SLACK
            ).because(
                "A beam ends at the first layer with a goal, and drops what leads to a cheaper one.", SEARCHES_SHOWN
            ),
            Claim.at_most(
                f"{where}states evaluated by weighted A*, over those by A*",
                ratios(walks, walks, "evaluated", inside("A*", "evaluated")),
                1.0,
            ).because("Validation chose another weight than the best of the test states.", SEARCHES_SHOWN),
        ]
    stacks, few = everywhere[STACKS], "ten pancakes, learned from walks' lengths: "
    fewer, dearer = (ratios(stacks[ACTIONS], stacks[WALKS], what) for what in ("evaluated", "over"))
    own = "A walk tells one action of a state, so that each output learns from a ninth of the states."
    return [
        *claims,
        Claim.at_most(f"{few}states evaluated by Q*, over those by weighted A*", fewer, 1 / 3).because(
            own, SEARCHES_SHOWN
        ),
        Claim.at_most(f"{few}cost of paths by Q*, over that by weighted A*", dearer, 1.05).because(own, SEARCHES_SHOWN),
    ]


def _of_actions(spoilt: dict[float, Runs]) -> list[Claim]:
    claims = []
    for sd, runs in spoilt.items():
        fewer = ratios(runs, runs, "states", "actions")
        dearer = ratios(runs, runs, "cost of actions", "cost of states")
        words = f"eight pancakes, exact distances with noise of {sd:g}"
        claims += [
            Claim.at_least(f"{words}: evaluations by states, over those by actions", fewer, 3.0).because(
                "Most children of a state are asked for in either search.", NOISE_SHOWN
            ),
            Claim.at_most(f"{words}: cost of paths by actions, over that by states", dearer, 1.05).because(
                "The noise of actions comes on top of that of states.", NOISE_SHOWN
            ),
        ]
    return claims
