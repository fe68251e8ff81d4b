"""Exact flows as networks, for the tests of two-phase flow."""

import torch
from torch import nn

from deepwright.physics.two_phase import (
    PiecewiseNet,
    PointCounts,
    TwoPhasePINN,
    droplet,
)

FEW = PointCounts(40, 30, 30, 30, 8)


class Known(nn.Module):
    """An exact phase as a network; jets come from nested gradients."""

    def __init__(self, exact, phase):
        super().__init__()
        self.exact, self.phase, self.idle = exact, phase, nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, z):
        return self.exact(self.phase, z) + 0 * self.idle


def exact_solver(problem, **options):
    solver = TwoPhasePINN(problem, (4,), counts=FEW, **options)
    solver.model = PiecewiseNet([Known(problem.exact, i) for i in range(problem.phases)], problem.interface)
    return solver


class KnownAround(nn.Module):
    """An exact flow around an axis as (r^2, z, t) -> (u_r / r, u_z, p)."""

    def __init__(self, exact, phase):
        super().__init__()
        self.known = Known(exact, phase)

    def forward(self, z):
        r = z[:, :1].sqrt()
        out = self.known(torch.cat([r, z[:, 1:]], 1))
        return torch.cat([out[:, :1] / r, out[:, 1:]], 1)


def droplet_pull(z, normal):
    """sigma n of the outer fluid, by differentiating the exact droplet."""
    exact = droplet().exact

    def at(p, n):
        slope = torch.func.jacrev(lambda q: exact(1, q[None])[0])(p)[:2, :2]
        return -exact(1, p[None])[0, 2] * n + (slope + slope.T) @ n

    return torch.func.vmap(at)(z, normal)
