"""A compressible gas in one, two or three dimensions: MUSCL slopes, the HLLC flux, three-stage Runge-Kutta.

    rho_t + div(rho v) = 0,   (rho v)_t + div(rho v v^T + p I - s) = 0,   e_t + div((e + p) v - s v) = 0,
    e = p / (gamma - 1) + rho |v|^2 / 2,   s = eta (grad v + grad v^T - 2/3 div v I) + zeta div v I.

Sources: Toro, "Riemann Solvers and Numerical Methods for Fluid Dynamics" (HLLC); the start of `turbulence` as in
PDEBench's three-dimensional sets: even density and pressure, a few solenoidal waves of velocity at a given Mach number.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from deepwright.core.errors import InputError
from deepwright.physics.pde_data.generators_1d import ssp_rk3, van_leer
from deepwright.physics.pde_data.trajectories import PDEDataset, save_times

Array = np.ndarray
MODES = {"extrapolation": "edge", "periodic": "wrap"}


def compressible(
    density: Array,
    velocity: Array,
    pressure: Array,
    *,
    t: float,
    dt_save: float,
    gamma: float = 1.4,
    length: float = 1.0,
    bc: str = "extrapolation",
    eta: float = 0.0,
    zeta: float = 0.0,
) -> PDEDataset:
    """Trajectories from given starts.

    Args:
        density: (n, X[, Y[, Z]]), above 0.
        velocity: (n, d, X[, Y[, Z]]), or (n, X) on a line.
        pressure: as the density.
        t: end.
        dt_save: time between frames.
        gamma: ratio of specific heats.
        length: of every side.
        bc: "extrapolation" or "periodic".
        eta: shear viscosity.
        zeta: bulk viscosity.

    Raises:
        InputError: shapes that don't fit, a vacuum at the start, an unknown boundary, viscosities below 0.
    """
    if bc not in MODES:
        raise InputError("bc", given=repr(bc), expected=" or ".join(map(repr, MODES)))
    d = density.ndim - 1
    velocity = velocity[:, None] if d == 1 and velocity.ndim == 2 else velocity
    if d not in (1, 2, 3) or pressure.shape != density.shape or velocity.shape != (len(density), d, *density.shape[1:]):
        given = f"density {density.shape}, velocity {velocity.shape}, pressure {pressure.shape}"
        expected = "(n, *space), (n, d, *space), (n, *space) with 1, 2 or 3 axes of space"
        raise InputError("gas", given=given, expected=expected)
    if not ((density > 0).all() and (pressure > 0).all()):
        raise InputError("gas", given="density or pressure of 0 or less", expected="above 0")
    if min(eta, zeta) < 0:
        raise InputError("viscosity", given=(eta, zeta), expected="0 or more")
    times, steps = save_times(t, dt_save), [length / m for m in density.shape[1:]]
    w = np.concatenate([density[:, None], velocity, pressure[:, None]], 1).astype(float)
    u = _conserved(w, gamma)

    def rate(u: Array) -> Array:
        w = _primitive(u, gamma)
        change = np.sum([_advect(w, axis, dx, gamma, MODES[bc]) for axis, dx in enumerate(steps)], 0)
        return change + _friction(w, steps, eta, zeta, MODES[bc]) if eta or zeta else change

    out = np.empty((len(w), len(times), *density.shape[1:], d + 2))
    out[:, 0] = np.moveaxis(w, 1, -1)
    for i in range(1, len(times)):
        done = times[i - 1]
        while done < times[i] - 1e-14:
            dt = min(_largest_step(_primitive(u, gamma), steps, gamma, eta, zeta), times[i] - done)
            u = ssp_rk3(u, rate, dt)
            done += dt
        out[:, i] = np.moveaxis(_primitive(u, gamma), 1, -1)
        if not (np.isfinite(out[:, i]).all() and (out[:, i, ..., 0] > 0).all()):
            raise InputError(
                "compressible", given=f"a vacuum or overflow before t = {times[i]:.4g}", expected="a milder start"
            )
    coords = {a: (np.arange(m) + 0.5) * dx for a, m, dx in zip("xyz", density.shape[1:], steps)}
    params = np.tile([gamma, eta, zeta], (len(w), 1))
    channels = ("density", *("Vx", "Vy", "Vz")[:d], "pressure")
    return PDEDataset(out, {"t": times, **coords}, params, "compressible", bc, ("gamma", "eta", "zeta"), channels)


def turbulence(
    n: int,
    dim: int = 3,
    *,
    nx: int = 32,
    mach: float = 1.0,
    modes: int = 2,
    t: float = 1.0,
    dt_save: float = 0.05,
    gamma: float = 5 / 3,
    eta: float = 0.0,
    zeta: float = 0.0,
    seed: int = 0,
) -> PDEDataset:
    """Density and pressure 1, and random waves of velocity without divergence, in a periodic box.

    Args:
        n: trajectories.
        dim: 2 or 3.
        nx: cells a side.
        mach: RMS velocity over the speed of sound.
        modes: largest wave number of the start on each axis.
        t: end.
        dt_save: time between frames.
        gamma: see `compressible`.
        eta: see `compressible`.
        zeta: see `compressible`.
        seed: of the waves.

    Raises:
        InputError: a dimension, Mach number or wave number out of range.
    """
    if dim not in (2, 3) or not mach > 0 or not 0 < modes < nx / 2:
        raise InputError(
            "turbulence", given=f"dim={dim}, mach={mach}, modes={modes}", expected="2 or 3, above 0, 1 to nx / 2"
        )
    noise = np.random.default_rng(seed).standard_normal((n, dim, *[nx] * dim))
    axes = tuple(range(2, 2 + dim))
    k = np.stack(np.meshgrid(*[np.fft.fftfreq(nx, 1 / nx)] * dim, indexing="ij"))
    square = (k * k).sum(0)
    spectrum = np.fft.fftn(noise, axes=axes) * ((np.abs(k) <= modes).all(0) & (square > 0))
    spectrum -= k * (k * spectrum).sum(1, keepdims=True) / np.where(square > 0, square, 1)
    v = np.fft.ifftn(spectrum, axes=axes).real
    v *= mach * math.sqrt(gamma) / np.sqrt((v * v).sum(1).mean(tuple(range(1, 1 + dim)))).reshape(n, *[1] * (dim + 1))
    ones = np.ones((n, *[nx] * dim))
    return compressible(ones, v, ones, t=t, dt_save=dt_save, gamma=gamma, bc="periodic", eta=eta, zeta=zeta)


def _conserved(w: Array, gamma: float) -> Array:
    rho, v, p = w[:, :1], w[:, 1:-1], w[:, -1:]
    return np.concatenate([rho, rho * v, p / (gamma - 1) + 0.5 * rho * (v * v).sum(1, keepdims=True)], 1)


def _primitive(u: Array, gamma: float) -> Array:
    rho, v = u[:, :1], u[:, 1:-1] / u[:, :1]
    return np.concatenate([rho, v, (gamma - 1) * (u[:, -1:] - 0.5 * rho * (v * v).sum(1, keepdims=True))], 1)


def _largest_step(w: Array, steps: list[float], gamma: float, eta: float, zeta: float) -> float:
    """Courant number 0.4 over all axes together, and a quarter of a cell squared over the viscosities."""
    sound = np.sqrt(gamma * w[:, -1] / w[:, 0])
    speed = sum((np.abs(w[:, 1 + i]) + sound) / dx for i, dx in enumerate(steps))
    dt = 0.4 / float(np.max(speed))
    spread = (4 / 3 * eta + zeta) / float(w[:, 0].min()) * sum(dx**-2 for dx in steps)
    return min(dt, 0.25 / spread) if spread else dt


def _padded(w: Array, axis: int, width: int, mode: str) -> Array:
    return np.pad(w, [(0, 0), (0, 0), *((width, width) if i == axis else (0, 0) for i in range(w.ndim - 2))], mode=mode)  # type: ignore[call-overload]


def _advect(w: Array, axis: int, dx: float, gamma: float, mode: str) -> Array:
    """-d flux / dx along one axis."""
    w = np.moveaxis(_padded(w, axis, 2, mode), 2 + axis, -1)
    slope = van_leer(w[..., 1:-1] - w[..., :-2], w[..., 2:] - w[..., 1:-1])
    left, right = (w[..., 1:-1] + 0.5 * slope)[..., :-1], (w[..., 1:-1] - 0.5 * slope)[..., 1:]
    return np.moveaxis(-np.diff(_hllc(left, right, axis, gamma), axis=-1) / dx, -1, 2 + axis)


def _flux(w: Array, u: Array, axis: int) -> Array:
    f = u * w[:, 1 + axis : 2 + axis]
    f[:, 1 + axis] += w[:, -1]
    f[:, -1] += w[:, -1] * w[:, 1 + axis]
    return f


def _hllc(left: Array, right: Array, axis: int, gamma: float) -> Array:
    """Harten, Lax and van Leer's flux with the contact wave; `axis` tells which velocity is normal."""
    ul, ur = _conserved(left, gamma), _conserved(right, gamma)
    fl, fr = _flux(left, ul, axis), _flux(right, ur, axis)
    vl, vr = left[:, 1 + axis], right[:, 1 + axis]
    cl, cr = (np.sqrt(gamma * w[:, -1] / w[:, 0]) for w in (left, right))
    sl, sr = np.minimum(vl - cl, vr - cr), np.maximum(vl + cl, vr + cr)
    ml, mr = left[:, 0] * (sl - vl), right[:, 0] * (sr - vr)
    middle = (right[:, -1] - left[:, -1] + ml * vl - mr * vr) / (ml - mr)

    def star(w: Array, u: Array, f: Array, s: Array) -> Array:
        v = w[:, 1 + axis]
        state = w.copy()
        state[:, 0], state[:, 1 + axis] = 1.0, middle
        state[:, -1] = u[:, -1] / w[:, 0] + (middle - v) * (middle + w[:, -1] / (w[:, 0] * (s - v)))
        return f + s[:, None] * ((w[:, 0] * (s - v) / (s - middle))[:, None] * state - u)

    inner = np.where((middle >= 0)[:, None], star(left, ul, fl, sl), star(right, ur, fr, sr))
    return np.where((sl >= 0)[:, None], fl, np.where((sr <= 0)[:, None], fr, inner))


def _friction(w: Array, steps: list[float], eta: float, zeta: float, mode: str) -> Array:
    """Viscous forces and their work, by central differences."""
    d, v = len(steps), w[:, 1:-1]

    def slope(f: Array, axis: int) -> Array:
        """f: (n, c, *space)."""
        g = np.moveaxis(_padded(f, axis, 1, mode), 2 + axis, -1)
        return np.moveaxis((g[..., 2:] - g[..., :-2]) / (2 * steps[axis]), -1, 2 + axis)

    grad = np.stack([slope(v, j) for j in range(d)], 2)  # (n, i, j, *space): dv_i / dx_j
    divergence = sum(grad[:, i, i] for i in range(d))
    stress = eta * (grad + grad.swapaxes(1, 2))
    for i in range(d):
        stress[:, i, i] += (zeta - 2 / 3 * eta) * divergence
    out = np.zeros_like(w)
    work = (stress * v[:, :, None]).sum(1)  # (n, j, *space)
    for i, j in itertools.product(range(d), range(d)):
        out[:, 1 + i] += slope(stress[:, i, j][:, None], j)[:, 0]
    out[:, -1] = sum(slope(work[:, j][:, None], j)[:, 0] for j in range(d))
    return out
