"""The engine under physics: what second-order training in float64 and jets are worth on a Poisson problem."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.physics.bundled import poisson
from deepwright.physics.derivatives import jet
from deepwright.physics.networks import field
from deepwright.physics.pictures import field_image
from deepwright.physics.solve import LeastSquaresProblem, Phase, certify, fit_problem, relative_errors
from deepwright.studies import Settings
from deepwright.studies._clock import MEDIAN, median_ms
from deepwright.studies._frame import Runs, cross, curve, mean, ratios, run_grid, study_result

WAYS: dict[str, list[tuple[Any, ...]]] = {
    "Adam 1e-3": [("adam", 10**6, 1e-3)],
    "Adam 1e-2, cosine": [("adam", 6000, 1e-2, True)],
    "L-BFGS": [("lbfgs", 10**6)],
    "BFGS": [("bfgs", 10**6)],
    "SSBFGS": [("ssbfgs", 10**6)],
    "SSBroyden": [("ssbroyden", 10**6)],
    "SSBroyden, float32": [("ssbroyden", 10**6)],
    "Levenberg-Marquardt": [("lm", 500)],
    "Levenberg-Marquardt, float32": [("lm", 500)],
}
LIMITS = (
    "One linear, smooth problem in two dimensions with 501 parameters: Levenberg-Marquardt's matrix grows with the "
    "square of these, and what it is worth on large networks isn't shown.",
)
OURS = "Levenberg-Marquardt"


def run(settings: Settings) -> StudyResult:
    """Every optimiser for the same CPU seconds; derivative engines side by side."""
    seeds = settings.seeds_or(range(1 if settings.quick else 3))
    budget = 3.0 if settings.quick else 12.0
    names = [OURS, "Adam 1e-3", "SSBroyden"] if settings.quick else list(WAYS)
    grid = cross(name=names, seed=seeds, budget=budget)
    grid = [g | {"picture": g["name"] == OURS and g["seed"] == seeds[0]} for g in grid]
    runs = run_grid(trial, grid, settings, "sciml-core")
    arms = runs.by("name")
    speed = engines(3 if settings.quick else 9)
    return study_result(
        "sciml-core",
        [runs],
        seeds=seeds,
        claims=_claims(arms, speed),
        tables=[_table(arms, budget, len(seeds)), _timing(speed)],
        figures=_figures(arms),
        summary=_summary(arms, speed),
        limits=LIMITS,
        settings={"budget": budget},
    )


def trial(name: str, seed: int, budget: float, picture: bool) -> dict[str, Any]:
    """2 x 20 tanh, 500 points inside and 100 on the edge; the error is looked at outside the clock."""
    dtype = torch.float32 if name.endswith("float32") else torch.float64
    problem = poisson(500)
    u = field(2, 1, (20, 20), dtype=dtype, seed=seed)
    squares = LeastSquaresProblem(u, problem.blocks(seed, dtype=dtype))
    x = problem.domain.sample(4096, generator=torch.Generator().manual_seed(1))
    curve: list[tuple[float, float]] = []
    marks = [budget * k / 40 for k in range(1, 41)]

    def look(step: int, info: object) -> None:
        now = training_seconds()
        if marks and now >= marks[0]:
            while marks and now >= marks[0]:
                marks.pop(0)
            curve.append((now, relative_errors(u, problem.exact, x)["u"]))  # type: ignore[arg-type]

    clock = [0.0, time.process_time()]

    def training_seconds() -> float:
        return clock[0] + time.process_time() - clock[1]

    def timed(step: int, info: object) -> None:
        clock[0] += time.process_time() - clock[1]
        clock[1] = time.process_time()
        look(step, info)
        clock[1] = time.process_time()  # looking isn't training

    training = fit_problem(squares, [Phase(*p) for p in WAYS[name]], max_time=budget, on_step=timed, seed=seed)
    error = relative_errors(u, problem.exact, x)["u"]  # type: ignore[arg-type]
    curve.append((training.seconds, error))
    report = certify(problem, u, seed=seed)
    return {
        "error": error,
        "steps": training.steps,
        "seconds": training.seconds,
        "loss": training.loss,
        "curve": curve,
        "stopped": training.stopped,
        "between points": report.dense["equation"] / max(report.trained["equation"], 1e-30),
        "picture": _picture(u, problem.exact) if picture else None,
    }


def _picture(u: nn.Module, exact: Any, n: int = 96) -> list[Tensor]:
    axis = torch.linspace(0, 1, n, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        value = u(x).double()
    return [value.reshape(n, n), (value - exact(x)).reshape(n, n)]


def engines(repeats: int) -> list[dict[str, Any]]:
    """CPU milliseconds of a Poisson residual with its parameter gradient, 4 x 64 tanh, float64, one thread."""
    return [_engine(d, n, repeats) for d, n in ((2, 4096), (3, 4096), (10, 2048))]


def _engine(d: int, n: int, repeats: int) -> dict[str, Any]:
    u = field(d, 1, (64,) * 4)
    x = torch.rand(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def jets() -> Tensor:
        out = jet(u, x, None, "laplacian", engine="jet")
        assert out.S is not None
        return out.S[0][:, 0]

    def nested() -> Tensor:
        own = x.clone().requires_grad_(True)
        (g,) = torch.autograd.grad(u(own).sum(), own, create_graph=True)
        second = (torch.autograd.grad(g[:, i].sum(), own, create_graph=True)[0][:, i] for i in range(d))
        return sum(second)  # type: ignore[return-value]

    def stepped(way: Callable[[], Tensor]) -> Callable[[], None]:
        def step() -> None:
            u.zero_grad()
            (way() + 1).square().mean().backward()

        return step

    times = median_ms({"jets": stepped(jets), "nested": stepped(nested)}, repeats)
    return {"d": d, "points": n, **times, "ratio": times["nested"] / times["jets"]}


def _better_adam(arms: dict[str, Runs]) -> list[float]:
    """The smallest error of all Adams, seed by seed."""
    return [min(errors) for errors in zip(*(runs.values("error") for n, runs in arms.items() if n.startswith("Adam")))]


def _claims(arms: dict[str, Runs], speed: list[dict[str, Any]]) -> list[Claim]:
    ours = arms[OURS].values("error")
    behind = [a / b for a, b in zip(_better_adam(arms), ours)]
    claims = [
        Claim.at_most("Levenberg-Marquardt, 500 steps: relative L2 error in the worst seed", ours, 5e-4, every=True),
        Claim.at_least(
            "... the better Adam's error over it at equal CPU time, in the worst seed", behind, 100.0, every=True
        ),
        Claim.at_most("SSBroyden: relative L2 error", arms["SSBroyden"].values("error"), 1e-2),
        Claim.at_least(
            "jets against nested gradients, d = 3, 4,096 points, float64, one thread",
            speed[1]["ratio"],
            1.4,
            timing=True,
            basis=MEDIAN,
        ),
        Claim.at_least(
            "jets against nested gradients, d = 10, 2,048 points", speed[2]["ratio"], 1.7, timing=True, basis=MEDIAN
        ),
    ]
    if "SSBroyden, float32" in arms:
        stalled = ratios(arms["Levenberg-Marquardt, float32"], arms[OURS], "error")
        scaled = ratios(arms["BFGS"], arms["SSBroyden"], "error")
        claims += [
            Claim.at_least("float32 stalls Levenberg-Marquardt: its error over that in float64", stalled, 3.0),
            Claim.at_least("SSBroyden over BFGS at equal CPU time: BFGS's error over its", scaled, 1.0),
        ]
    return claims


def _table(arms: dict[str, Runs], budget: float, n: int) -> Table:
    rows: list[list[Any]] = []
    for name, runs in arms.items():
        errors = runs.values("error")
        means = (runs.mean(k) for k in ("steps", "seconds", "between points"))
        rows.append([name, runs.interval("error").value, min(errors), max(errors), *means])
    return Table(
        [
            "optimiser",
            "relative L2 error",
            "best",
            "worst",
            "steps",
            "CPU seconds",
            "residual between points / on them",
        ],
        rows,
        "-lap u = f on the unit square, u = sin 2 pi x sin 2 pi y, 2 x 20 tanh (501 parameters), 600 points, one "
        f"thread, at most {budget:g} CPU seconds, {n} seeds",
    )


def _timing(speed: list[dict[str, Any]]) -> Table:
    return Table(
        ["axes", "points", "jets, ms", "nested gradients, ms", "ratio"],
        [[s["d"], s["points"], s["jets"], s["nested"], s["ratio"]] for s in speed],
        "Poisson residual and its parameter gradient, 4 x 64 tanh, float64, one thread, CPU time, median",
    )


def _figures(arms: dict[str, Runs]) -> list[Figure]:
    series = []
    for name, runs in arms.items():
        x, y = zip(*sorted(runs, key=lambda row: row["error"])[len(runs) // 2]["curve"])
        series.append(curve(name, x, y, dashed="float32" in name))
    value, gap = (t.numpy() for t in arms[OURS][0]["picture"])
    return [
        Figure(
            "line",
            "Error against CPU time (median seed)",
            series,
            "CPU seconds",
            "relative L2 error",
            log_y=True,
            note="one seed each: the table has the best and the worst",
        ),
        Figure(
            "images",
            "Levenberg-Marquardt's solution and its error",
            [field_image(value, "u"), field_image(gap, "u - exact")],
        ),
    ]


def _summary(arms: dict[str, Runs], speed: list[dict[str, Any]]) -> str:
    return (
        "For the same CPU seconds Levenberg-Marquardt reaches a relative error of "
        f"{arms[OURS].interval('error').value:.1e}, the better Adam {mean(_better_adam(arms)):.2g}. Jets take "
        f"{1 / speed[1]['ratio']:.2f} of the time of nested gradients in three dimensions and "
        f"{1 / speed[2]['ratio']:.2f} in ten."
    )
