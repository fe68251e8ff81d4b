"""Where two fluids meet: a moving curve or surface with its normals and curvature, from a formula or a level set.

The inside (phase 0) is where the level set is negative; normals point out of it. The curvature is the divergence of the
normal, so that a circle of radius R has 1 / R and a sphere 2 / R.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.domains import Box, SpaceTime
from deepwright.physics.points import collect, newton_to_zero, unit_directions, unit_points


class OnInterface(NamedTuple):
    """Points (N, d + 1) of space and time on the interface, outward normals (N, d), curvatures (N,)."""

    z: Tensor
    normal: Tensor
    curvature: Tensor


class Interface:
    """A formula's interface; see `circle`, `from_level_set` and `Markers`.

    Args:
        phi: (N, d + 1) -> (N,), negative inside; it works where its points are.
        dim: d.
        draw: (n, span, generator) -> `OnInterface`, or None to look for zeros of phi in `domain`.
        domain: where to look.
        curve: (t, angles (M,)) -> (positions (M, 2), slopes in the angle (M, 2)), for quadrature; None where unknown.
    """

    def __init__(
        self,
        phi: Callable[[Tensor], Tensor],
        dim: int,
        draw: Callable[[int, tuple[float, float], torch.Generator], OnInterface] | None = None,
        domain: Box | None = None,
        curve: Callable[[float, Tensor], tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        self._phi, self.dim, self._draw, self.domain, self._curve = phi, dim, draw, domain, curve
        self.phases = 2

    @property
    def parts(self) -> list[Interface]:
        """Itself; see `several.Several`."""
        return [self]

    def outside(self, part: int, z: Tensor) -> int:
        """The phase on the other side; see `several.Several`.

        Args:
            part: 0, the only one.
            z: (N, d + 1) points on it.
        """
        return 1

    @classmethod
    def meridian(cls, center: float, radius: float, velocity: float = 0.0) -> Interface:
        """A sphere on the axis, in coordinates (r, z): half a circle. Its curvature is that of the circle in this
        plane.

        Args:
            center: z of the sphere's centre at time 0.
            radius: of it, above 0.
            velocity: along the axis.
        """
        whole = cls.circle((0.0, center), radius, (0.0, velocity))

        def draw(n: int, span: tuple[float, float], generator: torch.Generator) -> OnInterface:
            z, normal, curvature = whole.sample(n, span, generator)
            fold = torch.where(z[:, :1] < 0, -1.0, 1.0)
            ones = torch.ones_like(fold)
            return OnInterface(z * torch.cat([fold, ones, ones], 1), normal * torch.cat([fold, ones], 1), curvature)

        return cls(whole.level, 2, draw)

    @classmethod
    def circle(cls, center: tuple[float, ...], radius: float, velocity: tuple[float, ...] | None = None) -> Interface:
        """A circle (or a sphere, in three dimensions) that moves at a constant velocity.

        Args:
            center: (d,) at time 0.
            radius: of it.
            velocity: (d,); at rest where not given.

        Raises:
            InputError: a radius that isn't above 0.
        """
        if not radius > 0:
            raise InputError("radius", given=radius, expected="above 0")
        d = len(center)
        c = torch.tensor(center, dtype=torch.float64)
        w = torch.zeros(d, dtype=torch.float64) if velocity is None else torch.tensor(velocity, dtype=torch.float64)

        def from_centre(z: Tensor) -> Tensor:
            return z[:, :d] - c.to(z) - w.to(z) * z[:, d:]

        def draw(n: int, span: tuple[float, float], generator: torch.Generator) -> OnInterface:
            u = unit_points(n, d + 1, "sobol", generator)
            t = span[0] + (span[1] - span[0]) * u[:, d:]
            if d == 2:
                normal = torch.stack([torch.cos(2 * math.pi * u[:, 0]), torch.sin(2 * math.pi * u[:, 0])], 1)
            else:
                normal = unit_directions(u[:, :d])
            z = torch.cat([c + w * t + radius * normal, t], 1)
            return OnInterface(z, normal, torch.full((n,), (d - 1) / radius, dtype=torch.float64))

        def curve(t: float, angles: Tensor) -> tuple[Tensor, Tensor]:
            unit = torch.stack([torch.cos(angles), torch.sin(angles)], 1)
            return c + w * t + radius * unit, radius * torch.stack([-unit[:, 1], unit[:, 0]], 1)

        return cls(lambda z: from_centre(z).square().sum(1) - radius**2, d, draw, None, curve if d == 2 else None)

    @classmethod
    def from_level_set(cls, phi: Callable[[Tensor], Tensor], domain: Box) -> Interface:
        """Where phi(x, t) = 0 inside a box.

        Args:
            phi: (N, d + 1) -> (N,) or (N, 1), with two derivatives (by autograd) and a slope on its zeros.
            domain: that box.
        """
        return cls(lambda z: phi(z).reshape(len(z)), domain.dim, None, domain)

    def level(self, z: Float[Tensor, "n d1"]) -> Float[Tensor, " n"]:
        """phi.

        Args:
            z: points of space and time.
        """
        return self._phi(z)

    def phase(self, z: Float[Tensor, "n d1"]) -> Int64[Tensor, " n"]:
        """0 inside, 1 outside.

        Args:
            z: points of space and time.
        """
        return (self.level(z) >= 0).long()

    def sample(self, n: int, span: tuple[float, float], generator: torch.Generator) -> OnInterface:
        """n points of the interface over a time span, float64, on the CPU.

        Args:
            n: how many.
            span: (start, end).
            generator: of the draw.

        Raises:
            InputError: a level set without zeros in the domain.
        """
        if self._draw is not None:
            return self._draw(n, span, generator)
        return self._zeros(n, span, generator)

    def curve(self, t: float, angles: Float[Tensor, " m"]) -> tuple[Tensor, Tensor]:
        """(positions, slopes) along a closed curve of two dimensions, counter-clockwise.

        Args:
            t: when.
            angles: 0 to 2 pi, of the curve's parameter.

        Raises:
            InputError: an interface that isn't a closed curve with a formula.
        """
        if self._curve is None:
            raise InputError("interface", given="a level set or a surface", expected="a circle or markers")
        return self._curve(t, angles)

    def _zeros(self, n: int, span: tuple[float, float], generator: torch.Generator) -> OnInterface:
        assert self.domain is not None
        space = SpaceTime(self.domain, span)

        def draw() -> tuple[Tensor]:
            z, value, slope = newton_to_zero(self._slope, space.sample(4 * n, generator=generator), 25)
            return (z[(value.abs() < 1e-10) & space.contains(z) & (slope.norm(dim=1) > 1e-8)],)

        (z,) = collect(draw, n, "interface", "zeros of phi with a slope, in the domain", draws=50)
        return OnInterface(z, *self._geometry(z))

    def _slope(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """phi and its slope in space."""
        with torch.enable_grad():
            own = z.detach().clone().requires_grad_(True)
            value = self._phi(own)
            (full,) = torch.autograd.grad(value.sum(), own)
        return value.detach(), full[:, : self.dim].detach()

    def _geometry(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The unit normal, and its divergence."""
        with torch.enable_grad():
            own = z.detach().clone().requires_grad_(True)
            (full,) = torch.autograd.grad(self._phi(own).sum(), own, create_graph=True)
            slope = full[:, : self.dim]
            normal = slope / slope.norm(dim=1, keepdim=True)
            if not normal.requires_grad:  # phi is linear
                return normal, z.new_zeros(len(z))
            parts = []
            for i in range(self.dim):
                (row,) = torch.autograd.grad(normal[:, i].sum(), own, retain_graph=True, allow_unused=True)
                parts.append(z.new_zeros(len(z)) if row is None else row[:, i])
        return normal.detach(), torch.stack(parts).sum(0).detach()

    def require_inside(self, domain: Box, span: tuple[float, float], n: int = 2000) -> None:
        """Refuse an interface that leaves the domain.

        Args:
            domain: of the flow.
            span: (start, end).
            n: points that are looked at.

        Raises:
            InputError: the first time at which it is outside.
        """
        if self._draw is None:
            return
        z = self.sample(n, span, torch.Generator().manual_seed(0)).z
        outside = ~domain.contains(z[:, : self.dim])
        if bool(outside.any()):
            raise InputError(
                "interface",
                given=f"outside the domain at t = {float(z[outside, self.dim].min()):.4g}",
                expected="inside at all times",
            )
