"""What the paper, or we, say of pilots under perturbations; each claim can fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs
from deepwright.studies.driving.campaigns import (
    BLIND,
    FIRST,
    GENETIC,
    KINDS,
    MOVING,
    RANDOM,
    STILL,
    WITHOUT,
)
from deepwright.studies.driving.foretelling import CHANGE, ERROR, SEVERITY
from deepwright.studies.driving.measures import (
    Found,
    aimed,
    cells_of,
    foretold_right,
    found_more,
    mended,
    moved,
    of_cell,
    over,
    rho,
    spread_at_thresholds,
    worst_step,
)
from deepwright.studies.driving.pilots import CLEAN, GEOMETRY, HIGH, LOW
from deepwright.studies.driving.repairs import BEFORE, FAILED, LIBRARY, PLAIN, USUAL

CELLS = "Driven and foretold"
RANKS = "What tells without driving"
THRESHOLDS = "Failure thresholds"
WEATHER = "Held still and moving"
GUIDED = "Where the pilot looks"
SEARCHES = "Searches at an equal budget"
REPAIR = "Further training"
ROLES = "What further training mends"
CONTROLS = "Controls"
PHOTOGRAPHS = "Errors on photographs"
_WORST = ("decrease_contrast", "fog_mapping", GEOMETRY)
_MOST = 0.5  # of the roads


def claims_of(found: Found) -> list[Claim]:
    """Every claim.

    Args:
        found: all trials.
    """
    return [
        *_driven(found.campaigns),
        *_foretold(found.campaigns),
        *_disturbed(found),
        *_searched(found.searches),
        *_repaired(found),
        *_on_photographs(found),
    ]


def _driven(campaigns: Runs) -> list[Claim]:
    names = {cell[0] for cell in cells_of(campaigns)}
    untrained = "So little training leaves the middle in bends."
    controls = [t["controls"] for t in campaigns]
    return [
        Claim.at_most(
            "no pilot fails on clean roads (failure rate, every seed)",
            over(campaigns, CLEAN, "failures"),
            0.0,
            every=True,
        ).because(untrained, CELLS),
        Claim.at_most("clean: mean of max |xte| at most 1 m", over(campaigns, CLEAN, "max xte"), 1.0).because(
            untrained, CELLS
        ),
        *(
            Claim.at_least(
                f"{name} at severity {HIGH} fails on more than half of the roads",
                over(campaigns, (name, HIGH), "failures"),
                _MOST,
            ).because("Pilots of some seeds read the road under it.", CELLS)
            for name in _WORST
            if name in names
        ),
        Claim.at_least(
            f"no perturbation fails less often at severity {HIGH} than at {LOW} (smallest difference, every seed)",
            [worst_step(t, LOW) for t in campaigns],
            0.0,
            every=True,
        ).because("Levels aren't steps of one effect: one under which most fail may differ by a road.", CELLS),
        Claim.at_least(
            "a pilot that always sees the mean picture fails on nearly all roads", [c[BLIND] for c in controls], 0.9
        ).because("Some roads are nearly straight.", CONTROLS),
        Claim.at_least(
            "imitation without steering noise fails more often than with it (clean roads, before DAgger)",
            [c[WITHOUT] - c[FIRST] for c in controls],
            0.0,
        ).because("On these roads the expert alone shows enough of the way back.", CONTROLS),
    ]


def _foretold(campaigns: Runs) -> list[Claim]:
    def above(other: str) -> list[float]:
        return [rho(t, ERROR) - rho(t, other) for t in campaigns]

    right, by_severity = (foretold_right(campaigns, name) for name in (ERROR, SEVERITY))
    return [
        Claim.at_least(
            "errors without driving rank cells as failures do: Spearman's rho at least 0.5",
            [rho(t, ERROR) for t in campaigns],
            0.5,
        ).because("Most cells fail never or always, which leaves few ranks to agree on.", RANKS),
        Claim.at_least("the error tells more than the severity's number: rho higher", above(SEVERITY), 0.0).because(
            "Within one perturbation both say the same.", RANKS
        ),
        Claim.at_least("the error tells more than how much pictures change: rho higher", above(CHANGE), 0.0).because(
            "What changes pictures most disturbs pilots most, too.", RANKS
        ),
        Claim.at_least(
            "a limit on the error ratio, set on other pilots, parts failing cells from others: balanced accuracy at "
            "least 0.9",
            right,
            0.9,
        ).because("Large errors that cancel over the frames keep the lane, small ones to one side leave it.", RANKS),
        Claim.at_least(
            "a limit on the error ratio parts failing cells better than one on the severity's number: balanced "
            "accuracy",
            [a - b for a, b in zip(right, by_severity)],
            0.0,
        ).because("Pilots differ in their clean error, and so in the ratio at which they fail.", RANKS),
        Claim.at_most(
            "at their failure thresholds all perturbations have the same error ratio, within a factor of 2 (largest "
            "over smallest)",
            [spread_at_thresholds(t) for t in campaigns],
            2.0,
        ).because("An error's size doesn't say whether it goes to one side, bend after bend.", THRESHOLDS),
    ]


def _disturbed(found: Found) -> list[Claim]:
    weather = [kind for kind in KINDS if kind in found.moving[0]]
    claims = [
        Claim.at_least(
            f"{words} (mean of max |xte|, m)", moved(found.moving, "max xte", kinds, STILL, MOVING), 0.0
        ).because("What moves is now and then where it hides most, and one such moment is enough.", WEATHER)
        for words, kinds in (
            ("rain, snow and smoke held still take pilots further off than when they move", weather),
            ("noise drawn once takes pilots further off than noise drawn in each frame", ("noise",)),
        )
    ]
    for name in found.guided[0]:
        claims += [
            Claim.at_least(
                f"{name} on 30 % of the pixels: steering drifts more where the pilot looks than on random ones (rad)",
                aimed(found.guided, name, "drift", "top_n", "random_n"),
                0.0,
            ).because(
                "Random pixels break up lines all over the picture, which a gradient's map leaves whole.", GUIDED
            ),
            Claim.at_least(
                f"{name} on 30 % of the pixels: pilots go further off where they look than on random ones (m)",
                aimed(found.guided, name, "max xte", "top_n", "random_n"),
                0.0,
            ).because("Drift that changes sign from frame to frame cancels on the road.", GUIDED),
        ]
    return claims


def _searched(searches: Runs) -> list[Claim]:
    return [
        Claim.at_least(
            "NSGA-II finds more failures than random search in as many episodes",
            found_more(searches, "failures", GENETIC, RANDOM),
            0.0,
        ).because("So few generations hardly differ from random ones.", SEARCHES),
        Claim.at_least(
            "NSGA-II finds more distinct failures than random search in as many episodes",
            found_more(searches, "distinct", GENETIC, RANDOM),
            0.0,
        ).because(
            "Its children are near the failures that it has: what it gains in number it loses in kind.", SEARCHES
        ),
    ]


def _repaired(found: Found) -> list[Claim]:
    repairs = found.repairs
    if FAILED not in repairs.by_arm:
        return []

    def fall(arm: str, *roles: str) -> list[float]:
        return mended(repairs, arm, lambda role: role in roles)

    def less(arm: str, *roles: str) -> list[float]:
        return [a - b for a, b in zip(fall(FAILED, *roles), fall(arm, *roles))]

    def rates(arm: str, cell: tuple[str, int]) -> list[float]:
        return over(repairs.by_arm[arm], cell, "failures")

    claims = []
    if fall(FAILED, "trained on"):
        claims.append(
            Claim.at_least(
                "trained on what it failed under: failure rates there, where half or more failed, fall by 0.5",
                fall(FAILED, "trained on"),
                0.5,
            ).because("Some of these pictures hardly show the road.", ROLES)
        )
        claims += [
            Claim.at_least(
                f"trained on what it failed under: failure rates fall by {bar:g} more than under as much training on "
                f"{words}",
                less(arm, "trained on"),
                bar,
            ).because(reason, ROLES)
            for arm, words, bar, reason in (
                (PLAIN, "unperturbed pictures", 0.3, "Further training alone mends some of it."),
                (USUAL, "usual augmentation", 0.0, "It holds most of what was failed under already."),
                (LIBRARY, "the whole library", 0.0, "The library holds these perturbations, too, if more rarely."),
            )
            if arm in repairs.by_arm
        ]
    if fall(FAILED, "held out"):
        claims += [
            Claim.at_least(
                "perturbations that nobody trained on, where half or more failed: rates fall under training on what "
                "it failed under",
                fall(FAILED, "held out"),
                0.0,
            ).because("What is learned under some perturbations doesn't carry over to all others.", ROLES),
            *(
                Claim.at_least(
                    f"perturbations that nobody trained on: rates fall more than under {words}",
                    less(arm, "held out"),
                    0.0,
                ).because("More kinds of pictures teach more than those of one pilot's failures.", ROLES)
                for arm, words in ((USUAL, "usual augmentation"), (LIBRARY, "the whole library"))
                if arm in repairs.by_arm
            ),
        ]
    return [
        *claims,
        Claim.at_most(
            "trained on what it failed under, no pilot fails on clean roads (every seed)",
            rates(FAILED, CLEAN),
            0.0,
            every=True,
        ).because("What is learned under perturbations costs clean roads.", REPAIR),
        Claim.at_least(
            f"{GEOMETRY}, which steering would have to follow, fails as often or more afterwards (rate, after less "
            "before)",
            [a - b for a, b in zip(rates(FAILED, (GEOMETRY, HIGH)), rates(BEFORE, (GEOMETRY, HIGH)))],
            0.0,
        ).because("Further training sharpens the pilot, and a sharper one drives a shifted picture better.", REPAIR),
    ]


def _on_photographs(found: Found) -> list[Claim]:
    if found.photographs is None:
        return []
    return [
        Claim.at_most(
            "photographs: the error is at most 0.8 of a constant's",
            [of_cell(t, CLEAN)["error"] / t["constant"] for t in found.photographs],
            0.8,
        ).because("So few photographs don't teach so small a network more.", PHOTOGRAPHS),
        Claim.at_least(
            f"photographs and RoadSim rank perturbations at severity {HIGH} alike by their errors: rho at least 0.5",
            [alike(a, b) for a, b in zip(found.campaigns, found.photographs)],
            0.5,
        ).because(
            "On photographs a network goes by other things than border lines, and other perturbations hide these.",
            PHOTOGRAPHS,
        ),
    ]


def alike(trial: Mapping[str, Any], photographs: Mapping[str, Any]) -> float:
    """Rank correlation of the error ratios of two sets of pictures over the perturbations of the second.

    Args:
        trial: a campaign.
        photographs: a trial on photographs.
    """
    from scipy import stats

    names = [tuple(row["cell"]) for row in photographs["rows"] if tuple(row["cell"]) != CLEAN]
    pairs = [(of_cell(trial, c)[ERROR], of_cell(photographs, c)[ERROR]) for c in names]
    return float(stats.spearmanr(*zip(*pairs)).statistic)
