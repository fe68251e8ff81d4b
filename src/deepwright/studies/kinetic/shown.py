"""Tables of the kinetic study, and how its arms were selected."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Arm, Table
from deepwright.studies._frame import Runs, columns
from deepwright.studies.kinetic.mixtures import HALVED, JUDGED, SCHEMES, VALLEYS
from deepwright.studies.kinetic.scheme import CLOSED, TRACED
from deepwright.studies.kinetic.ten import CONTROLS, STEPS, TAU, fall_gap

Arms = dict[Any, Runs]
MIXTURE = "Mixture of three Gaussians"
TEN = "Ten dimensions by control"
CREASES = "Creases"
RATES_TRIED = "Learning rates tried"
ORDER = "A Gaussian, moments without sampling"
BESIDES = "What an iteration takes, and how exact densities are"
WELL = "Double well, plasma and springs"


def mixture_table(schemes: Arms, seeds: int) -> Table:
    """Every scheme against the exact mixture.

    Args:
        schemes: the runs by scheme.
        seeds: how many.
    """
    rows: list[list[Any]] = []
    for what in (*SCHEMES, HALVED, "score"):
        runs = schemes[what]
        found = [cell for key in ("kl", "w2") for cell in runs.cells(key)]
        more = [runs.mean("free energy gap"), runs.mean("steps"), all(runs.values("monotone")), runs.mean("folded")]
        rows.append([what, *found, *more, runs.mean("seconds")])
    exact = schemes["constrained"].cells("w2 of exact samples")
    rows.append(["two samples of the exact density", None, None, None, *exact, None, None, None, None, None])
    others = ["free energy over the exact one", "steps", "always falling", "share folded", "CPU seconds"]
    return Table(
        ["scheme", *columns("KL", "sliced W2"), *others],
        rows,
        f"{MIXTURE} in a harmonic potential, d = 1, gamma = 1, T = 1/2, tau = 0.05 up to t = 1; {JUDGED:,} fresh "
        f"particles, the same for all schemes; {seeds} seeds",
    )


def crease_table(schemes: Arms) -> Table:
    """What weighting valleys, a penalty and shorter steps do to the density between components.

    Args:
        schemes: the runs by scheme.
    """
    keys = ("crease", "log gap", "variation", "kl")
    rows: list[list[Any]] = []
    for what in ("constrained", *VALLEYS, HALVED):
        runs = schemes[what]
        cells = (cell for key in keys for cell in runs.cells(key))
        rows.append([what, *cells, runs.mean("no way back"), runs.mean("seconds")])
    names = ("largest excess of density", "RMS gap of log-densities", "total variation", "KL")
    return Table(
        ["scheme", *columns(*names), "mass without a way back", "CPU seconds"],
        rows,
        f"{CREASES} at t = 1 on a grid: excess over the exact density as a share of its peak; log-densities where the "
        "exact one is above a twentieth of its peak; valleys weighted: f^-1/2 a particle, entropy counted twice; "
        "smoothness penalty: 0.01 tau times the mean squared slope of da/dv; places from which the map has no way back "
        "count as empty",
    )


def rate_table(tuned: Arms) -> Table:
    """Each scheme's learning rates on the other mixture.

    Args:
        tuned: the runs by scheme and rate.
    """
    measures = (_size, "w2", "folded")
    rows: list[list[Any]] = [[*key, *(runs.mean(m) for m in measures)] for key, runs in tuned.items()]
    return Table(
        ["scheme", "learning rate", "size of the KL divergence", "sliced W2", "share folded"],
        rows,
        f"{RATES_TRIED} on another mixture (two components, up to t = 1) and other draws; the smallest size of the KL "
        "divergence was chosen, and used on the mixture of three",
    )


def ten_table(ten: Arms, truth: list[float], scheme: list[float]) -> Table:
    """A Gaussian in ten dimensions by control.

    Args:
        ten: the runs by control.
        truth: exact free energies.
        scheme: those of the scheme's exact minimisers.
    """
    keys = ("covariance", "free energy", "to the scheme")
    rows: list[list[Any]] = [
        [c, *(cell for key in keys for cell in ten[c].cells(key)), ten[c].mean("seconds")] for c in CONTROLS
    ]
    rows.append(["the scheme's exact minimisers", None, None, None, fall_gap(scheme, truth), *[None] * 6])
    spread = columns("covariance", "free energy", "free energy, to the scheme's")
    return Table(
        ["control", *spread, "CPU seconds"],
        rows,
        f"{TEN}: a Gaussian, stiffness 0.5 to 2, tau = {TAU}, t = {TAU * STEPS[False]:g}; relative error of the "
        "covariance; largest gap of the free energy's fall over the whole fall",
    )


def others_table(others: Arms) -> Table:
    """The remaining systems.

    Args:
        others: the runs by system.
    """
    well, plasma, springs = others["double well"], others["plasma"], others["interaction"]
    rows: list[list[Any]] = [
        ["double well: sliced W2 from the grid's density", *well.cells("w2")],
        ["double well: sliced W2 of as many Langevin samples", *well.cells("sampler w2")],
        ["double well: effective share of particles as samples of the equilibrium", *well.cells("effective share")],
        ["double well: CPU seconds", *well.cells("seconds")],
        ["plasma: field energy's relative gap from the grid", *plasma.cells("field gap")],
        ["plasma: CPU seconds", *plasma.cells("seconds")],
        ["springs: relative error of the covariance", *springs.cells("covariance")],
        ["springs: mean velocity", *springs.cells("mean")],
        ["springs: mean velocity of the exact flow", *springs.cells("exact mean")],
        ["springs: mean velocity of implicit steps", *springs.cells("implicit")],
        ["springs: CPU seconds", *springs.cells("seconds")],
    ]
    return Table(["system", "value", "low", "high"], rows, f"{WELL}: means over the seeds")


def besides_table(times: dict[str, float], ours: Runs) -> Table:
    """What an iteration takes, and how exact densities are.

    Args:
        times: CPU milliseconds by way.
        ours: runs of the scheme, the first of which looked through its inverse.
    """
    rows: list[list[Any]] = [[f"an iteration, {name}: CPU ms", ms] for name, ms in times.items()]
    rows += [
        ["an iteration's time, ours over Runge-Kutta's", times[CLOSED] / times[TRACED]],
        ["log-density through the inverse, largest difference", ours[0]["inverse"]],
        ["entropy against neighbours, largest drift", max(ours.values("entropy gap"))],
    ]
    return Table(["measure", "value"], rows, f"{BESIDES}: medians on one thread, d = 10; densities of the mixture")


def order_table(by_step: list[list[Any]]) -> Table:
    """Errors by step size.

    Args:
        by_step: of `scheme.orders`.
    """
    return Table(
        ["tau", "error at t = 1", "order", "extrapolated", "order "],
        by_step,
        f"{ORDER}; Euclidean and Frobenius norms together",
    )


def single_arms() -> list[Arm]:
    """Arms of which each has one setting, as its group's others."""
    budget = f"{STEPS[False]} steps of 120 iterations (the first 400) on 512 fresh particles"
    rule = "set beforehand for all controls: learning rate 3e-3"
    return [Arm(control, rule, budget=budget, group="ten dimensions") for control in CONTROLS]


def _size(row: Any) -> float:
    return abs(row["kl"])
