"""Tables, figures and the sentence on top."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.core.statistics import wilson
from deepwright.studies._frame import Runs, banded, cells, columns, mean, over_trials
from deepwright.studies.deepin.simulations import TRUE_DIM, TRUE_VARIABLES
from deepwright.studies.deepin.trials import DEEPIN, LASSO, RHOS, SAVE, SIR, TUNED

ERRORS = "Simulations: mean squared error against the noiseless target"
RECOVERY = "Simulations: variables and dimensions that were found"
ANGLES = "Simulations: largest angle to the true directions"
DIABETES_SHOWN = "Diabetes with 20 columns of noise"
TESTS = "Tests of a variable"
POST_HOC = "S1: what attributions of the tuned network say"
PATH = "S1: what each lambda leaves"
LEVELS = (0.05, 0.01)


@dataclass(frozen=True)
class Found:
    """All that was run.

    Attributes:
        simulations: (simulation, way) -> trials.
        diabetes: way -> trials.
        tests: "common" or "independent" -> blocks of tables.
    """

    simulations: dict[Any, Runs]
    diabetes: dict[Any, Runs]
    tests: dict[Any, Runs]

    def values(self, name: str, way: str, measure: str) -> list[float]:
        """One value a seed.

        Args:
            name: of the simulation.
            way: of the arms.
            measure: what is read.
        """
        return [float(v) for v in self.simulations[name, way].values(measure)]

    def exact(self, name: str) -> int:
        """Seeds in which DeepIn has the true dimension.

        Args:
            name: of the simulation.
        """
        return sum(d == TRUE_DIM[name] for d in self.values(name, DEEPIN, "dimension"))

    def right(self, name: str) -> int:
        """Seeds in which it has all true variables, and at most one other.

        Args:
            name: of the simulation.
        """
        rows = self.simulations[name, DEEPIN]
        return sum(row["found"] == TRUE_VARIABLES[name] and row["false"] <= 1 for row in rows)

    def rejected(self, start: str, test: str, level: float) -> tuple[int, int]:
        """Tables in which p is at most a level, and how many there were.

        Args:
            start: of the random numbers.
            test: variable and statistic.
            level: of the test.
        """
        p = [v for block in self.tests[start] for v in block[test]]
        return sum(v <= level for v in p), len(p)

    def share(self, start: str, test: str, level: float) -> float:
        """The share of tables in which p is at most a level.

        Args:
            start: of the random numbers.
            test: variable and statistic.
            level: of the test.
        """
        count, n = self.rejected(start, test, level)
        return count / n


def tables(found: Found) -> list[Table]:
    """Recovery, errors, angles, attributions, diabetes, tests.

    Args:
        found: everything.
    """
    return [_recovery(found), _errors(found), _angles(found), _post_hoc(found), _diabetes(found), _tests(found)]


def _with(found: Found, measure: str) -> list[tuple[str, str]]:
    return [key for key, runs in found.simulations.items() if measure in runs[0]]


def _recovery(found: Found) -> Table:
    rows: list[list[Any]] = []
    for name, way in _with(found, "false"):
        runs = found.simulations[name, way]
        dimension = ", ".join(str(d) for d in runs.values("dimension")) if way == DEEPIN else None
        true = f"{TRUE_VARIABLES[name]} variables in {TRUE_DIM[name]}"
        rows.append([name, true, way, runs.mean("found"), runs.mean("false"), dimension])
    n = len(found.simulations["S1", DEEPIN])
    heads = ["simulation", "truth", "way", "true variables found", "false ones", "dimensions, seed by seed"]
    return Table(heads, rows, f"{RECOVERY}, of 50; means over {n} seeds")


def _errors(found: Found) -> Table:
    rows: list[list[Any]] = [
        [name, way, *cells(over_trials(found.values(name, way, "error")))] for name, way in _with(found, "error")
    ]
    return Table(["simulation", "way", *columns("error")], rows, ERRORS)


def _angles(found: Found) -> Table:
    rows: list[list[Any]] = [
        [name, way, *cells(over_trials(found.values(name, way, "angle")))] for name, way in _with(found, "angle")
    ]
    caption = f"{ANGLES}, in degrees; {SIR} and {SAVE} are told how many there are"
    return Table(["simulation", "way", *columns("degrees")], rows, caption)


def _post_hoc(found: Found) -> Table:
    runs = found.simulations["S1", TUNED]
    rows: list[list[Any]] = []
    for way in ("integrated gradients", "permutation SHAP"):
        rows.append([way, *runs.cells(way), runs.mean(f"{way}, first four")])
    heads = ["attribution", *columns("share that the 46 noise columns get"), "true ones among the first four"]
    return Table(heads, rows, f"{POST_HOC}; DeepIn's network has no input for what it left out")


def _diabetes(found: Found) -> Table:
    rows: list[list[Any]] = []
    for way, runs in found.diabetes.items():
        picked = [runs.mean("variables"), runs.mean("noise")] if "noise" in runs[0] else [None, None]
        rows.append([way, *runs.cells("r2"), *picked])
    heads = ["way", *columns("R2 on held-out rows"), "own variables of 10", "noise columns of 20"]
    return Table(heads, rows, f"{DIABETES_SHOWN}, the same rows for all: 80 % for fitting and choosing, 20 % for R2")


def _tests(found: Found) -> Table:
    rows: list[list[Any]] = []
    for start in found.tests:
        for statistic in (*(f"rho {rho:g}" for rho in RHOS), "two splits"):
            row: list[Any] = [f"{start} random numbers", statistic]
            for variable in ("x5", "x2", "x0"):
                row.append(found.share(start, f"{variable}, {statistic}", LEVELS[0]))
            row.append(found.share(start, f"x5, {statistic}", LEVELS[1]))
            count, n = found.rejected(start, f"x5, {statistic}", LEVELS[0])
            interval = wilson(count, n)
            rows.append([*row, interval.low, interval.high])
    heads = ["refits", "statistic", "null x5 at 5 %", "weak x2 at 5 %", "strong x0 at 5 %", "null x5 at 1 %"]
    n = found.rejected("common", "x5, rho 0.1", 0.05)[1]
    caption = f"{TESTS}: share of {n} tables in which it is rejected, with Wilson's 95 % interval of the null's at 5 %"
    return Table([*heads, "low", "high"], rows, caption, units=n)


def figures(found: Found) -> list[Figure]:
    """Errors by simulation, the path, rejections.

    Args:
        found: everything.
    """
    ways = list(dict.fromkeys(way for name, way in _with(found, "error") if name == "S1"))
    errors = banded("S1", ways, [found.values("S1", way, "error") for way in ways])
    names = [name for name, way in found.simulations if way == DEEPIN and name in ("S0", "S1", "S2", "S3", "S4")]
    one = found.simulations["S1", DEEPIN][0]["path"]
    kept = [i for i, v in enumerate(one[0]) if v == v]
    order = sorted(kept, key=_at(one[0]))
    path = [
        {"name": label, "x": [one[0][i] for i in order], "y": [one[k][i] for i in order]}
        for k, label in ((1, "variables"), (2, "dimensions"))
    ]
    dims = [
        banded("found", names, [found.values(name, DEEPIN, "dimension") for name in names]),
        {"name": "true", "x": names, "y": [TRUE_DIM[name] for name in names]},
    ]
    return [
        Figure("bar", ERRORS + ", S1", [errors], "", "mean squared error", log_y=True),
        Figure("scatter", f"{PATH}, first seed", path, "lambda", "how many", log_x=True, log_y=True),
        Figure(
            "bar",
            "Dimensions that DeepIn finds",
            dims,
            "",
            "dimensions",
            note="What is true is known, without interval.",
        ),
    ]


def _at(values: list[float]) -> Callable[[int], float]:
    return values.__getitem__


def summary(found: Found) -> str:
    """The sentence on top.

    Args:
        found: everything.
    """
    n = len(found.simulations["S1", DEEPIN])
    ours = mean(found.values("S1", DEEPIN, "error"))
    tuned = mean(found.values("S1", TUNED, "error"))
    said = ", ".join(f"{name} {found.exact(name)}" for name in ("S1", "S2", "S3"))
    null = found.share("common", "x5, rho 0.1", LEVELS[0])
    alone = found.share("independent", "x5, rho 0.1", LEVELS[0])
    many = sum(d >= 6 for d in found.values("S4", DEEPIN, "dimension"))
    r2, noise = found.diabetes[DEEPIN].mean("r2"), found.diabetes[DEEPIN].mean("noise")
    lasso, lost = found.diabetes[LASSO].mean("r2"), found.diabetes[LASSO].mean("noise")
    return (
        f"Of {n} seeds each, DeepIn has the true dimension in: {said}. Its squared error on S1 is {ours:.4g}, that "
        f"of the tuned network {tuned:.4g}. Of ten directions (S4) it reports six or more in {many} seeds. On diabetes "
        f"with 20 columns of noise it keeps {noise:.2g} of these at an R2 of {r2:.3f}, the lasso {lost:.2g} at "
        f"{lasso:.3f}. A null variable is rejected at 5 % in {null:.3f} of tables with common random numbers, in "
        f"{alone:.3f} with independent refits."
    )
