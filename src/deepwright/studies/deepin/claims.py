"""What is claimed, and why what doesn't hold doesn't."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, gaps, ratios
from deepwright.studies.deepin.shown import ANGLES, DIABETES_SHOWN, ERRORS, POST_HOC, RECOVERY, TESTS, Found
from deepwright.studies.deepin.trials import BOTTLENECK, DEEPIN, LASSO, SAVE, TUNED

_COUNTED = "a count of seeds"


def claims_of(found: Found) -> list[Claim]:
    """All of them.

    Args:
        found: everything.
    """
    return [*_recovered(found), *_errors(found), *_nothing(found), *_tested(found), *_diabetes(found), *_others(found)]


def _recovered(found: Found) -> list[Claim]:
    claims = []
    for name, share in (("S1", 0.8), ("S2", 0.8), ("S3", 0.6)):
        n = len(found.simulations[name, DEEPIN])
        claims.append(
            Claim.at_least(
                f"{name}: share of seeds in which DeepIn finds the true dimension",
                found.exact(name) / n,
                share,
                n=n,
                basis=_COUNTED,
            ).because("The choice on validation rows keeps or drops a direction too many.", RECOVERY)
        )
        claims.append(
            Claim.at_least(
                f"{name}: share of seeds in which DeepIn finds all true variables and at most one false one",
                found.right(name) / n,
                share,
                n=n,
                basis=_COUNTED,
            ).because("The choice on validation rows drops a variable, or keeps two of noise.", RECOVERY)
        )
    claims.append(
        Claim.at_most(
            "S1: largest angle in degrees between DeepIn's directions and the true ones, in every seed",
            found.values("S1", DEEPIN, "angle"),
            10.0,
            every=True,
        ).because("In one seed the directions are others.", ANGLES)
    )
    return claims


def _errors(found: Found) -> list[Claim]:
    ours = found.simulations["S1", DEEPIN]
    return [
        Claim.at_most(
            "S1: squared error of DeepIn over that of the bottleneck network without selection",
            ratios(ours, found.simulations["S1", BOTTLENECK], "error"),
            0.3,
        ).because("The quotient differs from seed to seed, and its interval reaches above the bar.", ERRORS),
        Claim.at_most(
            "S1: squared error of DeepIn over that of the tuned network",
            ratios(ours, found.simulations["S1", TUNED], "error"),
            0.1,
        ).because("The tuned network is nearer than a tenth.", ERRORS),
    ]


def _nothing(found: Found) -> list[Claim]:
    null = found.simulations["S0", DEEPIN]
    empty = sum(row["found"] + row["false"] == 0 for row in null) / len(null)
    four = found.simulations["S4", DEEPIN]
    large = sum(d >= 6 for d in four.values("dimension")) / len(four)
    return [
        Claim.at_least(
            "S0, no signal: share of seeds in which nothing is selected", empty, 0.8, n=len(null), basis=_COUNTED
        ).because("Validation rows prefer noise by luck.", RECOVERY),
        Claim.at_least(
            "S4, ten directions: share of seeds in which DeepIn reports six dimensions or more",
            large,
            0.8,
            n=len(four),
            basis=_COUNTED,
        ).because(
            "One direction, the sum of the ten, leaves no more error than the networks of more directions do on these "
            "rows: what is chosen is what predicts best, not what is sufficient.",
            ERRORS,
        ),
        Claim.at_most(
            "S4, ten directions: squared error of DeepIn over that of the tuned network",
            ratios(four, found.simulations["S4", TUNED], "error"),
            1.0,
        ).because("The tuned network fits the ten sines better.", ERRORS),
    ]


def _tested(found: Found) -> list[Claim]:
    n = found.rejected("common", "x5, rho 0.1", 0.05)[1]
    basis = "a share of tables"
    reason = "Two refits differ by luck of training."
    return [
        Claim.at_most(
            "tests, common random numbers, rho 0.1: share of tables in which a null variable is rejected at 5 %",
            found.share("common", "x5, rho 0.1", 0.05),
            0.09,
            n=n,
            basis=basis,
        ).because(reason, TESTS),
        Claim.at_most(
            "tests, common random numbers, rho 0.1: share of tables in which a null variable is rejected at 1 %",
            found.share("common", "x5, rho 0.1", 0.01),
            0.035,
            n=n,
            basis=basis,
        ).because(reason, TESTS),
        Claim.at_least(
            "tests, common random numbers, rho 0.1: share of tables in which the strong variable x0 is found at 5 %",
            found.share("common", "x0, rho 0.1", 0.05),
            0.95,
            n=n,
            basis=basis,
        ).because("Training fails on some tables.", TESTS),
        Claim.at_least(
            "tests, rho 0.1: a null variable's rejections at 5 % with independent refits less those with common "
            "numbers",
            [
                _share(b, "x5, rho 0.1") - _share(a, "x5, rho 0.1")
                for a, b in zip(found.tests["common"], found.tests["independent"], strict=True)
            ],
            0.0,
            n=len(found.tests["common"]),
            basis="blocks of tables",
        ).because("The two differ by less than blocks of tables do.", TESTS),
    ]


def _share(block: dict[str, list[float]], test: str) -> float:
    return sum(p <= 0.05 for p in block[test]) / len(block[test])


def _diabetes(found: Found) -> list[Claim]:
    ours = found.diabetes[DEEPIN]
    best: Runs = max((runs for way, runs in found.diabetes.items() if way != DEEPIN), key=_r2)
    return [
        Claim.at_most(
            "diabetes: columns of noise, of 20, that DeepIn keeps", [float(v) for v in ours.values("noise")], 4.0
        ).because("In some splits noise predicts the held rows by luck.", DIABETES_SHOWN),
        Claim.at_least(
            "diabetes: columns of noise that the lasso keeps less those that DeepIn keeps",
            gaps(found.diabetes[LASSO], ours, "noise"),
            0.0,
        ).because("The lasso keeps as few in some splits.", DIABETES_SHOWN),
        Claim.at_least(
            "diabetes: R2 of DeepIn less that of the best rival by the mean", gaps(ours, best, "r2"), -0.05
        ).because(
            "The rule of one standard error keeps fewer of the ten variables than the lasso does.", DIABETES_SHOWN
        ),
    ]


def _r2(runs: Runs) -> float:
    return runs.mean("r2")


def _others(found: Found) -> list[Claim]:
    tuned = found.simulations["S1", TUNED]
    return [
        Claim.at_least(
            f"S1: share of the tuned network's attributions by {way} that go to the 46 columns of noise",
            [float(v) for v in tuned.values(way)],
            0.1,
        ).because("The tuned network hardly uses them.", POST_HOC)
        for way in ("integrated gradients", "permutation SHAP")
    ] + [
        Claim.at_most(
            f"S1: degrees that DeepIn's directions are off less those of {SAVE}, which is told their number",
            gaps(found.simulations["S1", DEEPIN], found.simulations["S1", SAVE], "angle"),
            0.0,
        ).because("Sliced averages find these directions as well.", ANGLES)
    ]
