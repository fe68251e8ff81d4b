"""The page of the sharpening study on made-up trials: it keeps the rules of evidence, and its claims can fail."""

import pytest
import torch

from deepwright.core.randomness import generator
from deepwright.studies import evidence_faults
from deepwright.studies._frame import Runs, study_result
from deepwright.studies.sharpening.claims import claims_of
from deepwright.studies.sharpening.shown import LIMITS, arms_of, figures_of, summary_of, tables_of
from deepwright.studies.sharpening.trials import OURS

SEEDS = tuple(range(100, 105))
ARMS = ("none", OURS, "bi-level", "fast", "JPEG of quality 75", "5 bits", "contrast", "unsharp mask", "noise", "blur")


def trial(seed, gain):
    """Shares around 0.6; sharpening's are so much higher."""

    drawn = iter(torch.rand(200, generator=generator(seed, "made up")).mul(0.01).tolist())
    rows = {}
    for arm in ARMS:
        kinds = ["none", "transfer", "grey box", "white box"] + (["reversion"] if arm == OURS else [])
        right = {kind: 0.6 + (gain if arm == OURS else 0.0) + next(drawn) for kind in kinds}
        error = 0.0 if arm == "none" else 0.005 + next(drawn) * 0.01
        rows[arm] = {"error": error, "met": 1.0, "ssim": 0.9, "seconds": 1e-5 + next(drawn), "right": right}
    return {
        "rows": rows,
        "redrawn": 0,
        "accuracy": {"surrogate": 0.9 + next(drawn), "target": 0.9},
        "texture": {k: 0.4 + next(drawn) for k in ("laplacian", "gradient", "deviation", "contrast")},
        "front": {k: 0.5 + next(drawn) for k in ("none", "clean", "through", "forgotten")},
    }


def runs(gain):
    return Runs(tuple({"seed": s} for s in SEEDS), tuple(trial(s, gain) for s in SEEDS), seconds=1.0)


@pytest.mark.parametrize("gain", [-0.1, 0.0, 0.1])
@pytest.mark.parametrize("photographs", [True, False])
def test_the_page_keeps_the_rules(gain, photographs):
    waves, other = runs(gain), runs(gain) if photographs else None
    result = study_result(
        "sharpening",
        [waves],
        seeds=SEEDS,
        claims=claims_of(waves, other),
        tables=tables_of(waves, other),
        figures=figures_of(waves, other),
        summary=summary_of(waves, other),
        settings={"photographs": photographs},
        arms=arms_of(),
        limits=LIMITS,
    )
    result.seconds = 1.0
    assert evidence_faults(result) == []


def test_gains_and_losses_are_told_apart():
    def verdicts(gain):
        return {claim.text: claim.verdict for claim in claims_of(runs(gain), None)}

    more, less = verdicts(0.1), verdicts(-0.1)
    under_transfer, in_white_box = (
        "waves: sharpening gains under transfer",
        "waves: sharpening gains nothing in the white box",
    )
    assert (more[under_transfer], less[under_transfer]) == ("holds", "fails")
    assert (more[in_white_box], less[in_white_box]) == ("fails", "holds")
