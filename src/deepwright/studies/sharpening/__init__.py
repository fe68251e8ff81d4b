"""Pictures sharpened before release, against every way to change them as much, under attackers who know and who don't.

Sharpening is an invertible filter: it raises the signal against a fixed budget and hides nothing. So it is held against
contrast, unsharp mask, noise and blur at its own squared error, against ways that ask a network, and measured under
transfer, in the white box, against who undoes it, and in front of a network against who differentiates through it.
"""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, study_result
from deepwright.studies.sharpening.claims import claims_of
from deepwright.studies.sharpening.shown import LIMITS, arms_of, figures_of, summary_of, tables_of
from deepwright.studies.sharpening.trials import photographs_trial, waves_trial

SEEDS = range(100, 105)
_FILE = "cifar10-images.zip"


def run(settings: Settings) -> StudyResult:
    """Publish waves and photographs in every way, and attack them.

    Args:
        settings: size, seeds, data root, store, workers.
    """
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    small = {"train": 1200, "test": 30, "epochs": 4, "rounds": 1, "redraws": 0} if quick else {}
    waves = run_grid(waves_trial, cross(seed=seeds, **small), settings, "waves")
    photographs = None
    if settings.data_root is not None and (settings.data_root / _FILE).exists():
        few = {"train": 100, "test": 5, "epochs": 1} if quick else {}
        grid = cross(seed=seeds, root=str(settings.data_root), **few)
        photographs = run_grid(photographs_trial, grid, settings, "photographs")
    return study_result(
        "sharpening",
        [waves, *([] if photographs is None else [photographs])],
        seeds=seeds,
        claims=claims_of(waves, photographs),
        tables=tables_of(waves, photographs),
        figures=figures_of(waves, photographs),
        summary=summary_of(waves, photographs),
        settings={"photographs": photographs is not None, "networks drawn anew": sum(waves.values("redrawn"))},
        arms=arms_of(),
        limits=LIMITS,
    )
