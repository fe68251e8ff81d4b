"""Surgery at three budgets, trained again alike, against a peer and masks, and on networks that nobody here wrote."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Claim, StudyResult
from deepwright.studies import Settings
from deepwright.studies._clock import MEDIAN
from deepwright.studies._frame import Runs, cross, gaps, mean, over_trials, run_grid, select, study_result
from deepwright.studies._retraining import spread
from deepwright.studies.surgery.foreign_networks import SHARE, foreign
from deepwright.studies.surgery.peer import version
from deepwright.studies.surgery.shown import (
    FOREIGN,
    LATENCY,
    TRAINED,
    Arms,
    Speed,
    accuracy_table,
    figures,
    foreign_table,
    latency_table,
)
from deepwright.studies.surgery.trials import FEW, PEER, SHARES, SIZES, latencies, trial

LIMITS = (
    "Accuracy is that of one small ResNet on digits after one epoch; networks from elsewhere are cut and proved, not "
    "trained.",
    "Latency is one processor's, one thread, batches of 32 through one ResNet-20 with units drawn at random; "
    "accelerators and other runtimes aren't measured, and small differences are within the machine's noise.",
    "What cutting itself costs isn't timed here; in `benchmarks/` torch-pruning, which proves nothing, is faster.",
    "torch-pruning's default call isn't its best: told the number of heads, and with the sizes that attention keeps "
    "set by hand, a cut of a quarter ran through the ViT and the BERT here as well (tried once, beside the study), "
    "through GPT-2 not. That a network runs doesn't say that it is what the cut should leave.",
)


def run(settings: Settings) -> StudyResult:
    """A ResNet cut to 75, 50 and 25 % of its MACs: accuracy, size, latency; networks from elsewhere; masks."""
    quick = settings.quick
    seeds = settings.seeds_or(range(100, 101 if quick else 105))
    sizes = FEW if quick else SIZES
    runs = run_grid(trial, cross(seed=seeds, **sizes), settings, "model-surgery")
    cuts = run_grid(foreign, cross(seed=seeds, few=quick), settings, "networks from elsewhere")
    others, speed = [row for rows in cuts for row in rows], latencies(quick)
    rows = spread(runs, "arm", "share", "lr")
    named = tuple({**spec, "share": _asked(spec["share"])} for spec in rows.specs)
    chosen = select(
        Runs(named, rows.rows),
        arms=("share", "arm"),
        over=("lr",),
        by="validation",
        largest=True,
        words="validation accuracy after the training",
        data=f"{sizes['judged']:,} digits of each seed that are neither trained nor tested on",
        budget=f"one epoch of the {sizes['trained']:,} training digits, from the cut",
    )
    arms = chosen.runs.by("share", "arm")
    size = (
        f"ResNet-{sizes['depth']} of {sizes['width']} channels at first on 14 x 14 digits, means over {len(seeds)} "
        f"seeds, test accuracy; one epoch of {sizes['trained']:,} digits from each cut"
    )
    return study_result(
        "model-surgery",
        [runs, cuts],
        seeds=seeds,
        claims=[*_accuracy_claims(arms, runs), *_speed_claims(speed), *_foreign_claims(cuts)],
        tables=[accuracy_table(arms, runs, size), latency_table(speed), foreign_table(others, SHARE)],
        figures=figures(arms, speed),
        summary=_summary(arms, speed, cuts),
        arms=chosen.arms,
        limits=LIMITS,
        settings={**sizes, "torch-pruning": version() or "not installed"},
    )


def _asked(share: float) -> str:
    return f"{share:.0%} of the MACs"


def _against(arms: Arms, one: str, other: str, share: float) -> list[float]:
    """Seed by seed: test accuracy after training minus another importance's."""
    return gaps(arms[_asked(share), one], arms[_asked(share), other], "test")


def _mean_gaps(arms: Arms, one: str, other: str) -> list[float]:
    return [mean(found) for found in zip(*(_against(arms, one, other, share) for share in SHARES))]


def _lost(arms: Arms, name: str, share: float) -> list[float]:
    return [row["test"] - row["dense"] for row in arms[_asked(share), name]]


def _accuracy_claims(arms: Arms, runs: Runs) -> list[Claim]:
    claims = [
        Claim.at_most(
            "each of our cuts equals its masked original (largest difference, float64)",
            [max(row["error"] for row in trial["rows"]) for trial in runs],
            1e-9,
            every=True,
        ),
        Claim.at_least(
            "half of the MACs (Taylor) after one epoch: accuracy within 1 point of the dense network",
            _lost(arms, "taylor", 0.5),
            -0.01,
        ).because("One epoch doesn't mend a cut of half of the MACs, by whichever importance it is made.", TRAINED),
    ]
    mended = "One epoch mends a cut at random nearly as well as any, and better than some."
    for one, other, words in (
        ("taylor", "random", "Taylor above units chosen at random"),
        ("l2", "random", "L2 above units chosen at random"),
        ("taylor", "l2", "Taylor above L2"),
    ):
        text = f"{_asked(SHARES[-1])} after one epoch: {words}"
        claims.append(Claim.at_least(text, _against(arms, one, other, SHARES[-1]), 0.0).because(mended, TRAINED))
    if (_asked(SHARES[0]), PEER) in arms:
        theirs = (
            "Five seeds spread by more than the two differ; what the two do otherwise with the scores of coupled "
            "layers isn't told apart here."
        )
        claims += [
            Claim.at_least(
                f"after one epoch: L2 not below torch-pruning's L2 by more than 0.005 ({words})", values, -0.005
            ).because(theirs, TRAINED)
            for words, values in (
                ("mean over three shares", _mean_gaps(arms, "l2", PEER)),
                (_asked(SHARES[-1]), _against(arms, "l2", PEER, SHARES[-1])),
            )
        ]
    return claims


def _gains(speed: Speed, key: Any) -> tuple[float, float]:
    """How much faster than dense, in eager PyTorch and in ONNX Runtime."""
    return speed[1.0][0] / speed[key][0], speed[1.0][1] / speed[key][1]


def _speed_claims(speed: Speed) -> list[Claim]:
    how: dict[str, Any] = {"timing": True, "basis": MEDIAN}
    eager, onnx = _gains(speed, 0.25)
    masked = speed["mask"][0] / speed[1.0][0]
    small = "What doesn't shrink with the widths (calls, memory) is most of a small network's time."
    return [
        Claim.at_least("25 % of the MACs: ONNX Runtime at least 1.5x faster", onnx, 1.5, **how).because(small, LATENCY),
        Claim.at_least("25 % of the MACs: eager PyTorch at least 1.5x faster", eager, 1.5, **how).because(
            small, LATENCY
        ),
        Claim.at_least(
            "75 % of the MACs with any width: ONNX Runtime at least as fast as dense",
            _gains(speed, 0.75)[1],
            1.0,
            **how,
        ).because(
            "Its kernels work on blocks of channels: widths in between cost as much as the next block, or more.",
            LATENCY,
        ),
        Claim.at_least(
            "75 % of the MACs, widths in multiples of 8: ONNX Runtime at least as fast as dense",
            _gains(speed, "0.75/8")[1],
            1.0,
            **how,
        ).because(small, LATENCY),
        Claim.at_least(
            "a mask of the same units isn't faster: time over the dense network's", masked, 0.9, **how
        ).because("The machine was busy: a mask leaves every operation as it was.", LATENCY),
    ]


def _foreign_claims(cuts: Runs) -> list[Claim]:
    why = "An operation there has no rule, or its proof found a difference."
    return [
        Claim.at_least(
            f"networks from elsewhere at {SHARE:.0%} of their MACs: share {text}, in every seed",
            [mean([row[key] for row in rows]) for rows in cuts],
            1.0,
            every=True,
        ).because(why, FOREIGN)
        for key, text in (("proved", "cut and proved"), ("agrees", "whose ONNX file agrees"))
    ]


def _above_random(arms: Arms) -> str:
    """Which importances end above units at random at the smallest share, as a sentence begins with it."""
    names = {"L2": "l2", "Taylor": "taylor"}
    above = [word for word, n in names.items() if over_trials(_against(arms, n, "random", SHARES[-1])).low > 0]
    return {0: "neither L2 nor Taylor is", 1: f"{''.join(above)} alone is", 2: "both L2 and Taylor are"}[len(above)]


def _summary(arms: Arms, speed: Speed, cuts: Runs) -> str:
    def gap(one: str, other: str) -> str:
        return f"{over_trials(_against(arms, one, other, SHARES[-1])):+.4f}"

    proved = mean([row["proved"] for rows in cuts for row in rows])
    fits = [row["peer"] == "runs" for row in cuts[0]]
    peer = ""
    if (_asked(SHARES[0]), PEER) in arms:
        over = over_trials(_mean_gaps(arms, "l2", PEER))
        peer = (
            f" Our L2 is {gap('l2', PEER)} against torch-pruning's there, {over:+.4f} as a mean over three shares; "
            f"called without hints, {sum(fits)} of the {len(fits)} networks from elsewhere run after its cut."
        )
    any_width, eights = ([_gains(speed, f"{share}{end}" if end else share) for share in SHARES] for end in ("", "/8"))
    masked = speed["mask"][0] / speed[1.0][0]
    lost = over_trials(_lost(arms, "taylor", SHARES[-1]))
    return (
        f"After the same training, with learning rates chosen alike, at a quarter of the MACs {_above_random(arms)} "
        f"shown to be above units at random: {gap('l2', 'random')} and {gap('taylor', 'random')} in test accuracy; "
        f"Taylor is {gap('taylor', 'l2')} against L2, and {lost:+.4f} against the dense network (at half of the MACs "
        f"{mean(_lost(arms, 'taylor', SHARES[1])):+.4f}).{peer} In ONNX Runtime 75 % of the MACs are "
        f"{any_width[0][1]:.2f}x as fast as dense with any width ({any_width[0][0]:.2f}x in eager PyTorch) and "
        f"{eights[0][1]:.2f}x with multiples of 8, half of them {any_width[1][1]:.2f}x and {eights[1][1]:.2f}x; a "
        f"quarter with any width is {any_width[2][1]:.2f}x as fast there and {any_width[2][0]:.2f}x in eager PyTorch. "
        f"A mask takes {masked:.2f} of the dense network's time. {proved:.0%} of the cuts of {len(fits)} networks "
        "from elsewhere were proved."
    )
