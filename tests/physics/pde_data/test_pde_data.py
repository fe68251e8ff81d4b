"""Generators against exact solutions and conservation, files to the bit, metrics by hand."""

import math

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics.pde_data.gas import compressible, turbulence
from deepwright.physics.pde_data.generators_1d import (
    RandomWaves,
    advection1d,
    burgers1d,
    cole_hopf,
    diffusion_reaction1d,
    etdrk4,
)
from deepwright.physics.pde_data.generators_nd import (
    advection_diffusion3d,
    diffusion_reaction2d,
    navier_stokes2d,
    random_vorticity,
    shallow_water2d,
)
from deepwright.physics.pde_data.metrics import field_errors
from deepwright.physics.pde_data.pdebench import layout_of, read_pdebench, write_pdebench
from deepwright.physics.pde_data.trajectories import PDEDataset


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


FILES = {
    "tensor": advection1d(5, 0.4, nx=32, t=0.2, dt_save=0.1),
    "cfd": compressible(np.ones((2, 16)), np.zeros((2, 16)), np.ones((2, 16)), t=0.1, dt_save=0.05),
    "seeds": diffusion_reaction2d(3, nx=8, t=0.1, dt_save=0.05),
    "flow": PDEDataset(
        np.random.default_rng(0).standard_normal((2, 3, 8, 8, 2)), {"t": np.arange(3.0), "x": np.arange(8.0), "y": np.arange(8.0)},
        np.zeros((2, 0)), "flow", channels=("Vx", "Vy"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", FILES)
def test_files_round_trip(layout, tmp_path):
    h5py = pytest.importorskip("h5py")
    data = FILES[layout]
    path = write_pdebench(data, tmp_path / "d.hdf5")
    with h5py.File(path) as file:
        assert layout_of(file) == layout
    back = read_pdebench(path)
    order = [back.channels.index(c) for c in data.channels] if layout == "cfd" else slice(None)
    assert np.array_equal(back.u[..., order], data.u.astype(np.float32))
    assert np.array_equal(back.coords["x"], data.coords["x"].astype(np.float32))
    some = read_pdebench(path, reduce_x=2, reduce_t=2, samples=[1, 0])
    assert np.array_equal(some.u[..., order], data.thinned(2, 2).u[[1, 0]].astype(np.float32))
    assert np.array_equal(some.coords["t"], data.coords["t"][::2].astype(np.float32))
    with pytest.raises(InputError, match="some of 0"):
        read_pdebench(path, samples=99)


def test_longer_time_axes_and_strange_files(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "long.h5", "w") as file:
        file["tensor"] = np.zeros((2, 5, 4), np.float32)
        file["x-coordinate"], file["t-coordinate"] = np.arange(4.0), np.arange(6.0)  # one longer, as theirs
    assert len(read_pdebench(tmp_path / "long.h5").coords["t"]) == 5
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["banana"] = np.zeros(3)
    with pytest.raises(InputError, match="banana"):
        read_pdebench(tmp_path / "other.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(InputError, match="an HDF5 file"):
        read_pdebench(tmp_path / "text.h5")


def test_metrics_by_hand():
    target = torch.zeros(1, 2, 4, 1)
    target[0, 0, :, 0] = torch.tensor([2.0, -2.0, 2.0, -2.0])
    guess = target.clone()
    guess[0, 0, 0, 0] += 2.0
    guess[0, 1, :, 0] = 1.0
    e = field_errors(guess, target)
    assert e.nrmse == pytest.approx(0.5)  # sqrt(4/4) / 2; the slice of zeros is skipped
    assert e.skipped == 1
    assert e.rmse == pytest.approx(1.0)
    assert e.crmse == pytest.approx((2 / 4 + 1) / 2)
    assert e.max_error == 2.0
    assert e.brmse == pytest.approx((math.sqrt(2) + 1) / 2)
    assert e.rel_l2 == pytest.approx(math.sqrt(4 + 4) / 4)
    wave = torch.cos(2 * math.pi * 5 * torch.arange(32) / 32).reshape(1, 1, 32, 1)
    bands = field_errors(wave, torch.zeros_like(wave) + 1e-30).frmse
    assert bands[0] < 1e-7 < bands[1]
    assert bands[1] == pytest.approx(math.sqrt(2 * 16**2 / 16) / 32)  # modes +-5 of the 16 with 4 <= |k| < 12
    with pytest.raises(InputError, match="equal"):
        field_errors(wave, wave[:, :, :5])
    with pytest.raises(InputError, match="NaN"):
        field_errors(wave * torch.nan, wave)
