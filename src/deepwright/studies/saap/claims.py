"""What is claimed of attenuation patches; each can fail."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs
from deepwright.studies.saap.detectors import CENTRE, SSD_NAME
from deepwright.studies.saap.trials import CONTROLS, OURS, PGD, SIGN, TAU, TAUS

MAIN = "A tenth of each ship's amplitude"
CURVE = "Missed ships over the share"
LOSSES = "What is raised"
LOOSE = "The released code's bound and sign"
PHYSICAL = "Behind the receiver"
MOVED = "Turned, brighter and moved images"
TRAINING = "After more epochs"
SPEED = "Images a CPU second"


def of(arm: str, measure: str = "fnr") -> Callable[[dict], float]:  # type: ignore[type-arg]
    """A measure of an arm at the main share.

    Args:
        arm: its name.
        measure: "fnr", "fppi" or "ap50".
    """
    return lambda row: row["arms"][arm][measure]


def best_control(row: dict) -> float:  # type: ignore[type-arg]
    """The most that a control makes the detector miss, seed by seed.

    Args:
        row: of a trial.
    """
    return max(row["arms"][name]["fnr"] for name in CONTROLS)


def claims_of(found: dict[str, Runs]) -> list[Claim]:
    """Every claim.

    Args:
        found: trials by detector.
    """
    claims = []
    for kind in (CENTRE, SSD_NAME):
        claims += _equal_energy(kind, found[kind])
    return [*claims, *_ways(found[CENTRE]), *_realised(found[SSD_NAME])]


def _equal_energy(kind: str, runs: Runs) -> list[Claim]:
    ours = runs.values(of(OURS))
    above = [a - best_control(row) for a, row in zip(ours, runs)]
    signs = [a - b for a, b in zip(ours, runs.values(of(SIGN)))]
    same = [a - b for a, b in zip(ours, runs.values(of(PGD)))]
    falls = [_largest_fall(row) for row in runs]
    off = [
        max(arm["off"] for arms in (row["arms"], *row["curve"].values()) for arm in arms.values() if "off" in arm)
        for row in runs
    ]
    return [
        Claim.at_least(f"{kind}: share of ships missed under SAAP", ours, 0.75).because(REASONS["less"], MAIN),
        Claim.at_least(f"{kind}: SAAP minus the best control of each seed", above, 0.4).because(REASONS["less"], MAIN),
        Claim.at_most(f"{kind}: false alarms an image under SAAP", runs.values(of(OURS, "fppi")), 0.1).because(
            REASONS["alarms"], MAIN
        ),
        Claim.at_least(f"{kind}: SAAP minus sign steps at their best length", signs, 0.3).because(
            REASONS["signs"], MAIN
        ),
        Claim.at_most(f"{kind}: Frank-Wolfe above projected gradients by no more", same, 0.06).because(
            REASONS["same"], MAIN
        ),
        Claim.at_least(f"{kind}: Frank-Wolfe below projected gradients by no more", same, -0.06).because(
            REASONS["same"], MAIN
        ),
        Claim.at_most(f"{kind}: ships found again at the next larger share", falls, 1.0, every=True).because(
            REASONS["falls"], CURVE
        ),
        Claim.at_most(f"{kind}: relative error of any object's share", off, 0.01, every=True).because(
            REASONS["off"], MAIN
        ),
    ]


def _largest_fall(row: dict) -> float:  # type: ignore[type-arg]
    """Ships that are found again from one share to the next larger one, at worst."""
    missed = [row["curve"][f"{tau:g}"][OURS]["fnr"] * row["clean"]["objects"] for tau in TAUS]
    return max(0.0, *(a - b for a, b in itertools.pairwise(missed)))


def _ways(runs: Runs) -> list[Claim]:
    ours = runs.values(of(OURS))
    plain = [a - row["losses"]["sum of log-odds"]["fnr"] for a, row in zip(ours, runs)]
    signs = [
        row["loose"]["sign put right, told 0.3"]["fnr"] - row["loose"]["as released, told 0.3"]["fnr"] for row in runs
    ]
    over = [row["loose"]["sign put right, told 0.1"]["share"] - TAU for row in runs]
    return [
        Claim.at_least("centre detector: the smooth maximum minus the plain sum of log-odds", plain, 0.3).because(
            REASONS["less"], LOSSES
        ),
        Claim.at_least(
            "centre detector: the released code with its sign put right, minus as released", signs, 0.5
        ).because(REASONS["less"], LOOSE),
        Claim.at_least(
            "centre detector: what the released bound takes beyond the 0.1 that it is told", over, 0.0
        ).because(REASONS["bound"], LOOSE),
    ]


def _realised(runs: Runs) -> list[Claim]:
    kept, wrong = [], []
    for row in runs:
        p = row["physical"]
        gap = p["found on pixels, seen on pixels"]["fnr"] - p["constant"]["fnr"]
        left = p["through it, phase error 0.1"]["fnr"] - p["constant"]["fnr"]
        kept.append(left - gap / 2)
        wrong.append(p["through it, phase error 0.1"]["fnr"] - p["through it, phase error 1"]["fnr"])
    through = [
        row["physical"]["found through the receiver"]["fnr"]
        - row["physical"]["found on pixels, behind the receiver"]["fnr"]
        for row in runs
    ]
    moved = [row["moved"]["made under transformations"]["fnr"] - row["moved"]["made as it is"]["fnr"] for row in runs]
    trained = [row["training"] for row in runs]
    gain = [t["more epochs"]["fnr"] - t["more epochs, half attacked"]["fnr"] for t in trained]
    cost = [t["more epochs"]["ap50"] - t["more epochs, half attacked"]["ap50"] for t in trained]
    quicker = [row["speed"]["at once"] / row["speed"]["one by one"] for row in runs]
    return [
        Claim.at_least(
            "SSD: what is left behind the receiver at a phase error of 0.1, less half the gap", kept, 0.0
        ).because(REASONS["receiver"], PHYSICAL),
        Claim.at_least("SSD: a phase error of 1 instead of 0.1 gives ships back", wrong, 0.0).because(
            REASONS["receiver"], PHYSICAL
        ),
        Claim.at_least("SSD: found through the receiver minus found on pixels, both behind it", through, 0.0).because(
            REASONS["receiver"], PHYSICAL
        ),
        Claim.at_least("SSD: made under transformations minus made without, on moved images", moved, 0.0).because(
            REASONS["moved"], MOVED
        ),
        Claim.at_least("SSD: missed under attack, less where half of more epochs is attacked", gain, 0.05).because(
            REASONS["training"], TRAINING
        ),
        Claim.at_most("SSD: average precision that this costs on clean scenes", cost, 0.03).because(
            REASONS["training"], TRAINING
        ),
        Claim.at_least("SSD: images a CPU second, all at once over one by one", quicker, 5.0).because(
            REASONS["speed"], SPEED
        ),
    ]


REASONS = {
    "less": "At this share the attack hides fewer ships than was expected of it.",
    "alarms": "Some boxes are moved beside the ship instead of being hidden.",
    "signs": "Sign steps of the best of three lengths come nearer than at the one of the spec.",
    "same": "The two reach different shares of the ships at this number of steps.",
    "falls": "Each share is searched by itself, and the search ends at different points.",
    "off": "Some object's share isn't what was asked for.",
    "bound": "The bound takes less than it is told.",
    "receiver": "The receiver spreads what is taken away over its neighbours.",
    "moved": "Half the steps under two draws each aren't enough to make up for the harder problem.",
    "training": "A few epochs with short attacks teach the detector too little of longer ones.",
    "speed": "One image already fills the processor's caches well.",
}
