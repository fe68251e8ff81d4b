"""Particles in phase space that carry their log-density, and where they begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError


@runtime_checkable
class Initial(Protocol):
    """A start with samples and log-density."""

    def sample(self, n: int, generator: torch.Generator) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
        """Positions and velocities.

        Args:
            n: how many.
            generator: of the draw.
        """
        ...

    def log_prob(self, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log-density.

        Args:
            x: positions.
            v: velocities.
        """
        ...


@dataclass(frozen=True)
class PhaseSpaceParticles:
    """Particles with the log-density that each of them has.

    Attributes:
        x: (N, d) positions.
        v: (N, d) velocities.
        log_density: (N,) logarithm of the density in phase space.

    Raises:
        InputError: shapes that don't fit, or values that aren't finite.
    """

    x: Tensor
    v: Tensor
    log_density: Tensor

    def __post_init__(self) -> None:
        if self.x.shape != self.v.shape or self.x.ndim != 2 or self.log_density.shape != (len(self.x),):
            shapes = [tuple(t.shape) for t in (self.x, self.v, self.log_density)]
            given = f"x {shapes[0]}, v {shapes[1]}, log-density {shapes[2]}"
            raise InputError("particles", given=given, expected="(N, d), (N, d), (N,)")
        if not all(bool(torch.isfinite(t).all()) for t in (self.log_density, self.x, self.v)):
            expected = "finite positions, velocities and log-densities"
            raise InputError("particles", given="NaN or infinity", expected=expected)

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def of(
        cls, start: Initial, n: int, generator: torch.Generator, device: torch.device | str | None = None
    ) -> PhaseSpaceParticles:
        """Samples of a start.

        Args:
            start: samples and log-density.
            n: how many.
            generator: of the draw.
            device: where they go; where the start gives them by default.
        """
        x, v = start.sample(n, generator)
        found = cls(x, v, start.log_prob(x, v))
        return found if device is None else found.to(device)

    @classmethod
    def together(cls, parts: Sequence[PhaseSpaceParticles]) -> PhaseSpaceParticles:
        """Several clouds as one.

        Args:
            parts: one or more, of one dimension and device.
        """
        return cls(*(torch.cat(tensors) for tensors in zip(*((p.x, p.v, p.log_density) for p in parts))))

    def rows(self, which: Tensor) -> PhaseSpaceParticles:
        """Some of them.

        Args:
            which: a mask (N,) or indices.
        """
        return PhaseSpaceParticles(self.x[which], self.v[which], self.log_density[which])

    def to(self, device: torch.device | str) -> PhaseSpaceParticles:
        """The same elsewhere.

        Args:
            device: where to.
        """
        return PhaseSpaceParticles(self.x.to(device), self.v.to(device), self.log_density.to(device))


class Pushed(NamedTuple):
    """Particles in the middle of a computation: with gradients, and not checked for finite values."""

    x: Tensor
    v: Tensor
    log_density: Tensor

    def checked(self) -> PhaseSpaceParticles:
        """As particles; raises where something isn't finite."""
        return PhaseSpaceParticles(*self)
