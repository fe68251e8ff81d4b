"""What one step costs, by network and by number of axes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from deepwright.physics.derivatives.operators import laplacian
from deepwright.physics.linear_grids.baselines import CellGrid
from deepwright.physics.linear_grids.celg import CELG
from deepwright.physics.networks import field
from deepwright.studies._clock import median_ms


def step_times(repeats: int) -> dict[str, float]:
    """CPU milliseconds of a Poisson residual with its gradient, 4,096 points, one thread, float64.

    Args:
        repeats: how often each network is measured.
    """
    networks = {
        "4 x 64 tanh, 3 axes": (3, field(3, 1, (64,) * 4)),
        "CELG, 3 axes": (3, CELG([(-1, 1)] * 3)),
        "CELG, 2 axes": (2, CELG([(-1, 1)] * 2)),
        "CELG, 10 axes": (10, CELG([(-1, 1)] * 10)),
        "cells 16 x 16, 16 grids, 2 axes": (2, CellGrid([(-1, 1)] * 2, 1, 16, 4, 16)),
        "CELG, 128 knots, 2 axes": (2, CELG([(-1, 1)] * 2, 1, 128)),
    }
    return median_ms({name: _step(dim, network) for name, (dim, network) in networks.items()}, repeats)


def _step(dim: int, network: nn.Module) -> Callable[[], None]:
    x = 2 * torch.rand(4096, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1

    def step() -> None:
        network.zero_grad()
        (laplacian(network, x, engine="jet") + 1).square().mean().backward()

    return step
