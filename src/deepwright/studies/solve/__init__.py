"""The engine under physics: what second-order training in float64 is worth on two equations, and jets in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepwright.core.results import Arm, Claim, StudyResult
from deepwright.core.statistics import Interval
from deepwright.studies import Settings
from deepwright.studies._clock import MEDIAN
from deepwright.studies._frame import Selection, cross, geometric, run_grid, select, study_result
from deepwright.studies.solve.engines import engines, engines_table
from deepwright.studies.solve.shown import (
    LM,
    Arms,
    average,
    errors_caption,
    errors_table,
    figures,
    path_title,
    quotients_table,
)
from deepwright.studies.solve.trials import BURGERS, HARD, KINDS, POISSON, trial

TUNING = (9000, 9001)
"""Seeds that settings are chosen on and that nothing else uses."""
WEIGHTS = {POISSON: (100.0, 1000.0, 10_000.0), BURGERS: (1.0, 10.0, 100.0)}
RATES = (1e-2, 3e-2)
RIVALS = [name for name in KINDS if name != LM]
SINGLE = tuple(f"{name}, float32" for name in ("SSBroyden", LM))
NETWORK = "2 x 20 tanh (501 parameters)"
WORDS = {
    POISSON: f"of sin 2 pi x sin 2 pi y on the unit square, {NETWORK}, 500 points inside and 100 on the edge",
    HARD: f"of the same, the network times 16 x (1 - x) y (1 - y), {NETWORK}, 500 points inside",
    BURGERS: f"of a front with viscosity 0.03 / pi, {NETWORK}, 800 points inside, 80 on the edge, 80 at the start",
}
LIMITS = (
    "Two equations in two dimensions and one network of 501 parameters: Levenberg-Marquardt's matrix grows with the "
    "square of these, and what it is worth on large networks isn't shown.",
    "Few seconds on one thread of a CPU: with more of them the order may change, as the paths of errors suggest, and "
    "on a GPU seconds are others.",
    "The problems' exact solutions choose the settings, on seeds of their own; who has none must choose by residuals.",
    "Float32 takes the settings that were chosen in float64.",
)


def run(settings: Settings) -> StudyResult:
    """Every optimiser at its own best setting for the same CPU seconds; derivative engines side by side."""
    quick = settings.quick
    seeds = settings.seeds_or(range(100, 101 if quick else 105))
    budget = 0.2 if quick else 3.0
    tuned = run_grid(trial, _tuning(quick, budget), settings, "sciml-core, settings")
    picked = _picked(tuned, budget)
    runs = run_grid(trial, _final(picked, seeds, budget), settings, "sciml-core")
    arms, speed = _ordered(runs.by("problem", "method")), engines(1 if quick else 9)
    each = f"after {budget:g} CPU seconds on one thread, {len(seeds)} seeds; a step of L-BFGS is 20 iterations"
    problems = tuple(dict.fromkeys(problem for problem, _ in arms))
    return study_result(
        "sciml-core",
        [tuned, runs],
        seeds=seeds,
        claims=[*_rival_claims(arms), *_scaling_claims(arms), *_float_claims(arms), *_engine_claims(speed)],
        tables=[
            *(errors_table(arms, problem, f"{WORDS[problem]}, {each}") for problem in problems),
            quotients_table(arms, len(seeds)),
            engines_table(speed),
        ],
        figures=figures(arms, problems, budget),
        summary=_summary(arms, speed, budget),
        arms=[*picked.arms, *_single(budget)],
        limits=LIMITS,
        settings={"budget": budget, "settings chosen on seeds": list(TUNING)},
    )


def _settings(problem: str, method: str, quick: bool) -> list[dict[str, float]]:
    """As many for each: Adam's rate and two weights; three weights, and one of them after a start by Adam."""
    if problem == HARD:
        both = [{"learning rate": lr} for lr in RATES] if method == "Adam" else [{"Adam first": a} for a in (0.0, 0.1)]
        return both[: 1 if quick else 2]
    low, middle, high = WEIGHTS[problem]
    if method == "Adam":
        found = [{"boundary weight": w, "learning rate": lr} for w in (low, middle) for lr in RATES]
    else:
        found = [{"boundary weight": w, "Adam first": 0.0} for w in (middle, low, high)]
        found.append({"boundary weight": middle, "Adam first": 0.1})
    return found[: 1 if quick else 4]


def _tuning(quick: bool, budget: float) -> list[dict[str, Any]]:
    grid: list[dict[str, Any]] = []
    for seed in TUNING[:1] if quick else TUNING:
        for problem in (POISSON, HARD, BURGERS):
            for method in KINDS:
                own = _settings(problem, method, quick)
                grid += cross(problem=problem, method=method, setting=own, seed=seed, budget=budget)
    return grid


def _picked(tuned: Any, budget: float) -> Selection:
    return select(
        tuned,
        arms=("problem", "method"),
        over=("setting",),
        by="validation",
        words="relative L2 error",
        data="two seeds of network and points that nothing else uses, the error at other places than the test's",
        budget=f"{budget:g} CPU seconds",
        pooled=True,
    )


def _final(picked: Selection, seeds: Sequence[int], budget: float) -> list[dict[str, Any]]:
    """Seed by seed, so that what is compared ran side by side."""
    chosen = {(spec["problem"], spec["method"]): spec["setting"] for spec in picked.runs.specs}
    chosen |= {(HARD, name): chosen[HARD, name.removesuffix(", float32")] for name in SINGLE}
    return [
        {"problem": problem, "method": method, "setting": setting, "seed": seed, "budget": budget}
        | {"picture": (problem, method, seed) == (BURGERS, LM, seeds[0])}
        for seed in seeds
        for (problem, method), setting in chosen.items()
    ]


def _ordered(arms: Arms) -> Arms:
    """By problem."""
    return {key: arms[key] for problem in (POISSON, HARD, BURGERS) for key in arms if key[0] == problem}


def _single(budget: float) -> list[Arm]:
    why = "it shows what the digits are worth"
    rule = "the setting that was chosen in float64"
    return [Arm(name, rule, budget=f"{budget:g} CPU seconds", group=HARD, why=why) for name in SINGLE]


def _rival_claims(arms: Arms) -> list[Claim]:
    """Bars: a hundred against Adam where the equation is linear and smooth (the spec's), else not worse."""
    cheaper = (
        "Its step needs one gradient where Levenberg-Marquardt's needs the Jacobian of all points: it takes several "
        "times as many steps in the same seconds."
    )
    early = "In so few seconds Levenberg-Marquardt hasn't come to where it converges fast."
    claims = []
    for problem in (POISSON, HARD, BURGERS):
        for rival in RIVALS:
            quotient = geometric(arms[problem, rival], arms[problem, LM], "error")
            bar = 100.0 if rival == "Adam" and problem == POISSON else 1.0
            text = f"{problem}: {rival}'s error over Levenberg-Marquardt's (geometric mean)"
            claim = Claim.at_least(text, quotient, bar, n=len(arms[problem, LM]))
            steps = rival in ("BFGS", "SSBroyden")
            claims.append(
                claim.because(cheaper, errors_caption(problem)) if steps else claim.because(early, path_title(problem))
            )
    return claims


def _scaling_claims(arms: Arms) -> list[Claim]:
    why = "The scaling pays after more steps than these seconds allow."
    return [
        Claim.at_least(
            f"{problem}: BFGS's error over SSBroyden's (geometric mean)",
            geometric(arms[problem, "BFGS"], arms[problem, "SSBroyden"], "error"),
            1.0,
            n=len(arms[problem, LM]),
        ).because(why, path_title(problem))
        for problem in (POISSON, HARD, BURGERS)
    ]


def _float_claims(arms: Arms) -> list[Claim]:
    why = "These seconds end before the digits of float32 do, and its steps are faster."
    return [
        Claim.at_least(
            f"{HARD}: {name}'s error over that in float64 (geometric mean)",
            geometric(arms[HARD, name], arms[HARD, name.removesuffix(", float32")], "error"),
            3.0,
            n=len(arms[HARD, LM]),
        ).because(why, path_title(HARD))
        for name in SINGLE
    ]


def _engine_claims(speed: list[dict[str, Any]]) -> list[Claim]:
    three, ten = (
        "jets against nested gradients, d = 3, 4,096 points, float64, one thread",
        "jets against nested gradients, d = 10, 2,048 points",
    )
    return [
        Claim.at_least(three, speed[1]["ratio"], 1.4, timing=True, basis=MEDIAN),
        Claim.at_least(ten, speed[2]["ratio"], 1.7, timing=True, basis=MEDIAN),
    ]


def _summary(arms: Arms, speed: list[dict[str, Any]], budget: float) -> str:
    """The problem on which a rival does best comes first."""
    problems = sorted((POISSON, HARD, BURGERS), key=lambda problem: _nearest(arms, problem)[1].value)
    return (
        f"After {budget:g} CPU seconds, each at its own best setting: "
        + "; ".join(_sentence(arms, problem) for problem in problems)
        + f". Jets take {speed[1]['share']:.2f} of the time of nested gradients in three dimensions and "
        f"{speed[2]['share']:.2f} in ten."
    )


def _nearest(arms: Arms, problem: str) -> tuple[str, Interval]:
    """The rival in float64 with the smallest error, and this over Levenberg-Marquardt's."""
    quotients = {rival: geometric(arms[problem, rival], arms[problem, LM], "error") for rival in RIVALS}
    best = min(quotients, key=lambda rival: quotients[rival].value)
    return best, quotients[best]


def _sentence(arms: Arms, problem: str) -> str:
    """Every optimiser's error, the smallest first, and how far the best rival's is from Levenberg-Marquardt's."""
    found = {name: average(runs.values("error")).value for (of, name), runs in arms.items() if of == problem}
    errors = ", ".join(f"{name} {found[name]:.1e}" for name in sorted(found, key=found.__getitem__))
    best, times = _nearest(arms, problem)
    interval = f" [{times.low:.3g}, {times.high:.3g}]" if times.known else ""
    return f"on {problem} the errors are {errors} ({best}'s is {times.value:.3g}{interval} times {LM}'s)"
