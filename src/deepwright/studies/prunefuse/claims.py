"""What is claimed of PruneFuse, and why what doesn't hold doesn't."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, Selection, gaps, ratios
from deepwright.studies.prunefuse.choosing import Trained
from deepwright.studies.prunefuse.selecting import OURS, RANDOM, SEPARATE, UNITS, WHOLE
from deepwright.studies.prunefuse.shown import LABELS_SHOWN, REST_SHOWN, ROUNDS_SHOWN, WAYS_SHOWN
from deepwright.studies.prunefuse.training import FUSED, LONG, MATCHED, SCRATCH, SMALL, STARVED, TEN

_RIVALS = {  # in words, and what may be lost against them
    RANDOM: ("random ones", -0.005),
    WHOLE: ("the whole network's", -0.015),
    SEPARATE: ("a separate small network's", 0.0),
}


def claims_of(selectors: Selection, trained: Trained, rounds: dict[int, Runs]) -> list[Claim]:
    """All of them; those about long trainings where there are some.

    Args:
        selectors: that were chosen.
        trained: whole networks.
        rounds: CPU seconds of a round by width.
    """
    long = [*_long_claims(trained)] if trained.has(LONG, OURS, FUSED) else []
    return [*_fusing_claims(trained), *_label_claims(trained), *long, *_cost_claims(selectors, rounds)]


def _fused_less_scratch(trained: Trained, length: str, other: str = "") -> list[float]:
    return gaps(trained.at(length, OURS, FUSED), trained.at(other or length, OURS, SCRATCH), "test")


def _labels_less(trained: Trained, length: str, rival: str) -> Claim:
    """PruneFuse's labels against another's, by what the whole network learns from them."""
    words, bar = _RIVALS[rival]
    found = gaps(trained.at(length, OURS, SCRATCH), trained.at(length, rival, SCRATCH), "test")
    return Claim.at_least(f"PruneFuse's labels less {words}, from scratch, {length}", found, bar)


def _fusing_claims(trained: Trained) -> list[Claim]:
    ours, starved = trained.at(SMALL, OURS, FUSED), _fused_less_scratch(trained, STARVED)
    never = "Both learn alike for so long, and what was copied is forgotten."
    claims = [
        Claim.at_least(f"fused less scratch on PruneFuse's labels, {STARVED}", starved, 0.025).because(
            never, WAYS_SHOWN
        ),
        Claim.at_least(f"fused less scratch, {STARVED}, in every seed", starved, 0.01, every=True).because(
            "In one seed scratch isn't starved.", WAYS_SHOWN
        ),
        Claim.at_least(f"fused less scratch, {SMALL}", _fused_less_scratch(trained, SMALL), 0.025).because(
            "At its best learning rate scratch learns nearly as much in as many steps.", WAYS_SHOWN
        ),
        Claim.at_least(f"fused less scratch, {TEN}", _fused_less_scratch(trained, TEN), -0.01).because(
            "What was copied holds the network back.", WAYS_SHOWN
        ),
        Claim.at_least(
            f"random rest less zeros in the rest, {SMALL} (zeros never wake)",
            gaps(ours, trained.at(SMALL, OURS, f"{FUSED}, zero"), "test"),
            0.0,
        ).because("In so few steps the rest adds nothing, random or zero.", REST_SHOWN),
    ]
    if trained.has(MATCHED, OURS, SCRATCH):
        claims.append(
            Claim.at_least(
                f"fused, {SMALL}, less scratch with the selector's training in its place, {MATCHED}",
                _fused_less_scratch(trained, SMALL, MATCHED),
                0.0,
            ).because("The same MACs in the whole network itself teach it as much or more.", WAYS_SHOWN)
        )
    return claims


def _label_claims(trained: Trained) -> list[Claim]:
    ours = trained.at(TEN, OURS, SCRATCH)
    alike = "Which small network chooses makes less difference than the draw of digits and weights does."
    return [
        _labels_less(trained, TEN, RANDOM).because(
            "Hard digits alone teach a network that trains for so short less than any do.", LABELS_SHOWN
        ),
        _labels_less(trained, TEN, WHOLE).because(
            "A smaller network knows less well what the whole one doesn't.", LABELS_SHOWN
        ),
        _labels_less(trained, TEN, SEPARATE).because(alike, LABELS_SHOWN),
        Claim.at_least(
            f"labels by units that L2 keeps less by units at random, from scratch, {TEN}",
            gaps(ours, trained.at(TEN, UNITS, SCRATCH), "test"),
            -0.01,
        ).because(alike, LABELS_SHOWN),
    ]


def _long_claims(trained: Trained) -> list[Claim]:
    ours = trained.at(LONG, OURS, FUSED)
    late = "What was copied holds the network back: it ends below what the same labels teach one from scratch."
    return [
        Claim.at_least(f"fused less scratch, {LONG}", _fused_less_scratch(trained, LONG), 0.0).because(
            late, WAYS_SHOWN
        ),
        *(
            _labels_less(trained, LONG, rival).because(
                "The choice makes less difference than the draw of digits and weights does.", LABELS_SHOWN
            )
            for rival in _RIVALS
        ),
        Claim.at_least(
            f"the whole way, {LONG}: PruneFuse's labels and fused, less the whole network's labels from scratch",
            gaps(ours, trained.at(LONG, WHOLE, SCRATCH), "test"),
            -0.01,
        ).because("Either its labels or its start cost accuracy: see both.", LABELS_SHOWN),
        Claim.at_least(
            f"the whole way, {LONG}: PruneFuse's labels and fused, less a separate small network's from scratch",
            gaps(ours, trained.at(LONG, SEPARATE, SCRATCH), "test"),
            0.0,
        ).because(late, WAYS_SHOWN),
    ]


def _cost_claims(selectors: Selection, rounds: dict[int, Runs]) -> list[Claim]:
    by_name = selectors.runs.by("name")
    narrow, wide = min(rounds), max(rounds)
    overhead = "At this width calls cost more than their MACs do."
    text = "CPU seconds of a round (2 epochs on 400, scores of 2,000 digits of 28 x 28): whole network over pruned one"
    return [
        Claim.at_most(
            "MACs of selection against the whole network's (p = 0.5)",
            ratios(by_name[OURS], by_name[WHOLE], "macs"),
            0.25 * 1.35,
        ).because("Stem and classifier don't shrink by the square.", LABELS_SHOWN),
        *(
            Claim.at_least(
                f"{text}, width {width}",
                [row[WHOLE] / row[OURS] for row in rounds[width]],
                2.0,
                timing=True,
                basis="seeds; one round each, one after the other",
            ).because(overhead, ROUNDS_SHOWN)
            for width in (wide, narrow)
        ),
    ]
