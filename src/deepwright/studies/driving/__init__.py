"""What makes a pilot leave the road, whether errors without driving tell, and whether further training repairs it.

Each seed has a pilot of its own, roads that it never saw, and controls: imitation without steering noise, a pilot that
sees nothing of its road, as much further training on other pictures. What can be known without driving (errors, how
much the picture changes, the severity's number) is ranked against what driving finds.
"""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, cross, run_grid, study_result
from deepwright.studies.driving.campaigns import (
    GENETIC,
    RANDOM,
    campaign_trial,
    guided_trial,
    moving_trial,
    search_trial,
)
from deepwright.studies.driving.choosing import chosen_repairs
from deepwright.studies.driving.claims import claims_of
from deepwright.studies.driving.measures import Found
from deepwright.studies.driving.photographs import photographs_trial, there
from deepwright.studies.driving.pilots import HIGH, LIMIT, LOW, sizes
from deepwright.studies.driving.repairs import ARMS, BEFORE, RATES, repair_trial
from deepwright.studies.driving.shown import LIMITS, arms_of, figures_of, summary_of, tables_of

SEEDS = range(100, 105)


def run(settings: Settings) -> StudyResult:
    """Campaigns, weather, guided perturbations, searches, repairs; photographs where they are at hand."""
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    size, each = sizes(quick), cross(seed=seeds, quick=quick)
    campaigns = run_grid(campaign_trial, each, settings, "driving, campaigns")
    moving = run_grid(moving_trial, each, settings, "driving, weather")
    guided = run_grid(guided_trial, each, settings, "driving, guided")
    ways = cross(seed=seeds, way=[GENETIC, RANDOM], quick=quick)
    searches = run_grid(search_trial, ways, settings, "driving, searches")
    rates = list(RATES[:1] if quick else RATES)
    plan = [
        {"seed": seed, "arm": arm, "worst": row["worst"], "rates": rates, "quick": quick}
        for seed, row in zip(campaigns.seeds, campaigns)
        for arm in ((BEFORE, *ARMS[:1]) if quick else (BEFORE, *ARMS))
        if row["worst"]
    ]
    repairs = run_grid(repair_trial, plan, settings, "driving, repairs")
    photographs: Runs | None = None
    path = None if quick else there(settings.data_root)
    if path is not None:
        grid = cross(seed=seeds, root=str(settings.data_root), quick=quick)
        photographs = run_grid(photographs_trial, grid, settings, "driving, photographs", [path])
    found = Found(campaigns, moving, guided, searches, chosen_repairs(repairs), photographs)
    return study_result(
        "perturbation-drive",
        [campaigns, moving, guided, searches, repairs, *([] if photographs is None else [photographs])],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables_of(found),
        figures=figures_of(found),
        summary=summary_of(found),
        arms=arms_of(found),
        limits=LIMITS,
        settings={
            "roads a seed": size.roads,
            "perturbations": len(size.perturbations),
            "severities": list(size.severities),
            "low and high": [LOW, HIGH],
            "metres at which the lane is left": LIMIT,
            "episodes of a search": size.budget,
            "photographs": photographs is not None,
        },
    )
