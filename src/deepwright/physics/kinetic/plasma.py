"""Electrons on a ring: their own field, exactly from sorted particles, and a density wave to begin with."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError

NEWTON_STEPS = 50


class Poisson1d:
    """-Phi'' = rho - 1 on a ring of some length, mean density 1: the field of sorted particles, exactly.

    Args:
        length: of the ring.

    Raises:
        InputError: a length that isn't above 0.
    """

    def __init__(self, length: float = 4 * math.pi) -> None:
        if not length > 0:
            raise InputError("length", given=length, expected="above 0")
        self.length = length

    def field(self, x: Float[Tensor, "n 1"], cloud: Float[Tensor, "m 1"]) -> Float[Tensor, "n 1"]:
        """E = -Phi' with mean 0: the mass to the left, less what a uniform background would have.

        Args:
            x: where it is felt.
            cloud: electrons.
        """
        ring = torch.remainder(cloud[:, 0].detach(), self.length).sort().values
        where = torch.remainder(x[:, 0], self.length)
        left = torch.searchsorted(ring, where.detach().contiguous(), right=True).to(x)
        left = left - 0.5 * (torch.searchsorted(ring, where.detach().contiguous()).to(x) != left).to(x)
        # the mean over the ring of (mass to the left - position)
        mean = self.length - ring.mean() - self.length / 2
        return (self.length / len(ring) * left - where - mean)[:, None]

    def grad(self, x: Float[Tensor, "n 1"], cloud: Float[Tensor, "m 1"]) -> Float[Tensor, "n 1"]:
        """-E.

        Args:
            x: where it is felt.
            cloud: electrons.
        """
        return -self.field(x, cloud)

    def energy(self, x: Float[Tensor, "n 1"]) -> Float[Tensor, ""]:
        """1/2 int E^2 / length: per unit of mass, as the other terms of F.

        E is linear between particles, so the integral of its square is exact.

        Args:
            x: electrons.
        """
        ring = torch.remainder(x[:, 0], self.length).sort().values
        n = len(ring)
        gaps = torch.cat([ring[1:], ring[:1] + self.length]) - ring
        mass = self.length / n * torch.arange(1, n + 1, dtype=x.dtype, device=x.device)
        mean = self.length - ring.mean() - self.length / 2
        right = mass - ring - mean  # just behind each particle
        return 0.5 * (gaps * (right**2 - right * gaps + gaps**2 / 3)).sum() / self.length


class PlasmaWave:
    """A start: density (1 + a cos(2 pi m x / length)) / length on a ring, Maxwellian velocities.

    Samples are quasi-random in both axes, since the field of independent ones would drown a small wave. They are on the
    CPU: `KineticJKO(device=)` takes them elsewhere.

    Args:
        length: of the ring.
        amplitude: a, below 1 in size.
        mode: m.
        temperature: of the velocities.

    Raises:
        InputError: numbers out of these ranges.
    """

    def __init__(
        self, length: float = 4 * math.pi, amplitude: float = 0.05, mode: int = 1, temperature: float = 1.0
    ) -> None:
        if not (length > 0 and abs(amplitude) < 1 and mode >= 1 and temperature > 0):
            given = f"length={length}, amplitude={amplitude}, mode={mode}, temperature={temperature}"
            raise InputError("PlasmaWave", given=given, expected="above 0, below 1 in size, 1 or more, above 0")
        self.length, self.amplitude, self.temperature = length, amplitude, temperature
        self.wave = 2 * math.pi * mode / length

    def sample(self, n: int, generator: torch.Generator) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n 1"]]:
        """Positions and velocities; x solves x + a sin(k x) / k = u by Newton's method.

        Args:
            n: how many.
            generator: of the draw.
        """
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        u = torch.quasirandom.SobolEngine(2, scramble=True, seed=seed).draw(n, dtype=torch.float64)
        where = self.length * u[:, :1]
        x = where.clone()
        for _ in range(NEWTON_STEPS):
            gap = x + self.amplitude / self.wave * torch.sin(self.wave * x) - where
            x = x - gap / (1 + self.amplitude * torch.cos(self.wave * x))
        return x, math.sqrt(self.temperature) * torch.special.ndtri(u[:, 1:].clamp(1e-12, 1 - 1e-12))

    def log_prob(self, x: Float[Tensor, "n 1"], v: Float[Tensor, "n 1"]) -> Float[Tensor, " n"]:
        """Log-density per unit of x and v.

        Args:
            x: positions.
            v: velocities.
        """
        place = torch.log1p(self.amplitude * torch.cos(self.wave * x[:, 0])) - math.log(self.length)
        return place - 0.5 * v[:, 0].square() / self.temperature - 0.5 * math.log(2 * math.pi * self.temperature)
