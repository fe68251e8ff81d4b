"""What people look at in a solution: its loss, its fields, its error and residuals, and a film where time passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepwright.core.results import Figure
from deepwright.physics.domains import SpaceTime
from deepwright.physics.pictures import field_image, film
from deepwright.physics.solve import PDEProblem, Solution, Training
from deepwright.physics.two_phase import TwoPhasePINN

_SIDE = 100  # points along an axis of a picture
_FILM_SIDE, _FILM_FRAMES = 80, 24
_FLOW_SIDE, _FLOW_FRAMES = 90, 16
_THIN = 300  # points of a loss curve
Extent = tuple[float, float, float, float]


def loss_figure(training: Training) -> Figure:
    """The loss, and the RMS of each block, over the steps.

    Args:
        training: what the fit did.
    """
    rows = [r for r in training.history if any(k.startswith("rms") for k in r)] or training.history[-1:]
    names = [k for k in rows[-1] if k.startswith("rms ")]
    series: list[dict[str, Any]] = [
        {"name": k[4:], "x": [r["step"] for r in rows if k in r], "y": [r[k] for r in rows if k in r]} for k in names
    ]
    thin = training.history[:: max(1, len(training.history) // _THIN)]
    series.insert(0, {"name": "loss", "x": [r["step"] for r in thin], "y": [r["loss"] for r in thin], "dashed": True})
    return Figure("line", "Loss, and RMS of each block", series, "step", "", log_y=True)


def solution_figures(found: Solution) -> list[Figure]:
    """Solution, error where the truth is known, and residuals of the interior.

    Args:
        found: a trained solution.
    """
    x, extent, axes = _plane(found.problem)
    u, problem = _values(found, x), found.problem
    if problem.domain.dim == 1:
        series = [{"name": c, "x": x[:, 0].tolist(), "y": u[:, i].tolist()} for i, c in enumerate(problem.components)]
        return [Figure("line", "Solution", series, axes[0], "")]
    blank = torch.where(problem.domain.contains(x), 1.0, torch.nan).double()
    images = []
    for i, c in enumerate(problem.components):
        images.append(_image(u[:, i] * blank, c, extent, axes))
        if problem.exact is not None:
            gap = u[:, i] - problem.exact(x).reshape(len(x), -1)[:, i]
            images.append(_image(gap * blank, f"{c} - exact", extent, axes))
    for name, r in _residuals(found, x).items():
        size = r.double().reshape(len(x), -1).norm(dim=1) * blank
        images.append(_image(size, f"|residual| of {name}", extent, axes, signed=False))
    return [Figure("images", "Solution, error and residual", images)]


def solution_film(found: Solution, path: Path) -> Path | None:
    """The first component over two axes of space, as time passes.

    Args:
        found: a trained solution.
        path: of the file.

    Returns:
        the path; None where the problem isn't one of two axes and time.
    """
    domain = found.problem.domain
    if not (isinstance(domain, SpaceTime) and domain.dim == 3):
        return None
    n = _FILM_SIDE
    plane = torch.cartesian_prod(*[torch.linspace(*b, n, dtype=torch.float64) for b in domain.bounds[:2]])
    times = torch.linspace(*domain.span, _FILM_FRAMES, dtype=torch.float64)
    moments = [torch.cat([plane, t.expand(len(plane), 1)], 1) for t in times]
    frames = [_values(found, z)[:, 0].reshape(n, n).numpy() for z in moments]
    titles = [f"{found.problem.components[0]} at t = {float(t):.3g}" for t in times]
    return film(frames, path, titles=titles, extent=(*domain.bounds[0], *domain.bounds[1]))


def flow_figure(solver: TwoPhasePINN, path: Path) -> Figure:
    """Speed and pressure at the end of a flow of two fluids; a film of the speed goes to a file.

    Args:
        solver: a trained one.
        path: of the film.
    """
    problem, n = solver.problem, _FLOW_SIDE
    axis, other = (torch.linspace(*b, n, dtype=torch.float64) for b in problem.domain.bounds[:2])
    plane = torch.cartesian_prod(axis, other)
    for low, high in problem.domain.bounds[2:]:  # in space: half way up
        plane = torch.cat([plane, torch.full((len(plane), 1), (low + high) / 2, dtype=torch.float64)], 1)
    extent = (*problem.domain.bounds[0], *problem.domain.bounds[1])
    frames, titles = [], []
    for t in torch.linspace(*problem.t_span, _FLOW_FRAMES, dtype=torch.float64):
        u = solver.predict(torch.cat([plane, t.expand(len(plane), 1)], 1))
        frames.append(u[:, :-1].norm(dim=1).reshape(n, n).numpy())
        titles.append(f"speed at t = {float(t):.3g}")
    film(frames, path, titles=titles, extent=extent)
    pressure = u[:, -1].reshape(n, n).numpy()
    images = [
        field_image(frames[-1], "speed at the end", extent=extent),
        field_image(pressure, "pressure at the end", extent=extent),
    ]
    return Figure("images", "Solution", images)


def _values(found: Solution, x: Tensor) -> Tensor:
    """The solution at points, in float64 where they are."""
    return found(x).double()


def _residuals(found: Solution, x: Tensor) -> dict[str, Tensor]:
    """Of the interior, at points that are brought to the network; back where those were."""
    inside = [c for c in found.problem.conditions if isinstance(c.where, str) and c.where == "interior"]
    at = x.to(next(found.network.parameters()))
    return {
        name: r.detach().to(x.device)
        for name, r in found.problem.residuals(found.network, {c.name: at for c in inside}).items()
    }


def _image(values: Tensor, caption: str, extent: Extent, axes: tuple[str, str], **options: Any) -> dict[str, Any]:
    return field_image(values.reshape(_SIDE, _SIDE).numpy(), caption, extent=extent, axes=axes, **options)


def _plane(problem: PDEProblem) -> tuple[Tensor, Extent, tuple[str, str]]:
    """A grid over the first two axes, the others in the middle (time of a plane problem: at the end)."""
    domain = problem.domain
    bounds = domain.bounds
    timed = isinstance(domain, SpaceTime)
    names = [*"xyzuvw"[: domain.dim - int(timed)], *(["t"] if timed else [])]
    axes = [torch.linspace(*b, _SIDE, dtype=torch.float64) for b in bounds[:2]]
    flat = torch.cartesian_prod(*axes) if len(axes) == 2 else axes[0][:, None]
    rest = [
        torch.full((len(flat), 1), b[1] if timed and i == len(bounds) - 1 else (b[0] + b[1]) / 2, dtype=torch.float64)
        for i, b in enumerate(bounds)
        if i > 1
    ]
    second = bounds[1] if len(bounds) > 1 else (0.0, 1.0)
    return torch.cat([flat, *rest], 1), (*bounds[0], *second), (names[0], names[1] if len(names) > 1 else "")
