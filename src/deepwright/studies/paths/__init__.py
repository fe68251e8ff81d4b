"""Learned heuristics of boards, cubes and stacks against what is built for them; four searches with each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, Selection, cross, run_grid, select, study_result
from deepwright.studies.paths.claims import claims_of
from deepwright.studies.paths.oracles import oracle_trial
from deepwright.studies.paths.places import ACTIONS, BALANCED, BOARDS, CUBES, DAVI, LHBL, PLACES, STACKS, WALKS, Place
from deepwright.studies.paths.shown import LIMITS, figures, summary, tables
from deepwright.studies.paths.trials import BATCH, SLACK, WEIGHTS, bound_trial, learning_trial

SEEDS, SPREADS = range(720, 725), (0.5, 1.0, 1.5)
_BUILT = "nothing is trained, so nothing but its weight can be chosen"
_SIZES: dict[Place, dict[str, Any]] = {
    BOARDS: {"domain": "npuzzle.3", "tuned": 10, "tested": 30, "most": 20_000},
    CUBES: {"domain": "cube2", "tuned": 6, "tested": 15, "most": 20_000},
    STACKS: {"domain": "pancake.10", "tuned": 10, "tested": 30, "most": 20_000},
}
_SMALL: dict[Place, dict[str, Any]] = {
    BOARDS: {"domain": "npuzzle.2", "tuned": 2, "tested": 3, "most": 300},
    CUBES: {"domain": "cube2", "tuned": 1, "tested": 1, "most": 300},
    STACKS: {"domain": "pancake.5", "tuned": 2, "tested": 3, "most": 300},
}
_SECONDS = {BOARDS: 5.0, CUBES: 2.5, STACKS: 2.5}
_LONGEST = {BOARDS: (100,), CUBES: (20,), STACKS: (12, 20)}


def run(settings: Settings) -> StudyResult:
    """Train, build, search; each heuristic at its best weight.

    Args:
        settings: size, seeds and store.
    """
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    sizes = _SMALL if quick else _SIZES
    seconds = dict.fromkeys(PLACES, 0.1) if quick else _SECONDS
    everywhere, chosen, runs = {}, [], []
    for place in PLACES:
        own = {"seed": seeds, "seconds": seconds[place], **sizes[place]}
        grid = [one for arm in place.learned for one in cross(arm=arm, setting=_settings(place, arm, quick), **own)]
        trained = run_grid(learning_trial, grid, settings, f"deepxube, {place.words}, training")
        bounds = cross(arm=place.bounds, seed=seeds, **sizes[place])
        built = run_grid(bound_trial, bounds, settings, f"deepxube, {place.words}, bounds")
        parts = [
            _selected(trained, place, sizes[place]["tuned"], seconds[place], {}),
            _selected(built, place, sizes[place]["tuned"], None, dict.fromkeys(place.bounds, _BUILT)),
        ]
        everywhere[place] = {arm: found for part in parts for arm, found in part.runs.by("arm").items()}
        chosen += [replace(arm, name=f"{place.words}: {arm.name}") for part in parts for arm in part.arms]
        runs += [trained, built]
    noise = {"domain": "pancake.5", "tested": 10} if quick else {"domain": "pancake.8", "tested": 30}
    noisy = run_grid(oracle_trial, cross(sd=SPREADS, seed=seeds, **noise), settings, "deepxube, actions")
    spoilt = noisy.by("sd")
    return study_result(
        "deepxube",
        [*runs, noisy],
        seeds=seeds,
        claims=claims_of(everywhere, spoilt),
        tables=tables(everywhere, spoilt),
        figures=figures(everywhere),
        summary=summary(everywhere, spoilt, seconds),
        settings={
            "nodes a batch": BATCH,
            "cost over the least, at most, on validation": SLACK,
            **{f"{place.words}": {**sizes[place], "CPU seconds": seconds[place]} for place in PLACES},
            "noise": noise,
        },
        arms=chosen,
        limits=LIMITS,
    )


def _settings(place: Place, arm: str, quick: bool) -> list[Mapping[str, float]]:
    """Two of each arm: intervals between copies where there are copies, else learning rates or lengths of walks."""
    walks = _LONGEST[place]
    if arm in (DAVI, LHBL, BALANCED):
        found = cross(copies=[5, 15], lr=1e-3, walks=walks[0])
    else:
        assert arm in (WALKS, ACTIONS)
        found = cross(lr=(1e-3, 3e-3) if len(walks) == 1 else 3e-3, walks=walks)
    return list(found[:1] if quick else found)


def _selected(runs: Runs, place: Place, tuned: int, seconds: float | None, why: dict[str, str]) -> Selection:
    """Each arm at the setting that validation prefers."""
    weights = f"{len(WEIGHTS)} weights"
    return select(
        runs,
        arms="arm",
        over=("setting",),
        by="validation",
        words="states evaluated among those whose paths are cheap enough",
        data=f"{tuned} validation states of the {place.words}",
        budget=weights if seconds is None else f"{seconds:g} CPU seconds, {weights}",
        why=why,
    )
