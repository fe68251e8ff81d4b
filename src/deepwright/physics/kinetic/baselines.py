"""What particles that carry a density are held against: a sampler of the stochastic equation, without density."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.kinetic.systems import KineticFokkerPlanck


def langevin(
    system: KineticFokkerPlanck,
    x: Float[Tensor, "n d"],
    v: Float[Tensor, "n d"],
    t: float,
    step: float,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """Particles of the stochastic equation by BAOAB splitting.

    Args:
        system: the equation.
        x: positions.
        v: velocities.
        t: how long.
        step: in time, about (t is cut into equal ones).
        generator: of the noise; its numbers are moved to where the particles are.

    Returns:
        Positions and velocities at the end.

    Raises:
        InputError: a time below 0 or a step that isn't above 0.
    """
    if not (t >= 0 and step > 0):
        raise InputError("langevin", given=f"t={t}, step={step}", expected="0 or more, above 0")
    steps = max(1, round(t / step))
    h = t / steps
    keep = math.exp(-system.friction * h)
    spread = math.sqrt(system.temperature * (1 - keep * keep))
    for _ in range(steps):
        v = v + h / 2 * system.force(x, x)
        x = x + h / 2 * v
        noise = torch.randn(v.shape, dtype=v.dtype, generator=generator, device=generator.device)
        v = keep * v + spread * noise.to(v.device)
        x = x + h / 2 * v
        v = v + h / 2 * system.force(x, x)
    return x, v
