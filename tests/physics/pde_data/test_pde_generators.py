"""Generators against exact solutions and conservation."""

import math

import numpy as np
import pytest

from deepwright.physics.pde_data import (
    RandomWaves,
    advection1d,
    advection_diffusion3d,
    burgers1d,
    cole_hopf,
    diffusion_reaction1d,
    diffusion_reaction2d,
    etdrk4,
    navier_stokes2d,
    random_vorticity,
    shallow_water2d,
)


def relative(a, b):
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def test_advection_is_exact_and_returns_after_a_period():
    data = advection1d(40, 0.5, nx=200, t=2.0, dt_save=0.5, seed=3)
    assert np.abs(data.u[:, -1] - data.u[:, 0]).max() < 1e-12  # 0.5 * 2 = one period
    shifted = np.roll(data.u[:, 0], 50, 1)  # after 0.5: a quarter of the interval
    assert np.abs(data.u[:, 1] - shifted).max() < 1e-12
    start = RandomWaves(2000, 4, np.random.default_rng(0))
    assert start.folded.mean() == pytest.approx(0.1, abs=0.03)
    assert start.windowed.mean() == pytest.approx(0.1, abs=0.03)
    assert set(np.unique(start.k)) == {1, 2, 3, 4}


def test_burgers_against_cole_hopf():
    x = np.arange(256) / 256

    def wave(x):
        return -np.sin(2 * math.pi * x)[None]

    nu = 0.05
    data = burgers1d(1, nu, nx=256, t=0.5, dt_save=0.1, start=wave)
    exact = cole_hopf(x, 0.5, nu / math.pi)
    assert relative(data.u[0, -1, :, 0], exact) < 1e-6
    errors = []
    for nx in (64, 128, 256):  # second order, away from shocks
        x = np.arange(nx) / nx
        volume = burgers1d(1, nu, nx=nx, t=0.1, dt_save=0.1, start=wave, method="volume")
        errors.append(relative(volume.u[0, -1, :, 0], cole_hopf(x, 0.1, nu / math.pi)))
    assert math.log2(errors[0] / errors[2]) / 2 > 1.6
    sharp = burgers1d(5, 1e-3, nx=256, t=0.5, dt_save=0.1, seed=1)
    assert np.abs(sharp.u.mean(2) - sharp.u[:, :1].mean(2)).max() < 1e-12  # mass
    assert np.abs(sharp.u).max() <= np.abs(sharp.u[:, 0]).max() + 1e-9  # no new extrema


def test_etdrk4_is_of_fourth_order():
    errors = []
    for dt in (0.1, 0.05):
        step, v = etdrk4(np.array([-1.0]), dt), np.array([0.5])
        for _ in range(round(1 / dt)):
            v = step(v, lambda v: v - v**2)  # v' = -v^2 in all
        errors.append(abs(v[0] - 1 / 3))
    assert math.log2(errors[0] / errors[1]) > 3.7


def test_reaction_without_diffusion_is_logistic():
    data = diffusion_reaction1d(3, 0.0, 2.0, nx=64, t=1.0, dt_save=0.5)
    u0, u = data.u[:, 0], data.u[:, -1]
    assert np.allclose(u, u0 * math.e**2 / (1 + u0 * (math.e**2 - 1)), atol=1e-12)
    coarse, fine, finest = (
        diffusion_reaction1d(1, 0.05, 5.0, nx=64, t=0.2, dt_save=0.2, steps=s).u[0, -1] for s in (64, 128, 2048)
    )
    assert math.log2(np.abs(coarse - finest).max() / np.abs(fine - finest).max()) > 1.8


def test_pure_diffusion_in_cosines():
    """With u = v = 0 but one small cosine mode, the linear part decays as its eigenvalue says (reaction linearised)."""
    x = -1 + (np.arange(32) + 0.5) / 16
    mode = 1e-7 * np.cos(math.pi * (x + 1) / 2)[:, None] * np.ones(32)
    start = np.stack([mode, np.zeros_like(mode)], -1)[None]
    data = diffusion_reaction2d(1, nx=32, t=0.5, dt_save=0.5, k=0.0, start=start, steps=100)
    rates = np.array([[1 - 1e-3 * math.pi**2 / 4, -1], [1, -1 - 5e-3 * math.pi**2 / 4]])
    from scipy.linalg import expm

    expected = expm(0.5 * rates) @ np.array([1e-7, 0])
    assert np.allclose(data.u[0, -1, 0, 0] / np.cos(math.pi * (x[0] + 1) / 2), expected, rtol=1e-4)


def test_dam_break():
    data = shallow_water2d(3, nx=64, t=0.5, dt_save=0.25, seed=1)
    mass = data.u.sum((2, 3, 4))
    assert np.abs(mass / mass[:, :1] - 1).max() < 1e-10  # no wave has reached the edge
    assert data.u.min() > 0
    assert np.abs(data.u - data.u.transpose(0, 1, 3, 2, 4)).max() < 1e-12  # round
    flat = shallow_water2d(1, nx=16, t=0.1, dt_save=0.1, radius=np.array([10.0]))
    assert np.abs(flat.u - 2).max() < 1e-14


def test_vorticity():
    data = navier_stokes2d(4, 1e-3, nx=32, t=2.0, dt_save=0.5, forced=False, seed=2)
    assert np.abs(data.u.mean((2, 3))).max() < 1e-12
    enstrophy = (data.u**2).mean((2, 3, 4))
    assert (np.diff(enstrophy, axis=1) <= 0).all()
    x = np.arange(32) / 32
    taylor = 2 * np.cos(2 * math.pi * x)[:, None] * np.cos(2 * math.pi * x)
    green = navier_stokes2d(1, 1e-2, nx=32, t=1.0, dt_save=1.0, forced=False, start=taylor[None])
    assert relative(green.u[0, -1, ..., 0], taylor * math.exp(-8 * math.pi**2 * 1e-2)) < 1e-4
    field = random_vorticity(400, 32, np.random.default_rng(0))
    k = 2 * math.pi * np.fft.fftfreq(32, 1 / 32)
    power = 7**1.5 * (k[:, None] ** 2 + k[None] ** 2 + 49) ** -2.5
    power[0, 0] = 0
    assert field.var(0).mean() == pytest.approx(power.sum(), rel=0.1)


def test_carried_scalar_in_three_dimensions():
    data = advection_diffusion3d(3, nx=8, t=0.2, dt_save=0.1)
    assert np.abs(data.u.mean((2, 3, 4)) - data.u[:, :1].mean((2, 3, 4))).max() < 1e-13
    energy = (data.u**2).mean((2, 3, 4, 5))
    assert (np.diff(energy, axis=1) < 0).all()
    two = advection_diffusion3d(3, nx=8, t=0.2, dt_save=0.2)
    assert np.allclose(two.u[:, 1], data.u[:, 2], atol=1e-12)
