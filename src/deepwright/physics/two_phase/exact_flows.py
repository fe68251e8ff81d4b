"""Two-phase flows with known solutions.

*Droplet*: X = x - x0 - U t, phi = |X|^2 - R^2, u_i = U + (4 c phi / mu_i) (X_y, -X_x), p_i = sin(x + y - t) / 2 +
gamma / R inside. The interface moves with the fluid, stresses but for the tension match, and velocity gradients kink
by mu_2 / mu_1.

*General*: stream functions psi_i = psi_0 + phi^2 h / mu_i with psi_0 = e^-t sin x cos y, h = cos(x + y), p_1 = x y,
p_2 = sin(x - y) + 1; the interface moves as told, not with the fluid, and the stress jump needs the whole 2 mu D.

*Layers*: rings of any number of fluids around one moving centre, u_i = U + g_i(s) (X_y, -X_x) with s = |X|^2 and g_i =
a_i + c s / mu_i, so that velocities and tangential stresses match on every ring; pressures jump by gamma / R.

*Core flow*: a fluid in the middle of a pipe, another around it, both pushed along: u_z = (K - push r^2 / 4) / mu_i,
around an axis.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from deepwright.physics.domains import Box
from deepwright.physics.two_phase.interface import Interface
from deepwright.physics.two_phase.markers import Markers, ring
from deepwright.physics.two_phase.problem import TwoPhaseProblem
from deepwright.physics.two_phase.several import Several


def droplet(
    mu: tuple[float, float] = (10.0, 1.0),
    rho: tuple[float, float] = (2.0, 1.0),
    *,
    center: tuple[float, float] = (-0.1, 0.0),
    velocity: tuple[float, float] = (0.4, 0.2),
    radius: float = 0.5,
    swirl: float = 0.25,
    tension: float = 1.0,
    end: float = 0.5,
    free: int = 0,
) -> TwoPhaseProblem:
    """See the module.

    Args:
        mu: viscosities of the phases.
        rho: densities of the phases.
        center: of the droplet at the start.
        velocity: of the droplet.
        radius: of the droplet.
        swirl: c.
        tension: gamma.
        end: of time.
        free: so many markers, frozen at the start, instead of the known motion.
    """

    def local(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = z[:, 0] - center[0] - velocity[0] * z[:, 2]
        y = z[:, 1] - center[1] - velocity[1] * z[:, 2]
        return x, y, x * x + y * y - radius**2

    def exact(phase: int, z: Tensor) -> Tensor:
        x, y, phi = local(z)
        k = 4 * swirl * phi / mu[phase]
        q = 0.5 * torch.sin(z[:, 0] + z[:, 1] - z[:, 2])
        return torch.stack([velocity[0] + k * y, velocity[1] - k * x, q + (tension / radius if phase == 0 else 0.0)], 1)

    def force(phase: int, z: Tensor) -> Tensor:
        x, y, phi = local(z)
        pull = -rho[phase] * (4 * swirl * phi / mu[phase]) ** 2
        slope = 0.5 * torch.cos(z[:, 0] + z[:, 1] - z[:, 2])
        return torch.stack([pull * x - 32 * swirl * y + slope, pull * y + 32 * swirl * x + slope], 1)

    domain, span = Box((-1, 1), (-1, 1)), (0.0, end)
    moving = Interface.circle(center, radius, velocity)
    interface = Markers.frozen(ring(center, radius, free), span) if free else moving

    def edge(z: Tensor) -> Tensor:
        return torch.where((local(z)[2] < 0)[:, None], exact(0, z), exact(1, z))[:, :2]

    return TwoPhaseProblem(
        domain,
        span,
        rho,
        mu,
        interface,
        boundary=edge,
        initial=(lambda z: exact(0, z)[:, :2], lambda z: exact(1, z)[:, :2]),
        body_force=(lambda z: force(0, z), lambda z: force(1, z)),
        surface_tension=tension,
        pressure=((0.9, -0.9), lambda z: exact(1, z)[:, 2]),
        exact=exact,
    )


def general(
    mu: tuple[float, float] = (3.0, 1.0), rho: tuple[float, float] = (2.0, 1.0), end: float = 0.5
) -> TwoPhaseProblem:
    """See the module; forces by differentiating the exact fields.

    Args:
        mu: viscosities of the phases.
        rho: densities of the phases.
        end: of time.
    """
    center, velocity, radius = (-0.1, 0.0), (0.4, 0.2), 0.5

    def phi(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        return (x - center[0] - velocity[0] * t) ** 2 + (y - center[1] - velocity[1] * t) ** 2 - radius**2

    def one(phase: int, z: Tensor) -> Tensor:
        """(u, v, p) of a single point (3,)."""

        def stream(z: Tensor) -> Tensor:
            x, y, t = z
            return torch.exp(-t) * torch.sin(x) * torch.cos(y) + phi(x, y, t) ** 2 * torch.cos(x + y) / mu[phase]

        slope = torch.func.grad(stream)(z)
        pressure = z[0] * z[1] if phase == 0 else torch.sin(z[0] - z[1]) + 1
        return torch.stack([slope[1], -slope[0], pressure])

    def exact(phase: int, z: Tensor) -> Tensor:
        return torch.func.vmap(lambda p: one(phase, p))(z)

    def force(phase: int, z: Tensor) -> Tensor:
        def at(p: Tensor) -> Tensor:
            value, slope = one(phase, p), torch.func.jacrev(lambda q: one(phase, q))(p)
            bend = torch.func.hessian(lambda q: one(phase, q))(p)
            laplacian = bend[:2, 0, 0] + bend[:2, 1, 1]
            carried = slope[:2, 2] + slope[:2, :2] @ value[:2]
            return rho[phase] * carried + slope[2, :2] - mu[phase] * laplacian

        return torch.func.vmap(at)(z)

    def jump(z: Tensor, normal: Tensor) -> Tensor:
        def at(p: Tensor, n: Tensor) -> Tensor:
            def base(q: Tensor) -> Tensor:
                slope = torch.func.grad(lambda w: torch.exp(-w[2]) * torch.sin(w[0]) * torch.cos(w[1]))(q)
                return torch.stack([slope[1], -slope[0]])

            g = torch.func.jacrev(base)(p)[:, :2]
            return (mu[0] - mu[1]) * (g + g.T) @ n - (one(0, p)[2] - one(1, p)[2]) * n

        return torch.func.vmap(at)(z, normal)

    domain = Box((-1, 1), (-1, 1))

    def edge(z: Tensor) -> Tensor:
        inside = phi(z[:, 0], z[:, 1], z[:, 2]) < 0
        return torch.where(inside[:, None], exact(0, z), exact(1, z))[:, :2]

    return TwoPhaseProblem(
        domain,
        (0.0, end),
        rho,
        mu,
        Interface.circle(center, radius, velocity),
        boundary=edge,
        initial=(lambda z: exact(0, z)[:, :2], lambda z: exact(1, z)[:, :2]),
        body_force=(lambda z: force(0, z), lambda z: force(1, z)),
        stress_jump=jump,
        pressure=((0.9, -0.9), lambda z: exact(1, z)[:, 2]),
        exact=exact,
    )


def static_droplet(
    mu: tuple[float, float] = (1.0, 1.0), radius: float = 0.5, tension: float = 1.0, end: float = 0.2, dim: int = 2
) -> TwoPhaseProblem:
    """Nothing moves; the pressure inside is (d - 1) gamma / R higher (Laplace). What moves all the same is spurious.

    Args:
        mu: viscosities of the phases.
        radius: R.
        tension: gamma.
        end: of time.
        dim: d, 2 or 3.
    """

    def exact(phase: int, z: Tensor) -> Tensor:
        inside = (dim - 1) * tension / radius if phase == 0 else 0.0
        return torch.cat([still(z), z.new_full((len(z), 1), inside)], 1)

    def still(z: Tensor) -> Tensor:
        return z.new_zeros(len(z), dim)

    return TwoPhaseProblem(
        Box(*[(-1, 1)] * dim),
        (0.0, end),
        (1.0, 1.0),
        mu,
        Interface.circle((0.0,) * dim, radius),
        boundary=still,
        initial=still,
        surface_tension=tension,
        pressure=((0.9,) * dim, lambda z: z.new_zeros(len(z))),
        exact=exact,
    )


def layers(
    radii: tuple[float, ...] = (0.3, 0.6),
    mu: tuple[float, ...] = (5.0, 1.0, 2.0),
    rho: tuple[float, ...] = (3.0, 1.0, 2.0),
    tension: tuple[float, ...] = (1.0, 0.5),
    *,
    center: tuple[float, float] = (-0.1, 0.0),
    velocity: tuple[float, float] = (0.3, 0.15),
    swirl: float = 1.0,
    end: float = 0.4,
) -> TwoPhaseProblem:
    """See the module.

    Args:
        radii: rising.
        mu: viscosities, one more than radii, from the middle outwards.
        rho: densities, one more than radii.
        tension: of each ring.
        center: of the rings at the start.
        velocity: of the rings.
        swirl: c.
        end: of time.
    """

    def local(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = z[:, 0] - center[0] - velocity[0] * z[:, 2]
        y = z[:, 1] - center[1] - velocity[1] * z[:, 2]
        return x, y, x * x + y * y

    offset = [0.0]
    for r, a, b in zip(radii, mu, mu[1:]):
        offset.append(offset[-1] + swirl * r * r * (1 / a - 1 / b))
    jumps = [sum(g / r for g, r in list(zip(tension, radii))[i:]) for i in range(len(mu))]

    def exact(phase: int, z: Tensor) -> Tensor:
        x, y, s = local(z)
        g = offset[phase] + swirl * s / mu[phase]
        q = 0.5 * torch.sin(z[:, 0] + z[:, 1] - z[:, 2])
        return torch.stack([velocity[0] + g * y, velocity[1] - g * x, q + jumps[phase]], 1)

    def force(phase: int, z: Tensor) -> Tensor:
        x, y, s = local(z)
        pull = -rho[phase] * (offset[phase] + swirl * s / mu[phase]) ** 2
        slope = 0.5 * torch.cos(z[:, 0] + z[:, 1] - z[:, 2])
        return torch.stack([pull * x - 8 * swirl * y + slope, pull * y + 8 * swirl * x + slope], 1)

    def start(phase: int, z: Tensor) -> Tensor:
        return exact(phase, z)[:, :2]

    rings = Several([Interface.circle(center, r, velocity) for r in radii])
    last = len(radii)
    return TwoPhaseProblem(
        Box((-1, 1), (-1, 1)),
        (0.0, end),
        rho,
        mu,
        rings,
        boundary=lambda z: exact(last, z)[:, :2],
        initial=tuple(partial(start, i) for i in range(last + 1)),
        body_force=tuple(partial(force, i) for i in range(last + 1)),
        surface_tension=tension,
        pressure=((0.9, -0.9), lambda z: exact(last, z)[:, 2]),
        exact=exact,
    )


def core_flow(
    mu: tuple[float, float] = (5.0, 1.0), radius: float = 0.5, push: float = 4.0, tension: float = 0.5, end: float = 0.2
) -> TwoPhaseProblem:
    """See the module; coordinates are (r, z) in a pipe of radius 1, where velocities are given at the ends.

    Args:
        mu: viscosities of the phases.
        radius: of the fluid in the middle.
        push: the pressure's slope along the pipe.
        tension: gamma.
        end: of time.
    """
    middle = push / 4 * (1 - radius**2) / mu[1] + push / 4 * radius**2 / mu[0]

    def exact(phase: int, z: Tensor) -> Tensor:
        square = z[:, 0] ** 2
        along = middle - push / 4 * square / mu[0] if phase == 0 else push / 4 * (1 - square) / mu[1]
        pressure = -push * z[:, 1] + (tension / radius if phase == 0 else 0.0)
        return torch.stack([torch.zeros_like(along), along, pressure], 1)

    def edge(z: Tensor) -> Tensor:
        return torch.where(z[:, :1] < radius, exact(0, z), exact(1, z))[:, :2]

    domain = Box((0, 1), (-0.5, 0.5))
    wall = Interface.from_level_set(lambda z: z[:, 0] - radius + 0 * z[:, 1], domain)
    return TwoPhaseProblem(
        domain,
        (0.0, end),
        (2.0, 1.0),
        mu,
        wall,
        boundary=edge,
        initial=(lambda z: exact(0, z)[:, :2], lambda z: exact(1, z)[:, :2]),
        surface_tension=tension,
        pressure=((0.9, 0.0), lambda z: exact(1, z)[:, 2]),
        exact=exact,
        axisymmetric=True,
    )


def static_ball(
    mu: tuple[float, float] = (1.0, 1.0), radius: float = 0.5, tension: float = 1.0, end: float = 0.2
) -> TwoPhaseProblem:
    """The static droplet around an axis: a ball, whose pressure is 2 gamma / R higher.

    Args:
        mu: viscosities of the phases.
        radius: R.
        tension: gamma.
        end: of time.
    """
    flat = static_droplet(mu, radius, tension, end)

    def exact(phase: int, z: Tensor) -> Tensor:
        inside = 2 * tension / radius if phase == 0 else 0.0
        return torch.cat([z.new_zeros(len(z), 2), z.new_full((len(z), 1), inside)], 1)

    return replace(
        flat, domain=Box((0, 1), (-1, 1)), interface=Interface.meridian(0.0, radius), exact=exact, axisymmetric=True
    )
