"""`deepwright solve`: a problem in, a trained solution with its certificate and pictures out."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.files import write_bytes, write_json, write_text
from deepwright.core.results import Figure, Table
from deepwright.physics.bundled import PROBLEMS, named_problem
from deepwright.physics.domains import SpaceTime
from deepwright.physics.pictures import field_image, film
from deepwright.physics.solve import Certificate, LeastSquaresProblem, PDEProblem, Phase, Solution, Training, certify
from deepwright.physics.two_phase import (
    TwoPhasePINN,
    TwoPhaseProblem,
    core_flow,
    droplet,
    general,
    layers,
    static_ball,
    static_droplet,
)
from deepwright.report import print_table, svg
from deepwright.report.page import document

FLOWS: dict[str, tuple[Callable[[], TwoPhaseProblem], str]] = {
    "droplet": (droplet, "two fluids, a spinning droplet that is carried along (surface tension, viscosities 10 : 1)"),
    "two-phase-general": (general, "two fluids, a stress jump that needs the whole 2 mu D, a prescribed interface"),
    "static-droplet": (static_droplet, "two fluids at rest: Laplace's pressure jump, and nothing should move"),
    "static-ball": (static_ball, "the same around an axis: a ball, with twice the jump"),
    "three-layers": (layers, "three fluids in spinning rings around a moving centre"),
    "core-flow": (core_flow, "two fluids in a pipe, one around the other, axisymmetric"),
}
LISTED = {
    "poisson-bands": "lap u = f on [-1, 1]^2 with three bands of sines: smooth, middling and sharp at once",
}


def run(**o: Any) -> int:
    """List, or solve; returns the exit code."""
    if o["listing"]:
        for name, make in PROBLEMS.items():
            click.echo(f"{name:18} {LISTED.get(name) or (make.__doc__ or '').strip().splitlines()[0]}")
        for name, (_, text) in FLOWS.items():
            click.echo(f"{name:18} {text}")
        return 0
    if not o["problem"]:
        raise InputError("PROBLEM", given="nothing", expected="a name of `deepwright solve --list`, or a .py file")
    out: Path = o["out"]
    write_text(out / ".writable", "")
    (out / ".writable").unlink()
    problem = stated(o["problem"])
    schedule = None if not o["steps"] else [Phase(o["optimiser"], o["steps"])]
    if isinstance(problem, TwoPhaseProblem):
        return _flow(problem, o, schedule)
    click.echo(f"{problem.name}: {len(problem.conditions)} conditions over {problem.domain.dim} axes", err=True)
    found = problem.solve(seed=o["seed"], checkpoint=out / "fit.pt", max_time=o["max_time"], schedule=schedule)
    report = certify(problem, found.network, seed=o["seed"])
    _keep(found.network, out)
    figures = [_loss_figure(found.training), *_pictures(found)]
    _write(out, problem.name, report, figures, found.training)
    if isinstance(problem.domain, SpaceTime) and problem.domain.dim == 3:
        click.echo(str(_film(found, out / "film.gif")))
    _show(out, report, found.training)
    return 0


def stated(name: str) -> PDEProblem | TwoPhaseProblem:
    """A bundled problem, or `problem` of a Python file of the user's.

    Raises:
        InputError: no such name or file; a file without a problem, or one that fails (its error is told).
    """
    if not name.endswith(".py"):
        if name in FLOWS:
            return FLOWS[name][0]()
        if name not in PROBLEMS:
            raise unknown_name("problem", name, [*PROBLEMS, *FLOWS])
        return named_problem(name)
    if not Path(name).is_file():
        raise InputError(
            "PROBLEM", given=f"{name} does not exist", expected="a Python file with `problem = PDEProblem(...)`"
        )
    try:
        made = runpy.run_path(name).get("problem")
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"cannot run {name}", given=f"{type(error).__name__}: {error}", expected="a file that states a problem"
        ) from error
    if not isinstance(made, PDEProblem | TwoPhaseProblem):
        raise InputError(
            name,
            given=f"problem is {type(made).__name__}",
            expected="problem = PDEProblem(...) or TwoPhaseProblem(...)",
        )
    return made


def _flow(problem: TwoPhaseProblem, o: dict[str, Any], schedule: list[Phase] | None) -> int:
    out: Path = o["out"]
    solver = TwoPhasePINN(problem, (16, 16), seed=o["seed"])
    training = solver.fit(schedule, max_time=o["max_time"], checkpoint=out / "fit.pt")
    trained = solver.least_squares().breakdown()
    fresh, dense = (
        LeastSquaresProblem(solver.model, solver.blocks(solver.counts.times(k), solver.seed + 7919)).breakdown()
        for k in (1, 4)
    )
    report = Certificate(trained, fresh, dense, errors=solver.errors())
    _keep(solver.model, out)
    axis, other = (torch.linspace(*b, 90, dtype=torch.float64) for b in problem.domain.bounds[:2])
    plane = torch.cartesian_prod(axis, other)
    for low, high in problem.domain.bounds[2:]:  # in space: half way up
        plane = torch.cat([plane, torch.full((len(plane), 1), (low + high) / 2, dtype=torch.float64)], 1)
    extent = (*problem.domain.bounds[0], *problem.domain.bounds[1])
    frames, titles = [], []
    for t in torch.linspace(*problem.t_span, 16, dtype=torch.float64):
        u = solver.predict(torch.cat([plane, t.expand(len(plane), 1)], 1))
        frames.append(u[:, :-1].norm(dim=1).reshape(90, 90).numpy())
        titles.append(f"speed at t = {float(t):.3g}")
    pressure = u[:, -1].reshape(90, 90).numpy()
    film(frames, out / "film.gif", titles=titles, extent=extent)
    images = [
        field_image(frames[-1], "speed at the end", extent=extent),
        field_image(pressure, "pressure at the end", extent=extent),
    ]
    _write(out, o["problem"], report, [_loss_figure(training), Figure("images", "Solution", images)], training)
    click.echo(str(out / "film.gif"))
    _show(out, report, training)
    return 0


def _keep(network: nn.Module, out: Path) -> None:
    from safetensors.torch import save

    write_bytes(out / "weights.safetensors", save({k: v.contiguous() for k, v in network.state_dict().items()}))


def _loss_figure(training: Training) -> Figure:
    rows = [r for r in training.history if any(k.startswith("rms") for k in r)] or training.history[-1:]
    names = [k for k in rows[-1] if k.startswith("rms ")]
    series: list[dict[str, Any]] = [
        {"name": k[4:], "x": [r["step"] for r in rows if k in r], "y": [r[k] for r in rows if k in r]} for k in names
    ]
    thin = training.history[:: max(1, len(training.history) // 300)]
    series.insert(0, {"name": "loss", "x": [r["step"] for r in thin], "y": [r["loss"] for r in thin], "dashed": True})
    return Figure("line", "Loss, and RMS of each block", series, "step", "", log_y=True)


def _plane(found: Solution, n: int = 100) -> tuple[torch.Tensor, tuple[float, float, float, float], tuple[str, str]]:
    """A grid over the first two axes, the others in the middle (time of a plane problem: at the end)."""
    domain = found.problem.domain
    bounds = domain.bounds
    timed = isinstance(domain, SpaceTime)
    names = [*"xyzuvw"[: domain.dim - int(timed)], *(["t"] if timed else [])]
    axes = [torch.linspace(*b, n, dtype=torch.float64) for b in bounds[:2]]
    flat = torch.cartesian_prod(*axes) if len(axes) == 2 else axes[0][:, None]
    rest = [
        torch.full((len(flat), 1), b[1] if timed and i == len(bounds) - 1 else (b[0] + b[1]) / 2, dtype=torch.float64)
        for i, b in enumerate(bounds)
        if i > 1
    ]
    second = bounds[1] if len(bounds) > 1 else (0.0, 1.0)
    return torch.cat([flat, *rest], 1), (*bounds[0], *second), (names[0], names[1] if len(names) > 1 else "")


def _pictures(found: Solution) -> list[Figure]:
    """Solution, error where known, and residuals of the interior."""
    n = 100
    x, extent, axes = _plane(found, n)
    like = next(found.network.parameters())
    u = found(x.to(like)).double()
    problem = found.problem
    if problem.domain.dim == 1:
        series = [{"name": c, "x": x[:, 0].tolist(), "y": u[:, i].tolist()} for i, c in enumerate(problem.components)]
        return [Figure("line", "Solution", series, axes[0], "")]
    inside = problem.domain.contains(x)
    blank = torch.where(inside, 1.0, torch.nan).double()
    images = []
    for i, c in enumerate(problem.components):
        images.append(field_image((u[:, i] * blank).reshape(n, n).numpy(), c, extent=extent, axes=axes))
        if problem.exact is not None:
            gap = (u[:, i] - problem.exact(x).reshape(len(x), -1)[:, i]) * blank
            images.append(field_image(gap.reshape(n, n).numpy(), f"{c} - exact", extent=extent, axes=axes))
    for name, r in problem.residuals(
        found.network, {c.name: x.to(like) for c in problem.conditions if c.where == "interior"}
    ).items():
        size = r.detach().double().reshape(len(x), -1).norm(dim=1) * blank
        images.append(
            field_image(size.reshape(n, n).numpy(), f"|residual| of {name}", extent=extent, axes=axes, signed=False)
        )
    return [Figure("images", "Solution, error and residual", images)]


def _film(found: Solution, path: Path, n: int = 80, frames: int = 24) -> Path:
    domain = found.problem.domain
    assert isinstance(domain, SpaceTime)
    plane = torch.cartesian_prod(*[torch.linspace(*b, n, dtype=torch.float64) for b in domain.bounds[:2]])
    times = torch.linspace(*domain.span, frames, dtype=torch.float64)
    like = next(found.network.parameters())
    values = [
        found(torch.cat([plane, t.expand(len(plane), 1)], 1).to(like))[:, 0].double().reshape(n, n).numpy()
        for t in times
    ]
    return film(
        values,
        path,
        titles=[f"{found.problem.components[0]} at t = {float(t):.3g}" for t in times],
        extent=(*domain.bounds[0], *domain.bounds[1]),
    )  # type: ignore[arg-type]


def _table(report: Certificate) -> Table:
    rows = [[k, report.trained[k], report.fresh[k], report.dense[k]] for k in report.trained]
    return Table(["block", "RMS on its points", "on fresh points", "on four times as many"], rows, "residuals")  # type: ignore[arg-type]


def _write(out: Path, name: str, report: Certificate, figures: list[Figure], training: Training) -> None:
    from html import escape

    lines = [
        *report.lines(),
        *report.warnings,
        f"{training.steps} steps, {training.seconds:.1f} CPU seconds, loss {training.loss:.3g}",
        *training.stopped,
    ]
    table = _table(report)
    head = "".join(f"<th>{escape(c)}</th>" for c in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(v if isinstance(v, str) else f'{v:.3g}')}</td>" for v in row) + "</tr>"
        for row in table.rows
    )
    text = "".join(f"<p>{escape(line)}</p>" for line in lines)
    page = document(
        name, f"<h1>{escape(name)}</h1>{text}<table><tr>{head}</tr>{body}</table>" + "".join(svg(f) for f in figures)
    )
    write_bytes(out / "solution.html", page.encode())
    write_json(
        out / "certificate.json",
        vars(report) | {"steps": training.steps, "seconds": training.seconds, "loss": training.loss},
    )


def _show(out: Path, report: Certificate, training: Training) -> None:
    print_table(_table(report))
    for line in report.lines():
        click.echo(line)
    for w in report.warnings:
        click.echo(f"note: {w}")
    click.echo(
        f"{training.steps} steps, {training.seconds:.1f} CPU seconds\n{out / 'solution.html'}\n{out / 'weights.safetensors'}"
    )
