"""The learning rate of each kind of further training, seed by seed, by the same error on validation pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Arm
from deepwright.studies._frame import Runs, select
from deepwright.studies.driving.repairs import BEFORE, VALIDATION

TRAINING = "further training"


@dataclass(frozen=True)
class Repairs:
    """Pilots after further training, and as they were.

    Attributes:
        by_arm: the chosen trials of each kind, one a seed, with `rows`.
        arms: how they were chosen.
    """

    by_arm: dict[str, Runs]
    arms: list[Arm]


def chosen_repairs(repairs: Runs) -> Repairs:
    """What was chosen.

    Args:
        repairs: of `repair_trial`: errors at each rate, drives of the best.
    """
    by_arm = repairs.by("arm")
    specs: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for spec, row in zip(repairs.specs, repairs):
        if spec["arm"] == BEFORE:
            continue
        for lr, error in row["tried"].items():
            specs.append({"group": TRAINING, "arm": spec["arm"], "lr": float(lr), "seed": spec["seed"]})
            rows.append(row | {VALIDATION: error})
    if not specs:
        return Repairs(by_arm, [])
    found = select(
        Runs(tuple(specs), tuple(rows)),
        arms=("group", "arm"),
        over=("lr",),
        by=VALIDATION,
        words="steering error, mean over clean and perturbed pictures",
        data="recorded pictures of other roads, clean and at severity 5",
        budget="the pilot's pictures, as many steps for each kind",
    )
    return Repairs(by_arm, found.arms)
