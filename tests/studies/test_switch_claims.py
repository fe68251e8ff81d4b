"""The study of feature switches on made-up curves whose costs, slopes and switches are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deepwright.studies import evidence_faults
from deepwright.studies._frame import Runs, study_result
from deepwright.studies.prequential import LIMITS, measures
from deepwright.studies.prequential.claims import claims_of
from deepwright.studies.prequential.measures import gap, miss, octaves, settings_of
from deepwright.studies.prequential.shown import Found, figures, summary, tables
from deepwright.studies.prequential.trials import BANKS, ORIGINAL, OWN, SHARES, SIZES

N = np.array(SIZES, dtype=float)


def curve(scale, end, originals, reliance=None):
    """A loss that falls from one bit to its end over `scale` samples, on every test set."""
    own = (end + (1 - end) * np.exp(-N / scale)) * math.log(2)
    tests = [OWN, *originals]
    losses = [own, *(own - own[-1] + left * math.log(2) for left in originals.values())]
    both = [t + e for t in tests for e in ("", ", calibrated")]
    return {
        "sizes": N.tolist(),
        "tests": both,
        "loss": [row.tolist() for row in losses for _ in range(2)],
        "accuracy": [(1 - row / 2).tolist() for row in losses for _ in range(2)],
        "reliance": reliance or {},
    }


def switch(at, names):
    """Reliance that goes from the first attribute to the second at `at` samples."""
    share = 1 / (1 + (at / N) ** 2)
    return {names[0]: (0.4 * (1 - share)).tolist(), names[1]: (0.4 * share).tolist()}


def made(seeds):
    rng = np.random.default_rng(0)
    colours, marks = [], []
    for _ in seeds:
        off = 1 + 0.02 * rng.standard_normal()
        row = {"digit": curve(600 * off, 0.2, {f"{ORIGINAL} {p:g}": 0.2 for p in SHARES}), "linear digit": 0.8}
        for p in SHARES:
            row[f"colour {p:g}"] = curve(20 * off, p, {f"{ORIGINAL} {p:g}": 0.2 + 2 * p})
            row[f"linear colour {p:g}"] = 1 - p
            row[f"learned {p:g}"] = curve(9, 0.1, {ORIGINAL: 0.1}, switch(40 * off / p, ("colour", "digit")))
        colours.append(row)
        row = {"digit": curve(300 * off, 0.7, {f"{ORIGINAL} {b}": 0.7 for b in BANKS})}
        for b in BANKS:
            row[f"watermark {b}"] = curve(40 * b * off, 0.0, {f"{ORIGINAL} {b}": 0.01})
            row[f"learned {b}"] = curve(9, 0.1, {ORIGINAL: 0.1}, switch(5 * b * off, ("digit", "watermark")))
        marks.append(row)
    specs = tuple({"seed": s} for s in seeds)
    return Runs(specs, tuple(colours), seconds=1.0), Runs(specs, tuple(marks))


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "RESAMPLES", 40)
        colours, marks = made(range(6))
        parts = settings_of(colours.rows, "colour", SHARES), settings_of(marks.rows, "watermark", BANKS)
        yield Found(colours, marks, *parts)


def test_what_is_read_of_known_curves(found):
    for p, setting in found.shares.items():
        assert setting["slope colour"].value - setting["slope digit"].value == pytest.approx(2 * p, abs=1e-6)
        assert setting["observed"].value == pytest.approx(40 / p, rel=0.05)
        wanted = (setting["cost digit"].value - setting["cost colour"].value) / (2 * p)
        assert setting["forecast"].value == pytest.approx(wanted, rel=1e-6)
        assert setting["stopped"].value < setting["forecast"].value  # networks that stop early are cheaper
        assert setting["accuracy"].value == 0.0
    assert found.banks[8]["observed back"].value == pytest.approx(40, rel=0.05)
    costs = [found.banks[b]["cost watermark"].value for b in BANKS]
    assert costs == sorted(costs)


def test_octaves_are_clipped_to_what_was_measured(found):
    setting = found.shares[0.25]
    assert octaves(setting["accuracy"], 3600).value == 0.0
    assert octaves(setting["separability"], 3600).value == 0.0
    assert octaves(found.shares[0.05]["separability"], 3600).value == pytest.approx(math.log2(3600))
    assert miss(setting["observed"], setting["observed"], 3600).interval.high == 0.0
    assert gap(setting["forecast"], setting["forecast"]).value == 0.0


def test_every_claim_can_be_decided_and_the_page_is_evidence(found):
    result = study_result(
        "simplicity-bias",
        [found.colours, found.marks],
        seeds=range(6),
        claims=claims_of(found),
        tables=tables(found),
        figures=figures(found),
        summary=summary(found),
        settings={},
        limits=LIMITS,
    )
    verdicts = {claim.text: claim.verdict for claim in result.claims}
    assert len(verdicts) == len(result.claims)
    held = [v for text, v in verdicts.items() if text.startswith("the network drops colour earlier")]
    assert held == ["holds", "holds"]
    assert all("no number" not in verdict for verdict in verdicts.values())
    known = [fault for fault in evidence_faults(result) if "arms" not in fault and "seconds" not in fault]
    assert known == []
