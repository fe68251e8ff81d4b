"""Equations of two and three dimensions, many at once: reaction and diffusion, water, vorticity, a carried scalar."""

from __future__ import annotations

import math

import numpy as np
from scipy import fft

from deepwright.core.errors import InputError
from deepwright.physics.pde_data.generators_1d import van_leer
from deepwright.physics.pde_data.trajectories import PDEDataset, per_trajectory, save_times

Array = np.ndarray


def diffusion_reaction2d(
    n: int,
    *,
    nx: int = 128,
    t: float = 5.0,
    dt_save: float = 0.05,
    du: float = 1e-3,
    dv: float = 5e-3,
    k: float = 5e-3,
    seed: int = 0,
    start: Array | None = None,
    steps: int = 4,
) -> PDEDataset:
    """FitzHugh-Nagumo: u_t = Du lap u + u - u^3 - k - v, v_t = Dv lap v + u - v, on [-1, 1]^2.

    There is no flux through the edge.
    Strang's splitting: diffusion exactly in cosines, reaction by a classical Runge-Kutta step.

    Args:
        n: trajectories.
        nx: cells a side.
        t: end.
        dt_save: time between frames.
        du: Du.
        dv: Dv.
        k: k.
        seed: of the standard normal start.
        start: (n, nx, nx, 2) instead.
        steps: between frames.
    """
    times = save_times(t, dt_save)
    w = np.random.default_rng(seed).standard_normal((n, nx, nx, 2)) if start is None else np.array(start, dtype=float)
    frequency = math.pi * np.arange(nx) / 2.0
    square = frequency[:, None] ** 2 + frequency[None] ** 2
    dt = (times[1] - times[0]) / steps
    decay = np.exp(-dt / 2 * square[..., None] * np.array([du, dv]))

    def diffuse(w: Array) -> Array:
        return fft.idctn(fft.dctn(w, axes=(1, 2), norm="ortho") * decay, axes=(1, 2), norm="ortho")

    def rate(w: Array) -> Array:
        u, v = w[..., 0], w[..., 1]
        return np.stack([u - u**3 - k - v, u - v], -1)

    out = np.empty((n, len(times), nx, nx, 2))
    out[:, 0] = w
    for i in range(1, len(times)):
        for _ in range(steps):
            w = diffuse(w)
            a = rate(w)
            b = rate(w + dt / 2 * a)
            c = rate(w + dt / 2 * b)
            w = diffuse(w + dt / 6 * (a + 2 * b + 2 * c + rate(w + dt * c)))
        out[:, i] = w
    x = -1 + (np.arange(nx) + 0.5) * 2 / nx
    params = np.tile([du, dv, k], (n, 1))
    return PDEDataset(
        out, {"t": times, "x": x, "y": x}, params, "diffusion-reaction-2d", "neumann", ("du", "dv", "k"), ("u", "v")
    )


def shallow_water2d(
    n: int,
    *,
    nx: int = 128,
    t: float = 1.0,
    dt_save: float = 0.01,
    gravity: float = 1.0,
    seed: int = 0,
    radius: Array | None = None,
) -> PDEDataset:
    """A round dam of height 2 in water of height 1 breaks, on [-2.5, 2.5]^2: MUSCL-Hancock with the HLL flux, h only.

    Args:
        n: trajectories.
        nx: cells a side.
        t: end.
        dt_save: time between frames.
        gravity: g.
        seed: of the radii, U(0.3, 0.7).
        radius: (n,) instead.
    """
    times, dx = save_times(t, dt_save), 5 / nx
    x = -2.5 + (np.arange(nx) + 0.5) * dx
    r = np.random.default_rng(seed).uniform(0.3, 0.7, n) if radius is None else per_trajectory(radius, n, "radius")
    inside = np.hypot(x[:, None], x[None])[None] <= r[:, None, None]
    u = np.zeros((n, 3, nx, nx))
    u[:, 0] = np.where(inside, 2.0, 1.0)
    out = np.empty((n, len(times), nx, nx, 1))
    out[:, 0, ..., 0] = u[:, 0]
    for i in range(1, len(times)):
        done = times[i - 1]
        while done < times[i] - 1e-14:
            speed = np.abs(u[:, 1:]).max(1) / u[:, 0] + np.sqrt(gravity * u[:, 0])
            dt = min(0.4 * dx / speed.max(), times[i] - done)
            u = _hancock(u, dt, dx, gravity)
            done += dt
        out[:, i, ..., 0] = u[:, 0]
    return PDEDataset(
        out, {"t": times, "x": x, "y": x}, r[:, None], "shallow-water", "extrapolation", ("radius",), ("height",)
    )


def _swe_flux(u: Array, axis: int, gravity: float) -> Array:
    """Flux of (h, hu, hv) along x (0) or y (1)."""
    h = u[:, 0]
    v = u[:, 1 + axis] / h
    f = np.stack([u[:, 1 + axis], u[:, 1] * v, u[:, 2] * v], 1)
    f[:, 1 + axis] += 0.5 * gravity * h * h
    return f


def _hancock(u: Array, dt: float, dx: float, gravity: float) -> Array:
    """One step: limited slopes, half a step in each cell, HLL fluxes between them."""
    w = np.pad(u, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    core = w[:, :, 1:-1, 1:-1]
    sx = van_leer(core - w[:, :, :-2, 1:-1], w[:, :, 2:, 1:-1] - core)
    sy = van_leer(core - w[:, :, 1:-1, :-2], w[:, :, 1:-1, 2:] - core)
    change = sum(
        _swe_flux(core + 0.5 * s, axis, gravity) - _swe_flux(core - 0.5 * s, axis, gravity)
        for axis, s in enumerate((sx, sy))
    )
    half = core - 0.5 * dt / dx * change
    fx = _hll((half + 0.5 * sx)[:, :, :-1, 1:-1], (half - 0.5 * sx)[:, :, 1:, 1:-1], 0, gravity)
    fy = _hll((half + 0.5 * sy)[:, :, 1:-1, :-1], (half - 0.5 * sy)[:, :, 1:-1, 1:], 1, gravity)
    return u - dt / dx * (np.diff(fx, axis=2) + np.diff(fy, axis=3))


def _hll(left: Array, right: Array, axis: int, gravity: float) -> Array:
    fl, fr = _swe_flux(left, axis, gravity), _swe_flux(right, axis, gravity)
    vl, vr = left[:, 1 + axis] / left[:, 0], right[:, 1 + axis] / right[:, 0]
    cl, cr = np.sqrt(gravity * left[:, 0]), np.sqrt(gravity * right[:, 0])
    sl = np.minimum(np.minimum(vl - cl, vr - cr), 0.0)[:, None]
    sr = np.maximum(np.maximum(vl + cl, vr + cr), 0.0)[:, None]
    return (sr * fl - sl * fr + sl * sr * (right - left)) / (sr - sl)


def random_vorticity(n: int, nx: int, rng: np.random.Generator) -> Array:
    """Gaussian fields of covariance 7^{3/2} (-lap + 49)^{-2.5} on the periodic unit square, mean 0.

    Args:
        n: fields.
        nx: points a side.
        rng: of the draws.

    Returns:
        (n, nx, nx).
    """
    k = 2 * math.pi * np.fft.fftfreq(nx, 1 / nx)
    power = 7**1.5 * (k[:, None] ** 2 + k[None] ** 2 + 49) ** -2.5
    power[0, 0] = 0
    noise = fft.fft2(rng.standard_normal((n, nx, nx)))
    return fft.ifft2(noise * np.sqrt(power)).real * nx


def navier_stokes2d(
    n: int,
    nu: float = 1e-3,
    *,
    nx: int = 64,
    t: float = 20.0,
    dt_save: float = 1.0,
    dt: float = 1e-2,
    forced: bool = True,
    seed: int = 0,
    start: Array | None = None,
) -> PDEDataset:
    """Vorticity w_t + u . grad w = nu lap w + f on the periodic unit square.

    The force is f = 0.1 (sin 2 pi (x + y) + cos 2 pi (x + y)).

    Dealiased pseudo-spectral; Crank-Nicolson for diffusion, Adams-Bashforth for the rest (Euler first).

    Args:
        n: trajectories.
        nu: viscosity.
        nx: points a side.
        t: end.
        dt_save: time between frames.
        dt: largest step.
        forced: with f.
        seed: of the start.
        start: (n, nx, nx) instead.

    Raises:
        InputError: steps so large that the solution blows up.
    """
    times = save_times(t, dt_save)
    w0 = random_vorticity(n, nx, np.random.default_rng(seed)) if start is None else np.asarray(start, dtype=float)
    kx = 2 * math.pi * np.fft.fftfreq(nx, 1 / nx)[:, None]
    ky = 2 * math.pi * np.fft.rfftfreq(nx, 1 / nx)[None]
    square = kx**2 + ky**2
    inverse = np.where(square > 0, 1 / np.where(square > 0, square, 1), 0)
    keep = (np.abs(kx) <= 2 * math.pi * (nx // 3)) & (ky <= 2 * math.pi * (nx // 3))
    x = np.arange(nx) / nx
    phase = 2 * math.pi * (x[:, None] + x[None])
    force = fft.rfft2(0.1 * (np.sin(phase) + np.cos(phase))) if forced else 0.0
    steps = max(1, math.ceil((times[1] - times[0]) / dt))
    dt = (times[1] - times[0]) / steps

    def rest(w: Array) -> Array:
        stream = w * inverse
        u, v = (fft.irfft2(1j * ky * stream, (nx, nx)), fft.irfft2(-1j * kx * stream, (nx, nx)))
        wx, wy = fft.irfft2(1j * kx * w, (nx, nx)), fft.irfft2(1j * ky * w, (nx, nx))
        return (force - fft.rfft2(u * wx + v * wy)) * keep

    w = fft.rfft2(w0) * keep
    old: Array | None = None
    implicit, explicit = 1 + 0.5 * dt * nu * square, 1 - 0.5 * dt * nu * square
    out = np.empty((n, len(times), nx, nx, 1))
    out[:, 0, ..., 0] = fft.irfft2(w, (nx, nx))
    for i in range(1, len(times)):
        for _ in range(steps):
            now = rest(w)
            drive = now if old is None else 1.5 * now - 0.5 * old
            w, old = (explicit * w + dt * drive) / implicit, now
        if not np.isfinite(w).all():
            raise InputError("navier_stokes2d", given=f"dt={dt:g}: it blew up", expected="a smaller dt")
        out[:, i, ..., 0] = fft.irfft2(w, (nx, nx))
    return PDEDataset(
        out, {"t": times, "x": x, "y": x}, np.full((n, 1), nu), "navier-stokes", "periodic", ("nu",), ("vorticity",)
    )


def advection_diffusion3d(
    n: int,
    *,
    nx: int = 16,
    t: float = 0.35,
    dt_save: float = 0.05,
    diffusion: tuple[float, float] = (1e-3, 1e-2),
    speed: float = 1.0,
    smallest: int = 3,
    seed: int = 0,
) -> PDEDataset:
    """u_t + c . grad u = D lap u on the periodic unit cube, exactly in Fourier modes.

    Args:
        n: trajectories.
        nx: points a side.
        t: end.
        dt_save: time between frames.
        diffusion: D is drawn log-uniformly between these.
        speed: |c_i| at most.
        smallest: modes up to this number.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    times = save_times(t, dt_save)
    c = rng.uniform(-speed, speed, (n, 3))
    d = np.exp(rng.uniform(math.log(diffusion[0]), math.log(diffusion[1]), n))
    k = np.fft.fftfreq(nx, 1 / nx)
    modes = np.stack(np.meshgrid(k, k, k, indexing="ij"))
    low = (np.abs(modes) <= smallest).all(0)
    u0 = fft.ifftn(fft.fftn(rng.standard_normal((n, nx, nx, nx)), axes=(1, 2, 3)) * low, axes=(1, 2, 3)).real
    u0 /= u0.std(axis=(1, 2, 3), keepdims=True)
    waves = 2 * math.pi * modes
    rate = -1j * np.einsum("na,axyz->nxyz", c, waves) - d[:, None, None, None] * (waves**2).sum(0)
    start = fft.fftn(u0, axes=(1, 2, 3))
    u = fft.ifftn(start[:, None] * np.exp(rate[:, None] * times[None, :, None, None, None]), axes=(2, 3, 4)).real
    x = np.arange(nx) / nx
    params = np.concatenate([c, d[:, None]], 1)
    return PDEDataset(
        u[..., None],
        {"t": times, "x": x, "y": x, "z": x},
        params,
        "advection-diffusion-3d",
        "periodic",
        ("cx", "cy", "cz", "diffusion"),
    )
