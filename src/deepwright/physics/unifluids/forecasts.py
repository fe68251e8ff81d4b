"""How good forecasts are: errors by number of steps, spectra, conserved means, and an ensemble's spread."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.results import Table
from deepwright.physics.pde_data import PDEBatch, field_errors

if TYPE_CHECKING:
    from deepwright.physics.unifluids.model import UniFluids


def relative_error(u: Float[Tensor, "b c t x y z"], data: PDEBatch) -> float:
    """Mean over trajectories of the relative L2 error on the frames after the context.

    Args:
        u: a forecast.
        data: trajectories with their truth.
    """
    gap, size = ((v[:, :, data.context :]).flatten(1).norm(dim=1) for v in (u.to(data.u.device) - data.u, data.u))
    return float((gap / size.clamp_min(1e-12)).mean())


def forecast_errors(u: Float[Tensor, "b c t x y z"], data: PDEBatch) -> dict[str, float]:
    """Errors of a forecast on the frames after the context.

    Args:
        u: a forecast.
        data: trajectories with their truth.

    Returns:
        rel_l2, nrmse, three bands of the spectrum ("low", "middle", "high"), conserved means ("mass"), and "spectrum":
        the mean |log energy ratio| of the wave numbers along x that hold a ten-thousandth of the strongest one's
        energy or more.
    """
    u = u.to(data.u.device)
    e = field_errors(*(v[:, :, data.context :].permute(0, 2, 3, 4, 5, 1) for v in (u, data.u)))
    return {
        "rel_l2": relative_error(u, data),
        "nrmse": e.nrmse,
        "low": e.frmse[0],
        "middle": e.frmse[1],
        "high": e.frmse[2],
        "mass": e.crmse,
        "spectrum": _spectrum_gap(u, data),
    }


def _spectrum_gap(u: Tensor, data: PDEBatch) -> float:
    found, truth = (
        torch.fft.rfft(v[:, :, data.context :], dim=3).abs().square().mean((0, 1, 2, 4, 5)) for v in (u, data.u)
    )
    kept = truth > 1e-4 * truth.max()
    return float((found[kept].clamp_min(1e-20) / truth[kept].clamp_min(1e-20)).log().abs().mean())


def spread_skill(members: Float[Tensor, "m b c t x y z"], data: PDEBatch) -> tuple[float, float]:
    """Whether the spread of an ensemble tells how wrong it is: then the ratio of spread and error is 1.

    The spread is that of a finite ensemble: multiplied by sqrt(1 + 1 / members), so that an honest one gives 1.

    Args:
        members: of the ensemble.
        data: trajectories with their truth.

    Returns:
        The relative error of the ensemble's mean, and spread over error.

    Raises:
        InputError: fewer than two members.
    """
    if len(members) < 2:
        raise InputError("members", given=len(members), expected="2 or more")
    members = members.to(data.u.device)
    mean, late = members.mean(0), slice(data.context, None)
    error = (mean - data.u)[:, :, late].square().mean().sqrt()
    spread = (members.var(0)[:, :, late].mean() * (1 + 1 / len(members))).sqrt()
    return relative_error(mean, data), float(spread / error.clamp_min(1e-12))


def interleaved(
    forecast: Callable[[PDEBatch], Float[Tensor, "b c t x y z"]], data: PDEBatch, factor: int
) -> Float[Tensor, "b c t x y z"]:
    """A forecast on a grid finer than a model was trained on: as that many coarse grids, each shifted by a cell.

    Args:
        forecast: such as `model.predict`.
        data: trajectories.
        factor: of every axis of space.

    Raises:
        InputError: a grid that the factor doesn't divide; sensors.
    """
    space = tuple(data.u.shape[3 : 3 + data.dim])
    if factor < 1 or any(n % factor for n in space) or data.seen is not None:
        given = f"{factor} for a grid of {space}"
        raise InputError("factor", given=given, expected="a divisor of every axis, no sensors")
    u = torch.empty_like(data.u)
    spacing = (data.spacing[0], *(s * factor if i < data.dim else s for i, s in enumerate(data.spacing[1:])))
    for shift in itertools.product(range(factor), repeat=data.dim):
        cut = (slice(None),) * 3 + tuple(slice(s, None, factor) for s in shift)
        part = replace(data, u=data.u[cut].contiguous(), spacing=spacing)  # type: ignore[arg-type]
        u[cut] = forecast(part).to(u)
    return u


def evaluate_forecasts(
    model: UniFluids,
    data: PDEBatch,
    steps: Sequence[int] = (1, 2, 5, 10, 20),
    *,
    solver: str = "euler",
    members: int = 8,
    seed: int = 0,
) -> Table:
    """Accuracy and cost by steps of the sampler.

    Args:
        model: trained.
        data: trajectories with their truth.
        steps: numbers to try.
        solver: see `UniFluids.sample`.
        members: of the ensemble for the spread (1: none; one step of a point forecast has none either).
        seed: of the noise.

    Returns:
        A row for each number: errors of `forecast_errors`, network evaluations, CPU seconds a trajectory, and spread
        over error.

    Raises:
        InputError: no numbers to try.
    """
    if not steps:
        raise InputError("steps", given="none", expected="at least one number")
    rows: list[list[Any]] = []
    columns: list[str] = []
    for n in steps:
        rng = torch.Generator().manual_seed(seed)
        begin = time.process_time()
        first = model.sample(data, steps=n, solver=solver, generator=rng)
        seconds = (time.process_time() - begin) / len(data)
        found, ratio = forecast_errors(first[0], data), None
        if members > 1 and model.noise:
            others = model.sample(data, steps=n, solver=solver, members=members - 1, generator=rng)
            ratio = spread_skill(torch.cat([first, others]), data)[1]
        columns = ["steps", *found, "evaluations", "CPU seconds", "spread over error"]
        rows.append([n, *found.values(), n if solver == "euler" else 2 * n - 1, seconds, ratio])
    return Table(columns, rows, f"{data.pde}: {len(data)} trajectories, {data.u.shape[2] - data.context} frames ahead")
