"""The engine under physics: what second-order training in float64 and jets are worth on a Poisson problem."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.statistics import mean_interval
from deepwright.core.trials import run as run_trials
from deepwright.physics.bundled import poisson
from deepwright.physics.derivatives import jet
from deepwright.physics.networks import field
from deepwright.physics.pictures import field_image
from deepwright.physics.solve import LeastSquaresProblem, Phase, certify, fit_problem, relative_errors
from deepwright.studies import Settings

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
OURS = "Levenberg-Marquardt"


def run(settings: Settings) -> StudyResult:
    """Every optimiser for the same CPU seconds; derivative engines side by side."""
    seeds, budget = (1, 3.0) if settings.quick else (3, 12.0)
    names = [OURS, "Adam 1e-3", "SSBroyden"] if settings.quick else list(WAYS)
    grid = [{"name": n, "seed": s, "budget": budget} for n in names for s in range(seeds)]
    rows = run_trials(
        trial, grid, store=settings.store, jobs=settings.jobs, backend=settings.backend, description="sciml-core"
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for spec, row in zip(grid, rows):
        found.setdefault(str(spec["name"]), []).append(row)
    return _result(found, engines(3 if settings.quick else 9), seeds, budget)


def trial(name: str, seed: int, budget: float) -> dict[str, Any]:
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

    training = fit_problem(squares, [Phase(*p) for p in WAYS[name]], max_time=budget, callback=timed, seed=seed)
    error = relative_errors(u, problem.exact, x)["u"]  # type: ignore[arg-type]
    curve.append((training.seconds, error))
    report = certify(problem, u, seed=seed)
    return {
        "error": error, "steps": training.steps, "seconds": training.seconds, "loss": training.loss, "curve": curve,
        "stopped": training.stopped, "between points": report.dense["equation"] / max(report.trained["equation"], 1e-30),
        "picture": _picture(u, problem.exact) if name == OURS and seed == 0 else None,
    }  # fmt: skip


def _picture(u: nn.Module, exact: Any, n: int = 96) -> list[Tensor]:
    axis = torch.linspace(0, 1, n, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        value = u(x).double()
    return [value.reshape(n, n), (value - exact(x)).reshape(n, n)]


def engines(repeats: int) -> list[dict[str, Any]]:
    """CPU milliseconds of a Poisson residual with its parameter gradient, 4 x 64 tanh, float64, one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_engine(d, n, repeats) for d, n in ((2, 4096), (3, 4096), (10, 2048))]
    finally:
        torch.set_num_threads(threads)


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
        return sum(torch.autograd.grad(g[:, i].sum(), own, create_graph=True)[0][:, i] for i in range(d))  # type: ignore[return-value]

    times: dict[str, list[float]] = {"jets": [], "nested": []}
    for _ in range(repeats + 1):
        for name, way in (("jets", jets), ("nested", nested)):
            u.zero_grad()
            begin = time.process_time()
            (way() + 1).square().mean().backward()
            times[name].append(1e3 * (time.process_time() - begin))
    medians = {k: sorted(v[1:])[repeats // 2] for k, v in times.items()}
    return {"d": d, "points": n, **medians, "ratio": medians["nested"] / medians["jets"]}


def _result(
    found: dict[str, list[dict[str, Any]]], speed: list[dict[str, Any]], seeds: int, budget: float
) -> StudyResult:
    def errors(name: str) -> list[float]:
        return [r["error"] for r in found[name]]

    adams = [min(errors(n)[s] for n in found if n.startswith("Adam")) for s in range(seeds)]
    claims = [
        Claim.at_most("Levenberg-Marquardt, 500 steps: relative L2 error in the worst seed", max(errors(OURS)), 5e-4),
        Claim.at_least("... the better Adam's error over it at equal CPU time, in the worst seed",
                       min(a / b for a, b in zip(adams, errors(OURS))), 100.0),
        Claim.at_most("SSBroyden: relative L2 error", errors("SSBroyden"), 1e-2),
        Claim.at_least("jets against nested gradients, d = 3, 4,096 points, float64, one thread", speed[1]["ratio"], 1.4),
        Claim.at_least("jets against nested gradients, d = 10, 2,048 points", speed[2]["ratio"], 1.7),
    ]  # fmt: skip
    if "SSBroyden, float32" in found:
        claims += [
            Claim.at_least("float32 stalls Levenberg-Marquardt: its error over that in float64",
                           [a / b for a, b in zip(errors("Levenberg-Marquardt, float32"), errors(OURS))], 3.0),
            Claim.at_least("SSBroyden over BFGS at equal CPU time: BFGS's error over its",
                           [a / b for a, b in zip(errors("BFGS"), errors("SSBroyden"))], 1.0),
        ]  # fmt: skip
    rows: list[list[Any]] = []
    for name, trials in found.items():
        interval = mean_interval([r["error"] for r in trials])
        rows.append([
            name, interval.value, min(r["error"] for r in trials), max(r["error"] for r in trials),
            sum(r["steps"] for r in trials) / seeds, sum(r["seconds"] for r in trials) / seeds,
            sum(r["between points"] for r in trials) / seeds,
        ])  # fmt: skip
    table = Table(
        ["optimiser", "relative L2 error", "best", "worst", "steps", "CPU seconds", "residual between points / on them"], rows,
        f"-lap u = f on the unit square, u = sin 2 pi x sin 2 pi y, 2 x 20 tanh (501 parameters), 600 points, one thread, at most {budget:g} CPU seconds, {seeds} seeds",
    )  # fmt: skip
    timing = Table(
        ["axes", "points", "jets, ms", "nested gradients, ms", "ratio"],
        [[s["d"], s["points"], s["jets"], s["nested"], s["ratio"]] for s in speed],
        "Poisson residual and its parameter gradient, 4 x 64 tanh, float64, one thread, CPU time, median",
    )
    curves = Figure(
        "line", "Error against CPU time (median seed)",
        [{"name": n, "x": [a for a, _ in c], "y": [b for _, b in c], "dashed": "float32" in n} for n, c in _medians(found)],
        "CPU seconds", "relative L2 error", log_y=True,
    )  # fmt: skip
    value, gap = (t.numpy() for t in found[OURS][0]["picture"])
    pictures = Figure(
        "images", "Levenberg-Marquardt's solution and its error",
        [field_image(value, "u"), field_image(gap, "u - exact")],
    )  # fmt: skip
    ours = mean_interval(errors(OURS))
    summary = (
        f"For the same CPU seconds Levenberg-Marquardt reaches a relative error of {ours.value:.1e}, the better Adam {sum(adams) / seeds:.2g}. "
        f"Jets take {1 / speed[1]['ratio']:.2f} of the time of nested gradients in three dimensions and {1 / speed[2]['ratio']:.2f} in ten."
    )
    return StudyResult(
        "sciml-core",
        claims,
        table,
        [curves, pictures],
        [timing],
        summary=summary,
        settings={"seeds": seeds, "budget": budget},
    )


def _medians(found: dict[str, list[dict[str, Any]]]) -> list[tuple[str, list[tuple[float, float]]]]:
    out = []
    for name, trials in found.items():
        ordered = sorted(trials, key=lambda r: r["error"])
        out.append((name, [tuple(p) for p in ordered[len(ordered) // 2]["curve"]]))
    return out
