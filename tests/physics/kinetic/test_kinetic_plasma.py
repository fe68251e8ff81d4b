"""A plasma on a ring: its field, its wave, linear damping, friction against the grid."""

import math

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics.kinetic import (
    Free,
    KineticFokkerPlanck,
    KineticJKO,
    PlasmaWave,
    Poisson1d,
    PotentialVelocity,
    grid_solution,
    substep,
)


@pytest.fixture
def density():
    """Particles of density 1 + 0.3 cos x on a ring of 2 pi."""
    n = 20_000
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 * math.pi
    x = u.clone()
    for _ in range(30):
        x = u - 0.3 * torch.sin(x)
    return x[:, None]


def test_sorted_particles_solve_poissons_equation(density):
    e = Poisson1d(2 * math.pi).field(density, density)
    assert torch.allclose(e, 0.3 * torch.sin(density), atol=1e-3)


def test_the_energy_of_the_field_of_a_cosine(density):
    assert float(Poisson1d(2 * math.pi).energy(density)) == pytest.approx(0.5 * 0.09 / 2, rel=1e-3)


@pytest.mark.slow
def test_landau_damping():
    """Field energy of 1 + 0.05 cos(x / 2) with Maxwellian velocities falls by 2 x 0.1533, as linear theory says."""
    length, n = 4 * math.pi, 2**17
    u = torch.quasirandom.SobolEngine(2, scramble=True, seed=1).draw(n, dtype=torch.float64)
    x = u[:, :1] * length
    for _ in range(40):
        x = u[:, :1] * length - 0.05 / 0.5 * torch.sin(0.5 * x)
    v = torch.special.ndtri(u[:, 1:].clamp(1e-9, 1 - 1e-9))
    field = Poisson1d(length)
    system = KineticFokkerPlanck(Free(), 1.0, 1.0, 1, field)
    times, energies = [], []
    for i in range(120):
        x, v, _, _, _ = substep(system, None, 0.0, 0.1, x, v)
        times.append(0.1 * (i + 1))
        energies.append(float(field.energy(x)))
    peaks = [i for i in range(1, 119) if energies[i - 1] < energies[i] > energies[i + 1]]
    slope = np.polyfit([times[i] for i in peaks], np.log([energies[i] for i in peaks]), 1)[0]
    assert slope == pytest.approx(-2 * 0.1533, rel=0.12)


LENGTH = 4 * math.pi


@pytest.fixture(scope="module")
def wave():
    """(positions, velocities) of a wave of amplitude 0.3."""
    return PlasmaWave(LENGTH, 0.3).sample(2**14, torch.Generator().manual_seed(0))


def test_a_plasma_wave_has_its_amplitude(wave):
    assert float(torch.cos(0.5 * wave[0]).mean()) == pytest.approx(0.15, abs=1e-3)


def test_a_plasma_wave_has_its_temperature(wave):
    assert float(wave[1].square().mean()) == pytest.approx(1.0, abs=5e-3)


def test_a_plasma_wave_has_its_field_energy(wave):
    assert float(Poisson1d().energy(wave[0])) == pytest.approx(0.5 * (0.3 / 0.5) ** 2 / 2, rel=1e-3)


def test_the_density_of_a_plasma_wave_has_mass_one():
    z = torch.cartesian_prod(torch.linspace(0, LENGTH, 201)[:-1].double(), torch.linspace(-7, 7, 201).double())
    density = PlasmaWave(LENGTH, 0.3).log_prob(z[:, :1], z[:, 1:]).exp()
    assert float(density.sum() * LENGTH / 200 * 0.07) == pytest.approx(1.0, abs=1e-6)


def test_a_wave_deeper_than_the_density_is_refused():
    with pytest.raises(InputError, match="below 1"):
        PlasmaWave(amplitude=1.5)


@pytest.fixture(scope="module")
def collisions():
    """(a run up to a tenth of a period with a network on the ring, the grid solver's solution)."""
    system, start = KineticFokkerPlanck(Free(), 0.5, 1.0, 1, Poisson1d(LENGTH)), PlasmaWave(LENGTH, 0.3)
    times, box = [0.0, 0.2, 0.4, 0.6], {"x_span": (0, LENGTH), "v_max": 6.5, "points": (32, 128)}
    grid = grid_solution(system, start, times, **box, step=0.02)
    options = {"step_size": 0.1, "iterations": 60, "first": 150, "batch_size": 1024, "particles": 8192}
    run = KineticJKO(system, start, **options, velocity=lambda: PotentialVelocity(1, 16, ring=LENGTH))
    run.run(until=0.6)
    return run, grid


def test_a_run_up_to_a_time_takes_the_steps_that_lead_there(collisions):
    assert len(collisions[0].infos) == 6


def test_the_field_energy_of_a_plasma_with_friction_is_the_grids(collisions):
    run, grid = collisions
    assert float(run.system.interaction.energy(run.now.x)) == pytest.approx(grid.field_energy[-1], rel=0.03)


def test_the_free_energy_of_a_plasma_with_friction_is_the_grids(collisions):
    run, grid = collisions
    assert run.energies[-1] == pytest.approx(grid.free_energy[-1], abs=3e-3)


def test_a_control_on_a_ring_is_the_same_after_a_turn(collisions):
    run, _ = collisions
    x, v = run.now.x[:5], run.now.v[:5]
    assert torch.allclose(run.controls[-1](0.0, x, v)[0], run.controls[-1](0.0, x + LENGTH, v)[0], atol=1e-12)
