"""Tables of the kinetic study, and how its arms were selected."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Arm, Table
from deepwright.studies._frame import Runs, ends
from deepwright.studies.kinetic.mixtures import HALVED, JUDGED, SCHEMES, VALLEYS
from deepwright.studies.kinetic.ten import CONTROLS, STEPS, TAU, fall_gap

Arms = dict[Any, Runs]
MIXTURE = "Mixture of three Gaussians"
TEN = "Ten dimensions by control"
CREASES = "Creases"
RATES_TRIED = "Learning rates tried"
ORDER = "A Gaussian, moments without sampling"
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
        found = [cell for key in ("kl", "w2") for cell in _cells(runs, key)]
        more = [runs.mean("free energy gap"), runs.mean("steps"), all(runs.values("monotone")), runs.mean("folded")]
        rows.append([what, *found, *more, runs.mean("seconds")])
    exact = _cells(schemes["constrained"], "w2 of exact samples")
    rows.append(["two samples of the exact density", None, None, None, *exact, None, None, None, None, None])
    columns = ["free energy over the exact one", "steps", "always falling", "share folded", "CPU seconds"]
    return Table(
        ["scheme", "KL", "low", "high", "sliced W2", "low ", "high ", *columns],
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
        cells = (cell for key in keys for cell in _cells(runs, key))
        rows.append([what, *cells, runs.mean("no way back"), runs.mean("seconds")])
    names = ("largest excess of density", "RMS gap of log-densities", "total variation", "KL")
    spread = [
        name + " " * i if name in ("low", "high") else name for i, n in enumerate(names) for name in (n, "low", "high")
    ]
    return Table(
        ["scheme", *spread, "mass without a way back", "CPU seconds"],
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
        [c, *(cell for key in keys for cell in _cells(ten[c], key)), ten[c].mean("seconds")] for c in CONTROLS
    ]
    rows.append(["the scheme's exact minimisers", None, None, None, fall_gap(scheme, truth), *[None] * 6])
    spread = [
        "covariance",
        "low",
        "high",
        "free energy",
        "low ",
        "high ",
        "free energy, to the scheme's",
        "low  ",
        "high  ",
    ]
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
        ["double well: sliced W2 from the grid's density", *_cells(well, "w2")],
        ["double well: sliced W2 of as many Langevin samples", *_cells(well, "sampler w2")],
        ["double well: effective share of particles as samples of the equilibrium", *_cells(well, "effective share")],
        ["double well: CPU seconds", *_cells(well, "seconds")],
        ["plasma: field energy's relative gap from the grid", *_cells(plasma, "field gap")],
        ["plasma: CPU seconds", *_cells(plasma, "seconds")],
        ["springs: relative error of the covariance", *_cells(springs, "covariance")],
        ["springs: mean velocity", *_cells(springs, "mean")],
        ["springs: mean velocity of the exact flow", *_cells(springs, "exact mean")],
        ["springs: mean velocity of implicit steps", *_cells(springs, "implicit")],
        ["springs: CPU seconds", *_cells(springs, "seconds")],
    ]
    return Table(["system", "value", "low", "high"], rows, f"{WELL}: means over the seeds")


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


def _cells(runs: Runs, key: str) -> tuple[float | None, ...]:
    found = runs.interval(key)
    return (found.value, *ends(found))
