"""Bundled problems with known solutions, each in a few lines; `deepwright solve --list` names them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import unknown_name
from deepwright.physics.derivatives import jet, laplacian
from deepwright.physics.domains import Box, SpaceTime
from deepwright.physics.linear_grids import CELG
from deepwright.physics.networks import field
from deepwright.physics.pde_data.generators_1d import cole_hopf, etdrk4
from deepwright.physics.solve import Condition, PDEProblem, Phase

Bands = Sequence[tuple[float, float]]


def poisson(points: int = 500) -> PDEProblem:
    """lap u = f on the unit square with u = sin 2 pi x sin 2 pi y.

    Args:
        points: inside (a fifth as many on the edge).
    """

    def exact(x: Tensor) -> Tensor:
        return torch.sin(2 * math.pi * x).prod(1, keepdim=True)

    def equation(u, x):  # type: ignore[no-untyped-def]
        return laplacian(u, x) + 8 * math.pi**2 * exact(x)

    return PDEProblem(
        "poisson",
        Box((0, 1), (0, 1)),
        [
            Condition("equation", equation, points=points),
            Condition("edge", lambda u, x: u(x), "boundary", points // 5, 100.0),
        ],
        exact,
        network=lambda: field(2, 1, (20, 20)),
    )


def poisson_bands(
    dim: int = 2, bands: Bands = ((4, 1.0),), points: int = 512, scale: float | None = None
) -> PDEProblem:
    """lap u = f on [-1, 1]^D with u = sum_j a_j prod_d sin(w_j pi x_d); the edge is 0 for whole w_j.

    Args:
        dim: D.
        bands: (w_j, a_j).
        points: inside (a quarter as many on the edge).
        scale: of the residual (its RMS by default).
    """
    numbers = [(float(w), float(a)) for w, a in bands]

    def exact(x: Tensor) -> Tensor:
        parts = [a * torch.sin(w * math.pi * x).prod(1, keepdim=True) for w, a in numbers]
        return torch.stack(parts).sum(0)

    def equation(u, x):  # type: ignore[no-untyped-def]
        force = [a * dim * (w * math.pi) ** 2 * torch.sin(w * math.pi * x).prod(1, keepdim=True) for w, a in numbers]
        return laplacian(u, x) + torch.stack(force).sum(0)

    size = math.sqrt(sum((a * dim * (w * math.pi) ** 2) ** 2 for w, a in numbers) * 0.5**dim)
    return PDEProblem(
        f"poisson-{dim}d-bands",
        Box(*[(-1, 1)] * dim),
        [
            Condition("equation", equation, points=points, scale=size if scale is None else scale),
            Condition("edge", lambda u, x: u(x) - exact(x), "boundary", max(1, points // 4), 10.0),
        ],
        exact,
        evaluate=100_000 if dim >= 4 else 20_000,
    )


def helmholtz3d(modes: tuple[int, int, int] = (4, 4, 3), points: int = 4000) -> PDEProblem:
    """lap u + u = q on [-1, 1]^3 with u = prod sin(a_i pi x_i).

    Args:
        modes: a.
        points: inside (a quarter as many on the edge).
    """
    a = torch.tensor(modes, dtype=torch.float64)

    def exact(x: Tensor) -> Tensor:
        return torch.sin(math.pi * a.to(x) * x).prod(1, keepdim=True)

    rate = 1 - float((math.pi * a).square().sum())

    def equation(u, x):  # type: ignore[no-untyped-def]
        out = jet(u, x, None, "laplacian")
        return out.S[0] + out.v - rate * exact(x)

    return PDEProblem(
        "helmholtz-3d",
        Box(*[(-1, 1)] * 3),
        [
            Condition("equation", equation, points=points, scale=abs(rate) * 0.5**1.5),
            Condition("edge", lambda u, x: u(x), "boundary", points // 4, 10.0),
        ],
        exact,
        evaluate=100_000,
        network=lambda: CELG([(-1, 1)] * 3, 1, 24, 16, (32,)),
        schedule=[Phase("adam", 2000, 1e-2, True)],
        resample=1,
    )


def klein_gordon3d(k: float = 2.0, end: float = 10.0, points: int = 4000) -> PDEProblem:
    """u_tt - lap u + u^2 = f on [-1, 1]^2 x [0, 10] with u = (x + y) cos kt + x y sin kt.

    Args:
        k: of the waves in time.
        end: of time.
        points: inside (a quarter as many on the edge, an eighth at the start).
    """

    def exact(z: Tensor) -> Tensor:
        x, y, t = z.T
        return ((x + y) * torch.cos(k * t) + x * y * torch.sin(k * t))[:, None]

    wave = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))[None]

    def equation(u, z):  # type: ignore[no-untyped-def]
        out = jet(u, z, None, wave)
        e = exact(z)
        return out.S[0] + out.v**2 - (e**2 - k**2 * e)

    def slope(u, z):  # type: ignore[no-untyped-def]
        return jet(u, z).J[2] - k * (z[:, :1] * z[:, 1:2])

    return PDEProblem(
        "klein-gordon-3d",
        SpaceTime(Box((-1, 1), (-1, 1)), (0, end)),
        [
            Condition("equation", equation, points=points, scale=k**2),
            Condition("edge", lambda u, z: u(z) - exact(z), "boundary", points // 4, 10.0),
            Condition("start", lambda u, z: u(z) - exact(z), "initial", points // 8, 10.0),
            Condition("speed", slope, "initial", points // 8, 10.0),
        ],
        exact,
        evaluate=100_000,
    )


def flow_mixing3d(fastest: float = 0.385, points: int = 4000) -> PDEProblem:
    """u_t + a u_x + b u_y = 0 on [-4, 4]^2 x [0, 4]: a front wound up by a vortex.

    Args:
        fastest: the vortex's largest speed.
        points: inside (a quarter as many on the edge and at the start).
    """

    def spin(z: Tensor) -> tuple[Tensor, Tensor]:
        r = z[:, :2].norm(dim=1).clamp_min(1e-9)
        return r, torch.tanh(r) / torch.cosh(r) ** 2 / (r * fastest)

    def exact(z: Tensor) -> Tensor:
        x, y, t = z.T
        _, w = spin(z)
        return -torch.tanh(y / 2 * torch.cos(w * t) - x / 2 * torch.sin(w * t))[:, None]

    def equation(u, z):  # type: ignore[no-untyped-def]
        J = jet(u, z).J
        _, w = spin(z)
        return J[2] - (w * z[:, 1])[:, None] * J[0] + (w * z[:, 0])[:, None] * J[1]

    return PDEProblem(
        "flow-mixing-3d",
        SpaceTime(Box((-4, 4), (-4, 4)), (0, 4)),
        [
            Condition("equation", equation, points=points),
            Condition("edge", lambda u, z: u(z) - exact(z), "boundary", points // 4, 10.0),
            Condition("start", lambda u, z: u(z) - exact(z), "initial", points // 4, 10.0),
        ],
        exact,
        evaluate=100_000,
    )


def burgers(nu: float = 0.01 / math.pi, points: int = 3000) -> PDEProblem:
    """u_t + u u_x = nu u_xx on [-1, 1] x [0, 1], u = -sin pi x at the start: a front sharpens at 0.

    Args:
        nu: the viscosity.
        points: inside (a tenth as many on the edge and at the start).
    """

    def exact(z: Tensor) -> Tensor:
        x, t = z.cpu().double().numpy().T
        return torch.from_numpy(cole_hopf(x, t, nu, math.pi))[:, None]

    second = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))[None]

    def equation(u, z):  # type: ignore[no-untyped-def]
        out = jet(u, z, None, second)
        return out.J[1] + out.v * out.J[0] - nu * out.S[0]

    return PDEProblem(
        "burgers",
        SpaceTime(Box((-1, 1)), (0, 1)),
        [
            Condition("equation", equation, points=points),
            Condition("edge", lambda u, z: u(z), "boundary", points // 10, 10.0),
            Condition("start", lambda u, z: u(z) + torch.sin(math.pi * z[:, :1]), "initial", points // 10, 10.0),
        ],
        exact,
    )


def allen_cahn(points: int = 4000) -> PDEProblem:
    """u_t = 1e-4 u_xx + 5 (u - u^3) on [-1, 1] x [0, 1], periodic, u = x^2 cos pi x at the start.

    Args:
        points: inside (a tenth as many on the edge, an eighth at the start).
    """
    second = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))[None]

    def equation(u, z):  # type: ignore[no-untyped-def]
        out = jet(u, z, None, second)
        return out.J[1] - 1e-4 * out.S[0] - 5 * (out.v - out.v**3)

    def periodic(u, z):  # type: ignore[no-untyped-def]
        other = z * torch.tensor([-1.0, 1.0], dtype=z.dtype, device=z.device)
        a, b = jet(u, z), jet(u, other)
        return torch.cat([a.v - b.v, a.J[0] - b.J[0]], 1)

    def start(u, z):  # type: ignore[no-untyped-def]
        return u(z) - z[:, :1] ** 2 * torch.cos(math.pi * z[:, :1])

    return PDEProblem(
        "allen-cahn",
        SpaceTime(Box((-1, 1)), (0, 1)),
        [
            Condition("equation", equation, points=points),
            Condition("periodic", periodic, "boundary", points // 10, 10.0),
            Condition("start", start, "initial", points // 8, 100.0),
        ],
        _allen_cahn_at,
    )


@lru_cache(1)
def _allen_cahn_table(nx: int = 512, frames: int = 201) -> np.ndarray:
    """(frames, nx) reference by ETDRK4 on the periodic interval."""
    x = -1 + 2 * np.arange(nx) / nx
    k = math.pi * np.fft.rfftfreq(nx, 1 / nx)
    steps = 5
    advance = etdrk4(-1e-4 * k**2 + 5, 1 / (frames - 1) / steps)
    v = np.fft.rfft(x**2 * np.cos(math.pi * x))
    rows = [np.fft.irfft(v, nx)]
    for _ in range(frames - 1):
        for _ in range(steps):
            v = advance(v, lambda v: -5 * np.fft.rfft(np.fft.irfft(v, nx) ** 3))
        rows.append(np.fft.irfft(v, nx))
    return np.stack(rows)


def _allen_cahn_at(z: Tensor) -> Tensor:
    from scipy.interpolate import RectBivariateSpline

    table = _allen_cahn_table()
    whole = np.concatenate([table, table[:, :1]], 1)
    spline = RectBivariateSpline(np.linspace(0, 1, len(whole)), np.linspace(-1, 1, whole.shape[1]), whole)
    return torch.from_numpy(spline.ev(z[:, 1].cpu().double().numpy(), z[:, 0].cpu().double().numpy()))[:, None]


PROBLEMS: dict[str, Callable[[], PDEProblem]] = {
    "poisson": poisson,
    "poisson-bands": lambda: replace(
        poisson_bands(2, ((1, 1.0), (3, 0.5), (6, 0.25))),
        network=lambda: CELG([(-1, 1)] * 2, 1, 33, 12, (32,), levels=(5, 9, 33)),
        schedule=[Phase("adam", 2000, 1e-2, True)],
        resample=1,
    ),
    "helmholtz-3d": helmholtz3d,
    "klein-gordon-3d": klein_gordon3d,
    "flow-mixing-3d": flow_mixing3d,
    "burgers": burgers,
    "allen-cahn": allen_cahn,
}


def named_problem(name: str) -> PDEProblem:
    """A bundled problem.

    Args:
        name: of `PROBLEMS`.

    Raises:
        InputError: an unknown name.
    """
    if name not in PROBLEMS:
        raise unknown_name("problem", name, PROBLEMS)
    return PROBLEMS[name]()
