"""One-dimensional kinetic equations on a grid of phase space: the reference where no closed form is at hand.

Strang's splitting of three exact or conservative parts: drift and kick as Fourier shifts, and friction with diffusion by Chang and
Cooper's fluxes, whose exponential is one matrix for every place (mass is kept, the Maxwellian stands still).

Source: Chang and Cooper, J. Comput. Phys. 6 (1970) 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from scipy import linalg
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.kinetic.plasma import Poisson1d
from deepwright.physics.kinetic.scheme import Initial
from deepwright.physics.kinetic.systems import KineticFokkerPlanck


@dataclass(frozen=True)
class GridSolution:
    """Densities on a grid.

    Attributes:
        times: (T,); x: (X,); v: (V,); f: (T, X, V), of mass 1.
        free_energy: (T,); field_energy: (T,), half the mean square of the electric field (0 without one).
    """

    times: list[float]
    x: Tensor
    v: Tensor
    f: Tensor
    free_energy: list[float] = field(default_factory=list)
    field_energy: list[float] = field(default_factory=list)

    def mean(self, function: Float[Tensor, "x v"], step: int = -1) -> float:
        """Of a function on the grid, over the density at a time."""
        cell = float((self.x[1] - self.x[0]) * (self.v[1] - self.v[0]))
        return float((self.f[step] * function).sum() * cell)

    def sample(self, n: int, step: int = -1, seed: int = 0) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n 1"]]:
        """Particles of the density at a time: a cell by its mass, evenly inside it."""
        rng = torch.Generator().manual_seed(seed)
        mass = self.f[step].clamp_min(0).flatten()
        cell = torch.searchsorted((mass / mass.sum()).cumsum(0), torch.rand(n, generator=rng, dtype=mass.dtype))
        cell = cell.clamp_max(len(mass) - 1)
        away = torch.rand(n, 2, generator=rng, dtype=mass.dtype) - 0.5
        x = self.x[cell // len(self.v)] + away[:, 0] * (self.x[1] - self.x[0])
        v = self.v[cell % len(self.v)] + away[:, 1] * (self.v[1] - self.v[0])
        return x[:, None], v[:, None]


def grid_solution(
    system: KineticFokkerPlanck,
    start: Initial,
    times: Sequence[float],
    *,
    x_span: tuple[float, float],
    v_max: float,
    points: tuple[int, int] = (512, 512),
    step: float = 0.01,
) -> GridSolution:
    """Solve from a start on x_span x [-v_max, v_max].

    Args:
        system: in one dimension, without interaction or with `Poisson1d` (then x_span is its ring).
        start: its log-density; times: rising, from 0 on, at which the density is kept.
        x_span, v_max: large enough that nothing reaches the edge (x is periodic either way).
        points: of x and v; step: largest step in time.

    Raises:
        InputError: another system; times that don't rise; more than a millionth of the mass at the edge at the end.
    """
    ring = system.interaction
    if system.dim != 1 or not (ring is None or isinstance(ring, Poisson1d)):
        raise InputError(
            "system",
            given=f"dim={system.dim}, {type(ring).__name__}",
            expected="dim=1 with Poisson1d or no interaction",
        )
    if isinstance(ring, Poisson1d) and not math.isclose(x_span[1] - x_span[0], ring.length):
        raise InputError("x_span", given=x_span, expected=f"a length of {ring.length}, the ring's")
    if not times or min(np.diff([0.0, *times]), default=0) < 0:
        raise InputError("times", given=list(times), expected="rising, 0 or more")
    (nx, nv), length = points, x_span[1] - x_span[0]
    x = x_span[0] + length * np.arange(nx) / nx
    dv = 2 * v_max / nv
    v = -v_max + dv * (np.arange(nv) + 0.5)
    pairs = torch.cartesian_prod(torch.from_numpy(x), torch.from_numpy(v))
    f = start.log_prob(pairs[:, :1], pairs[:, 1:]).exp().reshape(nx, nv).double().numpy()
    f = f / (f.sum() * length / nx * dv)
    slope = system.potential.grad(torch.from_numpy(x)[:, None])[:, 0].double().numpy()
    value = system.potential.value(torch.from_numpy(x)[:, None]).double().numpy()
    kx, kv = 2 * math.pi * np.fft.rfftfreq(nx, length / nx), 2 * math.pi * np.fft.rfftfreq(nv, dv)

    def electric(f: np.ndarray) -> np.ndarray:
        if ring is None:
            return np.zeros(nx)
        charge = np.fft.rfft(length * f.sum(1) * dv - 1)
        charge[1:] /= 1j * kx[1:]
        charge[0] = 0
        return np.fft.irfft(charge, nx)

    def kick(f: np.ndarray, dt: float) -> np.ndarray:
        force = electric(f) - slope
        return np.fft.irfft(np.fft.rfft(f, axis=1) * np.exp(-1j * dt * force[:, None] * kv), nv, axis=1)

    found: list[np.ndarray] = []
    energies: tuple[list[float], list[float]] = ([], [])
    now = 0.0
    for t in times:
        steps = math.ceil((t - now) / step - 1e-9)
        if steps:
            dt = (t - now) / steps
            mix = linalg.expm(0.5 * dt * chang_cooper(v, system.friction, system.temperature)).T
            drift = np.exp(-1j * dt * kx[:, None] * v)
            for _ in range(steps):
                f = kick(f @ mix, dt / 2)
                f = np.fft.irfft(np.fft.rfft(f, axis=0) * drift, nx, axis=0)
                f = kick(f, dt / 2) @ mix
        now = t
        found.append(f)
        cell, field_ = length / nx * dv, 0.5 * float(np.mean(electric(f) ** 2))
        entropy = system.temperature * float((f * np.log(np.maximum(f, 1e-300))).sum() * cell)
        energies[0].append(entropy + float(((0.5 * v * v + value[:, None]) * f).sum() * cell) + field_)
        energies[1].append(field_)
    edge = float(np.abs(f[:, [0, -1]]).sum() * dv * length / nx)
    edge += 0.0 if ring is not None else float(np.abs(f[[0, -1]]).sum() * dv * length / nx)
    if edge > 1e-6:
        raise InputError("box", given=f"{edge:.2g} of the mass at its edge", expected="a larger x_span or v_max")
    return GridSolution(
        list(times), torch.from_numpy(x), torch.from_numpy(v), torch.from_numpy(np.stack(found)), *energies
    )


def chang_cooper(v: np.ndarray, friction: float, temperature: float) -> np.ndarray:
    """(V, V) matrix of f -> friction d/dv (v f + T df/dv) on even cells, without flux through the ends; columns sum to 0."""
    if temperature <= 0:
        raise InputError("temperature", given=temperature, expected="above 0 on a grid")
    dv = v[1] - v[0]
    face = 0.5 * (v[1:] + v[:-1])
    w = face * dv / temperature
    small = np.abs(w) < 1e-6
    safe = np.where(small, 1.0, w)
    share = np.where(small, 0.5 - w / 12, 1 / safe - 1 / np.expm1(safe))
    # J = v (share f_left + (1 - share) f_right) + T (f_right - f_left) / dv at a face, f_t = dJ/dv
    left, right = face * share - temperature / dv, face * (1 - share) + temperature / dv
    n = len(v)
    out = np.zeros((n, n))
    rows = np.arange(n - 1)
    out[rows, rows] += left
    out[rows, rows + 1] += right
    out[rows + 1, rows] -= left
    out[rows + 1, rows + 1] -= right
    return friction / dv * out
