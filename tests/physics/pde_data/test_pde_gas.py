"""A compressible gas against the exact Riemann solution, conservation and viscous decay."""

import math

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import (
    compressible,
    turbulence,
)


def test_sod_shock_tube():
    """Density behind the shock and the contact's place, from the exact Riemann solution."""
    nx = 400
    x = (np.arange(nx) + 0.5) / nx
    left = x < 0.5
    data = compressible(
        np.where(left, 1.0, 0.125)[None], np.zeros((1, nx)), np.where(left, 1.0, 0.1)[None], t=0.2, dt_save=0.2
    )
    rho, v, p = data.u[0, -1].T
    assert rho[(x > 0.72) & (x < 0.83)] == pytest.approx(0.26557, abs=3e-3)
    assert rho[(x > 0.55) & (x < 0.66)] == pytest.approx(0.42632, abs=3e-3)
    assert p[(x > 0.52) & (x < 0.83)] == pytest.approx(0.30313, abs=2e-3)
    assert v[(x > 0.52) & (x < 0.83)] == pytest.approx(0.92745, abs=3e-3)
    assert rho.mean() == pytest.approx(0.5625, abs=1e-12)
    with pytest.raises(InputError, match="above 0"):
        compressible(np.zeros((1, 8)), np.zeros((1, 8)), np.ones((1, 8)), t=0.1, dt_save=0.1)


def test_a_gas_in_space_is_the_gas_on_a_line_along_every_axis():
    nx = 64
    left = (np.arange(nx) + 0.5) / nx < 0.5
    rho, p = np.where(left, 1.0, 0.125), np.where(left, 1.0, 0.1)
    line = compressible(rho[None], np.zeros((1, nx)), p[None], t=0.1, dt_save=0.1).u[0, -1]
    for axis in range(3):
        shape = [1, 1, 1]
        shape[axis] = nx
        box = [4, 4, 4]
        box[axis] = nx
        fill = [np.broadcast_to(f.reshape(shape), box)[None].copy() for f in (rho, p)]
        # equal cell sizes differ along the short axes only, where nothing changes; the step is set by all of them
        u = np.moveaxis(compressible(fill[0], np.zeros((1, 3, *box)), fill[1], t=0.1, dt_save=0.1).u[0, -1], axis, 0)[
            :, 0, 0
        ]
        assert np.abs(u[:, [0, 1 + axis, 4]] - line).max() < 0.03  # other steps in time, else the same
        assert np.abs(u[:, [1 + i for i in range(3) if i != axis]]).max() == 0


def test_a_gas_in_a_periodic_box_keeps_mass_momentum_and_energy():
    data = turbulence(2, 3, nx=12, mach=0.8, t=0.2, dt_save=0.1, eta=2e-3, zeta=1e-3)
    u = data.u
    v, gamma = u[..., 1:4], 5 / 3
    speed = np.sqrt((v[:, 0] ** 2).sum(-1).mean((1, 2, 3)))
    assert speed == pytest.approx(np.full(2, 0.8 * math.sqrt(gamma)), rel=1e-12)
    modes = np.fft.fftn(v[:, 0], axes=(1, 2, 3))
    k = np.stack(np.meshgrid(*[np.fft.fftfreq(12, 1 / 12)] * 3, indexing="ij"), -1)
    assert np.abs((k * modes).sum(-1)).max() < 1e-9  # no divergence at the start
    totals = np.concatenate(
        [u[..., :1], u[..., :1] * v, u[..., 4:] / (gamma - 1) + 0.5 * u[..., :1] * (v**2).sum(-1, keepdims=True)], -1
    ).sum((2, 3, 4))
    assert np.abs(totals - totals[:, :1]).max() < 1e-9
    assert (u[..., 0] > 0).all()
    assert (u[..., 4] > 0).all()
    assert data.channels == ("density", "Vx", "Vy", "Vz", "pressure")
    with pytest.raises(InputError, match="2 or 3"):
        turbulence(1, 1)
    with pytest.raises(InputError, match="space"):
        compressible(np.ones((1, 8, 8)), np.ones((1, 8, 8)), np.ones((1, 8, 8)), t=0.1, dt_save=0.1)


def test_a_sheared_gas_slows_down_as_its_viscosity_says():
    """v_y = a sin 2 pi x decays as exp(-eta (2 pi)^2 t) for density 1, and only with friction."""
    nx, eta, a = 64, 0.02, 1e-3
    x = (np.arange(nx) + 0.5) / nx
    v = np.zeros((1, 2, nx, 4))
    v[0, 1] = a * np.sin(2 * math.pi * x)[:, None]
    ones = np.ones((1, nx, 4))
    u = compressible(ones, v, ones, t=0.5, dt_save=0.5, bc="periodic", eta=eta).u[0, -1]
    left = 2 * (u[..., 2] * np.sin(2 * math.pi * x)[:, None]).mean() / a
    assert left == pytest.approx(math.exp(-eta * (2 * math.pi) ** 2 * 0.5), rel=1e-2)


def test_a_wave_of_density_is_carried_at_second_order():
    errors = []
    for nx in (32, 64):
        x = (np.arange(nx) + 0.5) / nx
        rho = np.broadcast_to(1 + 0.2 * np.sin(2 * math.pi * x)[:, None], (nx, 4))[None].copy()
        v = np.zeros((1, 2, nx, 4))
        v[:, 0] = 1.0
        u = compressible(rho, v, np.ones_like(rho), t=1.0, dt_save=1.0, bc="periodic").u[0, -1, ..., 0]
        errors.append(np.abs(u - rho[0]).mean())
    assert math.log2(errors[0] / errors[1]) > 1.7
