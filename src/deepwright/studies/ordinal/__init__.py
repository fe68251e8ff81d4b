"""Ordered classes: do losses that know the order give more plausible maps than cross-entropy, and at what price?"""

from __future__ import annotations

from typing import Any

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, cross, run_grid, select, study_result
from deepwright.studies.ordinal.claims import claims_of
from deepwright.studies.ordinal.shown import Found, figures, summary, tables
from deepwright.studies.ordinal.trials import (
    BY_RATE,
    BY_WEIGHT,
    CAMVID_LAYERS,
    CE,
    CO2,
    CSNP,
    HEAVY,
    LR,
    RATES,
    WARMUP,
    WEIGHTS,
    anatomy_trial,
    camvid_trial,
)

LIMITS = (
    "Drawn layers whose order is exactly true, and one set of photographs whose labels' own contacts break the order "
    "in about 2 % of cases; none of the papers' data (teeth, eyes, cervix, breasts) was at hand.",
    "Fixed weights are tried on 48 x 48 pixels by a U-Net of widths 12, 24 and 48, where the thresholds were set; "
    "losses at their best, and a false order, on 32 x 32 pixels by one of widths 8, 16 and 32.",
    "24 pictures to train on, 252 steps on the larger and 204 on the smaller ones; CamVid's 48 frames of 48 x 64 "
    "pixels and 108 steps, far from what its networks are trained with.",
    "Losses are compared on a grid of two settings each, weights of 1 and 10 at one learning rate, or learning rates "
    "where there is no weight; selected by macro Dice less ten times the contact rate, a price that is ours.",
    "Five seeds: intervals over so few are wide.",
    "EXP_MSE and CSSDF are our readings of names in an abstract: what they do here says little about the paper.",
    "Chains only: the losses for trees have tests and no study; no volumes were segmented.",
    "Of ways to read labels the contacts after a repair are low by construction; Dice beside them is the price.",
)
FIXED = ((CE, LR), (CO2, 10.0), (CSNP, 10.0), (CSNP, HEAVY))


def run(settings: Settings) -> StudyResult:
    """Every loss at two settings, chosen on validation pictures; a large weight; a control; CamVid."""
    quick = settings.quick
    seeds = settings.seeds_or(range(100, 101 if quick else 105))
    size: dict[str, Any] = {"steps": 4, "pictures": 6} if quick else {"steps": 200, "pictures": 100}
    keys = [(n, s) for names, tried in ((BY_RATE, RATES), (BY_WEIGHT, WEIGHTS)) for n in names for s in tried]
    if quick:
        keys = [(n, s) for n, s in keys if s in (LR, 10.0)]
    grid = [{"name": n, "setting": s, "seed": seed} | size for n, s in keys for seed in seeds]
    main = run_grid(anatomy_trial, _in_turn(grid), settings, "ordered classes, layers")
    control = [
        trial | size for n, s in ((CE, LR), (CSNP, 10.0)) for trial in cross(name=n, setting=s, seed=seeds, skip=0.5)
    ]
    false = run_grid(anatomy_trial, _in_turn(control), settings, "ordered classes, a false order")
    fixed = _fixed(settings, seeds)
    by_warmup = fixed.by("warmup")
    chosen = _chosen(main, "layers", "validation pictures, half as many as are tested on")
    photographs = None if settings.data_root is None else _frames(settings, seeds)
    of_frames = None if photographs is None else _chosen(photographs, "CamVid", "CamVid's validation frames")
    found = Found(
        by_warmup[WARMUP].by("name", "setting"),
        main.by("name", "setting"),
        chosen.runs.by("name"),
        false.by("name"),
        by_warmup[0],
        None if of_frames is None else of_frames.runs.by("name"),
    )
    return study_result(
        "ordinal-segmentation",
        [main, false, fixed, *([] if photographs is None else [photographs])],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables(found),
        figures=figures(found),
        summary=summary(found),
        arms=[*chosen.arms, *([] if of_frames is None else of_frames.arms)],
        limits=LIMITS,
        settings={
            "steps of the warm-up": WARMUP,
            "order of CamVid": "<".join(CAMVID_LAYERS),
            "layers of CamVid": {name: ", ".join(classes) for name, classes in CAMVID_LAYERS.items()},
        },
    )


def _fixed(settings: Settings, seeds: tuple[int, ...]) -> Runs:
    """Where the thresholds were set: larger pictures, a wider network, and no choice by validation."""
    quick = settings.quick
    size: dict[str, Any] = {"steps": 4, "pictures": 6} if quick else {"steps": 250, "pictures": 150}
    keys = [(*key, WARMUP) for key in FIXED] + [(CSNP, HEAVY, 0)]
    grid = [
        {"name": n, "setting": s, "seed": seed, "warmup": warmup, "large": True} | size
        for n, s, warmup in keys
        for seed in seeds
    ]
    return run_grid(anatomy_trial, _in_turn(grid), settings, "ordered classes, larger layers")


def _in_turn(grid: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(grid, key=_seed)


def _seed(trial: dict[str, Any]) -> int:
    return int(trial["seed"])


def _frames(settings: Settings, seeds: tuple[int, ...]) -> Runs:
    quick = settings.quick
    size: dict[str, Any] = {"steps": 2, "pictures": 4} if quick else {"steps": 100, "pictures": 100}
    size["root"] = settings.data_root
    keys = [(CE, s) for s in RATES] + [(n, s) for n in (CO2, CSNP) for s in WEIGHTS]
    keys = [(n, s) for n, s in keys if s in (LR, 10.0)] if quick else keys
    grid = [{"name": n, "setting": s, "seed": seed} | size for n, s in keys for seed in seeds]
    return run_grid(camvid_trial, _in_turn(grid), settings, "ordered classes, CamVid")


def _chosen(runs: Runs, group: str, data: str) -> Any:
    return select(
        runs.in_group(group),
        arms=("group", "name"),
        over=("setting",),
        by="validation",
        largest=True,
        pooled=True,
        words="macro Dice less ten times the contact rate, both at argmax",
        data=data,
        budget="two settings of its one hyper-parameter, one training each",
        why={(group, name): "it has no weight: its learning rate is chosen" for name in BY_RATE},
    )
