"""Feature switches by code length: is it foretold from how many samples on a network drops a shortcut?"""

from __future__ import annotations

from deepwright.core.results import Arm, StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, study_result
from deepwright.studies.prequential.claims import claims_of
from deepwright.studies.prequential.measures import RULES, settings_of
from deepwright.studies.prequential.shown import Found, figures, summary, tables
from deepwright.studies.prequential.trials import BANKS, FLIPS, SHARES, SIZES, colour_trial, watermark_trial

LIMITS = (
    "The 5,000 digits of a package at 14 x 14 pixels and one small perceptron, at most 400 steps: no convolutional "
    "network, no EMNIST, and 3,600 samples where the paper goes to 250,000.",
    "Two features at a time; in the second part colour belongs to the watermark, without which it says nothing.",
    "Costs are areas under measured curves: 13 sizes, of which the last four span most of the area, and validation "
    "samples (600, for stopping and calibration) that aren't charged.",
    "Where labels are flipped the digit isn't learnt to the end by 3,600 samples, so that its cost is one from below.",
    "The observed switch is that of accuracy lost by permuting 200 test samples: another measure of reliance may cross "
    "elsewhere.",
    "Intervals resample seeds, each with a split and colours of its own, of the same 5,000 digits.",
    "Rules are compared at three reliabilities of one shortcut: none is shown to be better in general.",
)
_QUICK = (1, 4, 16, 64, 256, 1024, 3600)


def run(settings: Settings) -> StudyResult:
    """Colour against digit at three reliabilities, digit against watermark with three banks."""
    quick = settings.quick
    seeds = settings.seeds_or(range(300, 302 if quick else 308))
    few = list(seeds)[: 1 if quick else 6]
    shares, banks = (SHARES[1:2], BANKS[:1]) if quick else (SHARES, BANKS)
    sizes, steps = (_QUICK, 100) if quick else (SIZES, 400)
    same = {"sizes": [sizes], "steps": steps}
    colours = run_grid(colour_trial, cross(seed=seeds, shares=[shares], **same), settings, "prequential, colours")
    marks = run_grid(watermark_trial, cross(seed=few, banks=[banks], **same), settings, "prequential, watermarks")
    found = Found(
        colours,
        marks,
        settings_of(colours.rows, "colour", shares),
        settings_of(marks.rows, "watermark", banks),
    )
    return study_result(
        "simplicity-bias",
        [colours, marks],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables(found),
        figures=figures(found),
        summary=summary(found),
        arms=[Arm(name, "nothing is chosen", budget="reads the same trained networks") for name in RULES.values()],
        limits=LIMITS,
        settings={"sizes": list(sizes), "steps": steps, "flipped, second part": FLIPS, "seeds, second part": few},
    )
