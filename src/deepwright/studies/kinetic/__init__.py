"""Kinetic JKO steps against exact flows, a split scheme, score matching and a sampler."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Arm, Claim, StudyResult
from deepwright.studies import Settings
from deepwright.studies._clock import MEDIAN
from deepwright.studies._frame import Runs, Selection, cross, gaps, over_trials, run_grid, select, study_result
from deepwright.studies.kinetic.drawing import figures
from deepwright.studies.kinetic.mixtures import (
    HALVED,
    RATES,
    SCHEMES,
    TUNED,
    VALLEYS,
    mixture_trial,
    tuning_trial,
)
from deepwright.studies.kinetic.scheme import CLOSED, TRACED, orders, step_times
from deepwright.studies.kinetic.shown import (
    CREASES,
    MIXTURE,
    ORDER,
    TEN,
    WELL,
    besides_table,
    crease_table,
    mixture_table,
    order_table,
    others_table,
    rate_table,
    single_arms,
    ten_table,
)
from deepwright.studies.kinetic.ten import CONTROLS, exact_energies, scheme_energies, ten_trial
from deepwright.studies.kinetic.trials import OTHERS, other_trial

Arms = dict[Any, Runs]
MOMENTS = "moments, computed without sampling"
FIXED_CHOICE = "the constrained scheme's learning rate, as it was chosen"
LIMITS = (
    "Equations whose solution or equilibrium is known, with quadratic or smooth potentials, in one to ten dimensions; "
    "in ten only a Gaussian, for which the affine part alone could do: nothing here shows that a network is needed.",
    "Distances on the mixture are estimated from 32,768 particles; two samples of the exact density are as far apart "
    "as is said.",
    "Score matching takes one kick a step, as our map does; a score with a better integrator wasn't tried.",
    "Creases were looked at in one dimension, for one mixture, with one strength of either remedy.",
)


def run(settings: Settings) -> StudyResult:
    """A mixture in one dimension, a Gaussian in ten, an interaction, a double well; orders without sampling."""
    quick = settings.quick
    seeds = settings.seeds_or(range(200, 201 if quick else 205))
    controls, systems = (cross(control=CONTROLS, seed=seeds, quick=quick), cross(what=OTHERS, seed=seeds, quick=quick))
    tens = run_grid(ten_trial, controls, settings, "kinetic-jko, ten dimensions")
    more = run_grid(other_trial, systems, settings, "kinetic-jko, other systems")
    tuning = cross(scheme=TUNED, lr=RATES[1:2] if quick else RATES, seed=seeds[:2], quick=quick)
    tuned = run_grid(tuning_trial, tuning, settings, "kinetic-jko, learning rates")
    by_rate, picked = tuned.by("scheme", "lr"), _picked(tuned)
    mixtures = run_grid(mixture_trial, _mixture_grid(picked, seeds, quick), settings, "kinetic-jko, mixtures")
    schemes, ten, others = mixtures.by("scheme"), tens.by("control"), more.by("what")
    truth, scheme = exact_energies(quick), scheme_energies(quick)
    times, by_step = step_times(3 if quick else 7), orders()
    tables = [
        mixture_table(schemes, len(seeds)),
        ten_table(ten, truth, scheme),
        crease_table(schemes),
        others_table(others),
        rate_table(by_rate),
        order_table(by_step),
        besides_table(times, schemes["constrained"]),
    ]
    return study_result(
        "kinetic-jko",
        [tuned, mixtures, tens, more],
        seeds=seeds,
        claims=[
            *_order_claims(by_step),
            *_mixture_claims(schemes),
            *_crease_claims(schemes),
            *_ten_claims(ten),
            *_monotone_claims([mixtures, tens, more]),
            *_other_claims(others),
            *_adaptive_claims(schemes),
            Claim.at_least(
                "time of an iteration, d = 10: Runge-Kutta with traces by automatic differentiation over ours",
                times[TRACED] / times[CLOSED],
                3.0,
                timing=True,
                basis=MEDIAN,
            ),
        ],
        tables=tables,
        figures=figures(schemes, ten, others, truth),
        summary=_summary(schemes, ten, times),
        arms=[*picked.arms, *_variants(), *single_arms()],
        limits=LIMITS,
        settings={},
    )


def _picked(tuned: Runs) -> Selection:
    return select(
        tuned,
        arms="scheme",
        over=("lr",),
        by=lambda row: abs(row["kl"]),
        words="size of the KL divergence from the exact density",
        data="another mixture, up to t = 1, two seeds, draws that nothing else uses",
        budget="100 iterations a step (the first 400) on 512 fresh particles",
        pooled=True,
    )


def _mixture_grid(picked: Selection, seeds: tuple[int, ...], quick: bool) -> list[dict[str, Any]]:
    rates = {spec["scheme"]: spec["lr"] for spec in picked.runs.specs}
    names = (*SCHEMES, "score", *VALLEYS, HALVED)
    drawn = {"constrained", HALVED, next(iter(VALLEYS))}
    return [
        {"scheme": name, "lr": rates.get(name, rates["constrained"]), "seed": seed, "quick": quick}
        | {"picture": name in drawn and seed == seeds[0]}
        for name in names
        for seed in seeds
    ]


def _variants() -> list[Arm]:
    """Our scheme's own variants, which take its learning rate as it is."""
    each = "100 iterations a step (the first 400) on 512 fresh particles"
    budgets = dict.fromkeys(("adaptive", *VALLEYS), each)
    budgets |= {HALVED: f"{each}, twice the steps", "one control": "200 iterations, each through all steps"}
    unlike = {HALVED: "it shows what the step size costs", "one control": "one training for all steps"}
    return [
        Arm(name, FIXED_CHOICE, budget=budget, group="variants of ours", why=unlike.get(name, ""))
        for name, budget in budgets.items()
    ]


def _order_claims(by_step: list[list[Any]]) -> list[Claim]:
    return [
        Claim.at_least("without sampling: order in the step size (first order)", by_step[-1][2], 0.95, basis=MOMENTS),
        Claim.at_least(
            "without sampling: order in the step size of Richardson's extrapolation of the moments",
            by_step[-1][4],
            1.8,
            basis=MOMENTS,
        ),
    ]


def _size(row: Any) -> float:
    return abs(row["kl"])


def _cause(arms: Arms, measure: Any) -> str:
    """Whether the scheme's error is its step's, by what half the step size does to it."""
    change = over_trials(gaps(arms[HALVED], arms["constrained"], measure))
    if change.known and change.high < 0:
        return "Half the step size lowers our error: part of it is the step's own, which is of first order in tau."
    return (
        "Half the step size, with as many iterations a step, isn't shown to lower our error: what training "
        "leaves, and its spread over the seeds, hides what the step costs."
    )


def _against_score(arms: Arms, measure: Any) -> str:
    folded = arms["score"].mean("folded")
    if folded > 0.01:
        return f"Score matching's map folds at {folded:.0%} of the particles, and what the rest say differs by seed."
    return f"A score that is fitted to as many particles is no worse a control. {_cause(arms, measure)}"


def _mixture_claims(arms: Arms) -> list[Claim]:
    ours, score = arms["constrained"], arms["score"]
    return [
        Claim.at_most(
            "mixture: KL divergence from the exact density (worst seed)", ours.values(_size), 0.05, every=True
        ).because(_cause(arms, _size), MIXTURE),
        Claim.at_most("mixture: sliced W2 (worst seed)", ours.values("w2"), 0.08, every=True).because(
            _cause(arms, "w2"), MIXTURE
        ),
        Claim.at_most(
            "mixture: size of the KL divergence less that of score matching with as many iterations and particles",
            gaps(ours, score, _size),
            0.0,
        ).because(_against_score(arms, _size), MIXTURE),
        Claim.at_most(
            "mixture: sliced W2 less that of score matching with as many iterations and particles",
            gaps(ours, score, "w2"),
            0.0,
        ).because(_against_score(arms, "w2"), MIXTURE),
        Claim.at_least(
            "mixture: slack of the energy law, smallest over steps", ours.values("slack"), -1e-3, every=True
        ).because("The minimisation stops before its minimum.", MIXTURE),
    ]


def _of_remedy(arms: Arms, name: str) -> str:
    """Why a remedy for creases doesn't lower them."""
    if name == HALVED:
        return _cause(arms, "crease")
    if arms[name].mean("kl") > arms["constrained"].mean("kl"):
        return "It costs accuracy all over: the KL divergence rises with it."
    return "What training leaves differs by seed more than the remedy changes."


def _crease_claims(arms: Arms) -> list[Claim]:
    plain = arms["constrained"]
    return [
        Claim.at_most(
            f"creases: largest excess of density with {name}, less that without", gaps(arms[name], plain, "crease"), 0.0
        ).because(_of_remedy(arms, name), CREASES)
        for name in (*VALLEYS, HALVED)
    ]


def _ten_claims(ten: Arms) -> list[Claim]:
    hard = (
        "A network has to learn a Gaussian's quadratic potential in twenty variables from 512 particles an iteration: "
        "the row of the affine part alone says how much of the error is the network's."
    )
    claims = []
    for control, name in (("network with affine part", "network with affine part"), ("network", "network alone")):
        runs = ten[control]
        claims += [
            Claim.at_most(
                f"ten dimensions, {name}: relative error of the covariance", runs.values("covariance"), 0.10
            ).because(hard, TEN),
            Claim.at_most(
                f"ten dimensions, {name}: fall of the free energy, largest gap over the whole fall",
                runs.values("free energy"),
                0.05,
            ).because(hard, TEN),
            Claim.at_most(
                f"ten dimensions, {name}: that gap from the scheme's own exact minimisers (moments, no sampling)",
                runs.values("to the scheme"),
                0.02,
            ).because(hard, TEN),
        ]
    return claims


def _monotone_claims(runs: list[Runs]) -> list[Claim]:
    rows = [
        float(row["monotone"])
        for each in runs
        for spec, row in zip(each.specs, each)
        if spec.get("scheme") != "score"  # which promises nothing
    ]
    text = "free energy falls in every step of every run of ours (share of runs)"
    return [Claim.at_least(text, rows, 1.0, every=True, basis="runs").because("Its training isn't exact.", MIXTURE)]


def _largest_gap(energies: list[float], truth: list[float]) -> float:
    return max(abs(e - t) for e, t in zip(energies, truth))


def _other_claims(others: Arms) -> list[Claim]:
    well, plasma, springs = others["double well"], others["plasma"], others["interaction"]
    step = "The kick is of first order in tau."
    fitted = "Implicit steps have the step's error, too: the rest is that of controls that are fitted to samples."
    return [
        Claim.at_most(
            "springs between pairs: mean velocity against the implicit scheme's own, per unit of time",
            [abs(row["mean"] - row["implicit"]) / row["t"] for row in springs],
            1e-2,
        ).because(fitted, WELL),
        Claim.at_most("double well: sliced W2 from the density on a grid", well.values("w2"), 0.08).because(
            step, ORDER
        ),
        Claim.at_most(
            "double well: free energy less the grid's, largest over steps",
            [_largest_gap(row["energies"], row["truth"]) for row in well],
            0.03,
        ).because(step, ORDER),
        Claim.at_most(
            "double well: free energy of the equilibrium from weighted particles at t = 1, against a grid's at t = 20",
            [abs(row["certified"] - row["floor"]) for row in well],
            0.02,
        ).because("It rests on weighted particles, of which few may count: the table has their effective share.", WELL),
        Claim.at_most(
            "plasma with collisions: field energy's relative L2 gap from the grid over time",
            plasma.values("field gap"),
            0.05,
        ).because(step, ORDER),
        Claim.at_most(
            "plasma with collisions: free energy's largest gap, relative to its whole fall",
            plasma.values("free gap"),
            0.10,
        ).because(step, ORDER),
    ]


def _adaptive_claims(arms: Arms) -> list[Claim]:
    adaptive, fixed = arms["adaptive"], arms["constrained"]
    longer = "Longer steps err more: the kick is of first order in tau."
    return [
        Claim.at_most("steps that adapt: how many, over as many fixed ones", _fewer(adaptive, fixed), 0.75).because(
            "The energy's mismatch in a step is mostly sampling noise.", MIXTURE
        ),
        Claim.at_most(
            "steps that adapt: size of the KL divergence less that of fixed steps", gaps(adaptive, fixed, _size), 0.01
        ).because(longer, MIXTURE),
    ]


def _fewer(adaptive: Runs, fixed: Runs) -> list[float]:
    return [a["steps"] / b["steps"] for a, b in zip(adaptive, fixed)]


def _summary(arms: Arms, ten: Arms, times: dict[str, float]) -> str:
    ours, score = arms["constrained"], arms["score"]
    affine, network, alone = (ten[c].mean("free energy") for c in (CONTROLS[1], CONTROLS[0], CONTROLS[2]))
    creases = [arms[name].mean("crease") for name in ("constrained", *VALLEYS, HALVED)]
    plain, weighted, smooth, halved = (f"{c:.3f}" for c in creases)
    return (
        f"Kinetic JKO ends at a KL divergence of {ours.mean('kl'):.4f} and a sliced W2 of {ours.mean('w2'):.4f} from "
        f"the exact mixture, score matching with as many iterations and particles at {score.mean('kl'):.4f} and "
        f"{score.mean('w2'):.4f} with {score.mean('folded'):.1%} of its particles left out because its map folds there "
        f"(two exact samples are {ours.mean('w2 of exact samples'):.4f} apart). In ten dimensions the fall of the free "
        f"energy is off by {network:.1%} with a network alone, by {affine:.1%} with an affine part beside it, by "
        f"{alone:.1%} with the affine part alone. The largest excess of density, {plain} of the peak, becomes "
        f"{weighted} with valleys weighted, {smooth} with a smoothness penalty (at a KL divergence of "
        f"{arms['smoothness penalty'].mean('kl'):.4f}), {halved} with half the step size. An "
        f"iteration takes {times[CLOSED] / times[TRACED]:.2f} of the time of Runge-Kutta with traces by automatic "
        "differentiation."
    )
