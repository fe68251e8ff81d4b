"""Whom to train a detector of attacked windows on: everybody, the less vulnerable, each its own, shown attacks or not.

All regimes see the same attacked windows; the headline is recall at one rate of false alarms for all of them.
"""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, study_result
from deepwright.studies.roast.claims import claims_of
from deepwright.studies.roast.shown import LIMITS, arms, figures_of, summary_of, tables_of
from deepwright.studies.roast.trials import EVERY, HISTORY, HORIZON, KINDS, PENALTY, RATE, cohort_trial

SEEDS = range(600, 605)


def run(settings: Settings) -> StudyResult:
    """Five cohorts under five settings, every regime on each.

    Args:
        settings: size, seeds and store.
    """
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    grid = cross(kind=list(KINDS), seed=list(seeds), days=4 if quick else 14, epochs=1 if quick else 20)
    found = run_grid(cohort_trial, grid, settings, "roast").by("kind")
    return study_result(
        "roast",
        list(found.values()),
        seeds=seeds,
        claims=claims_of(found),
        tables=tables_of(found),
        figures=figures_of(found),
        summary=summary_of(found),
        settings={
            "history, horizon, every": [HISTORY, HORIZON, EVERY],
            "rate of false alarms": RATE,
            "ridge penalty a window": PENALTY,
        },
        arms=arms(),
        limits=LIMITS,
    )
