"""The study's tables, figures, arms, limits and the sentence on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepwright.core.results import Arm, Figure, Table
from deepwright.core.statistics import Interval, mean_interval, wilson
from deepwright.studies._frame import Runs, banded, columns, ends, mean
from deepwright.studies.driving.campaigns import CLOSER, HELD_OUT, HIGH, LIMIT, LOW, WHOLE
from deepwright.studies.driving.claims import CELLS, PHOTOGRAPHS, RANKS, REPAIR, margin, mended, of_cell, rho
from deepwright.studies.driving.foretelling import CLEAN, ERROR, PREDICTORS, SEVERITY, Cell
from deepwright.studies.driving.photographs import EPOCHS

LIMITS = (
    "A tiny pilot, 40 x 80 grey pictures and RoadSim's flat, empty roads: what a full-size network does in a heavy "
    "simulator or on a street may differ.",
    "Failure rates hang on the distance at which the lane counts as left and on the roads' bends; other limits and "
    "sharper bends give others.",
    "Rank correlations are over twenty cells of ten perturbations, which aren't a sample of all weather there is: "
    "their intervals speak of pilots and roads alone.",
    "Of the signals that need no driving only the error, the severity and the change of the picture were claimed about "
    "beforehand; the others are shown beside them.",
    "The repair's perturbations were chosen by the same simulator's campaign; a perturbation that nobody tried isn't "
    "thereby mended.",
    "CamVid has no steering: the angle to the middle of the road stands in for it, and nothing was driven there.",
)

_FIRST = f"{WHOLE.collected} roads, {WHOLE.first} epochs"
_AGAIN = f"the first training's pictures, {WHOLE.again} epochs"
_NOTHING = "as published, nothing selected"
ARMS = (
    Arm("with steering noise", _NOTHING, budget=_FIRST, group="imitation"),
    Arm("without steering noise", _NOTHING, budget=_FIRST, group="imitation"),
    Arm("trained on what it failed under", _NOTHING, budget=_AGAIN, group="further training"),
    Arm("trained on unperturbed pictures", _NOTHING, budget=_AGAIN, group="further training"),
    *(
        Arm(name, _NOTHING, budget="one pass over recorded pictures", group="told without driving")
        for name in PREDICTORS
    ),
)


def _cells(runs: Runs) -> list[Cell]:
    return [tuple(row["cell"]) for row in runs[0]["rows"]]


def _over(runs: Runs, cell: Cell, key: str) -> list[float]:
    return [float(of_cell(trial, cell)[key]) for trial in runs]


def _pooled(runs: Runs, cell: Cell, key: str) -> Interval:
    """Wilson's interval over the roads of all seeds."""
    rows = [of_cell(trial, cell) for trial in runs]
    return wilson(round(sum(row[key] * row["n"] for row in rows)), sum(row["n"] for row in rows))


def _often(pilots: Runs) -> int:
    """Perturbed cells in which half of the roads or more failed."""
    return sum(_pooled(pilots, c, "failures").value >= 0.5 for c in _cells(pilots) if c != CLEAN)


def _words(cell: Cell) -> str:
    return "clean" if cell == CLEAN else f"{cell[0].replace('_', ' ')} {cell[1]}"


def tables_of(pilots: Runs, bundled: Runs, photographs: Runs | None) -> list[Table]:
    """The cells, the ranks, the repair, the controls, and the photographs where they are.

    Args:
        pilots: one trial a seed.
        bundled: likewise, of the bundled pilot.
        photographs: likewise; None without their file.
    """
    tables = [_cell_table(pilots, bundled), _rank_table(pilots, bundled), _repair_table(pilots), _control_table(pilots)]
    return tables if photographs is None else [*tables, _photograph_table(pilots, photographs)]


def _cell_table(pilots: Runs, bundled: Runs) -> Table:
    rows: list[list[Any]] = []
    for cell in _cells(pilots):
        failures, closer = _pooled(pilots, cell, "failures"), _pooled(pilots, cell, "closer")
        ratio, distance = (mean_interval(_over(pilots, cell, key)) for key in (ERROR, "max xte"))
        numbers = [x for i in (failures, closer, ratio, distance) for x in (i.value, *ends(i))]
        radians = mean(_over(pilots, cell, "error"))
        rows.append([_words(cell), *numbers, radians, _pooled(bundled, cell, "failures").value])
    names = (f"failure rate at {LIMIT:g} m", f"at {CLOSER:g} m", "offline error over clean", "mean of max xte (m)")
    heads = ["cell", *columns(*names), "offline error (rad)", f"bundled pilot at {LIMIT:g} m"]
    n = sum(of_cell(trial, CLEAN)["n"] for trial in pilots)
    few = sum(of_cell(trial, CLEAN)["n"] for trial in bundled)
    return Table(
        heads,
        rows,
        f"{CELLS}: {len(pilots)} pilots, {n} roads in all, each cell on the same ones (the bundled pilot: {few}); "
        f"{_often(pilots)} of {len(_cells(pilots)) - 1} cells fail on half of them or more; Wilson's intervals of "
        "failure rates over roads, Student's of the rest over seeds",
    )


def _rank_table(pilots: Runs, bundled: Runs) -> Table:
    rows: list[list[Any]] = []
    for name in PREDICTORS:
        ranks, gaps = [rho(t, name) for t in pilots], [rho(t, ERROR) - rho(t, name) for t in pilots]
        far = [t["ranks"][name]["distances"] for t in pilots]
        found = [mean_interval(ranks), mean_interval(far)]
        numbers = [x for i in found for x in (i.value, *ends(i))]
        rows.append([name, *numbers, mean(gaps), mean([rho(t, name) for t in bundled])])
    heads = ["told without driving", *columns("rho with failure rates", "rho with distances")]
    cells = len(_cells(pilots)) - 1
    return Table(
        [*heads, "below the error ratio by", "bundled pilot: rho with failure rates"],
        rows,
        f"{RANKS}: Spearman's rho over {cells} cells, mean of {len(pilots)} pilots with Student's intervals; distances "
        "are means over roads of the largest |xte|; bias and slope are those of steering against the clean picture's",
    )


def _repair_table(pilots: Runs) -> Table:
    trials = [t["repair"] for t in pilots if t["repair"]]
    rows: list[list[Any]] = []
    for cell in [tuple(row["cell"]) for row in trials[0]["rows"]] if trials else []:
        mine = [next(r for r in t["rows"] if tuple(r["cell"]) == cell) for t in trials]
        trained = sum(r["role"] == "trained on" for r in mine)
        shares = [mean_interval([r[arm] for r in mine]) for arm in ("before", "after", "control")]
        numbers = [x for i in shares for x in (i.value, *ends(i))]
        rows.append([_words(cell), trained, *numbers])
    heads = [
        "cell",
        "pilots trained on it",
        *columns("failure rate before", "after", "after as much training unperturbed"),
    ]
    return Table(
        heads,
        rows,
        f"{REPAIR}, on other roads than those of the campaign that chose its perturbations: {len(trials)} pilots, "
        f"{WHOLE.roads} roads each at full size; Student's intervals over seeds; {HELD_OUT} is always held out",
    )


def _control_table(pilots: Runs) -> Table:
    names = ("without steering noise", "with steering noise", "blind")
    rows: list[list[Any]] = []
    for name in names:
        found = mean_interval([t["controls"][name] for t in pilots])
        rows.append([name, found.value, *ends(found)])
    return Table(
        ["control", *columns("failure rate on clean roads")],
        rows,
        "Controls: imitation without and with steering noise, both before DAgger; the final pilot, shown the mean "
        f"picture at each step; {len(pilots)} seeds",
    )


def _photograph_table(pilots: Runs, photographs: Runs) -> Table:
    rows: list[list[Any]] = []
    for cell in _cells(photographs):
        there, here = (mean_interval(_over(runs, cell, ERROR)) for runs in (photographs, pilots))
        numbers = [x for i in (there, here) for x in (i.value, *ends(i))]
        rows.append(
            [_words(cell), mean(_over(photographs, cell, "error")), *numbers, _pooled(pilots, cell, "failures").value]
        )
    first = photographs[0]
    constant = mean([t["constant"] for t in photographs])
    return Table(
        ["cell", "error (rad)", *columns("error over clean", "RoadSim: error over clean"), "RoadSim: failure rate"],
        rows,
        f"{PHOTOGRAPHS}: CamVid, {first['trained on']} pictures (mirrored ones too) to train on for {EPOCHS} epochs, "
        f"{first['pictures']} to test, the angle to the middle of the road; a constant errs by {constant:.3f} rad; "
        f"{len(photographs)} seeds",
    )


def figures_of(pilots: Runs) -> list[Figure]:
    """Errors against failures, and the repair.

    Args:
        pilots: one trial a seed.
    """
    found = [_scatter(pilots), _rates(pilots)]
    trials = [t["repair"] for t in pilots if t["repair"]]
    return found if not trials else [*found, _mended(trials)]


def _scatter(pilots: Runs) -> Figure:
    series = []
    for severity in (LOW, HIGH):
        cells = [c for c in _cells(pilots) if c[1] == severity]
        x = [mean(_over(pilots, c, ERROR)) for c in cells]
        y = [_pooled(pilots, c, "failures").value for c in cells]
        series.append({"name": f"severity {severity}", "x": x, "y": y})
    return Figure(
        "scatter",
        "Errors without driving against failures: a dot is a perturbation",
        series,
        "offline error over the clean error",
        f"failure rate at {LIMIT:g} m",
        log_x=True,
        y_range=(0.0, 1.0),
        note="means over the seeds; the table has the intervals",
    )


def _rates(pilots: Runs) -> Figure:
    names = list(dict.fromkeys(c[0] for c in _cells(pilots) if c != CLEAN))
    labels = [n.replace("_", " ") for n in names]
    series = [banded(f"severity {s}", labels, [_over(pilots, (n, s), "failures") for n in names]) for s in (LOW, HIGH)]
    return Figure("bar", "Failure rates by perturbation", series, "", f"failure rate at {LIMIT:g} m")


def _mended(trials: Sequence[dict[str, Any]]) -> Figure:
    cells = [tuple(row["cell"]) for row in trials[0]["rows"]]
    rows = [[next(r for r in t["rows"] if tuple(r["cell"]) == c) for t in trials] for c in cells]
    names = {"before": "before", "after": "repaired", "control": "as much training, unperturbed"}
    series = [
        banded(name, [_words(c) for c in cells], [[r[arm] for r in mine] for mine in rows])
        for arm, name in names.items()
    ]
    return Figure("bar", "The repair at severity 5, on fresh roads", series, "", f"failure rate at {LIMIT:g} m")


def summary_of(pilots: Runs) -> str:
    """The sentence on top.

    Args:
        pilots: one trial a seed.
    """
    cells = len(_cells(pilots)) - 1
    error, severity = (mean([rho(t, name) for t in pilots]) for name in (ERROR, SEVERITY))
    after = mean(mended(pilots, "after", lambda r: r["role"] == "trained on"))
    parts = min(margin(t) for t in pilots)
    one = "in every seed one ratio parts failing cells from others"
    none = "no one ratio parts failing cells from others in all seeds"
    clean = _pooled(pilots, CLEAN, "failures").value
    return (
        f"Pilots fail on {clean:.0%} of clean roads, and on half of them or more in {_often(pilots)} of {cells} "
        f"perturbed cells. Errors on recorded pictures rank these cells as failures do, with a rho of {error:.2f} (the "
        f"severity's number: {severity:.2f}); {one if parts >= 0 else none}. Training on what a pilot failed under "
        f"changes its failure rates there by {-after:+.2f} on fresh roads; the table of the repair shows what it "
        "leaves as it was."
    )
