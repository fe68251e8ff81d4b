"""One-dimensional kinetic equations on a grid of phase space: the reference where no closed form is at hand.

Strang's splitting of three exact or conservative parts: drift and kick as Fourier shifts, and friction with diffusion
by Chang and Cooper's fluxes, whose exponential is one matrix for every place (mass is kept, the Maxwellian stays).

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
from deepwright.physics.kinetic.particles import Initial
from deepwright.physics.kinetic.plasma import Poisson1d
from deepwright.physics.kinetic.systems import KineticFokkerPlanck

EDGE = 1e-6  # of the mass: more at the edge means that the box is too small


@dataclass(frozen=True)
class GridSolution:
    """Densities on a grid.

    Attributes:
        times: T of them.
        x: (X,) positions.
        v: (V,) velocities.
        f: (T, X, V) density, of mass 1.
        free_energy: T values of F.
        field_energy: T times half the mean square of the electric field (0 without one).
    """

    times: list[float]
    x: Tensor
    v: Tensor
    f: Tensor
    free_energy: list[float] = field(default_factory=list)
    field_energy: list[float] = field(default_factory=list)

    def mean(self, function: Float[Tensor, "x v"], step: int = -1) -> float:
        """Of a function on the grid, over the density at a time.

        Args:
            function: its values.
            step: which of the times.
        """
        cell = float((self.x[1] - self.x[0]) * (self.v[1] - self.v[0]))
        return float((self.f[step] * function.to(self.f.device)).sum() * cell)

    def sample(self, n: int, step: int = -1, seed: int = 0) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n 1"]]:
        """Particles of the density at a time: a cell by its mass, evenly inside it.

        Args:
            n: how many.
            step: which of the times.
            seed: of the draw.

        Returns:
            Positions and velocities, where the density is.
        """
        rng, place = torch.Generator().manual_seed(seed), self.f.device
        mass = self.f[step].clamp_min(0).flatten()
        drawn = torch.rand(n, generator=rng, dtype=mass.dtype).to(place)
        cell = torch.searchsorted((mass / mass.sum()).cumsum(0), drawn).clamp_max(len(mass) - 1)
        away = torch.rand(n, 2, generator=rng, dtype=mass.dtype).to(place) - 0.5
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

    The work is done in NumPy on the CPU; the solution comes back where the start puts its samples.

    Args:
        system: in one dimension, without interaction or with `Poisson1d` (then x_span is its ring).
        start: its log-density.
        times: rising, from 0 on, at which the density is kept.
        x_span: large enough that nothing reaches the edge (x is periodic either way).
        v_max: large enough that nothing reaches it.
        points: of x and v.
        step: largest step in time.

    Raises:
        InputError: another system; times that don't rise; more than a millionth of the mass at the edge at the end.
    """
    _check(system, times, x_span, step)
    grid = _PhaseGrid(system, x_span, v_max, points)
    place = start.sample(1, torch.Generator().manual_seed(0))[0].device
    f = grid.density(start, place)
    found: list[np.ndarray] = []
    energies: tuple[list[float], list[float]] = ([], [])
    now = 0.0
    for t in times:
        f = grid.advance(f, t - now, step)
        now = t
        found.append(f)
        for kept, value in zip(energies, grid.energies(f)):
            kept.append(value)
    grid.require_inside(f)
    x, v, kept_f = (torch.from_numpy(a).to(place) for a in (grid.x, grid.v, np.stack(found)))
    return GridSolution(list(times), x, v, kept_f, *energies)


def _check(system: KineticFokkerPlanck, times: Sequence[float], x_span: tuple[float, float], step: float) -> None:
    ring = system.interaction
    if system.dim != 1 or not (ring is None or isinstance(ring, Poisson1d)):
        given = f"dim={system.dim}, {type(ring).__name__}"
        raise InputError("system", given=given, expected="dim=1 with Poisson1d or no interaction")
    if isinstance(ring, Poisson1d) and not math.isclose(x_span[1] - x_span[0], ring.length):
        raise InputError("x_span", given=x_span, expected=f"a length of {ring.length}, the ring's")
    if not times or min(np.diff([0.0, *times]), default=0) < 0:
        raise InputError("times", given=list(times), expected="rising, 0 or more")
    if not step > 0:
        raise InputError("step", given=step, expected="above 0")


class _PhaseGrid:
    """The grid and the parts of the splitting on it."""

    def __init__(
        self, system: KineticFokkerPlanck, x_span: tuple[float, float], v_max: float, points: tuple[int, int]
    ) -> None:
        (self.nx, self.nv), self.length = points, x_span[1] - x_span[0]
        if min(points) < 8 or not self.length > 0 or not v_max > 0:
            given = f"x_span={x_span}, v_max={v_max}, points={points}"
            raise InputError("grid", given=given, expected="a rising span, a v_max above 0, 8 points or more each")
        self.system = system
        self.x = x_span[0] + self.length * np.arange(self.nx) / self.nx
        self.dv = 2 * v_max / self.nv
        self.v = -v_max + self.dv * (np.arange(self.nv) + 0.5)
        places = torch.from_numpy(self.x)[:, None]
        self.slope = system.potential.grad(places)[:, 0].double().numpy()
        self.value = system.potential.value(places).double().numpy()
        self.kx = 2 * math.pi * np.fft.rfftfreq(self.nx, self.length / self.nx)
        self.kv = 2 * math.pi * np.fft.rfftfreq(self.nv, self.dv)

    def density(self, start: Initial, place: torch.device) -> np.ndarray:
        """The start's, of mass 1."""
        pairs = torch.cartesian_prod(torch.from_numpy(self.x), torch.from_numpy(self.v)).to(place)
        f = start.log_prob(pairs[:, :1], pairs[:, 1:]).exp().reshape(self.nx, self.nv).double().cpu().numpy()
        return f / (f.sum() * self.length / self.nx * self.dv)

    def electric(self, f: np.ndarray) -> np.ndarray:
        """The field of the charges, (X,); 0 without an interaction."""
        if self.system.interaction is None:
            return np.zeros(self.nx)
        charge = np.fft.rfft(self.length * f.sum(1) * self.dv - 1)
        charge[1:] /= 1j * self.kx[1:]
        charge[0] = 0
        return np.fft.irfft(charge, self.nx)

    def advance(self, f: np.ndarray, t: float, step: float) -> np.ndarray:
        """On by a time, in even steps that are no longer than `step`."""
        steps = math.ceil(t / step - 1e-9)
        if not steps:
            return f
        dt = t / steps
        mix = linalg.expm(0.5 * dt * chang_cooper(self.v, self.system.friction, self.system.temperature)).T
        drift = np.exp(-1j * dt * self.kx[:, None] * self.v)
        for _ in range(steps):
            f = self._kick(f @ mix, dt / 2)
            f = np.fft.irfft(np.fft.rfft(f, axis=0) * drift, self.nx, axis=0)
            f = self._kick(f, dt / 2) @ mix
        return f

    def _kick(self, f: np.ndarray, dt: float) -> np.ndarray:
        force = self.electric(f) - self.slope
        shift = np.exp(-1j * dt * force[:, None] * self.kv)
        return np.fft.irfft(np.fft.rfft(f, axis=1) * shift, self.nv, axis=1)

    def energies(self, f: np.ndarray) -> tuple[float, float]:
        """F and the field's part of it."""
        cell, field_ = self.length / self.nx * self.dv, 0.5 * float(np.mean(self.electric(f) ** 2))
        entropy = self.system.temperature * float((f * np.log(np.maximum(f, 1e-300))).sum() * cell)
        return entropy + float(((0.5 * self.v * self.v + self.value[:, None]) * f).sum() * cell) + field_, field_

    def require_inside(self, f: np.ndarray) -> None:
        """Raise where the box is too small for the density."""
        edge = float(np.abs(f[:, [0, -1]]).sum() * self.dv * self.length / self.nx)
        if self.system.interaction is None:
            edge += float(np.abs(f[[0, -1]]).sum() * self.dv * self.length / self.nx)
        if not edge <= EDGE:
            raise InputError("box", given=f"{edge:.2g} of the mass at its edge", expected="a larger x_span or v_max")


def chang_cooper(v: np.ndarray, friction: float, temperature: float) -> np.ndarray:
    """The matrix of f -> friction d/dv (v f + T df/dv) on even cells, without flux through the ends.

    Args:
        v: (V,) middles of the cells.
        friction: gamma.
        temperature: T, above 0.

    Returns:
        (V, V), whose columns sum to 0.

    Raises:
        InputError: a temperature that isn't above 0.
    """
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
