"""Psychophysics on a network: which effects of people does a network of ImageNet show, and do random weights, too?

EfficientNet-Lite0 with its ImageNet weights beside the same network with random ones, pixels and bounding boxes. Every
seed has pictures of its own, so that decoders of different seeds are fitted to disjoint draws.
"""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, study_result
from deepwright.studies.mindset.claims import claims_of
from deepwright.studies.mindset.found import Found
from deepwright.studies.mindset.shown import LIMITS, figures_of, summary_of, tables_of
from deepwright.studies.mindset.trials import (
    DECODED,
    JUDGED,
    LAYERS,
    MULLER_LYER,
    NETWORKS,
    decoding_trial,
    judging_trial,
    plan_of,
    sheet_trial,
)

SEEDS = range(900, 905)


def run(settings: Settings) -> StudyResult:
    """Five illusions by read-outs and four effects by distances, on both networks."""
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    grid = [
        spec for name in DECODED for kind in NETWORKS for spec in cross(seed=seeds, name=name, kind=kind, quick=quick)
    ]
    decoded = run_grid(decoding_trial, grid, settings, "mindset, illusions")
    judged = run_grid(
        judging_trial,
        cross(seed=seeds, name=list(JUDGED), kind=list(NETWORKS), quick=quick),
        settings,
        "mindset, similarities",
    )
    sheet = run_grid(sheet_trial, cross(seed=seeds[:1], quick=quick), settings, "mindset, pictures")
    found = Found(decoded.by("name", "kind"), judged.by("name", "kind"), sheet[0])
    plans = {name: plan_of(name, 0, quick) for name in (MULLER_LYER, DECODED[1])}
    return study_result(
        "mindset-vision",
        [decoded, judged, sheet],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables_of(found),
        figures=figures_of(found),
        summary=summary_of(found),
        arms=found.arms(),
        limits=LIMITS,
        settings={
            "layers": list(LAYERS.values()),
            "pictures to learn from": {name: plan.train for name, plan in plans.items()},
            "pixels a side": {name: plan.size for name, plan in plans.items()},
        },
    )
