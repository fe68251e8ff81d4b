"""DeepIn: does it find the variables and directions that there are, and do its tests keep their level?"""

from __future__ import annotations

from collections import Counter
from typing import Any

from deepwright.core.results import Arm, StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, cross, run_grid, study_result
from deepwright.studies.deepin.claims import claims_of
from deepwright.studies.deepin.shown import Found, figures, summary, tables
from deepwright.studies.deepin.trials import (
    ADAPTIVE,
    BOTTLENECK,
    DEEPIN,
    DIABETES,
    FOREST,
    LASSO,
    PLAIN,
    SAVE,
    SIR,
    TUNED,
    diabetes_trial,
    simulation_trial,
    tests_trial,
)

WAYS = {
    "S1": (DEEPIN, BOTTLENECK, PLAIN, TUNED, LASSO, ADAPTIVE, FOREST, SIR, SAVE),
    "S2": (DEEPIN, BOTTLENECK, LASSO, SIR, SAVE),
    "S3": (DEEPIN, BOTTLENECK, LASSO, SIR, SAVE),
    "S0": (DEEPIN, LASSO),
    "S4": (DEEPIN, BOTTLENECK, TUNED, LASSO),
}
EPOCHS, BLOCKS, TABLES = 40, 8, 25
LIMITS = (
    "The construction is ours: of the paper only the abstract and the first page were read; none of its tables is "
    "repeated.",
    "Simulations have 50 independent normal columns, 2,000 training and 500 validation rows and noise of 0.5: no "
    "correlated columns, no other signal-to-noise, no more columns than rows.",
    "One real table, of 442 rows; no biomedical and no picture benchmark of the paper's.",
    "LassoNet isn't an arm: it is timed and judged in `benchmarks/deepin.py`, in an environment of its own.",
    "Tests of a variable are judged without selection before them, one split a table, at one size of table and "
    "network, for three variables; p-values of several splits and of the dimension are not judged here.",
    "Networks of two layers of 64; the tuned one was tuned over nine settings of decay and dropout, not over its size.",
    "Classification and survival are in the library, and no part of this study.",
)


def run(settings: Settings) -> StudyResult:
    """Simulations with known answers, diabetes with columns of noise, and 200 tables for the tests.

    Args:
        settings: how to run it; quick runs S1 and S0 fully and the rest shorter, on one seed.
    """
    quick = settings.quick
    seeds = settings.seeds_or(range(100, 101 if quick else 105))
    grid: list[dict[str, Any]] = []
    for name, ways in WAYS.items():
        short = quick and name not in ("S0", "S1")
        epochs = 1 if short else (10 if quick else EPOCHS)
        grid += cross(name=name, way=list(ways), seed=seeds, epochs=epochs)
    simulations = run_grid(simulation_trial, sorted(grid, key=_seed), settings, "deepin, simulations")
    grid = cross(way=list(DIABETES), seed=seeds, epochs=2 if quick else EPOCHS)
    diabetes = run_grid(diabetes_trial, grid, settings, "deepin, diabetes")
    blocks = [seeds[0] + 1000 * k for k in range(1, 3 if quick else BLOCKS + 1)]
    pairs = [{"seed": seeds[k % len(seeds)], "block": block} for k, block in enumerate(blocks)]
    size = cross(start=["common", "independent"], replications=4 if quick else TABLES)
    grid = [one | pair for one in size for pair in pairs]
    tests = run_grid(tests_trial, grid, settings, "deepin, tests")
    found = Found(simulations.by("name", "way"), diabetes.by("way"), tests.by("start"))
    return study_result(
        "deepin",
        [simulations, diabetes, tests],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables(found),
        figures=figures(found),
        summary=summary(found),
        arms=_arms(found),
        limits=LIMITS,
        settings={"epochs": EPOCHS, "tables of the tests": TABLES * BLOCKS, "blocks of them": blocks},
    )


def _seed(trial: dict[str, Any]) -> int:
    seed: int = trial["seed"]
    return seed


def _arms(found: Found) -> list[Arm]:
    """How each was selected: all of them on the same validation rows."""
    held, rows = "500 validation rows of each seed", "2,000 training and 500 validation rows"
    both = "five folds of training and validation rows"
    tuned: Runs = found.simulations["S1", TUNED]
    chosen = Counter(f"decay {row['decay']:g}, dropout {row['dropout']:g}" for row in tuned)
    edge = sum(row["decay"] in (0.1, 3.0) or row["dropout"] in (0.0, 0.4) for row in tuned)
    network = f"networks of 64-64, {EPOCHS} epochs, {rows}, the chosen one fitted again on all of these"
    return [
        Arm(
            DEEPIN,
            "smallest within a standard error of the lowest validation error",
            held,
            network,
            group="S1",
            why="to choose less within a standard error is the method",
        ),
        Arm(BOTTLENECK, "epoch of the lowest validation error", held, network, group="S1"),
        Arm(PLAIN, "epoch of the lowest validation error", held, network, group="S1"),
        Arm(
            TUNED,
            "lowest validation error",
            held,
            f"nine {network}",
            {"decay": [0.1, 1.0, 3.0], "dropout": [0.0, 0.2, 0.4]},
            9,
            dict(chosen),
            edge,
            "S1",
            "it is tuned over decay and dropout",
        ),
        Arm(LASSO, "lowest error of folds", both, rows, group="S1", why="its path is cheap: folds choose lambda"),
        Arm(ADAPTIVE, "lowest error of folds", both, rows, group="S1", why="its path is cheap: folds choose lambda"),
        Arm(FOREST, "as published", "", rows, group="S1", why="40 trees, three permutations: nothing is tuned"),
        Arm(SIR, "as published", "", rows, group="S1", why="it is told the dimension"),
        Arm(SAVE, "as published", "", rows, group="S1", why="it is told the dimension"),
    ]
