"""Kinetic JKO steps against exact flows, a split scheme, score matching and a sampler."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Claim, StudyResult, Table
from deepwright.studies import Settings
from deepwright.studies._clock import MEDIAN
from deepwright.studies._frame import Runs, cross, gaps, run_grid, study_result
from deepwright.studies.kinetic.drawing import figures
from deepwright.studies.kinetic.scheme import orders, step_times, ten_energies
from deepwright.studies.kinetic.trials import fall_gap, trial

Arms = dict[str, Runs]
SCHEMES = ("constrained", "split", "adaptive", "one control")
MOMENTS = "moments, computed without sampling"
LIMITS = (
    "Equations whose solution or equilibrium is known; quadratic or smooth potentials; one to ten dimensions, of which "
    "ten only for a Gaussian.",
    "The distances are estimated from as many particles as the scheme has, and carry their sampling error.",
)
TRACED, CLOSED = "Runge-Kutta, traces by automatic differentiation", "closed form, one kick"


def run(settings: Settings) -> StudyResult:
    """A mixture in one dimension, a Gaussian in ten, an interaction, a double well; orders without sampling."""
    seeds = settings.seeds_or(range(1 if settings.quick else 3))
    runs = run_grid(trial, _grid(settings.quick, seeds), settings, "kinetic-jko")
    arms, times, by_step = runs.by("what"), step_times(3 if settings.quick else 7), orders()
    scheme = ten_energies(len(arms["ten dimensions"][0]["energies"]) - 1)
    constrained, well = arms["constrained"], arms["double well"][0]
    return study_result(
        "kinetic-jko",
        [runs],
        seeds=seeds,
        claims=[
            *_order_claims(by_step),
            *_mixture_claims(arms),
            *_ten_claims(arms["ten dimensions"], scheme),
            *_monotone_claims(arms),
            *_interaction_claims(arms["interaction"]),
            *_well_claims(arms["double well"]),
            *_plasma_claims(arms["plasma"]),
            *_adaptive_claims(arms),
            Claim.at_least(
                "time of an iteration, d = 10: Runge-Kutta with traces by automatic differentiation over ours",
                times[TRACED] / times[CLOSED],
                3.0,
                timing=True,
                basis=MEDIAN,
            ),
        ],
        tables=[_table(arms, len(seeds)), _order_table(by_step)],
        figures=figures(arms),
        summary=_summary(arms, scheme, times),
        limits=LIMITS,
        settings={
            "iteration ms": times,
            "log-density through the inverse": constrained[0]["inverse"],
            "entropy against neighbours, largest drift": max(constrained.values("entropy gap")),
            "double well: effective share of particles as samples of the equilibrium": well["effective share"],
            "double well: sliced W2 of as many Langevin samples": well["sampler w2"],
        },
    )


def _grid(quick: bool, seeds: tuple[int, ...]) -> list[dict[str, Any]]:
    few = seeds[: 1 if quick else 2]
    grid = [
        *cross(what=("constrained", "split", "score"), seed=seeds, quick=quick),
        *cross(what="ten dimensions", seed=few, quick=quick),
        *cross(what=("interaction", "double well"), seed=seeds[:1], quick=quick),
        *cross(what=("adaptive", "one control"), seed=seeds, quick=quick),
        *cross(what="plasma", seed=few, quick=quick),
    ]
    return [g | {"picture": g["what"] == "constrained" and g["seed"] == seeds[0]} for g in grid]


def _less(a: Runs, b: Runs) -> list[float]:
    """Size of one scheme's divergence less another's, seed by seed."""
    return gaps(a, b, lambda row: abs(row["kl"]))


def _largest_gap(energies: list[float], truth: list[float]) -> float:
    return max(abs(e - t) for e, t in zip(energies, truth))


def _order_claims(by_step: list[list[Any]]) -> list[Claim]:
    return [
        Claim.at_least("without sampling: order in the step size (first order)", by_step[-1][2], 0.95, basis=MOMENTS),
        Claim.at_least("... of Richardson's extrapolation of the moments", by_step[-1][4], 1.8, basis=MOMENTS),
    ]


def _mixture_claims(arms: Arms) -> list[Claim]:
    ours = arms["constrained"]
    return [
        Claim.at_most(
            "mixture: KL divergence from the exact density (worst seed)", ours.values("kl"), 0.05, every=True
        ),
        Claim.at_most("... sliced W2 (worst seed)", ours.values("w2"), 0.08, every=True),
        Claim.at_most(
            "... size of the divergence less that of score matching with as many iterations",
            _less(ours, arms["score"]),
            0.0,
        ),
        Claim.at_least("... slack of the energy law, smallest over steps", ours.values("slack"), -1e-3, every=True),
    ]


def _ten_claims(ten: Runs, scheme: list[float]) -> list[Claim]:
    return [
        Claim.at_most("ten dimensions: relative error of the covariance", ten.values("covariance"), 0.10),
        Claim.at_most("... fall of the free energy, largest gap over the whole fall", ten.values("free energy"), 0.05),
        Claim.at_most(
            "... against the scheme's own exact minimiser (moments, no sampling): the rest of that gap is the step "
            "size's",
            [fall_gap(row["energies"], [row["truth"][0], *scheme]) for row in ten],
            0.02,
        ),
    ]


def _monotone_claims(arms: Arms) -> list[Claim]:
    runs = [row for what in (*SCHEMES, "ten dimensions", "interaction", "double well", "plasma") for row in arms[what]]
    text = "free energy falls in every step of every run (share of runs)"
    return [Claim.at_least(text, [float(row["monotone"]) for row in runs], 1.0, every=True, basis="runs")]


def _interaction_claims(runs: Runs) -> list[Claim]:
    text = "springs between pairs: mean velocity against the implicit scheme's own, per unit of time"
    return [Claim.at_most(text, [abs(row["mean"] - row["implicit"]) / row["t"] for row in runs], 1e-2)]


def _well_claims(well: Runs) -> list[Claim]:
    return [
        Claim.at_most("double well: sliced W2 from the density on a grid", well.values("w2"), 0.08),
        Claim.at_most(
            "... free energy less the grid's, largest over steps",
            [_largest_gap(row["energies"], row["truth"]) for row in well],
            0.03,
        ),
        Claim.at_most(
            "... free energy of the equilibrium from weighted particles at t = 1, against a grid's at t = 20",
            [abs(row["certified"] - row["floor"]) for row in well],
            0.02,
        ),
    ]


def _plasma_claims(plasma: Runs) -> list[Claim]:
    return [
        Claim.at_most(
            "plasma with collisions: field energy's relative L2 gap from the grid over time",
            plasma.values("field gap"),
            0.05,
        ),
        Claim.at_most("... free energy's largest gap, relative to its whole fall", plasma.values("free gap"), 0.10),
    ]


def _adaptive_claims(arms: Arms) -> list[Claim]:
    adaptive = arms["adaptive"]
    fewer, worse = [row["steps"] / 20 for row in adaptive], _less(adaptive, arms["constrained"])
    return [
        Claim.at_most("steps that adapt: how many, over twenty fixed ones", fewer, 0.75),
        Claim.at_most("... size of the divergence less that of fixed steps", worse, 0.01),
    ]


def _table(arms: Arms, n: int) -> Table:
    rows: list[list[Any]] = []
    for what in (*SCHEMES, "score"):
        runs = arms[what]
        distances = [cell for k in ("kl", "w2") for cell in (runs.interval(k).value, max(runs.values(k)))]
        falling = all(runs.values("monotone"))
        rows.append([what, *distances, runs.mean("free energy gap"), falling, runs.mean("seconds")])
    columns = ["free energy over the exact one", "always falling", "CPU seconds"]
    return Table(
        ["scheme", "KL", "worst", "sliced W2", "worst ", *columns],
        rows,
        "mixture of three Gaussians in a harmonic potential, d = 1, gamma = 1, T = 1/2, tau = 0.05 up to t = 1, 4,096 "
        f"particles, {n} seeds",
    )


def _order_table(by_step: list[list[Any]]) -> Table:
    return Table(
        ["tau", "error at t = 1", "order", "extrapolated", "order "],
        by_step,
        "a Gaussian, moments without sampling; Euclidean and Frobenius norms together",
    )


def _summary(arms: Arms, scheme: list[float], times: dict[str, float]) -> str:
    ours, other, ten = arms["constrained"].mean("kl"), arms["score"].mean("kl"), arms["ten dimensions"]
    explained = fall_gap([ten[0]["truth"][0], *scheme], ten[0]["truth"])
    return (
        f"Particles carry their density to within KL {ours:.3f} of the exact mixture (score matching: {other:.3f}). "
        f"Free energy falls at every step, in ten dimensions by what it should within "
        f"{max(ten.values('free energy')):.1%} of the whole fall, of which the step size alone explains "
        f"{explained:.1%}. An iteration takes "
        f"{times[CLOSED] / times[TRACED]:.2f} of the time of Runge-Kutta with traces by automatic differentiation."
    )
