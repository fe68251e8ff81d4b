"""What the spec, or we, say of attenuation; each claim can fail."""

from __future__ import annotations

import itertools

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, gaps, inside, mean
from deepwright.studies.saap.attacks import (
    BOTH,
    CHANGES,
    LEVELS,
    LOSSES,
    OURS,
    OUT,
    PIXELS,
    PROJECTED,
    RIVALS,
    SIGN,
    TAU,
    TURNED,
    UNDER,
    WITHOUT,
)
from deepwright.studies.saap.detectors import CENTRE, KINDS
from deepwright.studies.saap.found import Found
from deepwright.studies.saap.hardening import AGAINST, DIMMED, PLAIN
from deepwright.studies.saap.receiver import CONTROLS as ON_CELLS
from deepwright.studies.saap.receiver import ERRORS, EXACT

MAIN = "Ways of spending a tenth"
CURVE = "By share"
TRANSFER_SHOWN = "From one detector to the other"
ALIKE_SHOWN = "How far the patterns"
LOOSE_SHOWN = "The released bound"
MOVED_SHOWN = "Seen anew"
PARTS_SHOWN = "Change by change"
RECEIVER_SHOWN = "Behind a receiver"
HARDENED_SHOWN = "Trained on"
PASTED_SHOWN = "Pasted over"


def claims_of(found: Found) -> list[Claim]:
    """Every claim.

    Args:
        found: the trials.
    """
    kinds = [claim for kind in KINDS for claim in _hiding(found, kind)]
    return [
        *kinds,
        *_shares(found),
        *_transfer(found),
        *_loose(found),
        *_moved(found),
        *_receiver(found),
        *_hardened(found),
        *_pasted(found),
    ]


def less(a: list[float], b: list[float]) -> list[float]:
    """Seed by seed.

    Args:
        a: from which is taken.
        b: what is taken.
    """
    return [x - y for x, y in zip(a, b)]


def _hiding(found: Found, kind: str) -> list[Claim]:
    ours = found.of(kind, OURS)

    def ahead(text: str, other: list[float], bar: float, reason: str) -> Claim:
        return Claim.at_least(f"{kind}: {text}", less(ours, other), bar).because(reason, MAIN)

    return [
        Claim.at_least(f"{kind}: Frank-Wolfe at a tenth leaves 0.75 of the ships missed or more", ours, 0.75).because(
            REASONS[kind, "ours"], CURVE if kind == CENTRE else MAIN
        ),
        ahead(
            "Frank-Wolfe at least 0.40 above each seed's best of all that needs no optimiser",
            found.best_rival(kind),
            0.4,
            REASONS[kind, "rivals"],
        ),
        ahead("Frank-Wolfe at least 0.30 above sign steps", found.of(kind, SIGN), 0.3, REASONS[kind, "sign"]),
        ahead(
            "Frank-Wolfe not more than 0.06 below projected gradients",
            found.of(kind, PROJECTED),
            -0.06,
            REASONS[kind, "projected"],
        ),
        Claim.at_most(
            f"{kind}: Frank-Wolfe not more than 0.06 above projected gradients",
            less(ours, found.of(kind, PROJECTED)),
            0.06,
        ).because(REASONS[kind, "projected"], MAIN),
        ahead(
            "the bounded loss at least 0.30 above the released one",
            found.of(kind, "released loss"),
            0.3,
            REASONS["loss"],
        ),
        ahead(
            "the bounded loss at least 0.30 above the sum of log-odds",
            found.of(kind, "sum of log-odds"),
            0.3,
            REASONS["loss"],
        ),
        Claim.at_most(f"{kind}: false alarms an image under Frank-Wolfe", found.of(kind, OURS, "alarms"), 0.1).because(
            REASONS[kind, "alarms"], MAIN
        ),
        Claim.at_most(
            f"{kind}: largest error of a ship's share, of itself, over all ways of spending",
            [
                max(
                    max(abs(found.of(kind, arm, end)[i] / TAU - 1) for end in ("least", "most"))
                    for arm in (*LEVELS, *LOSSES, *RIVALS)
                )
                for i in range(len(ours))
            ],
            0.01,
            every=True,
        ).because("A budget isn't held.", MAIN),
    ]


def _shares(found: Found) -> list[Claim]:
    claims = []
    for kind in KINDS:
        shares = found.shares(kind)
        if len(shares) < 2:
            continue
        ships = found.hiding[kind].values("ships")
        steps = [
            less(found.at_share(kind, b, OURS), found.at_share(kind, a, OURS)) for a, b in itertools.pairwise(shares)
        ]
        worst = [min(step[i] for step in steps) * n for i, n in enumerate(ships)]
        text = f"{kind}: ships more that are missed at the next share, at the worst step"
        claims.append(Claim.at_least(text, worst, -1.0, every=True).because("Chance.", CURVE))
    return claims


def _transfer(found: Found) -> list[Claim]:
    claims = []
    for tau in found.transfer:
        for kind, other in (KINDS, KINDS[::-1]):
            gap = less(found.seen(tau, kind, other), found.best_fill(tau, other))
            text = f"at {tau:g}, found on {kind}, seen by {other}: no fewer missed than by each seed's best fill"
            claims.append(Claim.at_least(text, gap, 0.0).because(REASONS["transfer"], ALIKE_SHOWN))
            gap = less(found.seen(tau, BOTH, kind), found.best_fill(tau, kind))
            text = f"at {tau:g}, found on both at once, seen by {kind}: at least 0.30 more missed than by that fill"
            claims.append(Claim.at_least(text, gap, 0.3).because(REASONS["both"], TRANSFER_SHOWN))
    return claims


def _loose(found: Found) -> list[Claim]:
    low, high = min(found.loose), max(found.loose)
    alone = found.loose[low].values(inside("loose bound alone", "amplitude"))
    true, literal = (
        found.loose[high].values(inside(name, "missed"))
        for name in ("loose bound, true sign", "loose bound, sign as released")
    )
    return [
        Claim.at_least(f"the released bound alone, told {low:g}, takes at least 0.2", alone, 0.2).because(
            REASONS["loose"], LOOSE_SHOWN
        ),
        Claim.at_least(
            f"within the released bound, told {high:g}, the true sign hides at least 0.50 more than the released one",
            less(true, literal),
            0.5,
        ).because(REASONS["literal"], LOOSE_SHOWN),
    ]


def _moved(found: Found) -> list[Claim]:
    claims = []
    for tau, runs in found.moved.items():

        def missed(name: str, how: str, runs: Runs = runs) -> list[float]:
            return runs.values(inside(name, how))

        for how in CHANGES:
            name = UNDER if how == TURNED else WITHOUT
            best = [max(pair) for pair in zip(missed(PIXELS, how), missed(OUT, how))]
            text = f"at {tau:g}, {how}: {name} at least 0.20 more missed than by each seed's better fill"
            claims.append(Claim.at_least(text, less(missed(name, how), best), 0.2).because(*_of_change(how)))
        gain = less(missed(UNDER, TURNED), missed(WITHOUT, TURNED))
        text = f"at {tau:g}, {TURNED}: made under such changes at least 0.05 more missed than made without"
        claims.append(Claim.at_least(text, gain, 0.05).because(REASONS["eot"], MOVED_SHOWN))
    return claims


def _of_change(how: str) -> tuple[str, str]:
    """Why a change leaves no more than the fill does, and where that is shown."""
    return (REASONS["moved"], PARTS_SHOWN) if how == TURNED else (REASONS["speckled"], MOVED_SHOWN)


def _receiver(found: Found) -> list[Claim]:
    exact = found.beside(EXACT, ON_CELLS)
    slight, _, large, _ = list(ERRORS)[1:]
    kept = less(found.beside(slight, ON_CELLS), [gap / 2 for gap in exact])
    missed = {e: found.receiver.values(inside(e, OURS, "missed")) for e in ERRORS}
    return [
        Claim.at_least(
            "behind a receiver, at a fifth: at least 0.20 above each seed's best control", exact, 0.2
        ).because(REASONS["receiver"], RECEIVER_SHOWN),
        Claim.at_least(f"{slight}: the gap to the best control less half of the gap without error", kept, 0.0).because(
            REASONS["phase"], RECEIVER_SHOWN
        ),
        Claim.at_least(
            f"{large}: fewer ships are missed, by 0.20 or more", less(missed[EXACT], missed[large]), 0.2
        ).because(REASONS["large"], RECEIVER_SHOWN),
    ]


def _hardened(found: Found) -> list[Claim]:
    ways = found.hardened

    def lost(row: dict[str, dict[str, float]]) -> float:
        return row["attacked"]["missed"]

    return [
        Claim.at_most(
            "trained on attacked scenes: ships missed under attack, less those after as many steps without",
            gaps(ways[AGAINST], ways[PLAIN], lost),
            -0.05,
        ).because(REASONS["hardened"], HARDENED_SHOWN),
        Claim.at_most(
            "trained on attacked scenes: ships missed under attack, less those after random attenuation in training",
            gaps(ways[AGAINST], ways[DIMMED], lost),
            -0.05,
        ).because(REASONS["hardened"], HARDENED_SHOWN),
        Claim.at_least(
            "trained on attacked scenes: average precision without attack, less that after as many steps without",
            gaps(ways[AGAINST], ways[PLAIN], inside("clean", "ap50")),
            -0.03,
        ).because(REASONS["hardened clean"], HARDENED_SHOWN),
    ]


def _pasted(found: Found) -> list[Claim]:
    claims = []
    for kind in found.pasted:
        objects = found.patches[kind, "AdvPatch"]
        text = f"{kind}: AdvPatch on ships hides at least 0.30 more than noise there"
        gap = less(objects.values("missed"), objects.values(inside("noise", "missed")))
        claims.append(Claim.at_least(text, gap, 0.3).because(REASONS["AdvPatch"], PASTED_SHOWN))
        for name in ("DPatch", "RobustDPatch"):
            runs = found.patches[kind, name]
            text = f"{kind}: {name} leaves at least 0.10 less average precision than noise there"
            gap = less(runs.values(inside("noise", "ap50")), runs.values("ap50"))
            claims.append(Claim.at_least(text, gap, 0.1).because(REASONS["DPatch"], PASTED_SHOWN))
        runs = found.patches[kind, "DPatch"]
        text = f"{kind}: of ships that DPatch doesn't touch, more are missed than without it, by 0.05 at most"
        gap = less(runs.values("untouched"), runs.values(inside("clean", "missed")))
        claims.append(Claim.at_most(text, gap, 0.05).because(REASONS["untouched"], PASTED_SHOWN))
    return claims


def best_name(found: Found, kind: str, arms: tuple[str, ...] = RIVALS) -> str:
    """The arm that hides most in the mean.

    Args:
        found: the trials.
        kind: of the detector.
        arms: among which.
    """
    return max(arms, key=lambda arm: mean(found.of(kind, arm)))


REASONS: dict[str | tuple[str, str], str] = {
    "loss": "Either loss is enough on this detector.",
    "transfer": "Of what one pattern takes, the other takes the smaller part at the same pixel: other places count for "
    "each.",
    "both": "At a fifth the fill hides most ships, too: little is left to gain.",
    "loose": "The bound holds its share.",
    "literal": "Steps downhill hide, too.",
    "moved": "Turns and shifts by parts of a pixel undo most of what was found at one place, gains don't; the fill "
    "stays as it is.",
    "speckled": "At a fifth the fill from the centre out hides most ships, too.",
    "eot": "At a tenth little is left of either.",
    "receiver": "A control hides as many.",
    "phase": "Errors of phase undo it.",
    "large": "What is left still hides.",
    "hardened": "Six epochs don't teach it.",
    "hardened clean": "It costs precision.",
    "AdvPatch": "How well fifty steps do moves from seed to seed.",
    "DPatch": "How much precision noise in its place costs moves from seed to seed by as much.",
    "untouched": "Noise in its place does nearly the same: cells see further than a patch covers.",
}
for _kind in KINDS:
    REASONS |= {
        (_kind, "ours"): "A tenth isn't enough on this detector.",
        (
            _kind,
            "rivals",
        ): "One gradient displaces boxes: of its ships fewer are lost, and false alarms stand beside them.",
        (_kind, "sign"): "How many ships sign steps hide moves from seed to seed by more than the rest of the gap.",
        (_kind, "projected"): "One of both spends better on this detector.",
        (_kind, "alarms"): "Boxes are displaced.",
    }
