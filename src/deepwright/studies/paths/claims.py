"""What is claimed of learned heuristics on the 8-puzzle, and why what doesn't hold doesn't."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, inside, ratios
from deepwright.studies.paths.trials import CONFLICT, DAVI, LEARNED, LHBL, MANHATTAN, PATTERNS, PLAIN, SLACK, WALKS

ARMS_SHOWN, COURSE_SHOWN = "Heuristics of the 8-puzzle", "Errors and expansions"
Best = dict[str, Runs]


def claims_of(best: Best, ours: str) -> list[Claim]:
    """All of them.

    Args:
        best: by arm, the chosen trials.
        ours: the learned arm with the fewest expansions on validation boards.
    """
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
            ratios(best[LHBL], best[DAVI], inside("end", "mae")),
            1.0,
        ).because("Both errors are alike.", COURSE_SHOWN),
        Claim.at_most(
            "DAVI: nodes expanded, over those after learning the walks' lengths alone",
            ratios(best[DAVI], best[WALKS], "expanded"),
            1.0,
        ).because("A walk's length orders boards as well, and it needs no copies.", ARMS_SHOWN),
        Claim.at_most(
            "DAVI: mean error over that with plain walks", ratios(best[DAVI], best[PLAIN], inside("end", "mae")), 1.0
        ).because("In so short a time neither has seen deep boards often.", COURSE_SHOWN),
    ]
