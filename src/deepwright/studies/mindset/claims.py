"""What the spec, the paper, or we say of the network's percepts; each claim can fail."""

from __future__ import annotations

import math

from deepwright.core.results import Claim
from deepwright.studies.mindset.found import LEAST_R2, Found
from deepwright.studies.mindset.trials import (
    DECODED,
    FEATURES,
    JUDGED,
    LAYERS,
    MULLER_LYER,
    PIXELS,
    RANDOM,
    REAL,
    STRENGTHS,
    TILT,
)

READ_SHOWN = "What read-outs make of illusions"
LAYERS_SHOWN = "Read-outs layer by layer"
JUDGED_SHOWN = "Which pictures look alike"
DOSES_SHOWN = "Müller-Lyer by length of the fins"
TILT_SHOWN = "Turn of an upright centre"

WORDS = {
    MULLER_LYER: "shafts between outward fins are read as longer than between inward fins",
    "ebbinghaus_illusion": "discs among small discs are read as larger than among large discs",
    "jastrow_illusion": "the lower of two equal bent bars is read as larger",
    TILT: "an upright centre is read as turned away from a context of up to 50 degrees",
    "ponzo_illusion": "the bar near the rails' meeting is read as longer",
    "NAP_vs_MP_2D_lines": "non-accidental changes of lines are further than metric ones",
    "emergent_features": "two dots' places are further apart when a dot joins both pictures",
    "amodal_completion": "a whole shape is further from a notched than from an occluded one",
    "decomposition": "two parts are further from an unnatural cut than from a natural one",
}


def claims_of(found: Found) -> list[Claim]:
    """Every claim.

    Args:
        found: the trials.
    """
    return [*_muller_lyer(found), *_illusions(found), *_judged(found)]


def less(a: list[float], b: list[float]) -> list[float]:
    """Seed by seed.

    Args:
        a: from which is taken.
        b: what is taken.
    """
    return [x - y for x, y in zip(a, b)]


def _muller_lyer(found: Found) -> list[Claim]:
    name = MULLER_LYER
    ours, r2 = found.bias(name, REAL, FEATURES), found.r2(name, REAL, FEATURES)
    raw = [row["effect"][PIXELS] for row in found.decoded[name, REAL]]
    doses = [row["doses"] for row in found.decoded[name, REAL]]
    slope = [row[str(STRENGTHS[-1])][FEATURES] - row[str(STRENGTHS[0])][FEATURES] for row in doses]
    control = [row["effect"][FEATURES] for row in found.decoded[name, RANDOM]]
    return [
        Claim.at_least(
            "Müller-Lyer, R2 of the shaft's length read from the features of the trained network (1,800 pictures)",
            r2,
            0.7,
            every=True,
        ).because("A decoder reads the length worse.", LAYERS_SHOWN),
        Claim.at_least(
            "Müller-Lyer, trained network's features: outward less inward, in canvas sides, over disjoint decoders",
            ours,
            0.02,
        ).because("Decoders on other draws of pictures differ by as much.", READ_SHOWN),
        Claim.at_least(
            "Müller-Lyer: the trained network's effect less that of 32 x 32 pixels", less(ours, raw), 0.0
        ).because("Pixels alone show as much.", READ_SHOWN),
        Claim.at_least(
            "Müller-Lyer: the trained network's effect less that of the same network with random weights",
            less(ours, control),
            0.0,
        ).because("Random weights show as much.", READ_SHOWN),
        Claim.at_least(
            "Müller-Lyer: the trained network's effect with whole fins less that without fins", slope, 0.0
        ).because("Other lengths of the fins change little.", DOSES_SHOWN),
    ]


def _illusions(found: Found) -> list[Claim]:
    claims = []
    for name in DECODED:
        if name == MULLER_LYER:
            continue
        layer = found.layer(name, REAL)
        where = LAYERS[layer]
        claims.append(
            Claim.at_least(
                f"{name}: R2 of the read-out at the trained network's deepest readable layer ({where})",
                found.r2(name, REAL, layer),
                LEAST_R2,
            ).because("No layer tells the quantity well enough to speak of an illusion.", LAYERS_SHOWN)
        )
        ours = found.bias(name, REAL, layer)
        claims.append(
            Claim.at_least(f"{name}, trained network ({where}): {WORDS[name]}", ours, 0.0).because(
                _why(ours), READ_SHOWN
            )
        )
        raw = [row["effect"].get(PIXELS, 0.0) for row in found.decoded[name, REAL]]
        text = f"{name}: the trained network's effect ({where}) less that of 32 x 32 pixels"
        claims.append(Claim.at_least(text, less(ours, raw), 0.0).because(_why(ours), READ_SHOWN))
    return claims


def _why(values: list[float]) -> str:
    if any(value != value for value in values):
        return "The read-out's held-out R2 is below 0.5: it can't measure the illusion."
    mean = sum(values) / len(values)
    return "The network errs the other way." if mean < 0 else "Decoders on other draws of pictures differ by as much."


def _judged(found: Found) -> list[Claim]:
    claims = []
    for name in JUDGED:
        ours = found.judgement(name, REAL, FEATURES)
        claims.append(
            Claim.at_least(f"{name}, trained network's features: {WORDS[name]}", ours, 0.0).because(
                "The features order the pairs otherwise, or not at all.", JUDGED_SHOWN
            )
        )
        rest = found.judgement(name, REAL, FEATURES, "controlled")
        if not any(math.isnan(value) for value in rest):  # where some pictures change equally many pixels
            text = f"{name}, trained network's features at an equal change of pixels: {WORDS[name]}"
            claims.append(Claim.at_least(text, rest, 0.0).because("What pixels change explains it.", JUDGED_SHOWN))
        control = less(ours, found.judgement(name, RANDOM, FEATURES))
        text = f"{name}: the trained network's effect less that of the same network with random weights"
        reason = "Random weights order the pairs as much in people's way."
        claims.append(Claim.at_least(text, control, 0.0).because(reason, JUDGED_SHOWN))
    return claims
