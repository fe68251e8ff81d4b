"""Learned heuristics of the 8-puzzle against Manhattan distance, linear conflict and pattern databases."""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, select, study_result
from deepwright.studies.paths.claims import claims_of
from deepwright.studies.paths.shown import LIMITS, figures, summary, tables
from deepwright.studies.paths.trials import (
    BATCH,
    BOUNDS,
    DAVI,
    LEARNED,
    LHBL,
    PLAIN,
    WALKS,
    WEIGHTS,
    bound_trial,
    learning_trial,
)

SEEDS = range(600, 605)
_CONTROL = "a control at the first of DAVI's settings"
_BUILT = "nothing is trained, so nothing but its weight can be chosen"


def run(settings: Settings) -> StudyResult:
    """Train, build, search; each heuristic at its best weight.

    Args:
        settings: size, seeds and store.
    """
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    sizes = {"size": 2, "tuned": 4, "tested": 6} if quick else {"size": 3, "tuned": 30, "tested": 100}
    seconds = 0.3 if quick else 20.0
    grid = [
        *cross(arm=[DAVI, LHBL], copies=(15,) if quick else (15, 50), lr=1e-3, seed=seeds, seconds=seconds, **sizes),
        *cross(arm=WALKS, copies=15, lr=(1e-3,) if quick else (1e-3, 3e-3), seed=seeds, seconds=seconds, **sizes),
        *cross(arm=PLAIN, copies=15, lr=1e-3, seed=seeds, seconds=seconds, **sizes),
    ]
    trained = run_grid(learning_trial, grid, settings, "deepxube, training")
    built = run_grid(bound_trial, cross(arm=BOUNDS, seed=seeds, **sizes), settings, "deepxube, bounds")
    words, data = "nodes expanded", f"{sizes['tuned']} validation boards"
    budget = f"{seconds:g} CPU seconds, {len(WEIGHTS)} weights"
    learned = select(
        trained,
        arms="arm",
        over=("copies", "lr"),
        by="validation",
        words=words,
        data=data,
        budget=budget,
        why={PLAIN: _CONTROL},
    )
    bounds = select(
        built,
        arms="arm",
        over=(),
        by="validation",
        words=words,
        data=data,
        budget=f"{len(WEIGHTS)} weights",
        why=dict.fromkeys(BOUNDS, _BUILT),
    )
    best = learned.runs.by("arm") | bounds.runs.by("arm")
    ours = min(LEARNED, key={arm: best[arm].mean("validation") for arm in LEARNED}.__getitem__)
    return study_result(
        "deepxube",
        [trained, built],
        seeds=seeds,
        claims=claims_of(best, ours),
        tables=tables(best, seconds),
        figures=figures(best),
        summary=summary(best, ours, seconds),
        settings={"CPU seconds": seconds, "nodes a batch": BATCH, **sizes},
        arms=[*learned.arms, *bounds.arms],
        limits=LIMITS,
    )
