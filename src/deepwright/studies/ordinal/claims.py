"""What is claimed of losses that know the order, and why what doesn't hold doesn't."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, gaps, inside
from deepwright.studies.ordinal.shown import (
    CAMVID_SHOWN,
    CHOSEN_SHOWN,
    CONTROL_SHOWN,
    FIXED_SHOWN,
    RATE,
    WARMUP_SHOWN,
    Found,
)
from deepwright.studies.ordinal.trials import CE, CO2, CSDT, CSNP, CSSDF, EXP, HARD, PEAK, QUL, TV

_SEEDS = "Rates of a few neighbours in a thousand differ from seed to seed by as much."


def claims_of(found: Found) -> list[Claim]:
    """All of them; those about CamVid where it was given.

    Args:
        found: everything.
    """
    return [*_fixed(found), *_chosen(found), *_control(found), *(_camvid(found) if found.camvid else [])]


def left(a: Runs, b: Runs, share: float, way: str, other: str | None = None) -> list[float]:
    """Contacts of one arm less a share of another's, seed by seed: below 0 where they fall by the rest.

    Args:
        a: the arm.
        b: the other.
        share: of the other's rate.
        way: how labels are read.
        other: how the other's are read; the same by default.
    """
    mine, theirs = a.values(inside(way, RATE)), b.values(inside(other or way, RATE))
    return [x - share * y for x, y in zip(mine, theirs, strict=True)]


def _dice(a: Runs, b: Runs, way: str = "argmax", other: str | None = None) -> list[float]:
    return gaps(a, b, inside(way, "dice"), inside(other or way, "dice"))


def _fixed(found: Found) -> list[Claim]:
    ce, ten, thirty = found.at(CE), found.at(CSNP, 10.0), found.at(CSNP, 30.0)
    claims = [
        Claim.at_most(
            f"CSNP, weight 10: contact rate less 0.8 of cross-entropy's, {way}", left(ten, ce, 0.8, way), 0.0
        ).because(_SEEDS, FIXED_SHOWN)
        for way in ("argmax", "median")
    ]
    return [
        *claims,
        Claim.at_least("CSNP, weight 10: macro Dice less cross-entropy's", _dice(ten, ce), -0.01).because(
            "The term costs Dice at this weight.", FIXED_SHOWN
        ),
        Claim.at_most(
            "cross-entropy read by the median: contact rate less 0.6 of argmax's",
            left(ce, ce, 0.6, "median", "argmax"),
            0.0,
        ).because(_SEEDS, FIXED_SHOWN),
        Claim.at_least(
            "cross-entropy read by the median: macro Dice less argmax's", _dice(ce, ce, "median", "argmax"), -0.005
        ).because("Where two ends are likely the median invents the middle.", FIXED_SHOWN),
        Claim.at_most(
            "CSNP, weight 30, grown: contact rate less 0.4 of cross-entropy's", left(thirty, ce, 0.4, "argmax"), 0.0
        ).because(_SEEDS, FIXED_SHOWN),
        Claim.at_least("CSNP, weight 30, grown: macro Dice less cross-entropy's", _dice(thirty, ce), -0.02).because(
            "The term costs Dice at this weight.", FIXED_SHOWN
        ),
        Claim.at_most(
            "CSNP, weight 30, grown: classes vanished", thirty.values(inside("argmax", "vanished")), 0.0, every=True
        ).because("A weight of this size can destroy a class, grown or not.", WARMUP_SHOWN),
        Claim.at_least("CSNP, weight 30: macro Dice grown less at once", _dice(thirty, found.sudden), 0.0).because(
            "At once it destroys more classes than grown, in some seeds.", WARMUP_SHOWN
        ),
        Claim.at_least("CO2, weight 10: share of unimodal pixels", found.at(CO2, 10.0).values("unimodal"), 0.8).because(
            "The rounding counts plateaus of sharp answers.", FIXED_SHOWN
        ),
        Claim.at_most(
            "cross-entropy repaired by ICM: contact rate less 0.1 of argmax's", left(ce, ce, 0.1, "icm", "argmax"), 0.0
        ).because("Neighbours that agree on a forbidden contact stay.", FIXED_SHOWN),
        Claim.at_least(
            "cross-entropy repaired by ICM: macro Dice less argmax's", _dice(ce, ce, "icm", "argmax"), -0.005
        ).because("Repairs take pixels that were right.", FIXED_SHOWN),
    ]


def _chosen(found: Found) -> list[Claim]:
    ce = found.chosen[CE]
    claims = [
        Claim.at_most(
            f"{name}, each at its best: contact rate less cross-entropy's",
            left(found.chosen[name], ce, 1.0, "argmax"),
            0.0,
        ).because("The settings that validation prefers aren't the most plausible ones.", CHOSEN_SHOWN)
        for name in (CO2, QUL, EXP, CSNP, CSDT, CSSDF, HARD, PEAK)
    ]
    claims += [
        Claim.at_most(
            f"{name} at its best less cross-entropy read by the median: contact rate",
            left(found.chosen[name], ce, 1.0, "argmax", "median"),
            0.0,
        ).because("Reading by the median costs nothing and takes most of the contacts already.", CHOSEN_SHOWN)
        for name in (CSNP, CSDT)
    ]
    claims.append(
        Claim.at_most(
            "CSNP less total variation, each at its best: contact rate",
            left(found.chosen[CSNP], found.chosen[TV], 1.0, "argmax"),
            0.0,
        ).because("Smoothness alone does as well.", CHOSEN_SHOWN)
    )
    return claims


def _control(found: Found) -> list[Claim]:
    ce, ours = found.control[CE], found.control[CSNP]
    return [
        Claim.at_least(
            "a false order: contact rate of the true labels, which `require_order` refuses above 0.05",
            ce.values("own contacts"),
            0.05,
            every=True,
        ).because("The layer that is left out has few neighbours.", CONTROL_SHOWN),
        Claim.at_most(
            "a false order: macro Dice of CSNP, weight 10, less cross-entropy's", _dice(ours, ce), 0.0
        ).because("At this weight a false order does little harm.", CONTROL_SHOWN),
        Claim.at_most(
            "a false order: macro Dice of cross-entropy by the median less argmax",
            _dice(ce, ce, "median", "argmax"),
            0.0,
        ).because("The middle that the median invents is thin.", CONTROL_SHOWN),
    ]


def _camvid(found: Found) -> list[Claim]:
    assert found.camvid is not None
    ce = found.camvid[CE]
    claims = [
        Claim.at_most(
            f"CamVid: {name} at its best: contact rate less 0.8 of cross-entropy's",
            left(found.camvid[name], ce, 0.8, "argmax"),
            0.0,
        ).because(
            "In so few steps the rarest layer is lost or nearly so (its worst class's Dice), and its neighbours touch; "
            "read by the median they don't.",
            CAMVID_SHOWN,
        )
        for name in (CO2, CSNP)
    ]
    return [
        *claims,
        Claim.at_least(
            "CamVid: macro Dice of CSNP at its best less cross-entropy's", _dice(found.camvid[CSNP], ce), -0.01
        ).because("The term costs Dice.", CAMVID_SHOWN),
        Claim.at_most(
            "CamVid: cross-entropy read by the median: contact rate less 0.6 of argmax's",
            left(ce, ce, 0.6, "median", "argmax"),
            0.0,
        ).because("Most of its contacts aren't between two likely ends.", CAMVID_SHOWN),
    ]
