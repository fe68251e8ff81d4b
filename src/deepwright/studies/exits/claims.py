"""What is claimed of exits, and why what doesn't hold doesn't."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepwright.core.results import Claim
from deepwright.studies._frame import Runs, gaps
from deepwright.studies.exits.choosing import Chosen
from deepwright.studies.exits.detectors import ALONE, CUTS, EQUAL, FRONT, HALF, JOINT
from deepwright.studies.exits.shown import (
    DETECTORS_SHOWN,
    EXITS_SHOWN,
    FILMS_SHOWN,
    SKIPPERS_SHOWN,
    TIMES_SHOWN,
    of_exit,
)


def _at(cut: str, key: str) -> Callable[[Any], float]:
    return of_exit(cut, 0.05, key)


def claims_of(runs: Runs, picked: Chosen, repeats: int) -> list[Claim]:
    """All of them.

    Args:
        runs: the trials.
        picked: what was taken.
        repeats: of timings.
    """
    return [*_own_claims(runs, picked), *_rival_claims(runs, picked), *_clock_claims(runs, picked.cut, repeats)]


def _missed(change: float, missed: float, stricter: float, fewer: float) -> str:
    """What missing whole frames costs, at a bound of 5 % and one of 2 %: changes of precision, and shares."""
    return (
        f"Precision falls with the share of frames that are missed whole: it changes by {change:.4f} where "
        f"{missed:.1%} are, and with a bound of 2 % by {stricter:.4f} where {fewer:.1%} are."
    )


def _own_claims(runs: Runs, picked: Chosen) -> list[Claim]:
    cut, early = picked.cut, [c for c in CUTS if runs.mean(_at(c, "before")) <= 0.10]
    return [
        Claim.at_least(
            "half of the frames empty, false skips certified below 5 %: static over expected MACs",
            runs.values(_at(cut, "speedup")),
            1.2,
        ).because("Too few frames leave.", EXITS_SHOWN),
        Claim.at_least(
            "certified below 5 %: change of mean average precision", runs.values(_at(cut, "change")), -0.02
        ).because(
            _missed(*(runs.mean(of_exit(cut, bound, k)) for bound in (0.05, 0.02) for k in ("change", "false skip"))),
            EXITS_SHOWN,
        ),
        Claim.at_most(
            "certified below 5 %: share of test frames with objects that are skipped",
            runs.values(_at(cut, "false skip")),
            0.05,
        ).because("The certificate is about each seed with 95 %, not about their mean.", EXITS_SHOWN),
        Claim.at_most(
            "certified below 5 %: lower end of that share's 95 % interval, in every seed",
            runs.values(_at(cut, "false skip, low")),
            0.05,
            every=True,
        ).because("A certificate at 95 % may fail once in twenty.", EXITS_SHOWN),
        Claim.at_least(
            "an exit within the first 10 % of the MACs tells empty frames: area under the curve",
            [max(_at(c, "auc")(row) for c in early) for row in runs],
            0.85,
        ).because("Early maps don't tell.", EXITS_SHOWN),
        Claim.at_least(
            "no empty frames: expected over static MACs is at least 1 (a miss is no saving), in every seed",
            runs.values(_at(cut, "never empty")),
            1.0,
            every=True,
        ).because("A saving was counted where nothing may leave.", EXITS_SHOWN),
        Claim.at_least(
            "training with exits: precision of the whole detector less that of one trained alone",
            [row[JOINT]["precision"] - row[ALONE]["precision"] for row in runs],
            -0.01,
        ).because("Heads and detector share the first stages, and pull at them in different ways.", DETECTORS_SHOWN),
    ]


def _rival_claims(runs: Runs, picked: Chosen) -> list[Claim]:
    kept, fast = _at(picked.cut, "precision"), _at(picked.cut, "speedup")
    smaller = "What a smaller detector reaches differs more from seed to seed than the two are apart."
    standing, moving = picked.on_films["camera stands"], picked.on_films["camera moves"]
    return [
        Claim.at_least(
            "above random skips at the same rate, in mean average precision",
            gaps(runs, runs, _at(picked.cut, "change"), _at(picked.cut, "random")),
            0.05,
        ).because("The exit hardly tells empty frames.", SKIPPERS_SHOWN),
        *(
            Claim.at_least(
                f"precision with skips less that of the detector {arm!r}",
                [kept(row) - row[arm]["precision"] for row in runs],
                0.0,
            ).because(smaller, DETECTORS_SHOWN)
            for arm in (EQUAL, HALF)
        ),
        Claim.at_least(
            "shared features: static over expected MACs less that with a separate network in front",
            gaps(runs, runs, fast, lambda row: row[FRONT][picked.front]["speedup"]),
            0.0,
        ).because("A network of its own that costs a hundredth of the MACs tells nearly as well.", SKIPPERS_SHOWN),
        Claim.at_least(
            "camera moves: share of empty frames skipped at 5 %, the exit's less the frame difference's",
            gaps(*moving, "empty skipped"),
            0.0,
        ).because("The exit doesn't tell these frames.", FILMS_SHOWN),
        Claim.at_least(
            "camera stands: share of empty frames skipped at 5 %, the exit's less the frame difference's",
            gaps(*standing, "empty skipped"),
            0.0,
        ).because(
            "Before a background that stands still whatever is new differs; an exit may be wrong about a whole film.",
            FILMS_SHOWN,
        ),
    ]


def _clock_claims(runs: Runs, cut: str, repeats: int) -> list[Claim]:
    measured = f"seeds; medians of {repeats} calls each, on one thread, taking turns"
    return [
        Claim.at_most(
            "a batch of 64 of which 51 leave: CPU time over the static network's",
            runs.values(lambda row: row["times"][cut]["64, 51 leave"]["cpu"]),
            0.45,
            timing=True,
            basis=measured,
        ).because(
            "The first stages have few MACs and large maps: a batch that leaves whole takes several times their share.",
            TIMES_SHOWN,
        ),
        Claim.at_most(
            "a batch of 64 of which none leaves: CPU time over the static network's",
            runs.values(lambda row: row["times"][cut]["64, none leave"]["cpu"]),
            1.15,
            timing=True,
            basis=measured,
        ).because("The head looks at a large map, and pieces are run one by one.", TIMES_SHOWN),
    ]
