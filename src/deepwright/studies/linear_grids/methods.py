"""The networks that are compared, each with two settings of its own, and how many steps fit into equal CPU time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from deepwright.physics.bundled import burgers, flow_mixing3d, poisson_bands
from deepwright.physics.linear_grids import CELG, CellGrid, Separable
from deepwright.physics.networks import field
from deepwright.physics.solve import PDEProblem
from deepwright.physics.splines import KERNELS

Bounds = Any
Make = Callable[[Bounds, int], nn.Module]
PROBLEMS: dict[str, Callable[[], PDEProblem]] = {
    "one band": lambda: poisson_bands(2, ((4, 1.0),)),
    "three bands": lambda: poisson_bands(2, ((1, 1.0), (3, 0.5), (6, 0.25))),
    "burgers": lambda: burgers(points=512),
    "flow-mixing-3d": lambda: flow_mixing3d(points=1000),
}
BUDGET = {"one band": 1.5, "three bands": 3.0, "burgers": 3.0, "flow-mixing-3d": 2.5}  # CPU seconds a training
RATES = (5e-3, 1.5e-2, 5e-2)
RIVALS = ("PINN", "PINN, Fourier features", "SPINN", "PIXEL")
OURS, LEVELS = "CELG", "CELG, three levels"
MAIN = (*RIVALS, OURS, LEVELS)
BY_KERNEL = tuple(f"CELG, {kernel}" for kernel in KERNELS[1:])
SMALL, PUBLISHED = "24 knots, 16 features", "32 knots, 32 features"


def _waves(bounds: Bounds, times: float) -> list[tuple[float, float]]:
    """Bounds whose scaling to [-1, 1] stretches inputs so many times: sine networks need that (arXiv 2006.09661)."""
    return [((a + b) / 2 - (b - a) / 2 / times, (a + b) / 2 + (b - a) / 2 / times) for a, b in bounds]


def _perceptron(activation: str, times: float, bounds: Bounds, seed: int) -> nn.Module:
    return field(len(bounds), 1, (64,) * 3, activation=activation, bounds=_waves(bounds, times), seed=seed)


def _fourier(scale: float, bounds: Bounds, seed: int) -> nn.Module:
    return field(len(bounds), 1, (64,) * 3, bounds=bounds, fourier=(32, scale), seed=seed)


def _separable(activation: str, times: float, bounds: Bounds, seed: int) -> nn.Module:
    return Separable(_waves(bounds, times), 1, 16, (32, 32), activation=activation, seed=seed)


def _cells(cells: int, bounds: Bounds, seed: int) -> nn.Module:
    return CellGrid(bounds, 1, cells, 4, 16 if len(bounds) == 2 else 4, seed=seed)


def _grid(knots: int, features: int, kernel: str, bounds: Bounds, seed: int) -> nn.Module:
    return CELG(bounds, 1, knots, features, (32,), kernel=kernel, seed=seed)


def _levels(levels: tuple[int, ...], features: int, bounds: Bounds, seed: int) -> nn.Module:
    return CELG(bounds, 1, levels[-1], features, (32,), levels=levels, seed=seed)


def _grids(kernel: str) -> dict[str, Make]:
    return {SMALL: partial(_grid, 24, 16, kernel), PUBLISHED: partial(_grid, 32, 32, kernel)}


SINE = "sine, inputs x 30"
NETWORKS: dict[str, dict[str, Make]] = {
    "PINN": {"tanh": partial(_perceptron, "tanh", 1.0), SINE: partial(_perceptron, "sin", 30.0)},
    "PINN, Fourier features": {"scale 0.5": partial(_fourier, 0.5), "scale 1": partial(_fourier, 1.0)},
    "SPINN": {"tanh": partial(_separable, "tanh", 1.0), SINE: partial(_separable, "sin", 30.0)},
    "PIXEL": {"8 cells a side": partial(_cells, 8), "16 cells a side": partial(_cells, 16)},
    OURS: _grids("natural_cubic"),
    LEVELS: {
        "5, 9 and 33 knots, 12 features": partial(_levels, (5, 9, 33), 12),
        "4, 8 and 24 knots, 8 features": partial(_levels, (4, 8, 24), 8),
    },
    **{f"CELG, {kernel}": _grids(kernel) for kernel in KERNELS[1:]},
}

MILLISECONDS: dict[str, dict[str, tuple[float, float]]] = {
    "plane": {
        "PINN": (7.3, 7.6),
        "PINN, Fourier features": (8.9, 8.9),
        "SPINN": (7.1, 7.5),
        "PIXEL": (13.6, 13.6),
        OURS: (6.6, 7.1),
        LEVELS: (12.1, 11.5),
        "CELG, linear": (5.9, 6.4),
        "CELG, cosine": (6.1, 6.4),
        "CELG, hermite": (6.6, 7.2),
        "CELG, bspline3": (6.6, 7.2),
    },
    "burgers": {
        "PINN": (8.1, 8.4),
        "PINN, Fourier features": (9.5, 9.6),
        "SPINN": (7.9, 8.3),
        "PIXEL": (14.3, 14.5),
        OURS: (7.8, 8.4),
        LEVELS: (14.5, 13.6),
    },
    "flow-mixing-3d": {
        "PINN": (9.8, 10.9),
        "PINN, Fourier features": (11.9, 11.9),
        "SPINN": (10.7, 11.9),
        "PIXEL": (13.4, 14.4),
        OURS: (9.0, 10.6),
        LEVELS: (18.1, 17.0),
    },
}
"""CPU milliseconds of a step with either setting of a network, in float32, all timed in turns on one thread of one
processor that others used, too. Constants, so that a rerun has the same numbers of steps wherever it runs."""


def steps_in(problem: str, name: str, network: str, scale: float = 1.0) -> int:
    """Steps that fit into a problem's budget, or into a part of it.

    Args:
        problem: of `PROBLEMS`.
        name: of `NETWORKS`.
        network: its own setting.
        scale: part of the budget.
    """
    pair = MILLISECONDS[problem if problem in MILLISECONDS else "plane"][name]
    cost = pair[list(NETWORKS[name]).index(network)]
    return max(10, round(1e3 * scale * BUDGET[problem] / cost))
