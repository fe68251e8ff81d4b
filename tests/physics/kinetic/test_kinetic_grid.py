"""The grid solver against exact Gaussian flows and equilibria."""

import math

import numpy as np
import pytest
import torch
from kinetic_cases import M0, S0, SYSTEM
from scipy import integrate

from deepwright.core.errors import InputError
from deepwright.physics.kinetic import (
    DoubleWell,
    Free,
    GaussianMixture,
    KineticFokkerPlanck,
    chang_cooper,
    grid_solution,
    harmonic_matrices,
)


def test_the_grid_solver_is_exact_on_gaussians_and_at_equilibrium():
    v = np.linspace(-7, 7, 129)[:-1] + 7 / 128
    operator = chang_cooper(v, 2.0, 0.7)
    maxwell = np.exp(-v * v / 1.4)
    assert np.abs(operator @ maxwell).max() < 1e-12 * np.abs(operator).max()
    assert np.abs(operator.sum(0)).max() < 1e-10
    start = GaussianMixture.gaussian(M0, S0)
    exact = start.evolved(*harmonic_matrices(1.0, 1.0, 0.5), 1.0)
    errors = []
    for points, step in ((96, 0.04), (192, 0.02)):
        found = grid_solution(
            SYSTEM, start, [0.0, 1.0], x_span=(-6.5, 6.5), v_max=5.5, points=(points, points), step=step
        )
        z = torch.cartesian_prod(found.x, found.v)
        truth = exact.log_prob(z[:, :1], z[:, 1:]).exp().reshape(points, points)
        errors.append(float((found.f[-1] - truth).abs().max()))
        assert found.mean(torch.ones(points, points)) == pytest.approx(1.0, abs=1e-12)
    assert errors[1] < 3e-4
    assert math.log2(errors[0] / errors[1]) > 1.8  # second order in the step and in the cells
    assert found.free_energy == pytest.approx([0.72405068, 0.06730984], abs=3e-4)
    x, u = found.sample(20_000)
    assert float(torch.cat([x, u], 1).mean(0).sub(exact.means[0]).abs().max()) < 0.03
    well = KineticFokkerPlanck(DoubleWell(), 1.0, 0.5, 1)
    narrow = GaussianMixture.gaussian(torch.zeros(2), 0.1 * torch.eye(2))
    late = grid_solution(well, narrow, [0.0, 12.0], x_span=(-3.5, 3.5), v_max=5.5, points=(96, 96), step=0.05)
    floor = -0.5 * math.log(
        math.sqrt(math.pi) * integrate.quad(lambda x: math.exp(-2 * (x * x - 1) ** 2), -5, 5)[0]
    )  # -T log Z
    assert late.free_energy[-1] == pytest.approx(floor, abs=5e-3)
    with pytest.raises(InputError, match="edge"):
        grid_solution(SYSTEM, start, [1.0], x_span=(-2, 2), v_max=2, points=(32, 32))
    with pytest.raises(InputError, match="rising"):
        grid_solution(SYSTEM, start, [1.0, 0.5], x_span=(-6, 6), v_max=5)
    with pytest.raises(InputError, match="dim=2"):
        grid_solution(KineticFokkerPlanck(Free(), dim=2), start, [1.0], x_span=(-6, 6), v_max=5)
