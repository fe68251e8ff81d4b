"""What the paper, its spec, or we say of sharpening before release; each claim can fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, gaps, geometric
from deepwright.studies.sharpening.trials import OURS

WAVES = "Waves: right under attack"
PHOTOGRAPHS = "Photographs: right under attack"
FRONT = "Sharpening as a part of the network"
TEXTURE = "What goes with a picture's smallest budget"


def right(arm: str, attacker: str = "transfer") -> Callable[[Any], float]:
    """The share of published pictures that the target reads rightly.

    Args:
        arm: the way to publish.
        attacker: "none" for no attack.
    """
    return lambda row: row["rows"][arm]["right"][attacker]


def of(arm: str, what: str) -> Callable[[Any], float]:
    """A number of a way to publish.

    Args:
        arm: the way.
        what: "error", "met", "ssim" or "seconds".
    """
    return lambda row: max(row["rows"][arm][what], 1e-12)


def gain(runs: Runs, arm: str, attacker: str = "transfer", other: str = "none") -> list[float]:
    """What a way to publish has more than another, seed by seed.

    Args:
        runs: of one world.
        arm: the way to publish.
        attacker: of both.
        other: the other way.
    """
    return gaps(runs, runs, right(arm, attacker), right(other, attacker))


def claims_of(waves: Runs, photographs: Runs | None) -> list[Claim]:
    """Every claim.

    Args:
        waves: trials of that world.
        photographs: of the other; None where its files aren't there.
    """
    return [*_of(waves, "waves", WAVES), *_waves(waves), *([] if photographs is None else _photographs(photographs))]


def _of(runs: Runs, world: str, table: str) -> list[Claim]:
    """Claims of both worlds."""
    through = gaps(runs, runs, lambda r: r["front"]["through"], lambda r: r["front"]["none"])
    left = gaps(runs, runs, right(OURS, "reversion"), right("none"))
    return [
        Claim.at_least(f"{world}: sharpening gains under transfer", gain(runs, OURS), 0.0).because(
            "What it gains differs from one pair of networks to the next by more than it is.", table
        ),
        Claim.at_most(
            f"{world}: sharpening gains nothing in the white box", gain(runs, OURS, "white box"), 0.0
        ).because("A stronger signal against the same budget helps here against who has the network, too.", table),
        Claim.at_most(f"{world}: against who undoes it, sharpening gains nothing under transfer", left, 0.0).because(
            "What was clipped and rounded can't be undone, and the budget counts from the published picture.", table
        ),
        Claim.at_least(
            f"{world}: contrast at the same error does at least as well under transfer",
            gain(runs, "contrast", other=OURS),
            0.0,
        ).because("The classes are told by fine detail, which sharpening raises more than contrast does.", table),
        Claim.at_most(
            f"{world}: as a part of the network sharpening gains nothing against who differentiates through it",
            through,
            0.0,
        ).because("The network reads sharpened pictures better than those as they are.", FRONT),
    ]


def _waves(runs: Runs) -> list[Claim]:
    asked = [
        Claim.at_least(
            f"waves: {arm} is 0.05 above sharpening in the grey box", gain(runs, arm, "grey box", OURS), 0.05
        ).because("Its steps are few, and sharpening moves pictures by a far larger error.", WAVES)
        for arm in ("bi-level", "fast")
    ]
    third = [
        Claim.at_least(
            f"waves: {arm} is above sharpening where the attacker has a third network", gain(runs, arm, other=OURS), 0.0
        ).because("What was found on one network is of less use against another.", WAVES)
        for arm in ("bi-level", "fast")
    ]
    smaller = geometric(runs, runs, of("bi-level", "error"), of(OURS, "error"))
    cost = geometric(runs, runs, of("bi-level", "seconds"), of(OURS, "seconds"))
    ranks = runs.values(_rank("laplacian"))
    return [
        Claim.at_most("waves: blur at the same error loses 0.02 under transfer", gain(runs, "blur"), -0.02).because(
            "It takes away noise with the signal.", WAVES
        ),
        Claim.at_least(
            "waves: noise of the same error loses at most 0.03 under transfer", gain(runs, "noise"), -0.03
        ).because("The networks never saw so much noise.", WAVES),
        *asked,
        *third,
        Claim.at_most(
            "waves: squared error of bi-level over that of sharpening", smaller, 0.5, n=len(runs), basis="seeds"
        ).because("It may change every pixel by the attackers' budget.", WAVES),
        Claim.at_least(
            "waves: processor time of bi-level over that of sharpening",
            cost,
            100.0,
            n=len(runs),
            timing=True,
            basis="once a seed, one thread",
        ).because("Sharpening is timed with its rounding to 8 bits, which costs more than the stencil.", WAVES),
        Claim.at_least("waves: texture goes with the smallest budget (rank correlation)", ranks, 0.30).because(
            "Noise is texture too, and helps no network.", TEXTURE
        ),
        Claim.at_least(
            "waves: contrast goes with it at least as much as texture does",
            gaps(runs, runs, _rank("contrast"), _rank("laplacian")),
            0.0,
        ).because("Contrast is that of the noise as well.", TEXTURE),
    ]


def _rank(kind: str) -> Callable[[Any], float]:
    return lambda row: row["texture"].get(kind, math.nan)


def _photographs(runs: Runs) -> list[Claim]:
    return [
        *_of(runs, "photographs", PHOTOGRAPHS),
        Claim.at_least(
            "photographs: sharpening costs at most 0.02 without an attack", gain(runs, OURS, "none"), -0.02
        ).because("The network was trained on pictures that aren't sharpened.", PHOTOGRAPHS),
        Claim.at_least(
            "photographs: fast is above sharpening in the grey box", gain(runs, "fast", "grey box", OURS), 0.0
        ).because("The publisher's network is a weak one, whose own class is often another.", PHOTOGRAPHS),
    ]
