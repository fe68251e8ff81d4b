"""What the scheme itself is worth without sampling, and what one training iteration costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepwright.physics.kinetic import (
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    KineticJKO,
    PhaseSpaceParticles,
    PotentialVelocity,
    gaussian_flow,
    gaussian_jko,
    harmonic_matrices,
)
from deepwright.studies._clock import median_ms
from deepwright.studies.kinetic.mixtures import SYSTEM

TRACED, CLOSED = "Runge-Kutta, traces by automatic differentiation", "closed form, one kick"
TAUS = (0.2, 0.1, 0.05, 0.025)


def step_times(repeats: int) -> dict[str, float]:
    """CPU milliseconds of a training iteration, d = 10, width 128, 2,048 particles, one thread.

    Args:
        repeats: how often each way is measured.
    """
    d = 10
    system = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, d)
    run = KineticJKO(system, GaussianMixture.gaussian(torch.zeros(2 * d), torch.eye(2 * d)), particles=16)
    net = PotentialVelocity(d, 128)
    p = PhaseSpaceParticles.of(run.start, 2048, torch.Generator().manual_seed(0))

    def ours() -> Tensor:
        return run.loss(net, p)

    def traced() -> Tensor:
        """Four stages of a Runge-Kutta step, each with its trace by d backward passes: as neural ODEs are written."""
        x, v, log = p.x, p.v, p.log_density
        total = x.new_zeros(())
        for _ in range(4):
            own = v.requires_grad_(True) if not v.requires_grad else v
            psi = net.potential(0.0, x, own).sum()
            (g,) = torch.autograd.grad(psi, own, create_graph=True)
            trace = sum(torch.autograd.grad(g[:, i].sum(), own, create_graph=True)[0][:, i] for i in range(d))
            x, v, log = x + 0.0125 * v, v + 0.0125 * (system.force(x, x) - g), log + 0.0125 * trace
            total = total + 0.5 * 0.0125 * g.square().sum(1).mean()
        return total + system.free_energy(x, v, log)

    def iteration(way: Callable[[], Tensor]) -> Callable[[], None]:
        def step() -> None:
            net.zero_grad()
            way().backward()

        return step

    ways = {CLOSED: ours, TRACED: traced}
    return median_ms({name: iteration(way) for name, way in ways.items()}, repeats)


def orders() -> list[list[Any]]:
    """A Gaussian's error at t = 1 by step size, plain and extrapolated, with the orders that follow."""
    m0, s0 = torch.tensor([1.5, -0.5]).double(), torch.tensor([[0.6, 0.1], [0.1, 0.3]]).double()
    m, s = gaussian_flow(m0, s0, *harmonic_matrices(1.0, 1.0, 0.5), 1.0)
    finals = {tau: gaussian_jko(SYSTEM, m0, s0, tau, round(1 / tau))[-1] for tau in TAUS}

    def gap(mean: Tensor, cov: Tensor) -> float:
        return math.hypot(float((mean - m).norm()), float((cov - s).norm()))

    rows: list[list[Any]] = []
    for i, tau in enumerate(TAUS):
        plain = gap(*finals[tau][:2])
        coarser = finals[TAUS[i - 1]]
        better = gap(*(2 * finals[tau][j] - coarser[j] for j in range(2))) if i else None  # type: ignore[arg-type]
        order = math.log2(rows[-1][1] / plain) if i else None
        second = math.log2(rows[-1][3] / better) if i > 1 and better else None
        rows.append([tau, plain, order, better, second])
    return rows
