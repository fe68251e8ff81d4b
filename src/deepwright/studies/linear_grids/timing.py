"""What one step costs, by network, by number of axes, and where in the network the time goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from deepwright.physics.derivatives import laplacian
from deepwright.physics.linear_grids import CELG, CellGrid
from deepwright.physics.networks import field
from deepwright.studies._clock import median_ms

POINTS = 4096
TANH, CELLS = "4 x 64 tanh, 3 axes", "cells 16 x 16, 16 grids, 2 axes"
AXES = (2, 3, 5, 10)


def step_times(repeats: int) -> dict[str, float]:
    """CPU milliseconds of a Poisson residual with its gradient, one thread, float64.

    Args:
        repeats: how often each network is measured.
    """
    networks: dict[str, tuple[int, nn.Module]] = {
        TANH: (3, field(3, 1, (64,) * 4)),
        CELLS: (2, CellGrid([(-1, 1)] * 2, 1, 16, 4, 16)),
        f"{CELLS}, no head": (2, CellGrid([(-1, 1)] * 2, 1, 16, 4, 16, hidden=())),
        "CELG, 128 knots, 2 axes": (2, CELG([(-1, 1)] * 2, 1, 128)),
    }
    for dim in AXES:
        networks[f"CELG, {dim} axes"] = (dim, CELG([(-1, 1)] * dim))
        networks[f"CELG, {dim} axes, no head"] = (dim, CELG([(-1, 1)] * dim, hidden=()))
    return _times(networks, POINTS, repeats)


def cells_by_points(repeats: int) -> dict[int, dict[str, float]]:
    """CPU milliseconds of both grids by number of points, two axes.

    Args:
        repeats: how often each is measured.
    """
    found = {}
    for points in (256, 1024, 4096, 16_384):
        networks: Mapping[str, tuple[int, nn.Module]] = {
            CELLS: (2, CellGrid([(-1, 1)] * 2, 1, 16, 4, 16)),
            "CELG, 2 axes": (2, CELG([(-1, 1)] * 2)),
        }
        found[points] = _times(networks, points, repeats)
    return found


def _times(networks: Mapping[str, tuple[int, nn.Module]], points: int, repeats: int) -> dict[str, float]:
    return median_ms({name: _step(dim, network, points) for name, (dim, network) in networks.items()}, repeats)


def _step(dim: int, network: nn.Module, points: int) -> Callable[[], None]:
    x = 2 * torch.rand(points, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1

    def step() -> None:
        network.zero_grad()
        (laplacian(network, x, engine="jet") + 1).square().mean().backward()

    return step
