"""Further training of a pilot on what it failed under, beside as much of other kinds, each at its best rate."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from deepwright.corruptions import ALL
from deepwright.corruptions.driving import Perturbing, by_cell, imitate, offline_errors
from deepwright.corruptions.suite import get
from deepwright.studies.driving.pilots import (
    CHOOSING,
    CLEAN,
    GEOMETRY,
    HIGH,
    REPAIRED,
    Cell,
    driven,
    recorded,
    roads,
    sizes,
    trained,
    world,
)

BEFORE, FAILED, USUAL, LIBRARY, PLAIN = (
    "as it was",
    "what it failed under",
    "usual augmentation",
    "the whole library",
    "unperturbed pictures",
)
ARMS = (FAILED, USUAL, LIBRARY, PLAIN)
RATES = (1e-3, 4e-3)
HELD_OUT = ("motion_blur", "frost", "posterize", "static_sun")
_AUGMENTED = (
    *("gaussian_noise", "gaussian_blur"),
    *("increase_brightness", "decrease_brightness", "contrast", "decrease_contrast"),
)
VALIDATION = "validation error"


def perturbed_by(arm: str, worst: list[str]) -> list[str]:
    """What an arm's pictures are perturbed by; the held-out ones never.

    Args:
        arm: one of `ARMS`.
        worst: what the pilot failed under.
    """
    if arm == LIBRARY:
        return [p.name for p in ALL if p.label_preserving and p.category != "overlay" and p.name not in HELD_OUT]
    return {FAILED: list(worst), USUAL: list(_AUGMENTED), PLAIN: []}[arm]


def repair_trial(seed: int, arm: str, worst: list[str], rates: list[float], quick: bool) -> dict[str, Any]:
    """Train copies at each learning rate, and drive the one with the least error on validation pictures.

    Args:
        seed: of the pilot, roads and training.
        arm: one of `ARMS`, or `BEFORE` for the pilot as it was.
        worst: what the pilot failed under.
        rates: learning rates that are tried.
        quick: small.
    """
    own = trained(seed, quick)
    names = [] if arm == BEFORE else perturbed_by(arm, worst)
    tried: dict[float, tuple[float, nn.Module]] = {}
    for rate in () if arm == BEFORE else rates:
        network = copy.deepcopy(own.pilot).train()
        augment = Perturbing(names) if names else None
        imitate(network, own.data, epochs=sizes(quick).again, lr=rate, augment=augment, seed=seed)
        tried[rate] = _validated(network.eval(), seed, quick), network
    if arm == BEFORE:
        tried[0.0] = _validated(own.pilot, seed, quick), own.pilot
    best = min(tried, key=lambda r: tried[r][0])
    size = sizes(quick)
    cells: list[Cell] = [CLEAN, *((n, HIGH) for n in (*size.perturbations, *(HELD_OUT[:1] if quick else HELD_OUT)))]
    outcomes = driven(world(quick), tried[best][1], roads(seed, REPAIRED, size.roads, quick), cells, seed)
    rows = [
        {"cell": c.cell, "failures": c.failures.value, "max xte": c.mean_max_xte}
        for c in by_cell(outcomes)
        if c.failures is not None
    ]
    return {"tried": {str(r): value for r, (value, _) in tried.items()}, "rows": rows, "trained": names}


def _validated(network: nn.Module, seed: int, quick: bool) -> float:
    """Mean steering error over clean pictures and the campaign's perturbations that leave steering what it was."""
    names = [n for n in sizes(quick).perturbations if get(n).label_preserving]
    found = offline_errors(network, recorded(seed, quick, CHOOSING), [(n, HIGH) for n in names], seed=seed)
    return sum(cell.error.value for cell in found) / len(found)


def role(cell: Cell, worst: list[str]) -> str:
    """What a cell is to a pilot that is trained on what it failed under.

    Args:
        cell: perturbation and severity.
        worst: what it was trained on.
    """
    if cell == CLEAN:
        return "clean"
    if cell[0] in HELD_OUT:
        return "held out"
    if cell[0] == GEOMETRY:
        return "steering would have to change"
    return "trained on" if cell[0] in worst else "driven, not trained on"
