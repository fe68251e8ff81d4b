"""Slabs against the array in one piece, pods and forms that change, on language models, random widths and a service.

Cycles are a closed form, exact for the shapes of public configuration files: claims on them are no samples. Joules and
area are calibrated to the paper's own headline, so no claim rests on their being met; comparisons of arrays at the same
constants are claims. What is drawn (widths, prompts, products for the event-level array) has seeds and intervals.
"""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.hardware import MODELS
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, study_result
from deepwright.studies.arrays.claims import claims_of
from deepwright.studies.arrays.models import swept
from deepwright.studies.arrays.shown import LIMITS, arms, figures_of, summary_of, tables_of
from deepwright.studies.arrays.trials import drawn_against_closed_form, networks_trial, requests_trial

SEEDS = range(900, 905)
_SERVED = "qwen2-0.5b"


def run(settings: Settings) -> StudyResult:
    """Sweep the models, draw what is drawn, and hold all arrays against each other.

    Args:
        settings: size, seeds and store.
    """
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    found = swept(tuple(MODELS)[:2] if quick else tuple(MODELS))
    drawn = run_grid(
        networks_trial, cross(seed=seeds, networks=20 if quick else 500), settings, "networks of random widths"
    )
    grid = cross(seed=seeds, model=_SERVED, batches=50 if quick else 2000)
    requests = run_grid(requests_trial, grid, settings, "a service")
    events = run_grid(
        drawn_against_closed_form, cross(seed=seeds, products=5 if quick else 40), settings, "arrays event by event"
    )
    return study_result(
        "sisa",
        [drawn, requests, events],
        seeds=seeds,
        claims=claims_of(found, drawn, requests, events),
        tables=tables_of(found, drawn, requests),
        figures=figures_of(found, requests),
        summary=summary_of(found, requests),
        settings={"models": len(found.names), "served": _SERVED},
        arms=arms(),
        limits=LIMITS,
    )
