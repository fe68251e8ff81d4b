"""A network per phase against one network for both, on flows whose solutions are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.physics.pictures import field_images
from deepwright.studies import Settings
from deepwright.studies._clock import MEDIAN
from deepwright.studies._frame import Runs, cross, curve, mean, ratios, run_grid, study_result
from deepwright.studies.two_phase.timing import gradient_times
from deepwright.studies.two_phase.trials import MORE, NOISE, OURS, SPREADS, WAYS, trial

Arms = dict[str, Runs]
ONE = "one network"
LIMITS = (
    "Two dimensions (or axes of symmetry), laminar flows, and solutions that are known because they were made: no "
    "breaking or merging interface, no measured flow.",
    "Both ways have the same parameters and steps of the same optimiser; a finite-volume solver isn't among them.",
)
CONTRASTS = (0.01, 0.1, 1.0, 100.0, 1000.0)


def run(settings: Settings) -> StudyResult:
    """Droplets, contrasts, point distributions, a free interface."""
    seeds = settings.seeds_or(range(1 if settings.quick else 3))
    steps = 40 if settings.quick else 160
    runs = run_grid(trial, _grid(settings.quick, seeds, steps), settings, "two-phase-pinn")
    arms, times = runs.by("what"), gradient_times(3 if settings.quick else 7)
    return study_result(
        "two-phase-pinn",
        [runs],
        seeds=seeds,
        claims=[*_droplet_claims(arms), *_further_claims(arms), _jets_claim(times), *_spread_claims(arms)],
        tables=[_table(arms, steps), _blocks(arms), _more(arms, steps), _unknown(arms["unknown"])],
        figures=[_losses(arms), *_contrasts(arms), _pictures(arms)],
        summary=_summary(arms, steps),
        limits=LIMITS,
        settings={"steps": steps, "gradient ms": times},
    )


def _grid(quick: bool, seeds: tuple[int, ...], steps: int) -> list[dict[str, Any]]:
    contrasts = [f"contrast {c:g}" for c in ((1.0, 100.0) if quick else CONTRASTS)]
    spreads = [f"points {k}" for k in (list(SPREADS)[:1] if quick else SPREADS)]
    grid = [
        *cross(what=[*WAYS[: 2 if quick else None], "general"], seed=seeds, steps=steps),
        *cross(what=contrasts, seed=seeds[:1], steps=steps),
        *cross(what=spreads, seed=seeds, steps=steps),
        *cross(what="free", seed=seeds, steps=steps // 2),
        *cross(what="static", seed=seeds, steps=60),
        *cross(what=MORE, seed=seeds, steps=steps // 2),
    ]
    return [g | {"picture": g["seed"] == seeds[0] and g["what"] in (OURS, ONE)} for g in grid]


def _jump_error(runs: Runs, truth: float) -> list[float]:
    return [abs(row["jump"] / truth - 1) for row in runs]


def _droplet_claims(arms: Arms) -> list[Claim]:
    ours, one, free = arms[OURS], arms[ONE], arms["free"]
    velocity = "relative L2 error of the velocity"
    return [
        Claim.at_most(f"droplet, viscosities 10 : 1: {velocity} (worst seed)", ours.values("u"), 3e-3, every=True),
        Claim.at_most("... of the pressure (worst seed)", ours.values("p"), 5e-2, every=True),
        Claim.at_least(
            "one network's velocity error over it, same parameters and steps (worst seed)",
            ratios(one, ours, "u"),
            10.0,
            every=True,
        ),
        Claim.at_least("... pressure error", ratios(one, ours, "p"), 10.0, every=True),
        Claim.at_most(f"general stress jump: {velocity}", arms["general"].values("u"), 1e-2),
        Claim.at_most(f"viscosities 100 : 1: {velocity}", arms["contrast 100"].values("u"), 1e-1),
        Claim.at_most(
            "free interface from a frozen guess: sweeps", free.values(lambda row: float(len(row["moves"]))), 6.0
        ),
        Claim.at_most("... error of the droplet's centre at the end", free.values("centre error"), 1e-3),
        Claim.at_most("static droplet: largest spurious speed, in gamma / mu", arms["static"].values("spurious"), 1e-3),
        Claim.at_most("... pressure jump against Laplace's, relative", _jump_error(arms["static"], 2), 0.01),
    ]


def _further_claims(arms: Arms) -> list[Claim]:
    velocity, unknown = "relative L2 error of the velocity", arms["unknown"]
    return [
        Claim.at_most(f"three fluids in rings: {velocity}", arms["three fluids"].values("u"), 1e-2),
        Claim.at_most(f"core flow in a pipe, axisymmetric: {velocity}", arms["core flow"].values("u"), 3e-3),
        Claim.at_most(
            "ball at rest, axisymmetric: pressure jump against 2 gamma / R, relative",
            _jump_error(arms["ball"], 4),
            0.01,
        ),
        Claim.at_most("viscosity and tension from noisy data: largest relative error", unknown.values("worst"), 0.05),
        Claim.at_most(
            "... in the deviations that the fit itself states (worst seed)",
            unknown.values("deviations"),
            3.0,
            every=True,
        ),
    ]


def _jets_claim(times: dict[str, float]) -> Claim:
    text = "gradient of the functional: nested gradients' time over jets'"
    return Claim.at_least(text, times["nested gradients"] / times["jets"], 1.3, timing=True, basis=MEDIAN)


def _spread_claims(arms: Arms) -> list[Claim]:
    moved = arms.get("points 30 % moved to the edges")
    if moved is None:
        return []
    text = "30 % of the interior points moved to interface, edge and start: velocity error over the default's"
    return [Claim.at_most(text, ratios(moved, arms["points default"], "u"), 1.0)]


def _table(arms: Arms, steps: int) -> Table:
    rows: list[list[Any]] = []
    for what, runs in arms.items():
        if what in ("static", *MORE):
            continue
        errors = [cell for k in ("u", "p") for cell in (runs.interval(k).value, max(runs.values(k)))]
        rows.append([what, len(runs), runs[0]["parameters"], *errors, runs.mean("seconds")])
    return Table(
        ["what", "seeds", "parameters", "velocity error", "worst", "pressure error", "worst ", "CPU seconds"],
        rows,
        f"relative L2 errors over space and time (the pressure's mean removed); Levenberg-Marquardt, {steps} steps, "
        "float64, one thread",
    )


def _blocks(arms: Arms) -> Table:
    blocks = list(arms[OURS][0]["indicator"])
    rows: list[list[Any]] = [
        [what, *(arms[what].mean(_block(k)) for k in blocks)]
        for what in (OURS, "general", *(k for k in arms if k.startswith("points")))
    ]
    return Table(["what", *blocks], rows, "L2 norm of each block's residual on four times as many fresh points")


def _block(name: str) -> Callable[[Any], float]:
    return lambda row: row["indicator"].get(name, float("nan"))


def _more(arms: Arms, steps: int) -> Table:
    shown = [what for what in MORE if what != "unknown"]
    keys = ("u", "p", "seconds")
    return Table(
        ["what", "velocity error", "pressure error", "CPU seconds"],
        [[w, *(arms[w].mean(k) if k in arms[w][0] else None for k in keys)] for w in shown],
        f"as above, {steps // 2} steps of Levenberg-Marquardt (a velocity of 0 has no relative error); a droplet up to "
        "t = 1.2 in three slabs, and as a whole in as many steps together",
    )


def _unknown(runs: Runs) -> Table:
    return Table(
        ["property (truth: 1)", "fitted", "its deviation"],
        [[name, *pair] for row in runs for name, pair in row["estimates"].items()],
        f"from velocity and pressure at 80 places with noise of {NOISE:g}; deviations by J^T J, one row a seed and "
        "property",
    )


def _losses(arms: Arms) -> Figure:
    series = [curve(w, *zip(*arms[w][0]["curve"])) for w in WAYS if w in arms]
    labels = ("Loss against CPU time (first seed)", series, "CPU seconds", "loss")
    return Figure("line", *labels, log_y=True, note="one seed's: the table has the errors over all")


def _contrasts(arms: Arms) -> list[Figure]:
    contrasts = [w for w in arms if w.startswith("contrast")]
    if len(contrasts) <= 2:
        return []
    line = sorted([*((float(w[9:]), arms[w][0]) for w in contrasts), (10.0, arms[OURS][0])], key=lambda point: point[0])
    x = [c for c, _ in line]
    series = [curve(name, x, [row[k] for _, row in line]) for name, k in (("velocity", "u"), ("pressure", "p"))]
    labels = ("mu inside / outside", "relative L2 error")
    note = "the first seed's"
    return [Figure("line", "Error by viscosity contrast", series, *labels, log_x=True, log_y=True, note=note)]


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
    return Figure("images", "Droplet", images)


def _summary(arms: Arms, steps: int) -> str:
    ours, one, free = arms[OURS], arms[ONE], arms["free"]
    return (
        f"With {ours[0]['parameters']} parameters and {steps} steps a network per phase errs by {ours.mean('u'):.1e} "
        f"in velocity and {ours.mean('p'):.1e} in pressure; one network by {one.mean('u'):.1e} and "
        f"{one.mean('p'):.1e}. A free interface started frozen settles in "
        f"{mean([len(row['moves']) for row in free]):.1f} sweeps, its centre off by {free.mean('centre error'):.1e}."
    )
