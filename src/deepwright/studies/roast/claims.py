"""What is claimed, with the spec's bars, and why what doesn't hold doesn't."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, gaps, inside
from deepwright.studies.roast.shown import CHOICES_SHOWN, REGIMES_SHOWN, measured
from deepwright.studies.roast.trials import ALL, EACH, KINDS, LESS, SHOWN

DEFAULT, OVERLAP, SECRET, MACHINES, RECURRENT = KINDS


def claims_of(found: dict[str, Runs]) -> list[Claim]:
    """All of them.

    Args:
        found: kind -> trials.
    """
    plain = found[DEFAULT]
    return [
        *_selection(plain, DEFAULT),
        *_thresholds(plain),
        *_choices(found),
        *_elsewhere(found),
    ]


def _less(runs: Runs, what: str, a: str, b: str) -> list[float]:
    return gaps(runs, runs, measured(a, what), measured(b, what))


def _selection(runs: Runs, kind: str) -> list[Claim]:
    far = "The attacked windows of quiet entities are as strange to both."
    return [
        Claim.at_least(
            f"{kind}: recall at their own thresholds, less vulnerable less all",
            _less(runs, "recall", LESS, ALL),
            0.4,
        ).because("Those of all see more already.", REGIMES_SHOWN),
        Claim.at_least(
            f"{kind}: recall at one rate of false alarms, all less the less vulnerable",
            _less(runs, "even", ALL, LESS),
            0.03,
        ).because("Cohorts differ by as much as the bar: at that rate both see little.", REGIMES_SHOWN),
        Claim.at_most(
            f"{kind}: AUROC on the kept, difference of the two",
            [abs(gap) for gap in _less(runs, "auroc kept", ALL, LESS)],
            0.03,
        ).because("Half of the windows describe even the kept less well.", REGIMES_SHOWN),
        Claim.at_least(
            f"{kind}: AUROC on the excluded, all less less vulnerable",
            _less(runs, "auroc excluded", ALL, LESS),
            0.1,
        ).because(far, REGIMES_SHOWN),
        Claim.at_least(
            f"{kind}: share of the fit's time that selection saves",
            1 - runs.mean(measured(LESS, "seconds")) / runs.mean(measured(ALL, "seconds")),
            0.4,
            n=len(runs),
            timing=True,
            basis="seeds; mean times of the fits",
        ).because("Fits of this size take milliseconds.", REGIMES_SHOWN),
    ]


def _thresholds(runs: Runs) -> list[Claim]:
    mixed = [SHOWN["all", "mixed"], SHOWN["less vulnerable", "mixed"]]
    return [
        Claim.at_least(
            f"{DEFAULT}: recall, a threshold per entity less one for all",
            _less(runs, "recall", EACH, ALL),
            0.1,
        ).because("Entities are alike.", REGIMES_SHOWN),
        Claim.at_most(
            f"{DEFAULT}: false alarms with a threshold per entity (nominal 0.05)",
            runs.values(measured(EACH, "false alarms")),
            0.08,
        ).because("The later part isn't as the earlier one was, in some cohorts more than in others.", REGIMES_SHOWN),
        *(
            Claim.at_most(f"{DEFAULT}: AUROC of {name}", runs.values(measured(name, "auroc")), 0.65).because(
                "Attacked windows that are fitted unlabelled become neighbours, by less than that bar asks.",
                REGIMES_SHOWN,
            )
            for name in mixed
        ),
        Claim.at_least(
            f"{DEFAULT}: AUROC of all, labeled less all, mixed",
            _less(runs, "auroc", SHOWN["all", "labeled"], mixed[0]),
            0.1,
        ).because("Labels add little here.", REGIMES_SHOWN),
    ]


def _choices(found: dict[str, Runs]) -> list[Claim]:
    secret = found[SECRET]
    return [
        Claim.at_most(
            f"{DEFAULT}: cohorts in which leaving out one by one accepts the selection",
            found[DEFAULT].values(inside("cv", "accepted")),
            0.2,
        ).because("Its interval lies above 0 in some.", CHOICES_SHOWN),
        Claim.at_most(
            f"{OVERLAP}: steady entities that the severity selection keeps", found[OVERLAP].values("steady kept"), 0.5
        ).because("Some steady ones rest far enough below the limit.", CHOICES_SHOWN),
        Claim.at_most(
            f"{OVERLAP}: AUROC, difference of less vulnerable and all",
            [abs(gap) for gap in _less(found[OVERLAP], "auroc", LESS, ALL)],
            0.01,
        ).because("The wrong half describes some of the windows less well.", REGIMES_SHOWN),
        Claim.at_most(
            f"{OVERLAP}: recall at their own thresholds, less vulnerable less all",
            _less(found[OVERLAP], "recall", LESS, ALL),
            0.0,
        ).because("How much the wrong half alarms at its own threshold moves from cohort to cohort.", REGIMES_SHOWN),
        Claim.at_least(f"{SECRET}: AUROC, less vulnerable less all", _less(secret, "auroc", LESS, ALL), 0.0).because(
            "Windows that are attacked in secret are neighbours of few others.", REGIMES_SHOWN
        ),
        Claim.at_least(
            f"{SECRET}: cohorts in which leaving out one by one accepts the selection",
            secret.values(inside("cv", "accepted")),
            0.99,
        ).because(
            "At 5 % false alarms a detector of quiet entities is blind to the others, whether the windows that it is "
            "judged by are attacked in secret, too, or not; at 30 % it is ahead where they aren't.",
            CHOICES_SHOWN,
        ),
    ]


def _elsewhere(found: dict[str, Runs]) -> list[Claim]:
    return [
        Claim.at_least(
            f"{kind}: recall at one rate of false alarms, all less the less vulnerable",
            _less(found[kind], "even", ALL, LESS),
            0.0,
        ).because("There, too, one half describes the others less well, by less than cohorts differ.", REGIMES_SHOWN)
        for kind in (MACHINES, RECURRENT)
    ]
