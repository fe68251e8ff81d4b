"""What is claimed of detection, and why what doesn't hold doesn't."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import gaps, inside
from deepwright.studies.semantic.shown import (
    ALARMS_SHOWN,
    FILM_SHOWN,
    JPEG,
    KNOWING_SHOWN,
    NETWORK_SHOWN,
    NOISE,
    PGD,
    PHOTOS_SHOWN,
    SCENES_SHOWN,
    SEGPGD,
    UNCERTAINTY,
    Found,
    alarmed,
    auroc,
    score,
)
from deepwright.studies.semantic.trials import FUSED, OURS, SQUEEZING


def claims_of(found: Found, frames: int) -> list[Claim]:
    """All of them; those against detectors that were run, and about photographs where there were some.

    Args:
        found: everything.
        frames: of the test.
    """
    return [
        *_network_claims(found),
        *_detector_claims(found),
        *_alarm_claims(found, frames),
        *_knowing_claims(found),
        *(_photo_claims(found) if found.photographs is not None else []),
    ]


def _network_claims(found: Found) -> list[Claim]:
    ours = found.ours()
    falls = "A network of this size is steadier than the spec's."
    return [
        Claim.at_least("clean mean IoU of the network", ours.values(score("clean")), 0.78).because(
            "Twelve epochs are few.", NETWORK_SHOWN
        ),
        *(
            Claim.at_least(
                f"mean IoU that {attack} takes", gaps(ours, ours, score("clean"), score(attack)), 0.15
            ).because(falls, NETWORK_SHOWN)
            for attack in (PGD, SEGPGD)
        ),
        Claim.at_least(
            "mean IoU that SegPGD takes more than PGD", gaps(ours, ours, score(PGD), score(SEGPGD)), 0.005
        ).because("After ten steps few positions are right still, and both raise the loss of the rest.", NETWORK_SHOWN),
    ]


def _detector_claims(found: Found) -> list[Claim]:
    ours = found.ours()
    seen = "Attacked features of single scenes stay among those of clean ones."
    claims = [
        Claim.at_least("image features: AUROC under PGD", ours.values(auroc(PGD)), 0.88).because(seen, SCENES_SHOWN),
        Claim.at_least("image features: AUROC under SegPGD", ours.values(auroc(SEGPGD)), 0.9).because(
            seen, SCENES_SHOWN
        ),
        Claim.at_least("image features: AUROC of noise, not below 0.4", ours.values(auroc(NOISE)), 0.4).because(
            "Noise moves features towards the middle.", SCENES_SHOWN
        ),
        Claim.at_most("image features: AUROC of noise, not above 0.62", ours.values(auroc(NOISE)), 0.62).because(
            "Noise of this size is seen.", SCENES_SHOWN
        ),
    ]
    rivals = {
        SQUEEZING: "A median and few levels undo what doesn't know them.",
        JPEG: "What a JPEG of quality 90 throws away is where these attacks lie.",
        UNCERTAINTY: "Attacks that leave the network unsure are told by that alone.",
        "dense features by class": "Each position by itself says as much.",
        "nearest features": "Distances to single scenes need no shape of the cloud.",
        FUSED: "Two scores see more than one.",
        "supervised on attacked": "Who is shown attacks knows what to look for.",
    }
    for rival, why in rivals.items():
        if rival in found.scenes:
            for attack, bar in ((PGD, 0.04 if rival == UNCERTAINTY else 0.0), (SEGPGD, 0.0)):
                gap = gaps(ours, found.scenes[rival], auroc(attack))
                text = f"image features less {rival}: AUROC under {attack}"
                claims.append(Claim.at_least(text, gap, bar).because(why, SCENES_SHOWN))
    return claims


def _alarm_claims(found: Found, frames: int) -> list[Claim]:
    ours = found.ours()
    return [
        Claim.at_least(
            "image features: false alarms within what the calibration allows for by chance (99 %), in every seed",
            ours.values("as promised"),
            1.0,
            every=True,
        ).because("One seed in a hundred lies outside by chance.", ALARMS_SHOWN),
        Claim.at_least(
            "image features: alarms under PGD less those of feature squeezing",
            gaps(ours, found.scenes[SQUEEZING], alarmed(PGD)),
            0.0,
        ).because("Squeezing's scores of attacked scenes are far from those of clean ones.", ALARMS_SHOWN),
        Claim.at_most(
            "frames of PGD until evidence adds up to an alarm",
            ours.values(inside("frames until an alarm", PGD)),
            10.0,
        ).because("Many attacked frames look like clean ones.", FILM_SHOWN),
        Claim.at_least(
            "clean frames until evidence adds up to an alarm, as a share of the film, in every seed",
            ours.values(lambda row: row["frames until an alarm"]["clean"] / frames),
            1.0,
            every=True,
        ).because("A few rare frames in a row are enough.", FILM_SHOWN),
    ]


def _knowing_claims(found: Found) -> list[Claim]:
    nobody = found.knowing[""]
    claims = []
    for name in (OURS, SQUEEZING):
        runs = found.knowing[name]
        other = SQUEEZING if name == OURS else OURS
        claims += [
            Claim.at_least(
                f"{name}: alarms under an attacker who knows it", runs.values(inside("alarmed", name)), 0.5
            ).because("Its score has a gradient, and there is room beside it.", KNOWING_SHOWN),
            Claim.at_least(
                f"{name}: mean IoU that its attacker has to leave, more than one who doesn't care",
                gaps(runs, nobody, "score"),
                0.05,
            ).because("Attacks that don't alarm are hardly weaker.", KNOWING_SHOWN),
            Claim.at_least(
                f"{other}: alarms under an attacker who knows {name}",
                runs.values(inside("alarmed", other)),
                0.5,
            ).because(
                "Image features see half of the attacks of one who doesn't care, and fewer of these.", KNOWING_SHOWN
            ),
        ]
    return claims


def _photo_claims(found: Found) -> list[Claim]:
    assert found.photographs is not None
    ours = found.photographs[OURS]
    wide = (
        "Clean photographs differ in these features by more than the attack moves them, and looking at each class by "
        "itself (class distances) helps little."
    )
    attack = next(a for a in ours[0]["auroc"] if a != NOISE)
    return [
        *(
            Claim.at_least(
                f"photographs: image features less {rival}, AUROC under {attack}",
                gaps(ours, found.photographs[rival], auroc(attack)),
                0.0,
            ).because(wide, PHOTOS_SHOWN)
            for rival in (SQUEEZING, JPEG)
            if rival in found.photographs
        ),
        Claim.at_least(f"photographs: image features, AUROC under {attack}", ours.values(auroc(attack)), 0.88).because(
            wide, PHOTOS_SHOWN
        ),
    ]
