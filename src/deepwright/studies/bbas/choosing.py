"""Each detector's setting, chosen on other networks than those that are tested."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Arm
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, Selection, cross, mean, run_grid, select
from deepwright.studies.bbas.detectors import GRIDS, WHY, Setting
from deepwright.studies.bbas.digits import digits_trial
from deepwright.studies.bbas.photographs import files_of, photographs_trial

NETWORKS = ((0, (0, 3)), (1, (1, 4)), (2, (2, 5)), (3, (6, 8)), (4, (7, 9)))  # seeds and their unknown digits
DRAWS = (0,)
EPOCHS = 10
QUICK_EPOCHS = 2


@dataclass
class Choices:
    """What was chosen, on what.

    Attributes:
        digits: by detector, its setting on digits.
        photographs: by detector, its setting on photographs; None without their files.
        arms: how each was chosen.
        runs: the grids on which it was.
    """

    digits: dict[str, Setting]
    photographs: dict[str, Setting] | None
    arms: list[Arm]
    runs: list[Runs]


def choices(settings: Settings) -> Choices:
    """Run every setting of every detector on the networks and draws that are kept for it, and pick.

    Args:
        settings: size, store and data root; seeds are those of the tests alone.
    """
    quick = settings.quick
    epochs = QUICK_EPOCHS if quick else EPOCHS
    grid = [{"seed": seed, "epochs": epochs, "unknown": pair} for seed, pair in (NETWORKS[:1] if quick else NETWORKS)]
    tried = run_grid(digits_trial, grid, settings, "settings for digits")
    digits = _choose(
        tried,
        "digits",
        "5 other networks (seeds 0 to 4, one of the 45 pairs each): their two unknown digits, and printed letters",
        f"one pass over 3,200 training digits, after {epochs} epochs",
    )
    files = files_of(settings.data_root)
    if not files:
        return Choices(_by_detector(digits), None, digits.arms, [tried])
    grid = cross(seed=DRAWS[:1] if quick else DRAWS, root=str(settings.data_root), small=quick)
    drawn = run_grid(photographs_trial, grid, settings, "settings for photographs", files=files)
    photographs = _choose(
        drawn,
        "photographs",
        "another draw of images (seed 0): validation images against photographs of other ImageNet classes, and letters",
        "one pass over 2,000 training images",
    )
    return Choices(_by_detector(digits), _by_detector(photographs), [*digits.arms, *photographs.arms], [tried, drawn])


def one_a_setting(runs: Runs) -> Runs:
    """Trials that measured every setting of every detector, as one trial a detector and setting.

    Args:
        runs: whose rows have "areas"; see `measures.areas`.
    """
    specs: list[dict[str, Any]] = []
    rows: list[dict[str, float]] = []
    for spec, row in zip(runs.specs, runs):
        for detector, settings in GRIDS.items():
            for setting, found in zip(settings, row["areas"][detector]):
                specs.append({"detector": detector, "setting": setting, "seed": spec["seed"]})
                rows.append({"area": math.nan if found is None else mean(list(found["auroc"].values()))})
    return Runs(tuple(specs), tuple(rows))


def _choose(runs: Runs, benchmark: str, data: str, budget: str) -> Selection:
    """One setting a detector: the largest mean AUROC over all trials and both validation sets."""
    tried = one_a_setting(runs)
    return select(
        Runs(tuple({"benchmark": benchmark, **spec} for spec in tried.specs), tried.rows),
        arms=("benchmark", "detector"),
        over=("setting",),
        by="area",
        words="mean AUROC",
        data=data,
        budget=budget,
        largest=True,
        pooled=True,
        why={(benchmark, detector): reason for detector, reason in WHY.items()},
    )


def _by_detector(chosen: Selection) -> dict[str, Setting]:
    return {spec["detector"]: spec["setting"] for spec in chosen.runs.specs}
