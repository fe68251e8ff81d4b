"""Linear grids against the networks that people use today, on oscillating, multi-band, shock and winding solutions."""

from __future__ import annotations

import math
from typing import Any

from deepwright.core.results import Arm, Claim, StudyResult
from deepwright.studies import Settings
from deepwright.studies._clock import MEDIAN
from deepwright.studies._frame import Runs, Selection, cross, geometric, run_grid, select, study_result
from deepwright.studies.linear_grids import shown
from deepwright.studies.linear_grids.methods import (
    BUDGET,
    BY_KERNEL,
    LEVELS,
    MAIN,
    NETWORKS,
    OURS,
    PUBLISHED,
    RATES,
    RIVALS,
    SMALL,
    steps_in,
)
from deepwright.studies.linear_grids.products import products_needed
from deepwright.studies.linear_grids.shown import Arms, mean_error
from deepwright.studies.linear_grids.timing import CELLS, TANH, cells_by_points, step_times
from deepwright.studies.linear_grids.trials import trial

LONGER = 3
LIMITS = (
    "Smooth problems on boxes with known solutions and one optimiser (Adam), in trainings of a few CPU seconds: after "
    "longer ones the order may be another, and networks under second-order optimisers are in sciml-core.",
    "Equal CPU time means steps in proportion to costs that were measured once, on one thread of one processor.",
    "Settings were chosen by the error against the exact solution, which a user doesn't have: every arm is at its best "
    "of six, not as it would be found in use. The weight of edge and start (10) is the same for all and wasn't tried.",
    "Settings were chosen on one seed: where others tried came near (last table), another seed may choose them. Where "
    "an arm's rate is at the grid's edge, one beyond may be better still.",
    "How much longer cells take hangs on caches and on what else the processor does: it differs from run to run.",
    f"One level isn't followed to where it learns three bands: it may need far more than {LONGER} times the time.",
    "On ten axes only time and memory are compared.",
    "On three bands certify's warnings are no measure: where the table has them for an error that is small, a warning "
    "doesn't say how far off a solution is.",
)
WITHOUT_SMOOTH = 1 / math.sqrt(1 + 0.5**2 + 0.25**2)  # error of three bands without the first: orthogonal waves
ASIDE = 9000  # the seed that settings are chosen on, and nothing else
SHARE = {"three bands": 1.0}  # of the steps, where settings are tried: on three bands nothing shows before
SHORT = 0.35  # elsewhere
EQUAL_STEPS = (
    "one band",
    "burgers",
    "flow-mixing-3d",
)  # where three levels are also given as many steps as one level has
TANH_PINN = "PINN, tanh"
EXPLANATIONS = "explanations"
_CHOICE: dict[str, Any] = {
    "over": ("setting",),
    "by": "validation",
    "words": "relative L2 error",
    "data": "20,000 points that nothing else uses, one seed of its own",
    "pooled": True,
}


def run(settings: Settings) -> StudyResult:
    """Same points, same CPU time, settings chosen alike; then what explains the results."""
    quick = settings.quick
    seeds = settings.seeds_or(range(100, 101 if quick else 105), aside=(ASIDE,))
    scale, rates = (0.05, RATES[1:2]) if quick else (1.0, RATES)
    problems = tuple(BUDGET)[: 2 if quick else None]
    tuned = run_grid(trial, _tuning_grid(problems, scale, rates), settings, "spline-grid, settings")
    picked = _picked(tuned)
    runs = run_grid(trial, _grid(picked, seeds, scale), settings, "spline-grid")
    plain = _picked_plain(tuned)
    more = run_grid(trial, _further_grid(plain, picked, seeds, scale), settings, "spline-grid, further")
    arms, further = runs.by("problem", "name"), _by_purpose(more)
    times, by_points = step_times(3 if quick else 9), cells_by_points(1 if quick else 5)
    needed = products_needed()
    return study_result(
        "spline-grid-pinn",
        [tuned, runs, more],
        seeds=seeds,
        claims=[
            *_rival_claims(arms),
            *_level_claims(arms),
            *_band_claims(arms, further),
            *_kernel_claims(arms),
            *_time_claims(times),
        ],
        tables=[
            shown.main_table(arms | {("one band", TANH_PINN): further["tanh"]["one band"]}, len(seeds)),
            shown.level_table(arms, further["equal steps"]),
            shown.time_table(arms, further["longer"], LONGER),
            shown.products_table(needed),
            shown.timing_table(times),
            shown.points_table(by_points),
            shown.memory_table(),
            shown.tried_table(tuned, rates),
        ],
        figures=shown.figures(arms),
        summary=_summary(arms, further["longer"]),
        arms=[*picked.arms, *_other_arms(), *plain.arms],
        limits=LIMITS,
        settings={
            "CPU seconds a training": BUDGET,
            "share of the steps where settings are tried": SHARE | {"others": SHORT},
        },
    )


# --- what is run ----------------------------------------------------------------------------------------------------


def _names(problem: str) -> tuple[str, ...]:
    return (*MAIN, *BY_KERNEL) if problem == "one band" else MAIN


def _tuning_grid(problems: tuple[str, ...], scale: float, rates: tuple[float, ...]) -> list[dict[str, Any]]:
    return [
        {
            "problem": problem,
            "name": name,
            "setting": {"lr": rate, "network": network},
            "seed": ASIDE,
            "steps": steps_in(problem, name, network, SHARE.get(problem, SHORT) * scale),
        }
        for problem in problems
        for name in _names(problem)
        for network in NETWORKS[name]
        for rate in rates
    ]


def _picked(tuned: Runs) -> Selection:
    return select(
        tuned,
        arms=("problem", "name"),
        budget={(problem, name): _budget(problem) for problem in BUDGET for name in _names(problem)},
        **_CHOICE,
    )


def _budget(problem: str) -> str:
    return f"{BUDGET[problem]:g} CPU seconds ({SHARE.get(problem, SHORT):.0%} of that where settings are tried)"


def _picked_plain(tuned: Runs) -> Selection:
    """The learning rate of the plain tanh network on one band, from the same trials."""
    plain = tuned.only([i for i, spec in enumerate(tuned.specs) if _is_plain(spec)])
    why = "as published: one of PINN's two networks, with its learning rates alone"
    named = tuple({**spec, "group": EXPLANATIONS, "name": TANH_PINN} for spec in plain.specs)
    return select(
        Runs(named, plain.rows),
        arms=("group", "name"),
        budget=_budget("one band"),
        why={(EXPLANATIONS, TANH_PINN): why},
        **_CHOICE,
    )


def _is_plain(spec: dict[str, Any]) -> bool:
    return (spec["problem"], spec["name"], spec["setting"]["network"]) == ("one band", "PINN", "tanh")


def _grid(picked: Selection, seeds: tuple[int, ...], scale: float) -> list[dict[str, Any]]:
    grid = []
    for spec in picked.runs.specs:
        problem, name, setting = spec["problem"], spec["name"], spec["setting"]
        steps = steps_in(problem, name, setting["network"], scale)
        grid += [
            {"problem": problem, "name": name, "setting": setting, "seed": seed, "steps": steps}
            | {
                "picture": problem == shown.PICTURED and seed == seeds[0],
                "certified": problem == shown.PICTURED and name in (OURS, LEVELS),
            }
            for seed in seeds
        ]
    return grid


def _further_grid(plain: Selection, picked: Selection, seeds: tuple[int, ...], scale: float) -> list[dict[str, Any]]:
    """One level for longer, three levels for as many steps, and the plain tanh network."""
    chosen = {(s["problem"], s["name"]): s["setting"] for s in picked.runs.specs}
    grid: list[dict[str, Any]] = []
    for network in (SMALL, PUBLISHED):
        setting = {"lr": RATES[1], "network": network}
        steps = steps_in(shown.PICTURED, OURS, network, LONGER * scale)
        grid += cross(problem=shown.PICTURED, name=OURS, setting=setting, seed=seeds, steps=steps, certified=True)
    for problem in [p for p in EQUAL_STEPS if (p, OURS) in chosen]:
        steps = steps_in(problem, OURS, chosen[problem, OURS]["network"], scale)
        grid += cross(problem=problem, name=LEVELS, setting=chosen[problem, LEVELS], seed=seeds, steps=steps)
    setting = plain.runs.specs[0]["setting"]
    steps = steps_in("one band", "PINN", "tanh", scale)
    return grid + cross(problem="one band", name="PINN", setting=setting, seed=seeds, steps=steps)


def _by_purpose(more: Runs) -> dict[str, dict[str, Runs]]:
    found: dict[str, dict[str, list[int]]] = {"longer": {}, "equal steps": {}, "tanh": {}}
    for i, spec in enumerate(more.specs):
        purpose = {OURS: "longer", LEVELS: "equal steps"}.get(spec["name"], "tanh")
        key = spec["setting"]["network"] if purpose == "longer" else spec["problem"]
        found[purpose].setdefault(key, []).append(i)
    return {purpose: {k: more.only(places) for k, places in runs.items()} for purpose, runs in found.items()}


def _other_arms() -> list[Arm]:
    """Trainings that explain others, with settings that nothing selected."""
    budget = BUDGET[shown.PICTURED]
    longer = [
        Arm(
            f"{OURS}, {network}, {LONGER} times as long",
            f"set beforehand: lr = {RATES[1]:g}",
            budget=f"{LONGER * budget:g} CPU seconds",
            group=EXPLANATIONS,
            why="it shows what time does",
        )
        for network in (SMALL, PUBLISHED)
    ]
    level = Arm(
        f"{LEVELS}, as many steps as one level",
        "its arm's",
        budget="as many steps as one level",
        group=EXPLANATIONS,
        why="equal steps",
    )
    return [*longer, level]


# --- what is claimed ------------------------------------------------------------------------------------------------


def _problems(arms: Arms) -> tuple[str, ...]:
    return tuple(dict.fromkeys(problem for problem, _ in arms))


def _best_rival(arms: Arms, problem: str) -> str:
    return min(RIVALS, key=lambda name: mean_error(arms[problem, name]).value)


def _rival_claims(arms: Arms) -> list[Claim]:
    reasons = {
        "one band": ("One product is all that this solution is, and a separable network finds it.", shown.PRODUCTS),
        "three bands": (
            "In this time one level hasn't learned the smooth band: the sharp ones alone have an error of "
            f"{WITHOUT_SMOOTH:.2f}.",
            shown.FIRST_SEED,
        ),
        "burgers": ("The shock's time is short of what grids need to find it.", shown.BY_LEVEL),
        "flow-mixing-3d": (
            "The front winds up until it needs eight products for an error below 0.01, and in this time grids on axes "
            "err about as much as the best two do; cells are local and need none.",
            shown.PRODUCTS,
        ),
    }
    claims = []
    for problem in _problems(arms):
        rival = _best_rival(arms, problem)
        quotient = geometric(arms[problem, rival], arms[problem, OURS], "error")
        text = f"{problem}, equal CPU time: error of the best rival over that of one level"
        n, which = len(arms[problem, OURS]), f"seeds; the best rival is {rival}"
        claims.append(Claim.at_least(text, quotient, 1.0, n=n, basis=which).because(*reasons[problem]))
    return claims


def _level_claims(arms: Arms) -> list[Claim]:
    idle = (
        "Coarse levels have nothing to do in one band, and take features from the fine one: the quotient is as large "
        "at equal steps."
    )
    claims = []
    for problem in _problems(arms):
        quotient = geometric(arms[problem, LEVELS], arms[problem, OURS], "error")
        text = f"{problem}, equal CPU time: error of three levels over that of one"
        reason = (
            "A step of three levels costs nearly two of one level, and that isn't earned back: the table has the "
            "quotient at equal steps, too."
        )
        n, why = len(arms[problem, OURS]), idle if problem == "one band" else reason
        claims.append(Claim.at_most(text, quotient, 1.0, n=n).because(why, shown.BY_LEVEL))
    return claims


def _band_claims(arms: Arms, further: dict[str, dict[str, Runs]]) -> list[Claim]:
    one, tanh = arms["one band", OURS], further["tanh"]["one band"]
    single, levels = arms[shown.PICTURED, OURS], arms[shown.PICTURED, LEVELS]
    late = (
        "The smooth band carries little of the residual, and one fine grid learns it last; more levels learn it first."
    )
    claims = [
        Claim.at_most(
            "one band (w = 4): relative L2 error of one level (every seed)", one.values("error"), 3e-2, every=True
        ).because("Its training is still on the way down in this time.", shown.KERNELS_SEEN),
        Claim.at_least(
            "one band: a 3 x 64 tanh network in the same time stays far off (every seed)",
            tanh.values("error"),
            0.5,
            every=True,
        ),
        Claim.at_most("three bands: three levels reach", mean_error(levels), 5e-2, n=len(levels)).because(
            "Not every seed is there in this time.", shown.BY_TIME
        ),
        Claim.at_most("three bands: one level reaches", mean_error(single), 5e-2, n=len(single)).because(
            late, shown.BY_TIME
        ),
    ]
    for network, runs in further["longer"].items():
        text = f"three bands: one level ({network}) with {LONGER} times the CPU time reaches"
        claims.append(Claim.at_most(text, mean_error(runs), 5e-2, n=len(runs)).because(late, shown.BY_TIME))
    rows = (*single, *levels, *(row for runs in further["longer"].values() for row in runs))
    missed = [float(row["warned"]) for row in rows if row["error"] > 0.1]
    if not missed:
        return claims
    return [
        *claims,
        Claim.at_least(
            "three bands: certify, without the exact solution, warns of a missed smooth band (share of the trainings "
            "with an error above 0.1)",
            missed,
            1.0,
            every=True,
            basis="trainings",
        ).because("It looks at products of a few waves alone.", shown.BY_TIME),
    ]


def _kernel_claims(arms: Arms) -> list[Claim]:
    natural = arms["one band", OURS]
    n = len(natural)
    linear = geometric(arms["one band", "CELG, linear"], natural, "error")
    alike = "Jumps of derivatives at knots don't decide on this band: the losses fall alike."
    claims = [
        Claim.at_least("kernels, equal CPU time: linear's error over the natural cubic's", linear, 10.0, n=n).because(
            alike, shown.KERNELS_SEEN
        )
    ]
    for kernel in ("cosine", "hermite", "bspline3"):
        quotient = geometric(natural, arms["one band", f"CELG, {kernel}"], "error")
        text = f"kernels, equal CPU time: the natural cubic's error over the {kernel} kernel's"
        claims.append(Claim.at_most(text, quotient, 1.2, n=n).because(alike, shown.KERNELS_SEEN))
    return claims


def _time_claims(times: dict[str, float]) -> list[Claim]:
    two = times["CELG, 2 axes"]
    how: dict[str, Any] = {"timing": True, "basis": MEDIAN}
    bare = {name: times[f"{name}, no head"] for name in ("CELG, 2 axes", "CELG, 10 axes", CELLS)}
    head = (
        f"A step of CELG takes {two:.3g} ms, {bare['CELG, 2 axes']:.3g} without its head, which is twice as wide as "
        f"that of the cells: without heads cells take {bare[CELLS] / bare['CELG, 2 axes']:.2g} times as long."
    )
    axes = (
        "Each axis has its spline and its own derivatives through the head: without the head ten axes cost "
        f"{bare['CELG, 10 axes'] / bare['CELG, 2 axes']:.2g} times two, and no more than a fixed part is saved."
    )
    return [
        Claim.at_most(
            "time of a step: CELG over a 4 x 64 tanh network, 3 axes", times["CELG, 3 axes"] / times[TANH], 1.0, **how
        ).because(axes, shown.TIMES),
        Claim.at_least("time of a step: cells of 16 x 16 over CELG, 2 axes", times[CELLS] / two, 5.0, **how).because(
            head, shown.TIMES
        ),
        Claim.at_most("time of a step: 10 axes over 2", times["CELG, 10 axes"] / two, 3.0, **how).because(
            axes, shown.TIMES
        ),
        Claim.at_most("time of a step: 128 knots over 32", times["CELG, 128 knots, 2 axes"] / two, 1.5, **how).because(
            axes, shown.TIMES
        ),
    ]


def _summary(arms: Arms, longer: dict[str, Runs]) -> str:
    """Where others are better first; every problem with its best rival, one level and three."""
    parts = []
    order = sorted(_problems(arms), key=lambda p: _quotient(arms, p))
    for problem in order:
        rival = _best_rival(arms, problem)
        errors = [f"{mean_error(arms[problem, name]).value:.2g}" for name in (rival, OURS, LEVELS)]
        parts.append(f"{problem}: {rival} {errors[0]}, one level {errors[1]}, three levels {errors[2]}")
    times = [f"{mean_error(runs).value:.2g}" for runs in longer.values()]
    better = [p for p in _problems(arms) if geometric(arms[p, LEVELS], arms[p, OURS], "error").high < 1]
    worse = [p for p in _problems(arms) if geometric(arms[p, LEVELS], arms[p, OURS], "error").low > 1]
    levels = "; ".join(
        f"three levels {word} on {' and '.join(found)}" for word, found in (("help", better), ("harm", worse)) if found
    )
    return (
        "Errors at equal CPU time with settings chosen alike, each problem's best rival beside linear grids: "
        f"{'; '.join(parts)}. {levels[:1].upper()}{levels[1:]}{'. ' if levels else ''}With {LONGER} times the time one "
        f"level reaches {times[0]} ({SMALL}) and {times[1]} ({PUBLISHED}) on three bands."
    )


def _quotient(arms: Arms, problem: str) -> float:
    """The best rival's error over the better of one and three levels."""
    ours = min(mean_error(arms[problem, name]).value for name in (OURS, LEVELS))
    return mean_error(arms[problem, _best_rival(arms, problem)]).value / ours
