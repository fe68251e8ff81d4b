"""Learned heuristics of the 8-puzzle and of a small cube against bounds that are built; searches by actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, Selection, cross, run_grid, select, study_result
from deepwright.studies.paths.claims import claims_of
from deepwright.studies.paths.oracles import oracle_trial
from deepwright.studies.paths.shown import LIMITS, figures, summary, tables
from deepwright.studies.paths.trials import (
    ACTIONS,
    BATCH,
    BOUNDS,
    CUBE_BOUNDS,
    CUBE_LEARNED,
    DAVI,
    LEARNED,
    LHBL,
    WALKS,
    WEIGHTS,
    bound_trial,
    learning_trial,
)

SEEDS, SPREADS = range(700, 704), (0.5, 1.0, 1.5)
_BOARDS = {"domain": "npuzzle.3", "tuned": 12, "tested": 40}
_CUBES = {"domain": "cube2", "tuned": 6, "tested": 15}
_BEFORE = "one setting, that which boards chose in an earlier run"
_BUILT = "nothing is trained, so nothing but its weight can be chosen"


def run(settings: Settings) -> StudyResult:
    """Train, build, search; each heuristic at its best weight.

    Args:
        settings: size, seeds and store.
    """
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    boards = {"domain": "npuzzle.2", "tuned": 4, "tested": 6} if quick else {**_BOARDS}
    cubes = {"domain": "pancake.6", "tuned": 2, "tested": 2} if quick else {**_CUBES}
    noise = {"domain": "pancake.5", "tested": 10} if quick else {"domain": "pancake.8", "tested": 60}
    seconds = 0.3 if quick else 5.0
    copies, rates = ((15,), (1e-3,)) if quick else ((5, 15), (1e-3, 3e-3))
    own = {"seed": seeds, "seconds": seconds}
    grid = [
        *cross(arm=[DAVI, LHBL], copies=copies, lr=1e-3, **own, **boards),
        *cross(arm=WALKS, copies=15, lr=rates, **own, **boards),
    ]
    turned = [
        *cross(arm=LHBL, copies=15, lr=1e-3, **own, **cubes),
        *cross(arm=[WALKS, ACTIONS], copies=15, lr=3e-3, **own, **cubes),
    ]
    trained = run_grid(learning_trial, grid, settings, "deepxube, training")
    built = run_grid(bound_trial, cross(arm=BOUNDS, seed=seeds, **boards), settings, "deepxube, bounds")
    noisy = run_grid(oracle_trial, cross(sd=SPREADS, seed=seeds, **noise), settings, "deepxube, actions")
    turning = run_grid(learning_trial, turned, settings, "deepxube, cubes")
    near = run_grid(bound_trial, cross(arm=CUBE_BOUNDS, seed=seeds, **cubes), settings, "deepxube, tables of cubes")
    on_boards, on_cubes = f"{boards['tuned']} validation boards", f"{cubes['tuned']} validation cubes"
    nodes, asked = "nodes expanded", "states evaluated"
    chosen = [
        _selected(trained, nodes, on_boards, seconds, ("copies", "lr"), {}),
        _selected(built, nodes, on_boards, None, (), dict.fromkeys(BOUNDS, _BUILT)),
        _selected(turning, asked, on_cubes, seconds, (), dict.fromkeys(CUBE_LEARNED, _BEFORE)),
        _selected(near, asked, on_cubes, None, (), dict.fromkeys(CUBE_BOUNDS, _BUILT)),
    ]
    best = chosen[0].runs.by("arm") | chosen[1].runs.by("arm")
    cube = chosen[2].runs.by("arm") | chosen[3].runs.by("arm")
    spoilt = noisy.by("sd")
    ours = min(LEARNED, key={arm: best[arm].mean("validation") for arm in LEARNED}.__getitem__)
    return study_result(
        "deepxube",
        [trained, built, noisy, turning, near],
        seeds=seeds,
        claims=claims_of(best, ours, cube, spoilt),
        tables=tables(best, cube, spoilt, seconds),
        figures=figures(best, cube),
        summary=summary(best, ours, cube, spoilt, seconds),
        settings={"CPU seconds": seconds, "nodes a batch": BATCH, "boards": boards, "cubes": cubes, "noise": noise},
        arms=[
            replace(arm, name=f"{where}: {arm.name}")
            for where, part in zip(("8-puzzle", "8-puzzle", "cube", "cube"), chosen)
            for arm in part.arms
        ],
        limits=LIMITS,
    )


def _selected(
    runs: Runs, words: str, data: str, seconds: float | None, over: Sequence[str], why: dict[str, str]
) -> Selection:
    """Each arm at the setting that validation prefers."""
    weights = f"{len(WEIGHTS)} weights"
    budget = weights if seconds is None else f"{seconds:g} CPU seconds, {weights}"
    return select(runs, arms="arm", over=over, by="validation", words=words, data=data, budget=budget, why=why)
