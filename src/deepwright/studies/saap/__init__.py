"""Attenuation patches on synthetic radar scenes: at equal energy, against controls that know no model.

Two detectors, the house's SSD and the smallest one, are trained on the same scenes and attacked with a tenth of each
ship's amplitude. What counts is the gap to controls at the same share: taking enough away hides anything.
"""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import run_grid, study_result
from deepwright.studies.saap.claims import claims_of
from deepwright.studies.saap.detectors import CENTRE, SSD_NAME
from deepwright.studies.saap.shown import LIMITS, arms_of, figures_of, summary_of, tables_of
from deepwright.studies.saap.trials import trial

SEEDS = range(100, 105)
FULL = {"scenes": 400, "epochs": 14, "more": 3, "test": 40, "validation": 12, "fitted": 24, "steps": 60}
QUICK = {"scenes": 64, "epochs": 2, "more": 1, "test": 8, "validation": 2, "fitted": 8, "steps": 4}


def run(settings: Settings) -> StudyResult:
    """Train, attack, and hold against the controls."""
    seeds = settings.seeds_or(SEEDS[:1] if settings.quick else SEEDS)
    size = QUICK if settings.quick else FULL
    grid = [
        {"seed": seed, "kind": kind, "size": size, "picture": kind == SSD_NAME and seed == seeds[0]}
        for kind in (SSD_NAME, CENTRE)
        for seed in seeds
    ]
    runs = run_grid(trial, grid, settings, "saap")
    found = runs.by("kind")
    return study_result(
        "saap",
        [runs],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables_of(found),
        figures=figures_of(found),
        summary=summary_of(found),
        settings=dict(size),
        arms=arms_of(found, size),
        limits=LIMITS,
    )
