"""The tunnel effect: which networks can enclose a region of their inputs, and what becomes of those that can't?"""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Arm, StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, study_result
from deepwright.studies.tunnel.claims import arms_of, claims_of
from deepwright.studies.tunnel.shown import Found, figures, summary, tables
from deepwright.studies.tunnel.training import LINE, PLANE
from deepwright.studies.tunnel.trials import REGIMES, line_trial, plane_trial, random_trial

LIMITS = (
    "Tanh networks of one and two inputs and one output, of up to ten blocks; nothing here was measured on images, on "
    "more inputs, or on networks that somebody uses.",
    "One optimiser at one learning rate and one budget: best accuracies say what a shape allows, not what it reaches.",
    "The grid that the verdicts are held against is no proof: two critical points in one cell cancel, and it sees "
    "none.",
    "A critical point is verified by signs of derivatives that are sampled around it, refined until no turn is above "
    "a quarter of pi, and not by interval arithmetic.",
    "Random networks are those of the specification's regimes; larger weights or more blocks leave more undecided.",
    "The paper's own numbers weren't read: its repository holds no tables.",
)


def run(settings: Settings) -> StudyResult:
    """Four shapes on a parabola, four on a disc in a ring, and random ones against a grid."""
    quick = settings.quick
    seeds = settings.seeds_or(range(100, 101 if quick else 105))
    size: dict[str, Any] = {"epochs": 3 if quick else 120}
    grid = [trial | size for trial in cross(arm=list(LINE), seed=list(seeds))]
    line = run_grid(line_trial, grid, settings, "tunnel, parabola")
    size = {"epochs": 3 if quick else 175, "cells": 2**8 if quick else 2**14}
    grid = [trial | size for trial in cross(arm=list(PLANE), seed=list(seeds))]
    plane = run_grid(plane_trial, grid, settings, "tunnel, disc in ring")
    random = run_grid(random_trial, _random_grid(list(seeds), quick), settings, "tunnel, random networks")
    found = Found(line.by("arm"), plane.by("arm"), random.by("n"))
    rule = "lowest validation loss, epoch by epoch"
    arms = [Arm(name, budget="1,200 steps of 30 points", group="parabola", **arms_of(rule)) for name in LINE]
    arms += [Arm(name, budget="1,400 steps of 128 points", group="disc in ring", **arms_of(rule)) for name in PLANE]
    return study_result(
        "tunnel-effect",
        [line, plane, random],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables(found),
        figures=figures(found),
        summary=summary(found),
        arms=arms,
        limits=LIMITS,
        settings={"cells": size["cells"], "starts of a search": 256, "learning rate": 0.01},
    )


def _random_grid(seeds: list[int], quick: bool) -> list[dict[str, Any]]:
    """Every second of the combinations, another half in each seed: 60 networks in five seeds."""
    size: dict[str, Any] = {"cells": 2**8 if quick else 2**14, "side": 41 if quick else 401}
    kinds = cross(n=[1, 2], regime=list(range(len(REGIMES[1]))), scale=[0.5, 1.0, 2.0])
    if quick:
        kinds = [kind for kind in kinds if kind["scale"] == 1.0]
    half = [(i, kind, j, seed) for i, kind in enumerate(kinds) for j, seed in enumerate(seeds)]
    return [kind | {"seed": seed} | size for i, kind, j, seed in half if (i + j) % 2 == 0 or quick]
