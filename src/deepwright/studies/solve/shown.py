"""What the optimisers' runs look like: a table and a path of errors for each problem, quotients with Holm's p."""

from __future__ import annotations

import math
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.core.statistics import holm
from deepwright.studies._frame import Runs, barred, cells, geometric, geometric_mean
from deepwright.studies.solve.trials import LOOKS

Arms = dict[Any, Runs]
LM = "Levenberg-Marquardt"
QUOTIENTS = "Errors over Levenberg-Marquardt's"


def errors_caption(problem: str) -> str:
    """The beginning of the caption of a problem's table.

    Args:
        problem: whose.
    """
    return f"{problem}: relative L2 error"


def errors_table(arms: Arms, problem: str, words: str) -> Table:
    """One row an optimiser.

    Args:
        arms: chosen, by problem and optimiser.
        problem: whose rows.
        words: the rest of the caption.
    """
    rows: list[list[Any]] = []
    for (of, method), runs in arms.items():
        if of == problem:
            errors = runs.values("error")
            found = geometric_mean(errors)
            means = (runs.mean(k) for k in ("steps", "seconds", "between points"))
            rows.append([method, *cells(found), max(errors), *means])
    columns = ["optimiser", "error (geometric mean)", "low", "high", "worst seed"]
    columns += ["steps", "CPU seconds", "residual between points / on them"]
    return Table(columns, rows, f"{errors_caption(problem)} {words}")


def quotients_table(arms: Arms, n: int) -> Table:
    """Every other optimiser's error over Levenberg-Marquardt's on the same problem.

    Args:
        arms: chosen, by problem and optimiser.
        n: seeds.
    """
    rows = []
    for (problem, method), p in holm_p(arms).items():
        found = geometric(arms[problem, method], arms[problem, LM], "error")
        rows.append([problem, method, *cells(found), p])
    caption = f"{QUOTIENTS}, seed by seed: geometric means over {n} seeds; p of a quotient of 1, Holm over the rows"
    return Table(["problem", "optimiser", "quotient", "low", "high", "p (Holm)"], rows, caption)


def unsettled(quotients: Table) -> list[str]:
    """One sentence where an interval alone says more than p does after Holm's correction, either way.

    Args:
        quotients: the table of them.
    """
    rows: list[list[Any]] = list(quotients.rows)
    names = [
        f"{row[1]} on {row[0]}" for row in rows if row[5] is not None and not row[3] <= 1 <= row[4] and row[5] > 0.05
    ]
    words = "With Holm's correction these quotients aren't settled, though 1 is outside of each interval"
    return [f"{words}: {'; '.join(names)}."] if names else []


def holm_p(arms: Arms) -> dict[tuple[str, str], float | None]:
    """By problem and optimiser, p of an error as large as Levenberg-Marquardt's, adjusted for how many are tested.

    Args:
        arms: chosen, by problem and optimiser.
    """
    p = {key: _p(arms[key], arms[key[0], LM]) for key in arms if key[1] != LM}
    known = all(map(math.isfinite, p.values()))
    return dict(zip(p, holm(list(p.values())) if known else [None] * len(p)))


def _p(a: Runs, b: Runs) -> float:
    """Of a paired t-test on the logarithms."""
    from scipy.stats import ttest_1samp

    logs = [math.log(x / y) for x, y in zip(a.values("error"), b.values("error"))]
    return float(ttest_1samp(logs, 0.0).pvalue) if len(logs) > 1 else math.nan


def path_title(problem: str) -> str:
    """The title of a problem's figure.

    Args:
        problem: whose.
    """
    return f"Error against CPU time: {problem}"


def figures(arms: Arms, budgets: dict[str, float]) -> list[Figure]:
    """A path of errors for each problem.

    Args:
        arms: chosen, by problem and optimiser.
        budgets: CPU seconds by problem, in this order.
    """
    note = "geometric means and their 95 % intervals over the seeds; a line begins where every seed has ended a step"
    found = []
    for problem, budget in budgets.items():
        series = [_path(method, runs, budget) for (of, method), runs in arms.items() if of == problem]
        title = path_title(problem)
        found.append(Figure("line", title, series, "CPU seconds", "relative L2 error", log_y=True, note=note))
    return found


def _path(method: str, runs: Runs, budget: float) -> dict[str, Any]:
    """The error that each seed had last at a few even times."""
    x, points = [], []
    for k in range(1, LOOKS + 1):
        at = budget * k / LOOKS
        last = [[e for t, e in row["path"] if t <= at] + ([row["error"]] if k == LOOKS else []) for row in runs]
        if all(last):
            x.append(at)
            points.append(geometric_mean([errors[-1] for errors in last]))
    return {**barred(method, x, points), "smooth": True, "dashed": method.endswith("float32")}
