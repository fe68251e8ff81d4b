"""Claims of the study of networks on trees; thresholds are the specification's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deepwright.core.claims import Claim
from deepwright.studies._frame import Runs, gaps, inside, mean, ratios
from deepwright.studies.padic import codes, digits, fields

PAIRS_SHOWN, SHUFFLED_SHOWN, CODES_SHOWN = "Pairs", "Wrong tree", "Codes"
DIGITS_SHOWN, WEIGHTS_SHOWN = "Digits", "Weights"
_ACCURACY = 0.95


@dataclass(frozen=True)
class Found:
    """All trials.

    Attributes:
        fields: by (pairs, whether leaves were shuffled).
        operators: by operator.
        codes: by tree.
        digits: by (arm, whether pixels were permuted).
    """

    fields: dict[Any, Runs]
    operators: dict[Any, Runs]
    codes: dict[Any, Runs]
    digits: dict[Any, Runs]


def over_optimum(arm: str) -> Callable[[Any], float]:
    """A measure: an arm's error over that of the best filter there is.

    Args:
        arm: of `fields.ARMS`.
    """
    return lambda row: float(row["error"][arm] / row["optimum"])


def error_ratio(runs: Runs, arm: str, rival: str) -> list[float]:
    """One filter's error over another's, seed by seed.

    Args:
        runs: of one number of pairs.
        arm: above the line.
        rival: below it.
    """
    return ratios(runs, runs, inside("error", arm), inside("error", rival))


def best_rival(runs: Runs) -> str:
    """The rival with the smallest mean error.

    Args:
        runs: of one number of pairs.
    """
    return min(fields.RIVALS, key=lambda arm: mean(runs.values(inside("error", arm))))


def rmse_ratio(runs: Runs, arm: str, rival: str, where: str) -> list[float]:
    """One encoder's root mean squared error over another's, seed by seed.

    Args:
        runs: of one tree.
        arm: above the line.
        rival: below it.
        where: "seen" or "unseen".
    """
    return ratios(runs, runs, inside("rmse", arm, where), inside("rmse", rival, where))


def claims_of(found: Found) -> list[Claim]:
    """All of them.

    Args:
        found: all trials.
    """
    return [*_fields(found), *_codes(found), *_digits(found), *_weights(found)]


def _fields(found: Found) -> list[Claim]:
    many, few = found.fields[300, False], found.fields[20, False]
    rival = best_rival(few)
    shuffled = found.fields[300, True]
    return [
        Claim.at_most(
            "field, 300 pairs: error of the trained radial operator over that of the best filter there is",
            many.values(over_optimum(fields.RADIAL)),
            1.03,
        ),
        Claim.at_most(
            f"field, 20 pairs: error of the radial operator over that of its best rival ({rival})",
            error_ratio(few, fields.RADIAL, rival),
            0.93,
        ).because("Two widths, their mean and the identity, well chosen, come near the tree's filter.", PAIRS_SHOWN),
        Claim.at_most(
            "field, 20 pairs: error of the radial operator over that of the shrunk Wiener filter",
            error_ratio(few, fields.RADIAL, fields.WIENER),
            0.88,
        ),
        Claim.at_least(
            "field, 300 pairs, leaves shuffled (the control): error of the radial operator over Wiener's",
            error_ratio(shuffled, fields.RADIAL, fields.WIENER),
            1.1,
        ).because("A wrong tree costs less than was asked.", SHUFFLED_SHOWN),
        Claim.at_least(
            "field, 300 pairs, leaves shuffled (the control): error of the radial operator over ridge's towards 0",
            error_ratio(shuffled, fields.RADIAL, fields.RIDGE),
            1.0,
        ).because("A wrong tree costs less than was asked.", SHUFFLED_SHOWN),
    ]


def _codes(found: Found) -> list[Claim]:
    claims: list[Claim] = []
    for tree, runs in found.codes.items():
        seen_rival = min((codes.RECURSIVE, codes.ANCESTORS, codes.PARENT, codes.ONE_HOT), key=_mean_seen(runs))
        coverage = runs.values(inside("coverage", codes.PROCESS))
        claims += [
            Claim.at_most(
                f"codes, {tree}: TreeGP's RMSE on unseen leaves over that of target encoding with parents",
                rmse_ratio(runs, codes.PROCESS, codes.PARENT, "unseen"),
                0.93,
            ).because("The parent's mean is nearly all that is known of an unseen leaf here.", CODES_SHOWN),
            Claim.at_most(
                f"codes, {tree}: TreeGP's RMSE on unseen leaves over that of the true variances",
                rmse_ratio(runs, codes.PROCESS, codes.ORACLE, "unseen"),
                1.01,
            ).because("The variance of a level with few nodes is hard to tell.", CODES_SHOWN),
            Claim.at_most(
                f"codes, {tree}: TreeGP's RMSE on seen leaves over that of the best rival there ({seen_rival})",
                rmse_ratio(runs, codes.PROCESS, seen_rival, "seen"),
                0.93,
            ).because("One strength serves all levels where each holds as much.", CODES_SHOWN),
            Claim.at_most(
                f"codes, {tree}: TreeGP's RMSE on unseen leaves over that of recursive target encoding",
                rmse_ratio(runs, codes.PROCESS, codes.RECURSIVE, "unseen"),
                1.0,
            ).because("One strength serves all levels where each holds as much.", CODES_SHOWN),
            Claim.at_least(
                f"codes, {tree}: share of unseen leaves within TreeGP's 95 % interval", coverage, 0.92
            ).because(
                "Leaves share few branches, so that coverage changes from draw to draw, with the true variances as "
                "with those found.",
                CODES_SHOWN,
            ),
            Claim.at_most(
                f"codes, {tree}: share of unseen leaves within TreeGP's 95 % interval, from above", coverage, 0.97
            ),
        ]
    return claims


def _mean_seen(runs: Runs) -> Callable[[str], float]:
    return lambda arm: mean(runs.values(inside("rmse", arm, "seen")))


def _digits(found: Found) -> list[Claim]:
    own, wrong = found.digits[digits.OWN, False], found.digits[digits.OWN, True]
    return [
        Claim.at_least(
            "digits: test accuracy of the tree's network, a matrix a node", own.values("accuracy"), _ACCURACY
        ),
        Claim.at_least(
            "digits: test accuracy of the tree's network, a matrix a node, less that with permuted pixels",
            gaps(own, wrong, "accuracy"),
            0.0,
        ).because("A matrix a node fits any arrangement of 64 pixels nearly as well.", DIGITS_SHOWN),
        Claim.at_least(
            "digits: test accuracy of the tree's network, a matrix a node, less that of the MLP",
            gaps(own, found.digits[digits.MLP, False], "accuracy"),
            0.0,
        ).because("Squares of pixels are no digits' parts; the MLP sees all pixels at once.", DIGITS_SHOWN),
    ]


def _weights(found: Found) -> list[Claim]:
    dense = found.operators[fields.OPERATORS[-1]]
    full = found.operators["hierarchical"]
    return [
        Claim.at_most(
            "field, 300 pairs: error of the hierarchical operator (1,089 weights) over the dense one's (59,049)",
            ratios(full, dense, "over optimum"),
            1.0,
        )
    ]
