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


def test_sorted_particles_solve_poissons_equation():
    field = Poisson1d(2 * math.pi)
    n = 20_000
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 * math.pi
    x = u.clone()
    for _ in range(30):  # density 1 + 0.3 cos x
        x = u - 0.3 * torch.sin(x)
    e = field.field(x[:, None], x[:, None])[:, 0]
    assert torch.allclose(e, 0.3 * torch.sin(x), atol=1e-3)
    assert float(field.energy(x[:, None])) == pytest.approx(0.5 * 0.09 / 2, rel=1e-3)


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


def test_a_plasma_wave_is_what_it_says():
    wave = PlasmaWave(4 * math.pi, 0.3)
    x, v = wave.sample(2**14, torch.Generator().manual_seed(0))
    assert float(torch.cos(0.5 * x).mean()) == pytest.approx(0.15, abs=1e-3)
    assert float(v.square().mean()) == pytest.approx(1.0, abs=5e-3)
    z = torch.cartesian_prod(torch.linspace(0, 4 * math.pi, 201)[:-1].double(), torch.linspace(-7, 7, 201).double())
    assert float(wave.log_prob(z[:, :1], z[:, 1:]).exp().sum() * 4 * math.pi / 200 * 0.07) == pytest.approx(
        1.0, abs=1e-6
    )
    assert float(Poisson1d().energy(x)) == pytest.approx(0.5 * (0.3 / 0.5) ** 2 / 2, rel=1e-3)
    with pytest.raises(InputError, match="below 1"):
        PlasmaWave(amplitude=1.5)


def test_a_plasma_with_friction_follows_the_grid():
    """A tenth of a period with a network on the ring: field energy and free energy against the grid solver's."""
    length = 4 * math.pi
    system = KineticFokkerPlanck(Free(), 0.5, 1.0, 1, Poisson1d(length))
    start = PlasmaWave(length, 0.3)
    times = [0.0, 0.2, 0.4, 0.6]
    grid = grid_solution(system, start, times, x_span=(0, length), v_max=6.5, points=(32, 128), step=0.02)
    run = KineticJKO(
        system,
        start,
        step_size=0.1,
        iterations=60,
        first=150,
        batch_size=1024,
        particles=8192,
        velocity=lambda: PotentialVelocity(1, 16, ring=length),
    )
    run.run(until=0.6)
    assert len(run.infos) == 6
    assert float(system.interaction.energy(run.now.x)) == pytest.approx(grid.field_energy[-1], rel=0.03)
    assert run.energies[-1] == pytest.approx(grid.free_energy[-1], abs=3e-3)
    control = run.controls[-1]
    x, v = run.now.x[:5], run.now.v[:5]
    assert torch.allclose(control(0.0, x, v)[0], control(0.0, x + length, v)[0], atol=1e-12)
