"""What makes a pilot leave the road, whether errors without driving tell, and whether retraining repairs it.

Each seed has a pilot of its own, roads that it never saw, and controls: imitation without steering noise, a pilot that
sees nothing of its road, as much further training on unperturbed pictures. What can be known without driving (errors,
how much the picture changes, the severity's number) is ranked against what driving finds.
"""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, cross, run_grid, study_result
from deepwright.studies.driving.campaigns import QUICK, WHOLE, bundled_trial, pilot_trial
from deepwright.studies.driving.claims import claims_of
from deepwright.studies.driving.photographs import photographs_trial, there
from deepwright.studies.driving.shown import ARMS, LIMITS, figures_of, summary_of, tables_of

SEEDS = range(100, 105)


def run(settings: Settings) -> StudyResult:
    """Pilots, the bundled one, and errors on photographs where they are at hand."""
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    sizes = QUICK if quick else WHOLE
    pilots = run_grid(pilot_trial, cross(seed=seeds, quick=quick), settings, "pilots")
    bundled = run_grid(bundled_trial, cross(seed=seeds, quick=quick), settings, "the bundled pilot")
    photographs: Runs | None = None
    if there(settings.data_root) is not None and not quick:
        grid = cross(seed=seeds, root=str(settings.data_root), quick=quick)
        photographs = run_grid(photographs_trial, grid, settings, "photographs")
    return study_result(
        "perturbation-drive",
        [pilots, bundled, *([] if photographs is None else [photographs])],
        seeds=seeds,
        claims=claims_of(pilots, photographs),
        tables=tables_of(pilots, bundled, photographs),
        figures=figures_of(pilots),
        summary=summary_of(pilots),
        settings={
            "roads a seed": sizes.roads,
            "perturbations": len(sizes.perturbations),
            "severities": [2, 5],
            "metres at which the lane is left": 4.0,
            "photographs": photographs is not None,
        },
        arms=ARMS,
        limits=LIMITS,
    )
