"""Small least-squares problems whose answers are known."""

import math

import torch
from torch import nn

from deepwright.physics import (
    Block,
    Box,
    LeastSquaresProblem,
    field,
    laplacian,
)


class Vector(nn.Module):
    """A bare parameter vector."""

    def __init__(self, start):
        super().__init__()
        self.x = nn.Parameter(torch.as_tensor(start, dtype=torch.float64).clone())

    def forward(self, rows):
        return self.x


def rosenbrock(model, rows):
    x = model.x
    return torch.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])[None].expand(len(rows), 2)


ONE = (torch.zeros(1, 1, dtype=torch.float64),)


def poisson(n=150, hidden=(10, 10), seed=0, **options):
    box = Box((0, 1), (0, 1))
    inside, (edge, _) = box.sample(n), box.sample_boundary(60)

    def exact(x):
        return (torch.sin(math.pi * x[:, 0]) * torch.sin(math.pi * x[:, 1]))[:, None]

    def pde(u, x):
        return laplacian(u, x) + 2 * math.pi**2 * exact(x)

    blocks = [
        Block("pde", pde, (inside,), draw=lambda g: (box.sample(n, generator=g),)),
        Block("edge", lambda u, x: u(x), (edge,), 100.0),
    ]
    return LeastSquaresProblem(field(2, 1, hidden, seed=seed), blocks, **options), exact


def error(problem, exact):
    x = Box((0, 1), (0, 1)).sample(2000, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        return float((problem.model(x) - exact(x)).norm() / exact(x).norm())
