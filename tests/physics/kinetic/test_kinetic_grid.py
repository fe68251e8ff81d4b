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
    Poisson1d,
    chang_cooper,
    grid_solution,
    harmonic_matrices,
)

BOX = {"x_span": (-6.5, 6.5), "v_max": 5.5}


@pytest.fixture(scope="module")
def exact():
    return GaussianMixture.gaussian(M0, S0).evolved(*harmonic_matrices(1.0, 1.0, 0.5), 1.0)


def solve(points, step):
    start = GaussianMixture.gaussian(M0, S0)
    return grid_solution(SYSTEM, start, [0.0, 1.0], **BOX, points=(points, points), step=step)


@pytest.fixture(scope="module")
def solved():
    """A coarse solution, and one of half its cells and steps."""
    return solve(96, 0.04), solve(192, 0.02)


def error(found, exact):
    z = torch.cartesian_prod(found.x, found.v)
    truth = exact.log_prob(z[:, :1], z[:, 1:]).exp().reshape(found.f[-1].shape)
    return float((found.f[-1] - truth).abs().max())


@pytest.fixture(scope="module")
def friction():
    """(velocities, the matrix of friction 2 at temperature 0.7)."""
    v = np.linspace(-7, 7, 129)[:-1] + 7 / 128
    return v, chang_cooper(v, 2.0, 0.7)


def test_the_maxwellian_stands_still(friction):
    v, operator = friction
    assert np.abs(operator @ np.exp(-v * v / 1.4)).max() < 1e-12 * np.abs(operator).max()


def test_friction_keeps_mass(friction):
    assert np.abs(friction[1].sum(0)).max() < 1e-10


def test_the_grid_is_of_second_order_in_steps_and_cells(solved, exact):
    coarse, fine = (error(found, exact) for found in solved)
    assert fine < 3e-4
    assert math.log2(coarse / fine) > 1.8


def test_the_grid_keeps_mass(solved):
    for found in solved:
        assert found.mean(torch.ones(found.f[-1].shape)) == pytest.approx(1.0, abs=1e-12)


def test_the_free_energy_of_the_grid_is_the_exact_one(solved):
    assert solved[1].free_energy == pytest.approx([0.72405068, 0.06730984], abs=3e-4)


def test_particles_of_the_grid_have_the_exact_mean(solved, exact):
    z = torch.cat(solved[1].sample(20_000), 1)
    assert float(z.mean(0).sub(exact.means[0]).abs().max()) < 0.03


def test_the_grid_comes_to_the_equilibrium_of_a_double_well():
    """The floor of F is -T log Z."""
    well = KineticFokkerPlanck(DoubleWell(), 1.0, 0.5, 1)
    narrow = GaussianMixture.gaussian(torch.zeros(2), 0.1 * torch.eye(2))
    late = grid_solution(well, narrow, [0.0, 12.0], x_span=(-3.5, 3.5), v_max=5.5, points=(96, 96), step=0.05)
    positions = integrate.quad(lambda x: math.exp(-2 * (x * x - 1) ** 2), -5, 5)[0]
    floor = -0.5 * math.log(math.sqrt(math.pi) * positions)
    assert late.free_energy[-1] == pytest.approx(floor, abs=5e-3)


@pytest.mark.parametrize(
    ("system", "times", "options", "words"),
    [
        (SYSTEM, [1.0], {"x_span": (-2, 2), "v_max": 2, "points": (32, 32)}, "edge"),
        (SYSTEM, [1.0, 0.5], {}, "rising"),
        (SYSTEM, [1.0], {"step": 0.0}, "step"),
        (SYSTEM, [1.0], {"v_max": -1.0}, "grid"),
        (KineticFokkerPlanck(Free(), dim=2), [1.0], {}, "dim=2"),
        (KineticFokkerPlanck(Free(), interaction=Poisson1d(4.0)), [1.0], {}, "the ring's"),
        (KineticFokkerPlanck(Free(), temperature=0.0), [1.0], {}, "temperature"),
    ],
)
def test_what_the_grid_cannot_solve_is_refused(system, times, options, words):
    with pytest.raises(InputError, match=words):
        grid_solution(system, GaussianMixture.gaussian(M0, S0), times, **{**BOX, **options})
