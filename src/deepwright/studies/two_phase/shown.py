"""Tables and figures of the study of two-phase flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.physics.pictures import field_images
from deepwright.studies._frame import Runs, barred, cells, geometric, geometric_mean, training_curve
from deepwright.studies.two_phase.trials import NOISE, SPREADS
from deepwright.studies.two_phase.ways import ADAM, LBFGS, ONE, OURS, WAYS

Arms = dict[str, Runs]
DROPLET = "A droplet, viscosities 10 : 1"
OTHERS = "Other flows"
POINTS = "Points moved to the edges"
LOSSES = "Droplet: loss over the training"
FLOWS = ("general", "three fluids", "core flow", "free", "slabs", "whole")
DEFAULT = "points default"
SLABS = 3  # each of 0.4, up to 1.2


def error(runs: Runs, key: str) -> Interval:
    """Geometric mean of an error over the seeds.

    Args:
        runs: of an arm.
        key: of the error.
    """
    return geometric_mean(runs.values(key))


def droplet_table(arms: Arms, seeds: int) -> Table:
    """Every way and trainer on the droplet.

    Args:
        arms: the runs by way.
        seeds: how many.
    """
    rows: list[list[Any]] = []
    for what, runs in arms.items():
        found = [cell for key in ("u", "p") for cell in (*cells(error(runs, key)), max(runs.values(key)))]
        unused = {"damping"} if what in (ADAM, LBFGS) else set()
        setting = ", ".join(f"{k} {v:g}" for k, v in runs.specs[0]["setting"].items() if k not in unused)
        cost = (runs.specs[0]["steps"], runs.mean("seconds"))
        rows.append([what, setting, runs[0]["parameters"], *found, *cost])
    spread = ["velocity error", "low", "high", "worst", "pressure error", "low ", "high ", "worst "]
    return Table(
        ["way", "setting", "parameters", *spread, "steps", "CPU seconds"],
        rows,
        f"{DROPLET}: relative L2 errors over space and time (the pressure's mean removed), geometric means of {seeds} "
        "seeds; Levenberg-Marquardt where no other trainer is named, float64, one thread; beta weighs interface, edge "
        "and start",
    )


def others_table(more: Arms) -> Table:
    """Other flows and contrasts.

    Args:
        more: their runs.
    """
    shown = [w for w in more if w in FLOWS or w.startswith("contrast")]
    rows: list[list[Any]] = []
    for what in shown:
        runs = more[what]
        found = [cell for key in ("u", "p") for cell in cells(error(runs, key))]
        steps = runs.specs[0]["steps"] * (SLABS if what == "whole" else 1)
        rows.append([what, *found, steps, runs.mean("seconds")])
    return Table(
        ["flow", "velocity error", "low", "high", "pressure error", "low ", "high ", "steps", "CPU seconds"],
        rows,
        f"{OTHERS} by a network per phase with the droplet's setting: relative L2 errors, geometric means; contrast: "
        "of the droplet's viscosities; free: an interface that is carried, started frozen (steps of the first sweep); "
        "a droplet up to t = 1.2 in three slabs (the worst one's error, and the steps of each), and as a whole in as "
        "many steps as the three together",
    )


def points_table(more: Arms) -> Table:
    """What more points on interface, edge and start do, and each block's residual between the points.

    Args:
        more: the runs.
    """
    blocks = list(more[DEFAULT][0]["indicator"])
    rows: list[list[Any]] = []
    for what in (f"points {name}" for name in SPREADS):
        if what not in more:
            continue
        quotients = [cell for key in ("u", "p") for cell in cells(geometric(more[what], more[DEFAULT], key))]
        left = [residual(more[what], block) for block in blocks]
        rows.append([what, error(more[what], "u").value, error(more[what], "p").value, *quotients, *left])
    spread = ["velocity over the default's", "low", "high", "pressure over the default's", "low ", "high "]
    return Table(
        ["points", "velocity error", "pressure error", *spread, *(f"residual: {block}" for block in blocks)],
        rows,
        f"{POINTS}, at a fixed total: geometric means, paired quotients, and the L2 norm of each block's residual on "
        "four times as many fresh points",
    )


def residual(runs: Runs, block: str) -> float:
    """Geometric mean over the seeds of a block's residual on fresh points.

    Args:
        runs: of one distribution of points.
        block: its name.
    """
    return geometric_mean([row["indicator"][block] for row in runs]).value


def measures_table(more: Arms) -> Table:
    """What isn't a relative error.

    Args:
        more: the runs.
    """
    free, unknown = more["free"], more["unknown"]
    rows: list[list[Any]] = [
        ["free interface: sweeps", *_plain(free, "sweeps")],
        ["free interface: error of the droplet's centre at the end", *_positive(free.values("centre error"))],
        ["free interface: relative error of its area at the end", *_positive(free.values("area error"))],
        ["static droplet: largest spurious speed, in gamma / mu", *_positive(more["static"].values("spurious"))],
        ["static droplet: pressure jump against Laplace's, relative", *_positive(jump_error(more["static"], 2))],
        ["ball, axisymmetric: pressure jump against 2 gamma / R, relative", *_positive(jump_error(more["ball"], 4))],
        ["unknown properties: largest relative error", *_positive(unknown.values("worst"))],
        [
            "unknown properties: the same in the deviations that the fit states",
            *_positive(unknown.values("deviations")),
        ],
    ]
    return Table(
        ["measure", "value", "low", "high", "worst"],
        rows,
        "Interfaces, fluids at rest and unknown properties: means over the seeds (of errors geometric ones)",
    )


def jump_error(runs: Runs, truth: float) -> list[float]:
    """Relative error of the pressure's jump, seed by seed.

    Args:
        runs: of fluids at rest.
        truth: Laplace's jump.
    """
    return [abs(row["jump"] / truth - 1) for row in runs]


def _plain(runs: Runs, key: str) -> tuple[float | None, ...]:
    return (*cells(runs.interval(key)), max(runs.values(key)))


def _positive(values: Sequence[float]) -> tuple[float | None, ...]:
    return (*cells(geometric_mean(values)), max(values))


def unknown_table(runs: Runs) -> Table:
    """Fitted properties, seed by seed.

    Args:
        runs: of unknown properties.
    """
    return Table(
        ["property (truth: 1)", "fitted", "its deviation"],
        [[name, *pair] for row in runs for name, pair in row["estimates"].items()],
        f"Velocity and pressure at 80 places with noise of {NOISE:g}; deviations by J^T J, one row a seed and property",
    )


def tried_table(tuned: Runs) -> Table:
    """All settings that were tried.

    Args:
        tuned: the runs.
    """
    rows: list[list[Any]] = [
        [spec["what"], ", ".join(f"{k} {v:g}" for k, v in spec["setting"].items()), row["u"], row["p"]]
        for spec, row in zip(tuned.specs, tuned)
    ]
    return Table(
        ["way", "setting", "velocity error", "pressure error"],
        rows,
        "Settings tried on the droplet: one seed of its own, a third of the steps; the lowest product of both errors "
        "was chosen",
    )


def times_table(times: dict[str, float]) -> Table:
    """Milliseconds of a gradient.

    Args:
        times: of `timing.gradient_times`.
    """
    rows: list[list[Any]] = [[name, value] for name, value in times.items()]
    caption = (
        "Gradient of the whole functional, networks of 3 x 32, default points of the paper's size, CPU time, median"
    )
    return Table(["derivatives by", "ms"], rows, caption)


def figures(arms: Arms, more: Arms) -> list[Figure]:
    """All of them.

    Args:
        arms: the runs by way.
        more: the other flows.
    """
    shown = [what for what in (*WAYS, ADAM, LBFGS) if what in arms]
    bars = [barred(what, ["velocity", "pressure"], [error(arms[what], key) for key in ("u", "p")]) for what in shown]
    losses = [training_curve(what, arms[what].values("curve")) for what in shown]
    drawn = [
        Figure("bar", "Errors on the droplet", bars, "field", "relative L2 error", log_y=True),
        Figure(
            "line",
            LOSSES,
            losses,
            "share of training",
            "loss",
            log_y=True,
            note="each way's own loss, with its own beta: a curve is compared with its beginning, not with another's",
        ),
    ]
    return [*drawn, *_contrasts(more), _pictures(arms)]


def _contrasts(more: Arms) -> list[Figure]:
    by_contrast = {float(w[9:]): runs for w, runs in more.items() if w.startswith("contrast") and "," not in w}
    by_contrast |= {10.0: more[DEFAULT]} if DEFAULT in more else {}
    if len(by_contrast) <= 2:
        return []
    x = sorted(by_contrast)
    series = [
        barred(name, x, [error(by_contrast[c], key) for c in x]) for name, key in (("velocity", "u"), ("pressure", "p"))
    ]
    labels = ("mu inside / outside", "relative L2 error")
    return [Figure("line", "Error by viscosity contrast", series, *labels, log_x=True, log_y=True)]


def _pictures(arms: Arms) -> Figure:
    ours, other = (arms[w][0]["picture"] for w in (OURS, ONE))
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = np.stack([0.1 + 0.5 * np.cos(angle), 0.1 + 0.5 * np.sin(angle)], 1)
    pressures = {"pressure at the end, exact": ours["p exact"], "a network per phase": ours["p"], ONE: other["p"]}
    errors = {"velocity error, a network per phase": ours["gap"], "velocity error, one network": other["gap"]}
    images = [
        image
        for compared in (pressures, errors)  # each on one colour scale
        for image in field_images(
            {name: values.numpy() for name, values in compared.items()}, extent=(-1, 1, -1, 1), overlay=[circle]
        )
    ]
    return Figure("images", "Droplet, first seed", images)
