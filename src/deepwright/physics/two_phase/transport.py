"""What a flow does to points and to integrals: markers carried along, and Reynolds' transport theorem as a check."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.two_phase.interface import Interface

Velocity = Callable[[Tensor], Tensor]


def carry(
    start: Float[Tensor, "k 2"], velocity: Velocity, span: tuple[float, float], steps: int = 200
) -> Float[Tensor, "t k 2"]:
    """Positions of points in a flow, at steps + 1 even times, float64, by classical Runge-Kutta steps.

    Args:
        start: positions at the start.
        velocity: (N, 3) points of space and time -> (N, 2).
        span: (start, end).
        steps: between them.

    Raises:
        InputError: no steps.
    """
    if steps < 1:
        raise InputError("steps", given=steps, expected="1 or more")
    x = start.double()
    h = (span[1] - span[0]) / steps

    def at(x: Tensor, t: float) -> Tensor:
        return velocity(torch.cat([x, x.new_full((len(x), 1), t)], 1)).to(x)

    path = [x]
    with torch.no_grad():
        for i in range(steps):
            t = span[0] + i * h
            a = at(x, t)
            b = at(x + h / 2 * a, t + h / 2)
            c = at(x + h / 2 * b, t + h / 2)
            x = x + h / 6 * (a + 2 * b + 2 * c + at(x + h * c, t + h))
            path.append(x)
    return torch.stack(path)


def moving_integral(
    g: Callable[[Tensor], Tensor], interface: Interface, t: float, angles: int = 200, radii: int = 40
) -> float:
    """The integral of g over the inside at a time: Gauss in the radius, the trapezoid rule around (star-shaped
    insides).

    Args:
        g: (N, 3) -> (N,).
        interface: a closed curve.
        t: when.
        angles: quadrature points around.
        radii: quadrature points along the radius.
    """
    theta = 2 * math.pi * torch.arange(angles, dtype=torch.float64) / angles
    x, d = interface.curve(t, theta)
    c = x.mean(0)
    arm = x - c
    sweep = arm[:, 0] * d[:, 1] - arm[:, 1] * d[:, 0]
    s, w = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(radii))
    s, w = (s + 1) / 2, w / 2
    where = c + s[:, None, None] * arm[None]
    z = torch.cat([where.reshape(-1, 2), torch.full((radii * angles, 1), t, dtype=torch.float64)], 1)
    return float((g(z).reshape(radii, angles) * (w * s)[:, None] * sweep[None]).sum() * 2 * math.pi / angles)


def transport_gap(
    g: Callable[[Tensor], Tensor],
    rate: Callable[[Tensor], Tensor],
    velocity: Velocity,
    interface: Interface,
    t: float,
    step: float = 1e-4,
) -> float:
    """Reynolds' theorem as a check: |d/dt int g - int g_t - closed int g w . n|, relative to the largest of the three.

    Args:
        g: a density.
        rate: its time derivative.
        velocity: of the interface, (N, 3) -> (N, 2).
        interface: a closed curve.
        t: when.
        step: of the central difference.
    """
    change = (moving_integral(g, interface, t + step) - moving_integral(g, interface, t - step)) / (2 * step)
    inside = moving_integral(rate, interface, t)
    theta = 2 * math.pi * torch.arange(400, dtype=torch.float64) / 400
    x, d = interface.curve(t, theta)
    z = torch.cat([x, torch.full((400, 1), t, dtype=torch.float64)], 1)
    out = torch.stack([d[:, 1], -d[:, 0]], 1)  # the outward normal times the arc
    through = float((g(z) * (velocity(z) * out).sum(1)).mean() * 2 * math.pi)
    return abs(change - inside - through) / max(abs(change), abs(inside), abs(through), 1e-300)
