"""Generators against exact solutions and conservation."""

import math

import numpy as np
import pytest
from scipy import linalg

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import (
    SHAPES,
    RandomWaves,
    advection1d,
    advection_diffusion3d,
    burgers1d,
    cole_hopf,
    diffusion_reaction1d,
    diffusion_reaction2d,
    etdrk4,
    line_corpus,
    navier_stokes2d,
    random_vorticity,
    shallow_water2d,
)


def relative(a, b):
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def order(errors, halvings=1):
    """Observed order of convergence between the first and the last of some errors."""
    return math.log2(errors[0] / errors[-1]) / halvings


@pytest.fixture(scope="module")
def advected():
    """At a speed of 0.5 up to a whole period, frames half a time apart."""
    return advection1d(40, 0.5, nx=200, t=2.0, dt_save=0.5, seed=3).u


def test_advection_returns_after_a_period(advected):
    assert np.abs(advected[:, -1] - advected[:, 0]).max() < 1e-12


def test_advection_shifts_exactly(advected):
    """After 0.5: a quarter of the interval."""
    assert np.abs(advected[:, 1] - np.roll(advected[:, 0], 50, 1)).max() < 1e-12


@pytest.mark.parametrize("name", ["folded", "windowed"])
def test_a_tenth_of_the_random_fields_is_folded_or_windowed(name):
    start = RandomWaves(2000, 4, np.random.default_rng(0))
    assert getattr(start, name).mean() == pytest.approx(0.1, abs=0.03)


def test_random_fields_have_all_wave_numbers():
    assert set(np.unique(RandomWaves(2000, 4, np.random.default_rng(0)).k)) == {1, 2, 3, 4}


NU = 0.05


def sine(x):
    return -np.sin(2 * math.pi * x)[None]


def test_smooth_burgers_is_cole_and_hopfs():
    data = burgers1d(1, NU, nx=256, t=0.5, dt_save=0.1, start=sine)
    assert relative(data.u[0, -1, :, 0], cole_hopf(np.arange(256) / 256, 0.5, NU / math.pi)) < 1e-6


def test_finite_volumes_are_of_second_order_away_from_shocks():
    errors = []
    for nx in (64, 128, 256):
        volume = burgers1d(1, NU, nx=nx, t=0.1, dt_save=0.1, start=sine, method="volume")
        errors.append(relative(volume.u[0, -1, :, 0], cole_hopf(np.arange(nx) / nx, 0.1, NU / math.pi)))
    assert order(errors, 2) > 1.6


@pytest.fixture(scope="module")
def sharp():
    return burgers1d(5, 1e-3, nx=256, t=0.5, dt_save=0.1, seed=1).u


def test_shocks_keep_mass(sharp):
    assert np.abs(sharp.mean(2) - sharp[:, :1].mean(2)).max() < 1e-12


def test_shocks_make_no_new_extrema(sharp):
    assert np.abs(sharp).max() <= np.abs(sharp[:, 0]).max() + 1e-9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "method"),
        ({"nu": 0.0}, "nu"),
        ({"start": lambda x: x}, "start"),
        ({"dt_save": 0.3}, "dt_save"),
    ],
)
def test_options_that_burgers_does_not_know_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        burgers1d(**{"n": 2, "nu": 0.1, "nx": 16, "t": 0.2, "dt_save": 0.1, **options})


def test_etdrk4_is_of_fourth_order():
    """v' = -v + (v - v^2) = -v^2 in all, from 1/2: 1/3 at t = 1."""
    errors = []
    for dt in (0.1, 0.05):
        step, v = etdrk4(np.array([-1.0]), dt), np.array([0.5])
        for _ in range(round(1 / dt)):
            v = step(v, lambda v: v - v**2)
        errors.append(abs(v[0] - 1 / 3))
    assert order(errors) > 3.7


def test_reaction_without_diffusion_is_logistic():
    data = diffusion_reaction1d(3, 0.0, 2.0, nx=64, t=1.0, dt_save=0.5)
    u0, u = data.u[:, 0], data.u[:, -1]
    assert np.allclose(u, u0 * math.e**2 / (1 + u0 * (math.e**2 - 1)), atol=1e-12)


def test_splitting_of_reaction_and_diffusion_is_of_second_order():
    coarse, fine, finest = (
        diffusion_reaction1d(1, 0.05, 5.0, nx=64, t=0.2, dt_save=0.2, steps=s).u[0, -1] for s in (64, 128, 2048)
    )
    assert order([np.abs(u - finest).max() for u in (coarse, fine)]) > 1.8


def test_pure_diffusion_in_cosines():
    """With u = v = 0 but one small cosine mode, the linear part decays as its eigenvalue says (reaction linearised)."""
    x = -1 + (np.arange(32) + 0.5) / 16
    mode = 1e-7 * np.cos(math.pi * (x + 1) / 2)[:, None] * np.ones(32)
    start = np.stack([mode, np.zeros_like(mode)], -1)[None]
    data = diffusion_reaction2d(1, nx=32, t=0.5, dt_save=0.5, k=0.0, start=start, steps=100)
    rates = np.array([[1 - 1e-3 * math.pi**2 / 4, -1], [1, -1 - 5e-3 * math.pi**2 / 4]])
    expected = linalg.expm(0.5 * rates) @ np.array([1e-7, 0])
    assert np.allclose(data.u[0, -1, 0, 0] / np.cos(math.pi * (x[0] + 1) / 2), expected, rtol=1e-4)


@pytest.fixture(scope="module")
def dam():
    return shallow_water2d(3, nx=64, t=0.5, dt_save=0.25, seed=1).u


def test_water_is_kept_while_no_wave_has_reached_the_edge(dam):
    mass = dam.sum((2, 3, 4))
    assert np.abs(mass / mass[:, :1] - 1).max() < 1e-10


def test_water_is_never_below_the_ground(dam):
    assert dam.min() > 0


def test_a_round_dam_breaks_evenly(dam):
    assert np.abs(dam - dam.transpose(0, 1, 3, 2, 4)).max() < 1e-12


def test_flat_water_stays_flat():
    flat = shallow_water2d(1, nx=16, t=0.1, dt_save=0.1, radius=np.array([10.0]))
    assert np.abs(flat.u - 2).max() < 1e-14


@pytest.fixture(scope="module")
def vorticity():
    return navier_stokes2d(4, 1e-3, nx=32, t=2.0, dt_save=0.5, forced=False, seed=2).u


def test_vorticity_has_a_mean_of_zero(vorticity):
    assert np.abs(vorticity.mean((2, 3))).max() < 1e-12


def test_enstrophy_falls_without_a_force(vorticity):
    assert (np.diff((vorticity**2).mean((2, 3, 4)), axis=1) <= 0).all()


def test_taylor_and_greens_vortices_decay_exactly():
    x = np.arange(32) / 32
    vortices = 2 * np.cos(2 * math.pi * x)[:, None] * np.cos(2 * math.pi * x)
    later = navier_stokes2d(1, 1e-2, nx=32, t=1.0, dt_save=1.0, forced=False, start=vortices[None])
    assert relative(later.u[0, -1, ..., 0], vortices * math.exp(-8 * math.pi**2 * 1e-2)) < 1e-4


def test_random_vorticity_has_its_covariance():
    field = random_vorticity(400, 32, np.random.default_rng(0))
    k = 2 * math.pi * np.fft.fftfreq(32, 1 / 32)
    power = 7**1.5 * (k[:, None] ** 2 + k[None] ** 2 + 49) ** -2.5
    power[0, 0] = 0
    assert field.var(0).mean() == pytest.approx(power.sum(), rel=0.1)


def test_steps_that_blow_up_are_refused():
    fast = 1e6 * random_vorticity(1, 16, np.random.default_rng(0))
    with np.errstate(all="ignore"), pytest.raises(InputError, match="blew up"):
        navier_stokes2d(1, 1e-3, nx=16, t=30.0, dt_save=1.0, dt=1.0, start=fast)


@pytest.fixture(scope="module")
def carried():
    return advection_diffusion3d(3, nx=8, t=0.2, dt_save=0.1).u


def test_a_carried_scalar_keeps_its_mean(carried):
    assert np.abs(carried.mean((2, 3, 4)) - carried[:, :1].mean((2, 3, 4))).max() < 1e-13


def test_a_carried_scalar_spreads(carried):
    assert (np.diff((carried**2).mean((2, 3, 4, 5)), axis=1) < 0).all()


def test_frames_of_a_carried_scalar_are_exact_whatever_their_number(carried):
    two = advection_diffusion3d(3, nx=8, t=0.2, dt_save=0.2).u
    assert np.allclose(two[:, 1], carried[:, 2], atol=1e-12)


def test_kinds_of_initial_fields_have_names():
    """Plain waves have at most two modes; folded ones one sign; windows leave nothing near the ends."""
    x = np.arange(256) / 256
    plain, folded, windowed = (
        RandomWaves(50, 2, np.random.default_rng(0), shape=s)(x) for s in SHAPES if s != "pdebench"
    )
    assert np.abs(np.fft.rfft(plain)[:, 3:]).max() < 1e-10
    assert (np.sign(folded[:, :, None]) * np.sign(folded[:, None, :]) >= 0).all()
    assert np.allclose(np.abs(folded), np.abs(plain))
    assert np.abs(windowed[:, x < 0.02]).max() < 1e-5
    assert np.abs(np.fft.rfft(windowed)[:, 8:]).max() > 1


def test_corpora_are_of_plain_waves_unless_asked():
    """Advection keeps its fields' modes: two where they are plain."""
    plain, other = (line_corpus(20, 2, **options)["advection"][0].u[..., 0] for options in ({}, {"shape": "windowed"}))
    high = [float(np.abs(np.fft.rfft(u, axis=2)[:, :, 3:]).max()) for u in (plain, other)]
    assert high[0] < 1e-4 < high[1]


def test_another_kind_of_field_is_refused():
    with pytest.raises(InputError, match=r"shape.*'wavy'.*folded"):
        line_corpus(2, 1, shape="wavy")
