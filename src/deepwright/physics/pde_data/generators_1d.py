"""One-dimensional equations, solved for many initial fields at once: exactly, spectrally, or by finite volumes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_whole
from deepwright.physics.pde_data.trajectories import PDEDataset, per_trajectory, save_times

Array = np.ndarray
SHAPES = {"plain": (0.0, 0.0), "folded": (1.0, 0.0), "windowed": (0.0, 1.0), "pdebench": (0.1, 0.1)}
"""Name -> shares of initial fields that are folded, and windowed."""
METHODS = ("auto", "spectral", "volume")


class RandomWaves:
    """Initial fields as in PDEBench: two waves each, some folded to |u| with any sign, or windowed (arXiv 2210.07182).

    Folds and the steep ends of windows are far harder for an operator than waves are, so what is measured over all of
    them says little of either: their kinds have names.

    Args:
        n: fields.
        most: largest wave number.
        rng: of the draws.
        waves: summed in each.
        shape: "plain" (waves only), "folded" or "windowed" (all of them), or "pdebench" (a tenth of either).

    Raises:
        InputError: no fields, a wave number below 1, another shape.
    """

    def __init__(self, n: int, most: int, rng: np.random.Generator, waves: int = 2, shape: str = "pdebench") -> None:
        if n < 1 or most < 1 or waves < 1:
            given = f"n={n}, wave numbers up to {most}, {waves} waves"
            raise InputError("initial fields", given=given, expected="at least 1 each")
        if shape not in SHAPES:
            raise unknown_name("shape", shape, SHAPES)
        folded, windowed = SHAPES[shape]
        self.k = rng.integers(1, most + 1, (n, waves))
        self.amplitude, self.phase = rng.random((n, waves)), 2 * math.pi * rng.random((n, waves))
        draws = rng.random((n, 4))
        self.folded = draws[:, 0] < folded
        self.sign = np.where(rng.random(n) < 0.5, -1.0, 1.0) * self.folded + ~self.folded
        self.windowed = draws[:, 1] < windowed
        self.low, self.high = 0.1 + 0.35 * draws[:, 2], 0.55 + 0.35 * draws[:, 3]

    def __call__(self, x: Array) -> Array:
        """(n, ...) values.

        Args:
            x: (...) or (n, ...) positions, which wrap at 1.
        """
        shape = (len(self.k),) + (1,) * (x.ndim if x.shape[0] != len(self.k) or x.ndim == 1 else x.ndim - 1)
        x = np.mod(x, 1.0)
        u = sum(
            self.amplitude[:, j].reshape(shape)
            * np.sin(2 * math.pi * self.k[:, j].reshape(shape) * x + self.phase[:, j].reshape(shape))
            for j in range(self.k.shape[1])
        )
        u = np.where(self.folded.reshape(shape), self.sign.reshape(shape) * np.abs(u), u)
        low, high = self.low.reshape(shape), self.high.reshape(shape)
        window = 0.5 * (np.tanh((x - low) / 0.01) - np.tanh((x - high) / 0.01))
        return np.where(self.windowed.reshape(shape), u * window, u)


def grid(nx: int) -> Array:
    """(nx,) points i / nx of the periodic unit interval.

    Args:
        nx: how many.
    """
    require_whole(1, nx=nx)
    return np.arange(nx) / nx


def advection1d(
    n: int,
    beta: float | Array,
    *,
    nx: int = 1024,
    t: float = 2.0,
    dt_save: float = 0.01,
    waves: int = 4,
    shape: str = "pdebench",
    seed: int = 0,
) -> PDEDataset:
    """u_t + beta u_x = 0, periodic on [0, 1): u0(x - beta t), exactly.

    Args:
        n: trajectories.
        beta: speed, one for all or (n,).
        nx: points.
        t: end.
        dt_save: time between frames.
        waves: see `RandomWaves`.
        shape: see `RandomWaves`.
        seed: of the fields.
    """
    rng = np.random.default_rng(seed)
    start, speed = RandomWaves(n, waves, rng, shape=shape), per_trajectory(beta, n, "beta")
    times, x = save_times(t, dt_save), grid(nx)
    u = start(x[None, None] - speed[:, None, None] * times[None, :, None])
    return PDEDataset(u[..., None], {"t": times, "x": x}, speed[:, None], "advection", param_names=("beta",))


def burgers1d(
    n: int,
    nu: float | Array,
    *,
    nx: int = 1024,
    t: float = 2.0,
    dt_save: float = 0.01,
    waves: int = 4,
    shape: str = "pdebench",
    seed: int = 0,
    start: Callable[[Array], Array] | None = None,
    method: str = "auto",
) -> PDEDataset:
    """u_t + (u^2 / 2)_x = (nu / pi) u_xx, periodic on [0, 1).

    Smooth cases (nu >= 1e-2) by a dealiased pseudo-spectral ETDRK4, sharper ones by a MUSCL finite volume with
    Rusanov's flux.

    Args:
        n: trajectories.
        nu: viscosity, one for all or (n,).
        nx: points.
        t: end.
        dt_save: time between frames.
        waves: see `RandomWaves`.
        shape: see `RandomWaves`.
        seed: of the fields.
        start: x -> (n, nx) instead of random fields.
        method: "spectral", "volume" or "auto".

    Raises:
        InputError: a viscosity that isn't above 0, another method, a start of another shape.
    """
    if method not in METHODS:
        raise InputError("method", given=repr(method), expected="'auto', 'spectral' or 'volume'")
    rng = np.random.default_rng(seed)
    viscosity, x, times = per_trajectory(nu, n, "nu"), grid(nx), save_times(t, dt_save)
    u0 = (RandomWaves(n, waves, rng, shape=shape) if start is None else start)(x)
    if np.shape(u0) != (n, nx):
        raise InputError("start", given=f"values of shape {np.shape(u0)}", expected=f"({n}, {nx})")
    if not (viscosity > 0).all():
        raise InputError("nu", given=float(viscosity.min()), expected="above 0")
    smooth = viscosity >= 1e-2 if method == "auto" else np.full(n, method == "spectral")
    u = np.empty((n, len(times), nx))
    for rows, solve in ((smooth, _burgers_spectral), (~smooth, _burgers_volume)):
        if rows.any():
            u[rows] = solve(u0[rows], viscosity[rows] / math.pi, times)
    return PDEDataset(u[..., None], {"t": times, "x": x}, viscosity[:, None], "burgers", param_names=("nu",))


def etdrk4(linear: Array, dt: float, points: int = 32) -> Callable[[Array, Callable[[Array], Array]], Array]:
    """A step of u' = L u + N(u) for diagonal L, by Cox and Matthews' scheme with Kassam and Trefethen's contour means.

    Args:
        linear: L.
        dt: the step.
        points: of the contour.

    Returns:
        (v, N) -> v a step later.
    """
    e, half = np.exp(dt * linear), np.exp(dt * linear / 2)
    roots = np.exp(1j * math.pi * (np.arange(points) + 0.5) / points)
    z = dt * linear[..., None] + roots
    z2, z3, ez = z * z, z**3, np.exp(z)
    real = np.isrealobj(linear)

    def mean(values: Array) -> Array:
        out = dt * values.mean(-1)
        return out.real if real else out

    q = mean((np.exp(z / 2) - 1) / z)
    f1 = mean((-4 - z + ez * (4 - 3 * z + z2)) / z3)
    f2 = mean((2 + z + ez * (-2 + z)) / z3)
    f3 = mean((-4 - 3 * z - z2 + ez * (4 - z)) / z3)

    def step(v: Array, nonlinear: Callable[[Array], Array]) -> Array:
        nv = nonlinear(v)
        a = half * v + q * nv
        na = nonlinear(a)
        b = half * v + q * na
        nb = nonlinear(b)
        c = half * a + q * (2 * nb - nv)
        return e * v + f1 * nv + 2 * f2 * (na + nb) + f3 * nonlinear(c)

    return step


def _burgers_spectral(u0: Array, diffusion: Array, times: Array) -> Array:
    nx = u0.shape[1]
    k = 2 * math.pi * np.fft.rfftfreq(nx, 1 / nx)
    keep = np.arange(len(k)) <= nx // 3
    gap = times[1] - times[0]
    limit = 1.0 / max(np.abs(u0).max() * k[keep][-1], 1e-12)
    steps = max(1, math.ceil(gap / limit))
    advance = etdrk4(-diffusion[:, None] * k**2, gap / steps)

    def nonlinear(v: Array) -> Array:
        u = np.fft.irfft(v, nx)
        return -0.5j * k * np.fft.rfft(u * u) * keep

    v = np.fft.rfft(u0) * keep
    out = np.empty((len(u0), len(times), nx))
    out[:, 0] = u0
    for i in range(1, len(times)):
        for _ in range(steps):
            v = advance(v, nonlinear)
        out[:, i] = np.fft.irfft(v, nx)
    return out


def _burgers_volume(u0: Array, diffusion: Array, times: Array) -> Array:
    nx = u0.shape[1]
    dx, gap, d = 1 / nx, times[1] - times[0], diffusion[:, None]
    limit = min(0.4 * dx / max(np.abs(u0).max(), 1e-12), 0.4 * dx * dx / diffusion.max())
    steps = max(1, math.ceil(gap / limit))
    dt = gap / steps

    def rate(u: Array) -> Array:
        slope = van_leer(u - np.roll(u, 1, 1), np.roll(u, -1, 1) - u)
        left, right = u + 0.5 * slope, np.roll(u - 0.5 * slope, -1, 1)  # both sides of the face behind each cell
        speed = np.maximum(np.abs(left), np.abs(right))
        flux = 0.25 * (left**2 + right**2) - 0.5 * speed * (right - left) - d * (np.roll(u, -1, 1) - u) / dx
        return -(flux - np.roll(flux, 1, 1)) / dx

    out = np.empty((len(u0), len(times), nx))
    out[:, 0] = u = u0
    for i in range(1, len(times)):
        for _ in range(steps):
            out[:, i] = u = ssp_rk3(u, rate, dt)
    return out


def ssp_rk3(u: Array, rate: Callable[[Array], Array], dt: float) -> Array:
    """Shu and Osher's third-order step, which keeps what forward Euler keeps.

    Args:
        u: the state.
        rate: its change per unit of time.
        dt: the step.
    """
    a = u + dt * rate(u)
    b = 0.75 * u + 0.25 * (a + dt * rate(a))
    return u / 3 + 2 / 3 * (b + dt * rate(b))


def van_leer(a: Array, b: Array) -> Array:
    """A slope between two differences: their harmonic mean, 0 at extrema.

    Args:
        a: the difference behind.
        b: the difference ahead.
    """
    product = a * b
    return np.where(product > 0, 2 * product / np.where(product > 0, a + b, 1.0), 0.0)


def diffusion_reaction1d(
    n: int,
    nu: float | Array,
    rho: float | Array = 1.0,
    *,
    nx: int = 1024,
    t: float = 1.0,
    dt_save: float = 0.01,
    waves: int = 4,
    shape: str = "pdebench",
    seed: int = 0,
    steps: int = 4,
) -> PDEDataset:
    """u_t = nu u_xx + rho u (1 - u), periodic: Strang's splitting of two exact flows.

    Args:
        n: trajectories.
        nu: diffusion, one for all or (n,).
        rho: growth, one for all or (n,).
        nx: points.
        t: end.
        dt_save: time between frames.
        waves: see `RandomWaves`.
        shape: see `RandomWaves`.
        seed: of the fields, which are |u| / max |u|.
        steps: between two frames.
    """
    rng = np.random.default_rng(seed)
    viscosity, growth = per_trajectory(nu, n, "nu"), per_trajectory(rho, n, "rho")
    x, times = grid(nx), save_times(t, dt_save)
    u = np.abs(RandomWaves(n, waves, rng, shape=shape)(x))
    u = u / np.maximum(u.max(1, keepdims=True), 1e-12)
    k = 2 * math.pi * np.fft.rfftfreq(nx, 1 / nx)
    dt = (times[1] - times[0]) / steps
    decay, grow = np.exp(-viscosity[:, None] * k**2 * dt), np.exp(growth[:, None] * dt / 2)

    def react(u: Array) -> Array:
        return u * grow / (1 + u * (grow - 1))

    out = np.empty((n, len(times), nx))
    out[:, 0] = u
    for i in range(1, len(times)):
        for _ in range(steps):
            u = react(np.fft.irfft(np.fft.rfft(react(u)) * decay, nx))
        out[:, i] = u
    params = np.stack([viscosity, growth], 1)
    return PDEDataset(out[..., None], {"t": times, "x": x}, params, "reaction-diffusion", param_names=("nu", "rho"))


def cole_hopf(
    x: Array, t: float | Array, diffusion: float, wave: float = 2 * math.pi, amplitude: float = 1.0, nodes: int = 64
) -> Array:
    """u_t + u u_x = D u_xx from u0 = -amplitude sin(wave x): u0 averaged with the weight that heat flow gives it.

    u(x, t) = E[u0(y) q(y)] / E[q(y)] with q(y) = exp(-amplitude cos(wave y) / (2 D wave)) and y = x - sqrt(4 D t) s, s
    of weight exp(-s^2).

    Args:
        x: (n,) positions.
        t: times of 0 or more, one or (n,).
        diffusion: D.
        wave: number of the start's sine, times 2 pi.
        amplitude: of the start.
        nodes: of Gauss-Hermite.
    """
    s, w = np.polynomial.hermite.hermgauss(nodes)
    y = x[:, None] - np.sqrt(4 * diffusion * np.broadcast_to(t, x.shape))[:, None] * s
    exponent = -amplitude / (2 * diffusion * wave) * np.cos(wave * y)
    weight = w * np.exp(exponent - exponent.max(1, keepdims=True))
    return (weight * -amplitude * np.sin(wave * y)).sum(1) / weight.sum(1)
