"""Detectors of attacked images: against attackers who know nothing of them, and against those who do.

Road scenes are drawn and a small network is trained on them, seed by seed; the zoo's ResNet-20 on CIFAR-10 is the
second benchmark. All detectors are fitted on the same clean images and calibrated on others; an attacker who knows one
differentiates through it.
"""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, study_result
from deepwright.studies.semantic.claims import claims_of
from deepwright.studies.semantic.shown import LIMITS, arms_of, figures_of, summary_of, tables_of
from deepwright.studies.semantic.trials import EPS, EPS_PHOTOGRAPHS, KNOWING, STEPS, photographs_trial, scenes_trial

SEEDS = range(100, 105)
_FILE = "cifar10-images.zip"


def run(settings: Settings) -> StudyResult:
    """Attack, watch, and let the attacker know who watches."""
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    scenes = run_grid(scenes_trial, cross(seed=seeds, small=quick), settings, "road scenes")
    drawn = None
    root = settings.data_root
    if root is not None and (root / _FILE).exists():
        grid = cross(seed=seeds, root=str(root), small=quick)
        drawn = run_grid(photographs_trial, grid, settings, "photographs")
    return study_result(
        "adversarial-detection",
        [scenes, *([] if drawn is None else [drawn])],
        seeds=seeds,
        claims=claims_of(scenes, drawn),
        tables=tables_of(scenes, drawn),
        figures=figures_of(scenes, drawn),
        summary=summary_of(scenes, drawn),
        settings={
            "eps": [EPS, EPS_PHOTOGRAPHS],
            "steps": STEPS,
            "steps of who knows": KNOWING,
            "photographs": drawn is not None,
        },
        arms=arms_of(drawn),
        limits=LIMITS,
    )
