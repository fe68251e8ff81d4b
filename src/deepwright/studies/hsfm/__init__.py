"""HSFM: is a last layer relearned by edits of a support better in its worst group than simpler ways to one?"""

from __future__ import annotations

from typing import Any

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, select, study_result
from deepwright.studies.hsfm.claims import claims_of
from deepwright.studies.hsfm.shown import Found, figures, summary, tables
from deepwright.studies.hsfm.trials import (
    ARMS,
    META,
    NAME_AFR,
    NAME_ERM,
    choice_trial,
    dominoes_trial,
    gaussian_trial,
    settings_of,
)

LIMITS = (
    "Drawn Gaussians of 64 features and pairs of small digits: no photographs, no pretrained backbone, and none of the "
    "paper's data sets, which need a GPU and downloads.",
    "One shortcut of two values and two classes; a second shortcut, or more classes, was not tried.",
    "Heads that are trained on validation rows are judged on the half that they weren't trained on; those of HSFM, its "
    "ablations and JTT on all of them, although HSFM's hard set comes from there.",
    "Every head but HSFM's choices in the table of choices had its setting chosen by validation group labels: none of "
    "the numbers of the first table is free of them.",
    "HSFM, direct-hard and the frozen support also choose among the heads of 31 epochs (0 is the head before) at each "
    "of their nine settings: 279 candidates a seed by validation group labels, where others choose among nine or 36.",
    "AFR chooses among 36 settings, where nine ended at its best ones; gamma 0, at which it is plain retraining "
    "pulled to the old head, is the end of what it can be.",
    "HSFM with 30 epochs, a support of 64 rows a class and 5 inner steps throughout: only the hard set's size and the "
    "head's rate were tried.",
)
CHOICES = ("worst_group", "worst_class", "hard_loss", "last")


def run(settings: Settings) -> StudyResult:
    """Ten heads at nine settings each (AFR's at 36, HSFM's by epoch, too), ways to choose its epoch, and pictures."""
    quick = settings.quick
    seeds = settings.seeds_or(range(400, 401 if quick else 410))
    n = (600, 300, 600) if quick else (4000, 1000, 4000)
    p_vals = (0.5, 0.9)
    tried: list[dict[str, Any]] = []
    for arm in ARMS:
        some = settings_of(arm)
        some = some[len(some) // 2 :][:1] if quick else some
        tried += [
            {"arm": arm, "setting": setting, "p_val": p_val, "seed": seed, "n": n}
            for p_val in p_vals
            for setting in some
            for seed in seeds
        ]
    runs = run_grid(gaussian_trial, sorted(tried, key=_by_seed), settings, "hsfm, drawn features")
    grid = cross(select=CHOICES, p_val=0.9, seed=seeds)
    choices = run_grid(choice_trial, [{**one, "n": n} for one in grid], settings, "hsfm, ways to choose")
    pairs, epochs = ((300, 200, 200), 1) if quick else ((2000, 600, 1000), 5)
    shares = (0.95,) if quick else (0.95, 0.98)
    few = list(seeds)[: 1 if quick else 6]
    grid = [{**one, "n": pairs, "epochs": epochs} for one in cross(p=shares, seed=few)]
    dominoes = run_grid(dominoes_trial, grid, settings, "hsfm, dominoes")
    chosen = select(
        runs,
        arms=("p_val", "arm"),
        over=("setting",),
        by="validation",
        largest=True,
        words="accuracy of the worst group",
        data="validation rows (the half that it wasn't trained on, where it trains on them)",
        budget={(p_val, arm): budget_of(arm) for p_val in p_vals for arm in ARMS},
        why={
            (p_val, arm): why
            for p_val in p_vals
            for arm, why in {
                NAME_ERM: "nothing of it is to be chosen",
                "AFR": "of nine settings it chose the outermost ones: the others didn't",
                **dict.fromkeys(META, "its epoch is chosen, too"),
            }.items()
        },
    )
    found = Found(chosen.runs.by("p_val", "arm"), choices.by("select"), dominoes.by("p"))
    return study_result(
        "hsfm",
        [runs, choices, dominoes],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables(found),
        figures=figures(found),
        summary=summary(found),
        arms=chosen.arms,
        limits=LIMITS,
        settings={"rows": list(n), "pairs": list(pairs), "epochs of the network of dominoes": epochs},
    )


def budget_of(arm: str) -> str:
    """What an arm chooses from on validation rows.

    Args:
        arm: of `ARMS`.
    """
    if arm == NAME_ERM:
        return "one setting, nothing chosen"
    if arm in META:
        return "nine settings, one of 31 epochs each"
    return f"{'36' if arm == NAME_AFR else 'nine'} settings of its hyper-parameters"


def _by_seed(trial: dict[str, Any]) -> int:
    return int(trial["seed"])
