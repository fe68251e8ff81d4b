"""What a gradient of the whole functional costs, by jets and by nested gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from deepwright.physics.two_phase.model import Flow
from deepwright.physics.two_phase.problems import droplet
from deepwright.physics.two_phase.solver import PointCounts, TwoPhasePINN
from deepwright.studies._clock import median_ms


def gradient_times(repeats: int) -> dict[str, float]:
    """CPU milliseconds of a gradient of the whole functional, by jets and by nested gradients, one thread.

    Args:
        repeats: how often each is measured.
    """
    return median_ms({engine: _gradient(engine) for engine in ("jets", "nested gradients")}, repeats)


def _gradient(engine: str) -> Callable[[], None]:
    solver = TwoPhasePINN(droplet(), (32, 32, 32), counts=PointCounts(2000, 800, 800, 600, 16))
    if engine != "jets":
        solver.model.flow = _nested(solver)  # type: ignore[method-assign]
    squares = solver.least_squares()
    return lambda: squares.loss().backward()


def _nested(solver: TwoPhasePINN) -> Any:
    """The same flow by nested reverse mode, with no derivative more than the equations ask for."""

    def slope(values: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(values.sum(), z, create_graph=True)[0]

    @torch.enable_grad()
    def flow(phase: int, z: torch.Tensor, second: bool = True) -> Flow:
        own = z.clone().requires_grad_(True)
        out = solver.model.nets[phase](own)
        grads = torch.stack([slope(out[:, c], own) for c in range(3)], 1)
        laplacian = torch.zeros_like(out[:, :2])
        if second:
            rows = [sum(slope(grads[:, c, j], own)[:, j] for j in range(2)) for c in range(2)]
            laplacian = torch.stack(rows, 1)  # type: ignore[arg-type]
        return Flow(out[:, :2], grads[:, :2, :2], grads[:, :2, 2], laplacian, out[:, 2], grads[:, 2, :2])

    return flow
