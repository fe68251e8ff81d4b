"""Tables and figures of the study of linear grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.physics.linear_grids import CELG, CellGrid
from deepwright.physics.pictures import field_images
from deepwright.studies._frame import Runs, barred, cells, geometric, geometric_mean, training_curve
from deepwright.studies.linear_grids.methods import BUDGET, BY_KERNEL, LEVELS, MAIN, OURS
from deepwright.studies.linear_grids.products import COUNTS
from deepwright.studies.linear_grids.timing import AXES, CELLS, POINTS

Arms = dict[tuple[str, str], Runs]
BY_LEVEL = "Three levels over one"
FIRST_SEED = "Three bands, first seed"
BY_TIME = "Three bands by training time"
PRODUCTS = "How many products a solution needs"
TIMES = "Where a step's time goes"
KERNELS_SEEN = "One band: loss by kernel"
PICTURED = "three bands"


def mean_error(runs: Runs) -> Interval:
    """Geometric mean of the errors of an arm over its seeds.

    Args:
        runs: of the arm.
    """
    return geometric_mean(runs.values("error"))


def main_table(arms: Arms, seeds: int) -> Table:
    """Every arm's error.

    Args:
        arms: the runs by problem and name.
        seeds: how many.
    """
    rows: list[list[Any]] = []
    for (problem, name), runs in arms.items():
        error, setting = mean_error(runs), runs.specs[0]["setting"]
        words = f"{setting['network']}, lr {setting['lr']:g}"
        steps, cost = runs.specs[0]["steps"], runs.mean("seconds")
        errors = [*cells(error), max(runs.values("error"))]
        rows.append([problem, name, words, *errors, runs[0]["parameters"], steps, cost])
    columns = ["problem", "network", "setting", "relative L2 error", "low", "high", "worst seed"]
    return Table(
        [*columns, "parameters", "steps", "CPU seconds"],
        rows,
        f"Errors at equal CPU time: geometric means of {seeds} seeds; Adam with a cosine, fresh points in every step, "
        "float32, one thread; steps such that each training costs the same on the machine where they were timed side "
        f"by side ({_budgets()} CPU seconds)",
    )


def _budgets() -> str:
    return ", ".join(f"{problem} {seconds:g}" for problem, seconds in BUDGET.items())


def tried_table(tuned: Runs, rates: Sequence[float]) -> Table:
    """All settings that were tried.

    Args:
        tuned: the runs, each network's by rising rate.
        rates: that were tried.
    """
    found: dict[tuple[str, str, str], list[float | None]] = {}
    for spec, row in zip(tuned.specs, tuned):
        key = (spec["problem"], spec["name"], spec["setting"]["network"])
        value = row["validation"]
        found.setdefault(key, []).append(value if math.isfinite(value) else None)
    rows: list[list[Any]] = [[*key, *errors] for key, errors in found.items()]
    columns = ["problem", "network", "its own setting", *(f"lr {rate:g}" for rate in rates)]
    caption = (
        "Settings tried: error at the validation points, one seed of its own, all steps on three bands, 35 % of them "
        "elsewhere"
    )
    return Table(columns, rows, caption)


def level_table(arms: Arms, equal_steps: dict[str, Runs]) -> Table:
    """What three levels gain or lose against one.

    Args:
        arms: the runs by problem and name.
        equal_steps: three levels with as many steps as one level has, by problem.
    """
    rows: list[list[Any]] = []
    for problem in dict.fromkeys(problem for problem, _ in arms):
        one = arms[problem, OURS]
        for words, more in (("equal CPU time", arms[problem, LEVELS]), ("equal steps", equal_steps.get(problem))):
            if more is not None:
                quotient = geometric(more, one, "error")
                rows.append([problem, words, *cells(quotient), mean_error(more).value])
    return Table(
        ["problem", "compared at", "quotient of errors", "low", "high", "error of three levels"],
        rows,
        f"{BY_LEVEL}: geometric means of paired quotients (below 1 three levels are better)",
    )


def time_table(arms: Arms, longer: dict[str, Runs], times: int) -> Table:
    """One level on three bands, with more time.

    Args:
        arms: the runs by problem and name.
        longer: with more steps, by the network's own setting.
        times: how many more.
    """
    rows: list[list[Any]] = []
    shown = [(name, arms[PICTURED, name], 1) for name in (OURS, LEVELS)]
    for name, runs, factor in [*shown, *((OURS, runs, times) for runs in longer.values())]:
        error, setting = mean_error(runs), runs.specs[0]["setting"]
        words = f"{setting['network']}, lr {setting['lr']:g}"
        warned = runs.mean(lambda row: float(row["warned"]))
        rows.append([name, words, factor, *cells(error), max(runs.values("error")), warned])
    return Table(
        ["network", "setting", "times the budget", "error", "low", "high", "worst seed", "share that certify warns of"],
        rows,
        f"{BY_TIME}: geometric means; certify estimates, without the exact solution, how large a smooth correction "
        "would fit the equation better",
    )


def products_table(needed: dict[str, list[float]]) -> Table:
    """Errors of the best sums of products.

    Args:
        needed: of `products_needed`.
    """
    return Table(
        ["solution", *(f"{r} products" for r in COUNTS)],
        [[name, *(max(v, 1e-14) for v in left)] for name, left in needed.items()],
        f"{PRODUCTS} of functions of one coordinate: relative L2 error of the best sum of so many (closed form: "
        "singular values over a plane of 128 x 128 places, 1e-14 stands for rounding)",
    )


def timing_table(times: dict[str, float]) -> Table:
    """Milliseconds of a step, with heads and without.

    Args:
        times: of `step_times`.
    """
    rows: list[list[Any]] = []
    for name, value in times.items():
        if name.endswith(", no head"):
            continue
        bare = times.get(f"{name}, no head")
        base = times["CELG, 2 axes"], times["CELG, 2 axes, no head"]
        rows.append([name, value, bare, value / base[0], None if bare is None else bare / base[1]])
    return Table(
        ["network", "ms", "ms without its head", "over CELG's on 2 axes", "the same, both without heads"],
        rows,
        f"{TIMES}: Poisson residual and gradient, {POINTS:,} points, float64, one thread, CPU time, median; a head is "
        "the small tanh network behind the grids (32 wide for CELG, 16 for cells)",
    )


def points_table(by_points: dict[int, dict[str, float]]) -> Table:
    """Both grids by number of points.

    Args:
        by_points: of `cells_by_points`.
    """
    rows: list[list[Any]] = [
        [n, t[CELLS], t["CELG, 2 axes"], t[CELLS] / t["CELG, 2 axes"]] for n, t in by_points.items()
    ]
    return Table(["points", "cells, ms", "CELG, ms", "quotient"], rows, "The same step by number of points, 2 axes")


def memory_table() -> Table:
    """Bytes of both grids by number of axes."""
    return Table(
        ["axes", "linear grids, bytes", "cells, bytes"],
        [[d, CELG.estimate_memory(d, 32, 16), CellGrid.memory(d, 32, 16, 1)] for d in AXES],
        "32 knots or cells an axis, 16 features",
    )


def figures(arms: Arms) -> list[Figure]:
    """All of them.

    Args:
        arms: the runs by problem and name.
    """
    problems = list(dict.fromkeys(problem for problem, _ in arms))
    bars = [barred(name, problems, [mean_error(arms[p, name]) for p in problems]) for name in MAIN]
    losses = [training_curve(name, arms["one band", name].values("curve")) for name in (OURS, *BY_KERNEL)]
    shown = {name: arms[PICTURED, name][0]["picture"] for name in ("SPINN", "PIXEL", OURS, LEVELS)}
    fields = {"exact": shown[OURS][1].numpy()} | {name: p[0].numpy() for name, p in shown.items()}
    return [
        Figure("bar", "Error at equal CPU time", bars, "problem", "relative L2 error", log_y=True),
        Figure(
            "line",
            KERNELS_SEEN,
            losses,
            "share of training",
            "loss",
            log_y=True,
            note="what training lowers: errors, in the first table, can have another order",
        ),
        Figure("images", FIRST_SEED, field_images(fields, extent=(-1, 1, -1, 1))),
    ]
