"""Training against confident misjudgments, held against seven other losses, with every arm selected alike."""

from __future__ import annotations

from typing import Any

from deepwright.studies import Settings
from deepwright.studies._frame import Runs, cross, run_grid
from deepwright.studies.fragility.arms import ARMS
from deepwright.studies.fragility.linear import MODELS, linear_trial
from deepwright.studies.fragility.trials import STEPS, trial
from deepwright.studies.fragility.worlds import HEART_FILE, LINEAR, MAIN, QUICK, WORLDS

SEEDS = range(200, 210)  # nothing was tuned on them


def grids(settings: Settings) -> tuple[Runs, Runs, Runs]:
    """Trials of all losses on the main tables, of two losses in every other regime, and of the linear models."""
    seeds, quick = settings.seeds_or(SEEDS[:2] if settings.quick else SEEDS), settings.quick
    root = settings.data_root
    heart = root is not None and (root / HEART_FILE).exists()
    there = [name for name in WORLDS if heart or name != "heart failure"]
    more: dict[str, Any] = {"seed": seeds, "root": str(root) if heart else None}
    main, others = (
        [name for name in there if (name in MAIN) == wanted and not (quick and name not in QUICK)]
        for wanted in (True, False)
    )
    linear = [name for name in there if name in LINEAR and not (quick and name not in QUICK)]
    steps = 40 if quick else STEPS
    return (
        run_grid(trial, cross(data=main, arm=list(ARMS), **more, steps=steps), settings, "fragility-index"),
        run_grid(trial, cross(data=others, arm=["erm", "fragility"], **more, steps=steps), settings, "regimes"),
        run_grid(linear_trial, cross(data=linear, arm=MODELS, **more), settings, "linear models"),
    )
