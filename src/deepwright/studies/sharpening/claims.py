"""What is claimed of sharpening, and why what doesn't hold doesn't."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, gaps, inside, mean, ratios
from deepwright.studies.sharpening import imagenet
from deepwright.studies.sharpening.shown import AT, BEST_SHOWN, EQUAL_SHOWN, PHOTO_SHOWN, RETRAINED_SHOWN, Found
from deepwright.studies.sharpening.trials import BILEVEL, FAST, NONE, OURS

TRANSFER, GREY, WHITE, BACK = "stranger", "surrogate", "white box", "reversion"


def claims_of(found: Found) -> list[Claim]:
    """All of them; those about photographs where there were some.

    Args:
        found: everything.
    """
    photos = _photo_claims(found) if found.has_photographs else []
    large = [] if found.imagenet is None else imagenet.claims_of(found.imagenet)
    waves = [*_equal_claims(found), *_rival_claims(found), *_attacker_claims(found), *_other_claims(found)]
    return [*waves, *photos, *large]


def _less(a: Runs, b: Runs, what: str) -> list[float]:
    return gaps(a, b, what)


def _equal_claims(found: Found) -> list[Claim]:
    """At the squared error of sharpening with a strength of 0.25."""
    none, ours = found.at(NONE), found.at(OURS)
    amplitude = "Contrast of the same error leaves more, and costs fewer pictures that aren't attacked."
    return [
        Claim.at_least(
            "waves: sharpened less not, after an attack on a stranger", _less(ours, none, TRANSFER), 0.0
        ).because(
            "What it gains against the attack it loses in part on pictures that aren't attacked: see the first column.",
            EQUAL_SHOWN,
        ),
        Claim.at_least(
            "waves: sharpened less contrast at the same error, after an attack on a stranger",
            _less(ours, found.at("contrast"), TRANSFER),
            0.0,
        ).because(amplitude, EQUAL_SHOWN),
        Claim.at_least(
            "waves: sharpened less unsharp mask at the same error, after an attack on a stranger",
            _less(ours, found.at("unsharp mask"), TRANSFER),
            0.0,
        ).because("The two differ by less than the seeds do.", EQUAL_SHOWN),
        Claim.at_most(
            "waves: blurred at the same error less not, after an attack on a stranger",
            _less(found.at("blur"), none, TRANSFER),
            -0.02,
        ).because("A blur of this error takes little of the waves.", EQUAL_SHOWN),
        Claim.at_most(
            "waves: noise of the same error less none, after an attack on a stranger",
            _less(found.at("noise"), none, TRANSFER),
            0.0,
        ).because("What noise of this error costs is within what five seeds can tell from nothing.", EQUAL_SHOWN),
    ]


def _rival_claims(found: Found) -> list[Claim]:
    """Each way at its best setting."""
    ours = found.best(OURS)
    claims = [
        Claim.at_least(
            f"waves: {rival} less sharpened, each at its best, after an attack on {who}",
            _less(found.best(rival), ours, what),
            0.05,
        ).because("The surrogate's gradients say little about the target.", BEST_SHOWN)
        for rival in (BILEVEL, FAST)
        for who, what in (("a stranger", TRANSFER), ("the network that it asked", GREY))
    ]
    claims += [
        Claim.at_most(
            f"waves: squared error of {rival} over that of sharpening, each at its best",
            ratios(found.best(rival), ours, "error"),
            1.0,
        ).because(
            "The strength that validation prefers differs from seed to seed, and the error with its square.", BEST_SHOWN
        )
        for rival in (BILEVEL, FAST)
    ]
    claims.append(
        Claim.at_least(
            "waves: sharpened less contrast, each at its best, after an attack on a stranger",
            _less(ours, found.best("contrast"), TRANSFER),
            0.0,
        ).because("Contrast leaves more at equal error already, and keeps more that isn't attacked.", BEST_SHOWN)
    )
    return claims


def _attacker_claims(found: Found) -> list[Claim]:
    none, ours = found.at(NONE), found.at(OURS)
    return [
        Claim.at_least(
            "waves: sharpened less not, after an attack on the target itself", _less(ours, none, WHITE), 0.0
        ).because(
            "The target isn't trained on sharpened pictures: see the rows of targets trained on what they read.",
            RETRAINED_SHOWN,
        ),
        Claim.at_least(
            "waves: the same with a target that is trained on sharpened pictures, and its control on plain ones anew",
            _retrained(ours, none),
            0.0,
        ).because(
            "What an attacker with the target's gradients does doesn't depend on the amplitude alone.", RETRAINED_SHOWN
        ),
        Claim.at_least(
            "waves: trained on sharpened pictures less trained on contrast of the same error, each reading its own",
            _retrained(ours, found.at("contrast")),
            0.0,
        ).because("Training on what is published does for contrast what it does for sharpening.", RETRAINED_SHOWN),
        Claim.at_least(
            "waves: sharpened less not, after an attack by who undoes it first", gaps(ours, none, BACK, TRANSFER), 0.0
        ).because("Who undoes it leaves about as little as who doesn't; the gain itself isn't shown.", EQUAL_SHOWN),
    ]


def _retrained(a: Runs, b: Runs) -> list[float]:
    return gaps(a, b, inside("retrained", WHITE))


def _other_claims(found: Found) -> list[Claim]:
    none, ours = found.at(NONE), found.at(OURS)
    texture = [row["texture"]["laplacian"] for row in none]
    plain = [row["texture"]["contrast"] - row["texture"]["laplacian"] for row in none]
    return [
        Claim.at_least(
            "waves: rank correlation of a picture's texture with the budget that fools it", texture, 0.3
        ).because("Most of what Laplacians see is noise.", EQUAL_SHOWN),
        Claim.at_least("waves: contrast's rank correlation with that budget less texture's", plain, 0.0).because(
            "Both see the same.", EQUAL_SHOWN
        ),
        Claim.at_least(
            "waves: share left by an attack that stops at its own network's first success less that of its last step",
            [row["first success"] - row[TRANSFER] for row in none],
            0.05,
        ).because("It stops late.", EQUAL_SHOWN),
        Claim.at_least(
            "CPU time of the bi-level search over sharpening's",
            mean(found.best(BILEVEL).values("seconds")) / mean(ours.values("seconds")),
            100.0,
            n=len(ours),
            timing=True,
            basis="seeds; mean time of a picture",
        ).because("A few steps on a small network are cheap.", BEST_SHOWN),
    ]


def _photo_claims(found: Found) -> list[Claim]:
    none, ours = found.photo(NONE, AT), found.photo(OURS, AT)
    return [
        Claim.at_least(
            "photographs: sharpened less not, after an attack on the surrogate", _less(ours, none, GREY), 0.0
        ).because(
            "The target reads sharpened photographs less well, and loses more by that than the attack loses.",
            PHOTO_SHOWN,
        ),
        Claim.at_least(
            "photographs: sharpened less contrast at the same error, after an attack on the surrogate",
            _less(ours, found.photo("contrast", AT), GREY),
            0.0,
        ).because("As with waves: amplitude counts.", PHOTO_SHOWN),
        Claim.at_least(
            "photographs: sharpened at its best less not, after an attack on the surrogate",
            _less(found.best_photo(OURS), none, GREY),
            0.0,
        ).because("The least strength that was tried costs the target pictures already.", PHOTO_SHOWN),
        Claim.at_least(
            "photographs: fast preemption less sharpened, each at its best, after an attack on the surrogate",
            _less(found.best_photo(FAST), found.best_photo(OURS), GREY),
            0.05,
        ).because("The surrogate is a poor reader of these photographs.", PHOTO_SHOWN),
    ]
