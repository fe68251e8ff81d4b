"""One network trained on one problem with Adam and a cosine, in the steps that fit a budget of CPU seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.physics.bundled import burgers, flow_mixing3d, helmholtz3d, poisson_bands
from deepwright.physics.linear_grids.baselines import CellGrid, Separable
from deepwright.physics.linear_grids.celg import CELG
from deepwright.physics.networks import field
from deepwright.physics.solve.certificate import certify
from deepwright.physics.solve.least_squares import LeastSquaresProblem
from deepwright.physics.solve.problem import PDEProblem
from deepwright.physics.solve.training import Phase, fit_problem
from deepwright.physics.splines import KERNELS

Bounds = Any
MULTI = ((1, 1.0), (3, 0.5), (6, 0.25))
PROBLEMS: dict[str, Callable[[], PDEProblem]] = {
    "one band": lambda: poisson_bands(2, ((4, 1.0),)),
    "three bands": lambda: poisson_bands(2, MULTI),
    "ten axes": lambda: poisson_bands(10, ((1, 1.0),), points=1024),
    "helmholtz-3d": lambda: helmholtz3d(points=2000),
    "flow-mixing-3d": lambda: flow_mixing3d(points=2000),
    "burgers": lambda: burgers(points=1500),
}


def _with_kernel(kernel: str, bounds: Bounds, seed: int) -> nn.Module:
    return CELG(bounds, 1, 24, 16, (32,), kernel=kernel, seed=seed)


NETWORKS: dict[str, Callable[[Bounds, int], nn.Module]] = {
    "PINN": lambda b, s: field(len(b), 1, (64,) * 3, bounds=b, seed=s),
    "PINN, Fourier features": lambda b, s: field(len(b), 1, (64,) * 3, bounds=b, fourier=(32, 1.0), seed=s),
    "SPINN": lambda b, s: Separable(b, 1, 16, (32, 32), seed=s),
    "PIXEL": lambda b, s: CellGrid(b, 1, 16 if len(b) == 2 else 8, 4, 16 if len(b) == 2 else 4, seed=s),
    "CELG": lambda b, s: CELG(b, 1, 24, 16, (32,), seed=s),
    "CELG, 32 features": lambda b, s: CELG(b, 1, 32, 32, (32,), seed=s),
    "CELG, three levels": lambda b, s: CELG(b, 1, 33, 12, (32,), levels=(5, 9, 33), seed=s),
}
NETWORKS |= {f"CELG, {k}": partial(_with_kernel, k) for k in KERNELS[1:]}
RATE = {"PINN": 2e-3, "PINN, Fourier features": 2e-3, "SPINN": 2e-3}


def trial(problem: str, name: str, seed: int, budget: float, steps: int = 0, picture: bool = False) -> dict[str, Any]:
    """Adam with a cosine over the budget; the number of steps that fits is measured first."""
    stated = PROBLEMS[problem]()
    u = NETWORKS[name](stated.domain.bounds, seed)
    rate = RATE.get(name, 1e-2)
    if not steps:
        probe = LeastSquaresProblem(NETWORKS[name](stated.domain.bounds, seed), stated.blocks(seed))
        fit_problem(probe, [Phase("adam", 3, rate)], resample=1, seed=seed)  # first calls are slower
        begin = time.process_time()
        fit_problem(probe, [Phase("adam", 12, rate)], resample=1, seed=seed)
        steps = max(20, int(budget / ((time.process_time() - begin) / 12)))
    squares = LeastSquaresProblem(u, stated.blocks(seed))
    curve: list[tuple[float, float]] = []
    every = max(1, steps // 20)

    def look(step: int, info: Any) -> None:
        if step % every == 0:
            curve.append((step / steps, info.after))

    training = fit_problem(squares, [Phase("adam", steps, rate, True)], resample=1, seed=seed, callback=look)
    report = certify(stated, u, seed=seed)
    return {
        "error": report.errors["u"],
        "steps": steps,
        "seconds": training.seconds,
        "loss": training.loss,
        "curve": curve,
        "parameters": squares.size,
        "warned": any("smooth correction" in w for w in report.warnings),
        "missed": report.missed,
        "picture": _picture(u, stated.exact) if picture else None,
    }


def _picture(u: nn.Module, exact: Any, n: int = 120) -> Tensor:
    axis = torch.linspace(-1, 1, n, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        return torch.stack([u(x)[:, 0], exact(x)[:, 0]]).reshape(2, n, n)
