"""What is claimed of TsetlinWiSARD, and why what doesn't hold doesn't."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import gaps, inside, mean
from deepwright.studies.weightless.choosing import Found, beside, by_setting, economical
from deepwright.studies.weightless.trials import (
    BLEACHING,
    CONTROL,
    COUNTED,
    HALF,
    WHOLE,
    WISARD,
)

HARDWARE_SHOWN, BEST_SHOWN = "Equal hardware", "Each at its best"
BYTES_SHOWN, OPTIONS_SHOWN = "Bytes that an accuracy takes", "One option changed"
PROTOTYPES_SHOWN, FLIPS_SHOWN, DIGITS_SHOWN = "Prototypes", "Bit flips", "Small digits"
PUBLISHED = "as published: q = 0.5, 256 states"


def byte_ratio(found: Found) -> tuple[float, str]:
    """Bytes of the smallest dense table that counting needs for the accuracy of the automata's, over theirs.

    Where no dense table of the grid is so accurate, the largest stands for it: the quotient is then at least that.

    Args:
        found: all trials.
    """
    key, own = economical(found.wide, HALF)
    rivals = [size for size in beside(found.wide, COUNTED, own.mean("test")).values() if size is not None]
    largest = max(r.mean("bytes") for arm in COUNTED for r in by_setting(found.wide, arm, dense=True).values())
    bytes_ = min((size for _, size in rivals), default=largest)
    words = "" if rivals else f"; none in the grid is, up to {largest:,.0f} bytes, which stand for it"
    return bytes_ / own.mean("bytes"), f"sizes of tables, means over the seeds ({key}){words}"


def claims_of(found: Found) -> list[Claim]:
    """All of them.

    Args:
        found: all trials.
    """
    return [*_hardware(found), *_sizes(found), *_prototypes(found), *_options(found), *_damage(found)]


def _hardware(found: Found) -> list[Claim]:
    ours, text = found.at(HALF, 8, 4), "5,000 digits, n = 8, 392 tables: test accuracy of TsetlinWiSARD less"
    return [
        Claim.at_least(f"{text} WiSARD's", gaps(ours, found.at(WISARD, 8, 4), "test"), 0.05).because(
            "With so few digits tables of eight inputs are full in some splits more than in others: seeds differ.",
            HARDWARE_SHOWN,
        ),
        Claim.at_least(f"{text} bleaching's", gaps(ours, found.at(BLEACHING, 8, 4), "test"), 0.02).because(
            "How much a threshold of counts can mend differs from split to split.", HARDWARE_SHOWN
        ),
        Claim.at_least("the same, q = 1 less q = 0.5", gaps(found.at(WHOLE, 8, 4), ours, "test"), 0.0).because(
            "Both learn alike after so many epochs.", HARDWARE_SHOWN
        ),
    ]


def _sizes(found: Found) -> list[Claim]:
    ratio, basis = byte_ratio(found)
    text = (
        "bytes of the smallest dense WiSARD or bleaching table of at least its test accuracy, over those of the "
        "smallest TsetlinWiSARD (q = 0.5) within a point of its best on validation"
    )
    return [
        Claim.at_least(text, ratio, 3.0, n=len(found.best[HALF]), basis=basis).because(
            "Counting reaches that accuracy in smaller tables than the spec's trials saw.", BYTES_SHOWN
        )
    ]


def _prototypes(found: Found) -> list[Claim]:
    most = max(samples for _, n, samples in found.prototypes if n == 4)
    place = f"ten prototypes, n = 4, {most:,} samples: test accuracy of"
    runs = {arm: found.prototypes[arm, 4, most] for arm in (WISARD, BLEACHING, HALF)}
    why = "So many samples don't fill tables of sixteen addresses."
    return [
        Claim.at_most(f"{place} WiSARD (its tables are full)", runs[WISARD].values("test"), 0.3).because(
            why, PROTOTYPES_SHOWN
        ),
        Claim.at_least(f"{place} TsetlinWiSARD", runs[HALF].values("test"), 0.85).because(
            "Ten epochs of errors don't find what counting sees.", PROTOTYPES_SHOWN
        ),
        Claim.at_least(
            f"{place} bleaching less TsetlinWiSARD's (counting's home ground)",
            gaps(runs[BLEACHING], runs[HALF], "test"),
            0.0,
        ).because("Automata learn as well there.", PROTOTYPES_SHOWN),
    ]


def _options(found: Found) -> list[Claim]:
    whole = found.variants[PUBLISHED]
    text = "n = 8, 392 tables: test accuracy with"
    return [
        Claim.at_least(
            f"{text} 16 states less that with 256", gaps(found.variants["16 states"], whole, "test"), -0.01
        ).because("Four bits of state forget what eight keep.", OPTIONS_SHOWN),
        Claim.at_most(
            f"{text} 4 states less that with 256 (a control: too few)",
            gaps(found.variants["4 states"], whole, "test"),
            -0.03,
        ).because("Two bits of state are nearly enough.", OPTIONS_SHOWN),
        Claim.at_most(
            f"{text} labels drawn anew (a control: chance is 0.1)", found.variants[CONTROL].values("test"), 0.15
        ).because("Test digits have leaked into training.", OPTIONS_SHOWN),
    ]


def _damage(found: Found) -> list[Claim]:
    at = inside("at", "0.01")
    plain, three = found.flips[HALF, 0.0], found.flips[HALF, 0.1]
    return [
        Claim.at_least(
            "TsetlinWiSARD, n = 8, 392 tables: test accuracy after flips of one bit in a hundred less that without",
            [a - b for a, b in zip(plain.values(at), plain.values("clean"), strict=True)],
            -0.01,
        ).because("Its margins are so thin that one vote in a hundred decides.", FLIPS_SHOWN),
        Claim.at_least(
            "the same after one in ten, a tenth of the tables stored three times, less that without copies",
            gaps(three, plain, inside("at", "0.1")),
            0.0,
        ).because("A tenth of 392 tables are too few to matter.", FLIPS_SHOWN),
    ]


def best_gap(found: Found, arm: str, rival: str) -> list[float]:
    """Test accuracy of one arm less another's, each at its best, seed by seed.

    Args:
        found: all trials.
        arm: on the left.
        rival: on the right.
    """
    return gaps(found.best[arm], found.best[rival], "test")


def ordered(found: Found) -> list[str]:
    """Arms by their test accuracy at their best, the highest first.

    Args:
        found: all trials.
    """
    return sorted(found.best, key={arm: -mean(runs.values("test")) for arm, runs in found.best.items()}.__getitem__)
