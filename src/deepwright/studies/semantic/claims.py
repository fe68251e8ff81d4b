"""What we say of detectors of attacks; each claim can fail, and those about who knows the detector are made to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepwright.core.results import Claim
from deepwright.core.statistics import most_conformal_alarms
from deepwright.studies._frame import Runs
from deepwright.studies.semantic.detectors import JOINT, MONITOR, OURS, RATE, SQUEEZING, UNCERTAINTIES

Read = Callable[[Any], float]
WHO_KNOWS = "Who knows the detector"
TOLD = "Attacks that know nothing of detectors"
PHOTOGRAPHS = "CIFAR-10"
PROMISED = "False alarms"


def area(detector: str, attack: str, what: str = "auroc") -> Read:
    """Reads one number of a trial.

    Args:
        detector: whose.
        attack: on which.
        what: "auroc" or "alarmed".
    """
    return lambda row: float(row["detectors"][detector][attack][what])


def knowing(attack: str, detector: str, what: str = "alarmed") -> Read:
    """Reads one number of an attacker who knows a detector.

    Args:
        attack: which it knows; "nobody" for none.
        detector: who looks; empty for the network itself.
        what: "alarmed", "auroc", or "quality" of the network.
    """
    return lambda row: (
        row["adaptive"][attack][what] if not detector else row["adaptive"][attack][f"by {detector}"][what]
    )


def _best_uncertainty(row: Any, attack: str) -> float:
    return max(row["detectors"][kind][attack]["auroc"] for kind in UNCERTAINTIES)


def claims_of(scenes: Runs, drawn: Runs | None) -> list[Claim]:
    """Every claim.

    Args:
        scenes: the trials on road scenes.
        drawn: those on photographs, where they are at hand.
    """
    claims = [*_of_who_knows(scenes, ""), *_of_attacks(scenes), *_of_promises(scenes, "")]
    if drawn is not None:
        claims += [*_of_who_knows(drawn, "CIFAR-10: "), *_of_photographs(drawn), *_of_promises(drawn, "CIFAR-10: ")]
    return claims


def _of_who_knows(runs: Runs, where: str) -> list[Claim]:
    shown = (PHOTOGRAPHS if where else WHO_KNOWS) + ("" if not where else ", who knows the detector")

    values = runs.values
    lost = [knowing(OURS, "", "quality")(r) - knowing("nobody", "", "quality")(r) for r in runs]
    fewer = [knowing("nobody", OURS)(r) - knowing(OURS, OURS)(r) for r in runs]
    crossed = [min(knowing(OURS, SQUEEZING)(r), knowing(SQUEEZING, OURS)(r)) for r in runs]
    half = "half of the images of an attacker who knows"
    return [
        Claim.at_least(f"{where}image features alarm on {half} them", values(knowing(OURS, OURS)), 0.5).because(
            "The score is differentiable: the attack goes around it, and it has room to.", shown
        ),
        Claim.at_least(f"{where}squeezing alarms on {half} it", values(knowing(SQUEEZING, SQUEEZING)), 0.5).because(
            "Rounding is passed over and the median has a gradient.", shown
        ),
        Claim.at_least(f"{where}both together alarm on {half} both", values(knowing(JOINT, JOINT)), 0.5).because(
            "One perturbation can keep both scores low.", shown
        ),
        Claim.at_least(
            f"{where}to evade image features costs the attacker at least 0.05 of what it does to the network",
            lost,
            0.05,
        ).because("There are many ways to do damage, and the score sees some.", shown),
        Claim.at_least(f"{where}knowing image features lowers the share that alarms", fewer, 0.0).because(
            "They alarmed on little before.", shown
        ),
        Claim.at_least(
            f"{where}who knows one of image features and squeezing is seen by the other in at least 0.3 of images",
            crossed,
            0.3,
        ).because("What hides from one hides in part from the other.", shown),
    ]


def _of_attacks(scenes: Runs) -> list[Claim]:
    falls = [row["miou"]["clean"] - row["miou"]["PGD"] for row in scenes]
    worse = [row["miou"]["PGD"] - row["miou"]["SegPGD"] for row in scenes]
    beyond = [area(OURS, "PGD")(row) - _best_uncertainty(row, "PGD") for row in scenes]
    squeezed = [area(OURS, "PGD")(row) - area(SQUEEZING, "PGD")(row) for row in scenes]
    noise = scenes.values(area(OURS, "sign noise"))
    return [
        Claim.at_least("PGD lowers mIoU by at least 0.15", falls, 0.15).because("The network holds.", TOLD),
        Claim.at_least("SegPGD's mIoU is at least 0.005 below PGD's", worse, 0.005).because(
            "Ten steps of plain cross-entropy find as much.", TOLD
        ),
        Claim.at_least("image features tell PGD: AUROC", scenes.values(area(OURS, "PGD")), 0.88).because(
            "The frames' own spread hides the attack in part.", TOLD
        ),
        Claim.at_least("image features tell SegPGD: AUROC", scenes.values(area(OURS, "SegPGD")), 0.9).because(
            "The frames' own spread hides the attack in part.", TOLD
        ),
        Claim.at_least("image features above the best of three uncertainties on PGD", beyond, 0.04).because(
            "Attacked frames are uncertain too.", TOLD
        ),
        Claim.at_least("image features not below feature squeezing on PGD", squeezed, 0.0).because(
            "Squeezing undoes the pattern itself, whatever the frame shows.", TOLD
        ),
        Claim.at_least("noise of the same size is no attack to image features: AUROC from", noise, 0.4).because(
            "Noise makes frames more usual.", TOLD
        ),
        Claim.at_most("noise of the same size is no attack to image features: AUROC to", noise, 0.62).because(
            "Noise of this size moves the features as well.", TOLD
        ),
    ]


def _of_photographs(drawn: Runs) -> list[Claim]:
    beyond = [area(OURS, "PGD")(row) - _best_uncertainty(row, "PGD") for row in drawn]
    return [
        Claim.at_least("CIFAR-10: image features tell PGD: AUROC", drawn.values(area(OURS, "PGD")), 0.88).because(
            "Photographs differ more than an attack moves their features.", PHOTOGRAPHS
        ),
        Claim.at_least("CIFAR-10: image features above the best of three uncertainties on PGD", beyond, 0.04).because(
            "PGD leaves the network very sure, which is as telling here.", PHOTOGRAPHS
        ),
    ]


def _of_promises(runs: Runs, where: str) -> list[Claim]:
    claims = []
    for name in (OURS, MONITOR):
        over = []
        for row in runs:
            n, b = row["sizes"]["clean"], row["sizes"]["calibrated"]
            most = most_conformal_alarms(b, n, RATE)
            over.append(float(row["detectors"][name]["false"] - most))
        text = f"{where}{name}: no more false alarms than the 99 % bound of its calibration"
        shown = PROMISED if not where else PHOTOGRAPHS
        claims.append(Claim.at_most(text, over, 0.0, every=True).because("One seed in a hundred may.", shown))
    return claims
