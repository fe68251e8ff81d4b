"""What is claimed of HSFM, and why what doesn't hold doesn't."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import gaps
from deepwright.studies.hsfm.shown import CHOICE_SHOWN, DOMINOES_SHOWN, HEADS_SHOWN, Found
from deepwright.studies.hsfm.trials import DIRECT, FROZEN, LAST, NAME_AFR, NAME_DFR, NAME_ERM, NAME_JTT, OURS

_COARSE = "Validation groups are small, and their headroom is told as coarsely; the seeds spread by more than the bar."
_WITHIN = "The mean is within the bar and its interval isn't: group labels tell more than hard rows do."
_SAME = "JTT is ahead in the mean: weighing up the training rows that a weak head gets wrong does here what HSFM does."


def claims_of(found: Found) -> list[Claim]:
    """All of them.

    Args:
        found: everything.
    """
    return [*_gains(found), *_rivals(found), *_choices(found), *_dominoes(found)]


def _less(found: Found, p_val: float, other: str) -> list[float]:
    return gaps(found.heads[p_val, OURS], found.heads[p_val, other], "worst")


def _gains(found: Found) -> list[Claim]:
    weak = "The mean is above the bar; a choice by validation groups of few rows spreads the seeds too far to tell."
    return [
        Claim.at_least(
            f"shortcut in {p_val:.0%} of validation: HSFM less ERM, worst group", _less(found, p_val, NAME_ERM), 0.18
        ).because(weak, HEADS_SHOWN)
        for p_val in (0.9, 0.5)
    ]


def _rivals(found: Found) -> list[Claim]:
    return [
        Claim.at_least(
            "shortcut in 90% of validation: HSFM less direct training on the hard set",
            _less(found, 0.9, DIRECT),
            0.03,
        ).because("At its best setting direct training does nearly as well.", HEADS_SHOWN),
        Claim.at_least(
            "shortcut in 90% of validation: HSFM less direct training on the hard set is above none",
            _less(found, 0.9, DIRECT),
            0.0,
        ).because("At its best setting direct training does as well.", HEADS_SHOWN),
        Claim.at_least(
            "shortcut in 90% of validation: HSFM less a support without edits", _less(found, 0.9, FROZEN), 0.1
        ).because("A head trained on a small balanced support is enough.", HEADS_SHOWN),
        Claim.at_least(
            "shortcut in 90% of validation: HSFM less DFR, which trains on group labels",
            _less(found, 0.9, NAME_DFR),
            -0.05,
        ).because(_WITHIN, HEADS_SHOWN),
        Claim.at_least(
            "shortcut in 90% of validation: HSFM less JTT, which sees as many group labels",
            _less(found, 0.9, NAME_JTT),
            0.0,
        ).because(_SAME, HEADS_SHOWN),
        Claim.at_least(
            "shortcut in 90% of validation: HSFM less AFR, which sees as many group labels",
            _less(found, 0.9, NAME_AFR),
            0.0,
        ).because("Weighing validation rows by how wrong the network is does as well, pulled to it.", HEADS_SHOWN),
        Claim.at_most(
            "shortcut in 50% of validation: HSFM less the last layer trained on validation (no gain)",
            _less(found, 0.5, LAST),
            0.03,
        ).because("HSFM gains there, too.", HEADS_SHOWN),
        Claim.at_least(
            "shortcut in 50% of validation: the same is no loss either", _less(found, 0.5, LAST), -0.03
        ).because("What is simplest is best there.", HEADS_SHOWN),
    ]


def _choices(found: Found) -> list[Claim]:
    by_groups = found.choices["worst_group"]
    return [
        Claim.at_least(
            "HSFM's epoch chosen by the worst group less by the worst class",
            gaps(by_groups, found.choices["worst_class"], "worst"),
            0.05,
        ).because("The worst class tells the good epochs, too.", CHOICE_SHOWN)
    ]


def _dominoes(found: Found) -> list[Claim]:
    claims = []
    for p, runs in found.dominoes.items():
        shown = (NAME_ERM, LAST, OURS, NAME_DFR)
        erm, last, ours, dfr = ([row["heads"][arm]["worst"] for row in runs] for arm in shown)
        got = [a - b for a, b in zip(dfr, erm)]
        told = [row["headroom"] - gain for row, gain in zip(runs, got)]
        claims += [
            Claim.at_least(f"dominoes {p:g}: DFR less the network's own head", got, 0.04).because(
                "The network's own head leaves too little to gain.", DOMINOES_SHOWN
            ),
            Claim.at_least(
                f"dominoes {p:g}: HSFM less the network's own head", [a - b for a, b in zip(ours, erm)], -0.03
            ).because("On a small network's features its edits lead the head astray.", DOMINOES_SHOWN),
            Claim.at_least(
                f"dominoes {p:g}: HSFM less the last layer trained on validation",
                [a - b for a, b in zip(ours, last)],
                0.0,
            ).because("What is simplest is best there: validation is balanced.", DOMINOES_SHOWN),
            Claim.at_least(f"dominoes {p:g}: headroom on validation less DFR's gain on test", told, -0.05).because(
                _COARSE,
                DOMINOES_SHOWN,
            ),
            Claim.at_most(f"dominoes {p:g}: the same isn't too much either", told, 0.05).because(
                _COARSE,
                DOMINOES_SHOWN,
            ),
        ]
    return claims
