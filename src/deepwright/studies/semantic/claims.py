"""What is claimed of detection, and why what doesn't hold doesn't."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import gaps, inside
from deepwright.studies.semantic.shown import (
    ALARMS_SHOWN,
    DENSE,
    FILM_SHOWN,
    FILTERED_SHOWN,
    KNOWING_SHOWN,
    LEARNT_SHOWN,
    NETWORK_SHOWN,
    NOISE,
    OTHERS_SHOWN,
    PGD,
    PHOTOS_SHOWN,
    SCENES_SHOWN,
    SEGPGD,
    UNCERTAINTY,
    WEATHER_SHOWN,
    Found,
    alarmed,
    auroc,
    score,
    weather,
)
from deepwright.studies.semantic.trials import BOTH, FUSED, JPEG, OURS, SQUEEZING, SUPERVISED


def claims_of(found: Found) -> list[Claim]:
    """All of them; those against detectors that were run, and about photographs where there were some.

    Args:
        found: everything.
    """
    return [
        *_network_claims(found),
        *_detector_claims(found),
        *_alarm_claims(found),
        *_knowing_claims(found),
        *_beside_claims(found),
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
    undone = "Squeezing takes the attack away and leaves the scene, whatever its features are."
    rivals = {
        SQUEEZING: (undone, FILTERED_SHOWN),
        JPEG: (undone, FILTERED_SHOWN),
        UNCERTAINTY: ("Attacks that leave the network unsure are told by that alone.", SCENES_SHOWN),
        DENSE: ("Each position by itself says as much.", SCENES_SHOWN),
        "nearest features": ("Distances to single scenes need no shape of the cloud.", SCENES_SHOWN),
        FUSED: ("Two scores see more than one.", SCENES_SHOWN),
        SUPERVISED: ("Who is shown attacks knows in which direction to look.", SCENES_SHOWN),
    }
    for rival, (why, where) in rivals.items():
        if rival in found.scenes:
            for attack, bar in ((PGD, 0.04 if rival == UNCERTAINTY else 0.0), (SEGPGD, 0.0)):
                gap = gaps(ours, found.scenes[rival], auroc(attack))
                text = f"image features less {rival}: AUROC under {attack}"
                claims.append(Claim.at_least(text, gap, bar).because(why, where))
    return claims


def _alarm_claims(found: Found) -> list[Claim]:
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
            "clean frames between alarms of summed evidence",
            found.beside.values(inside("between", "b = 6")),
            500.0,
        ).because("How many depends on which 400 scenes were drawn to calibrate on.", FILM_SHOWN),
    ]


def _knowing_claims(found: Found) -> list[Claim]:
    nobody, both = found.knowing[""], found.knowing[BOTH]
    slope = "Its score has a gradient, or passes one on, and there is room beside it."
    weak = "Attacks that don't alarm are hardly weaker."
    claims = []
    for name in (OURS, SQUEEZING, JPEG):
        runs = found.knowing[name]
        own = runs.values(inside("alarmed", name))
        claims += [
            Claim.at_least(f"{name}: alarms under an attacker who knows it", own, 0.5).because(slope, KNOWING_SHOWN),
            Claim.at_least(
                f"{name}: mean IoU that its attacker has to leave, more than one who doesn't care",
                gaps(runs, nobody, "score"),
                0.05,
            ).because(weak, KNOWING_SHOWN),
        ]
    for name, other in ((OURS, SQUEEZING), (SQUEEZING, OURS)):
        seen = found.knowing[name].values(inside("alarmed", other))
        claims.append(
            Claim.at_least(f"{other}: alarms under an attacker who knows {name}", seen, 0.5).because(
                "Image features see half of the attacks of one who doesn't care, and fewer of these.", KNOWING_SHOWN
            )
        )
    cost = gaps(both, nobody, "score")
    return [
        *claims,
        Claim.at_least(
            f"{BOTH}: mean IoU that the attacker of both has to leave, more than one who doesn't care", cost, 0.05
        ).because(weak, KNOWING_SHOWN),
    ]


def _beside_claims(found: Found) -> list[Claim]:
    runs = found.beside
    names = list(runs[0]["auroc"])

    def gap(a: str, b: str, attack: str) -> list[float]:
        return runs.values(lambda row: row["auroc"][a][attack] - row["auroc"][b][attack])

    claims = [
        Claim.at_least(
            f"image features less feature squeezing: AUROC under {attack}", gap(OURS, SQUEEZING, attack), 0.0
        ).because("What squeezing undoes it sees, whatever the attack.", OTHERS_SHOWN)
        for attack in runs[0]["auroc"][OURS]
    ]
    if DENSE in names:
        claims.append(
            Claim.at_least(f"{DENSE} less image features: AUROC of a patch", gap(DENSE, OURS, "patch"), 0.0).because(
                "A patch moves whole channels' deviations, too.", OTHERS_SHOWN
            )
        )
    more = runs.values(lambda row: weather(OURS)(row) - weather(SQUEEZING)(row))
    learnt = runs.values(inside("shown weather", OURS, "weather"))
    area = runs.values(inside("shown weather", OURS, "auroc"))
    return [
        *claims,
        Claim.at_most("image features: alarms in light weather", runs.values(weather(OURS)), 0.1).because(
            "It tells what doesn't look like the clean scenes, and weather doesn't.", WEATHER_SHOWN
        ),
        Claim.at_most("image features less feature squeezing: alarms in light weather", more, 0.0).because(
            "Weather moves features more than it moves what squeezing undoes.", WEATHER_SHOWN
        ),
        Claim.at_most("image features, shown weather: alarms in it", learnt, 0.1).because(
            "Other scenes in the same weather differ from those that were shown.", LEARNT_SHOWN
        ),
        Claim.at_least(f"image features, shown weather: AUROC under {PGD}", area, 0.8).because(
            "With weather among the clean ones an attack is one more.", LEARNT_SHOWN
        ),
    ]


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
