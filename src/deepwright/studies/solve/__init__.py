"""The engine under physics: what second-order training in float64 is worth on two equations, and jets in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepwright.core.results import Arm, Claim, StudyResult
from deepwright.studies import Settings
from deepwright.studies._clock import MEDIAN
from deepwright.studies._frame import Selection, cross, geometric, geometric_mean, run_grid, select, study_result
from deepwright.studies.solve.shown import (
    LM,
    Arms,
    errors_caption,
    errors_table,
    figures,
    holm_p,
    path_title,
    quotients_table,
    unsettled,
)
from deepwright.studies.solve.timing import engines, engines_table
from deepwright.studies.solve.trials import BURGERS, HARD, KINDS, LONG, POISSON, trial

TUNING = (9000, 9001)
"""Seeds that settings are chosen on and that nothing else uses."""
WEIGHTS = {POISSON: (100.0, 1000.0, 10_000.0), BURGERS: (1.0, 10.0, 100.0)}
RATES = (1e-2, 3e-2)
RIVALS = [name for name in KINDS if name != LM]
PLAIN = ("BFGS", "unscaled BFGS")
SINGLE = tuple(f"{name}, float32" for name in ("SSBroyden", LM))
LATE = ("SSBroyden", LM, SINGLE[1])
"""What is run for longer, too."""
NETWORK = "2 x 20 tanh (501 parameters)"
WORDS = {
    POISSON: f"of sin 2 pi x sin 2 pi y on the unit square, {NETWORK}, 500 points inside and 100 on the edge",
    HARD: f"of the same, the network times 16 x (1 - x) y (1 - y), {NETWORK}, 500 points inside",
    LONG: "of the same with the same settings",
    BURGERS: f"of a front with viscosity 0.03 / pi, {NETWORK}, 800 points inside, 80 on the edge, 80 at the start",
}
LIMITS = (
    "Two equations in two dimensions and one network of 501 parameters: Levenberg-Marquardt's matrix grows with the "
    "square of these, and what it is worth on large networks isn't shown.",
    "Few seconds on one thread of a CPU: an earlier run, under load and with about half of the steps in as many "
    "seconds, had SSBroyden's error at 3.8, 2.4, 3.1 and (longer) 1.6 times Levenberg-Marquardt's. With more steps the "
    "order may change again, and on a GPU seconds are others.",
    "The problems' exact solutions choose the settings, on seeds of their own; who has none must choose by residuals.",
    "Adam was tried with two learning rates and has the higher one everywhere; a still higher one may be better.",
    "BFGS's matrix is scaled once, by its first step (Nocedal and Wright, 6.20); unscaled it begins with the identity, "
    "as SciPy's. Scaled, its error is the higher one here, and was the lower one on Poisson in that run; why "
    "is measured beside the study (see the system's page).",
    "Float32 takes the settings that were chosen in float64, and the longer runs those of the short ones.",
)


def run(settings: Settings) -> StudyResult:
    """Every optimiser at its own best setting for the same CPU seconds; derivative engines side by side."""
    quick = settings.quick
    seeds = settings.seeds_or(range(100, 101 if quick else 105), aside=TUNING)
    budget, longer = (0.2, 0.4) if quick else (3.0, 10.0)
    budgets = {POISSON: budget, HARD: budget, LONG: longer, BURGERS: budget}
    tuned = run_grid(trial, _tuning(quick, budget), settings, "sciml-core, settings")
    picked = _picked(tuned, budget)
    runs = run_grid(trial, _final(picked, seeds, budgets), settings, "sciml-core")
    found, speed = runs.by("problem", "method"), engines(1 if quick else 9)
    arms = {key: found[key] for problem in budgets for key in found if key[0] == problem}
    quotients = quotients_table(arms, len(seeds))
    return study_result(
        "sciml-core",
        [tuned, runs],
        seeds=seeds,
        claims=[*_rival_claims(arms), *_scaling_claims(arms), *_float_claims(arms), *_engine_claims(speed)],
        tables=[
            *(errors_table(arms, problem, _caption(problem, budgets, len(seeds))) for problem in budgets),
            quotients,
            engines_table(speed),
        ],
        figures=figures(arms, budgets),
        summary=_summary(arms, speed, budget, longer),
        arms=[*picked.arms, *_taken_over(budgets)],
        limits=[*unsettled(quotients), *LIMITS],
        settings={"budgets": budgets, "settings chosen on seeds": list(TUNING)},
    )


def _caption(problem: str, budgets: dict[str, float], n: int) -> str:
    after = f"after {budgets[problem]:g} CPU seconds on one thread, {n} seeds"
    return f"{WORDS[problem]}, {after}" + ("" if problem == LONG else "; a step of L-BFGS is 20 iterations")


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


def _final(picked: Selection, seeds: Sequence[int], budgets: dict[str, float]) -> list[dict[str, Any]]:
    """Seed by seed, so that what is compared ran side by side."""
    chosen = {(spec["problem"], spec["method"]): spec["setting"] for spec in picked.runs.specs}
    taken_over = [(HARD, name) for name in SINGLE] + [(LONG, name) for name in LATE]
    chosen |= {(problem, name): chosen[HARD, name.removesuffix(", float32")] for problem, name in taken_over}
    return [
        {"problem": problem, "method": method, "setting": setting, "seed": seed, "budget": budgets[problem]}
        for seed in seeds
        for (problem, method), setting in chosen.items()
    ]


def _taken_over(budgets: dict[str, float]) -> list[Arm]:
    """Arms that have another's setting."""
    rule = f"the setting that was chosen in float64 with {budgets[HARD]:g} CPU seconds"
    single = [(HARD, name, "it shows what the digits are worth") for name in SINGLE]
    late = [(LONG, name, "") for name in LATE]
    return [
        Arm(name, rule, budget=f"{budgets[problem]:g} CPU seconds", group=problem, why=why)
        for problem, name, why in (*single, *late)
    ]


def _rival_claims(arms: Arms) -> list[Claim]:
    """Bars: a hundred against Adam where the equation is linear and smooth (the spec's), else not worse."""
    early = "In so few seconds Levenberg-Marquardt hasn't come to where it converges fast."
    claims = []
    for problem, rival in arms:
        if rival in RIVALS:
            bar = 100.0 if rival == "Adam" and problem == POISSON else 1.0
            text = f"{problem}: {rival}'s error over Levenberg-Marquardt's (geometric mean)"
            claim = _quotient(text, arms, (problem, rival), (problem, LM), bar)
            many = rival not in ("Adam", "L-BFGS")
            steps = [arms[problem, name].mean("steps") for name in (rival, LM)]
            claims.append(
                claim.because(_cheaper(*steps), errors_caption(problem))
                if many
                else claim.because(early, path_title(problem))
            )
    return claims


def _cheaper(steps: float, of_lm: float) -> str:
    """Why a quasi-Newton method may keep up: its steps in the mean, and Levenberg-Marquardt's."""
    return (
        "Its step needs a gradient or two where Levenberg-Marquardt's needs the Jacobian of all points, so that it "
        f"takes {steps:.4g} steps to {of_lm:.4g} in the same seconds."
    )


def _quotient(text: str, arms: Arms, above: tuple[str, str], below: tuple[str, str], bar: float) -> Claim:
    return Claim.at_least(text, geometric(arms[above], arms[below], "error"), bar, n=len(arms[below]))


def _scaling_claims(arms: Arms) -> list[Claim]:
    why = "Here both keep together all the time, and seeds differ by more than they do."
    text = "{}: {}'s error over SSBroyden's (geometric mean)"
    return [
        _quotient(text.format(problem, name), arms, (problem, name), (problem, "SSBroyden"), 1.0).because(
            why, path_title(problem)
        )
        for problem in (POISSON, HARD, BURGERS)
        for name in PLAIN
    ]


def _float_claims(arms: Arms) -> list[Claim]:
    """Float32 would stall; its steps are faster, so that this takes time to show."""
    soon = "The seconds end before the digits of float32 do, and until then its steps are faster."
    late = "Float32 has come to its floor, but float64 to no more than a few times below it in these seconds."
    pairs = [(problem, name) for problem, name in arms if name in SINGLE]
    return [
        _quotient(
            f"{problem}: {name}'s error over that in float64 (geometric mean)",
            arms,
            (problem, name),
            (problem, name.removesuffix(", float32")),
            3.0,
        ).because(late if problem == LONG else soon, path_title(problem))
        for problem, name in pairs
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


def _summary(arms: Arms, speed: list[dict[str, Any]], budget: float, longer: float) -> str:
    """What speaks against us first: float32, and the rival that comes nearest."""
    p = [value for (_, name), value in holm_p(arms).items() if name == "SSBroyden" and value is not None]
    unsure = f" (p up to {max(p):.2g} with Holm's correction)" if p else ""
    short = (POISSON, HARD, BURGERS)
    own = ", ".join(f"{geometric_mean(arms[problem, LM].values('error')).value:.1e}" for problem in short)
    rivals = "; ".join(
        f"{name}'s is {', '.join(_times(arms, problem, name) for problem in short)} times that" for name in RIVALS[:-1]
    )
    by_form, far = _times(arms, HARD, SINGLE[1]), _times(arms, LONG, SINGLE[1])
    near = [_times(arms, problem, "SSBroyden") for problem in (*short, LONG)]
    return (
        f"With the edge by form {LM}'s error in float32 is {by_form} times that in float64 after {budget:g} CPU "
        f"seconds, {far} times after {longer:g}. After {budget:g} CPU seconds, each at its own best setting, "
        f"SSBroyden's error is {near[0]} times {LM}'s on Poisson, {near[1]} times with the edge by form, {near[2]} "
        f"times on Burgers, and {near[3]} times with the edge by form after {longer:g}{unsure}. In the order of these "
        f"three problems {LM} has errors of {own} after {budget:g} seconds; {rivals}. Jets take "
        f"{speed[1]['share']:.2f} of the time of nested gradients in three dimensions and {speed[2]['share']:.2f} in "
        "ten."
    )


def _times(arms: Arms, problem: str, name: str) -> str:
    """How many times Levenberg-Marquardt's error, with its interval."""
    found = geometric(arms[problem, name], arms[problem, LM], "error")
    value, low, high = (f"{v:,.0f}" if v >= 100 else f"{v:.3g}" for v in (found.value, found.low, found.high))
    return value + (f" [{low}, {high}]" if found.known else "")
