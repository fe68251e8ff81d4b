"""Where two fluids meet: a moving curve or surface with its normals and curvature, from a formula, a level set or markers.

The inside (phase 0) is where the level set is negative; normals point out of it. The curvature is the divergence of the
normal, so that a circle of radius R has 1 / R and a sphere 2 / R.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.domains import Box, SpaceTime, unit_points
from deepwright.physics.splines import AxisBasis

Velocity = Callable[[Tensor], Tensor]


class OnInterface(NamedTuple):
    """Points (N, d + 1) of space and time on the interface, outward normals (N, d), curvatures (N,)."""

    z: Tensor
    normal: Tensor
    curvature: Tensor


class Interface:
    """A formula's interface; see `circle`, `from_level_set` and `Markers`.

    Args:
        phi: (N, d + 1) -> (N,), negative inside.
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
        """Itself; see `interfaces.Several`."""
        return [self]

    def outside(self, part: int, z: Tensor) -> int:
        """The phase on the other side; see `interfaces.Several`."""
        return 1

    @classmethod
    def meridian(cls, center: float, radius: float, velocity: float = 0.0) -> Interface:
        """A sphere on the axis, in coordinates (r, z): half a circle. Its curvature is that of the circle in this plane."""
        whole = cls.circle((0.0, center), radius, (0.0, velocity))

        def draw(n: int, span: tuple[float, float], generator: torch.Generator) -> OnInterface:
            z, normal, curvature = whole.sample(n, span, generator)
            fold = torch.where(z[:, :1] < 0, -1.0, 1.0)
            ones = torch.ones_like(fold)
            return OnInterface(z * torch.cat([fold, ones, ones], 1), normal * torch.cat([fold, ones], 1), curvature)

        return cls(whole.level, 2, draw)

    @classmethod
    def circle(cls, center: tuple[float, ...], radius: float, velocity: tuple[float, ...] | None = None) -> Interface:
        """A circle (or a sphere, in three dimensions) that moves at a constant velocity."""
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
                ball = torch.special.ndtri(u[:, :d].clamp(1e-12, 1 - 1e-12))
                normal = ball / ball.norm(dim=1, keepdim=True)
            z = torch.cat([c + w * t + radius * normal, t], 1)
            return OnInterface(z, normal, torch.full((n,), (d - 1) / radius, dtype=torch.float64))

        def curve(t: float, angles: Tensor) -> tuple[Tensor, Tensor]:
            unit = torch.stack([torch.cos(angles), torch.sin(angles)], 1)
            return c + w * t + radius * unit, radius * torch.stack([-unit[:, 1], unit[:, 0]], 1)

        return cls(lambda z: from_centre(z).square().sum(1) - radius**2, d, draw, None, curve if d == 2 else None)

    @classmethod
    def from_level_set(cls, phi: Callable[[Tensor], Tensor], domain: Box) -> Interface:
        """Where phi(x, t) = 0 inside a box; phi needs two derivatives (by autograd) and a slope on its zeros."""
        return cls(lambda z: phi(z).reshape(len(z)), domain.dim, None, domain)

    def level(self, z: Float[Tensor, "n d1"]) -> Float[Tensor, " n"]:
        """phi."""
        return self._phi(z)

    def phase(self, z: Float[Tensor, "n d1"]) -> Int64[Tensor, " n"]:
        """0 inside, 1 outside."""
        return (self.level(z) >= 0).long()

    def sample(self, n: int, span: tuple[float, float], generator: torch.Generator) -> OnInterface:
        """n points of the interface over a time span."""
        if self._draw is not None:
            return self._draw(n, span, generator)
        return self._zeros(n, span, generator)

    def curve(self, t: float, angles: Float[Tensor, " m"]) -> tuple[Tensor, Tensor]:
        """(positions, slopes) along a closed curve of two dimensions, counter-clockwise."""
        if self._curve is None:
            raise InputError("interface", given="a level set or a surface", expected="a circle or markers")
        return self._curve(t, angles)

    def _zeros(self, n: int, span: tuple[float, float], generator: torch.Generator) -> OnInterface:
        assert self.domain is not None
        space = SpaceTime(self.domain, span)
        found: list[Tensor] = []
        have = 0
        for _ in range(50):
            z = space.sample(4 * n, generator=generator)
            for _ in range(25):
                value, slope, _ = self._derivatives(z, False)
                move = value[:, None] * slope / slope.square().sum(1, keepdim=True).clamp_min(1e-12)
                z = torch.cat([z[:, : self.dim] - move, z[:, self.dim :]], 1)
            value, slope, _ = self._derivatives(z, False)
            good = (value.abs() < 1e-10) & space.contains(z) & (slope.norm(dim=1) > 1e-8)
            found.append(z[good])
            have += int(good.sum())
            if have >= n:
                z = torch.cat(found)[:n]
                _, slope, curvature = self._derivatives(z, True)
                assert curvature is not None
                return OnInterface(z, slope / slope.norm(dim=1, keepdim=True), curvature)
        raise InputError(
            "interface", given="no zeros of phi with a slope in the domain", expected="an interface inside"
        )

    def _derivatives(self, z: Tensor, second: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        """phi, its slope in space, and the divergence of the unit normal."""
        with torch.enable_grad():
            own = z.detach().clone().requires_grad_(True)
            value = self._phi(own)
            (full,) = torch.autograd.grad(value.sum(), own, create_graph=second)
            slope = full[:, : self.dim]
            curvature = None
            if second:
                if not slope.requires_grad:
                    curvature = torch.zeros(len(z), dtype=z.dtype)
                else:
                    normal = slope / slope.norm(dim=1, keepdim=True)
                    rows = [
                        torch.autograd.grad(normal[:, i].sum(), own, retain_graph=True, allow_unused=True)[0]
                        for i in range(self.dim)
                    ]
                    parts = [torch.zeros(len(z), dtype=z.dtype) if r is None else r[:, i] for i, r in enumerate(rows)]
                    curvature = torch.stack(parts).sum(0).detach()
        return value.detach(), slope.detach(), curvature

    def require_inside(self, domain: Box, span: tuple[float, float], n: int = 2000) -> None:
        """Refuse an interface that leaves the domain.

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


class Markers(Interface):
    """A closed curve through points that move: a periodic cubic spline in the curve's parameter, cubic in time.

    Args:
        path: (T, K, 2) positions of K markers, counter-clockwise, at even times over the span.
        span: (start, end).

    Raises:
        InputError: fewer than 8 markers, positions that aren't finite, a curve that crosses itself (the time is told).
    """

    def __init__(self, path: Float[Tensor, "t k 2"], span: tuple[float, float]) -> None:
        if path.ndim != 3 or path.shape[1] < 8 or path.shape[2] != 2 or not bool(torch.isfinite(path).all()):
            raise InputError("markers", given=tuple(path.shape), expected="finite (times, 8 or more, 2)")
        path = path.double()
        if _area(path[0]) < 0:
            path = path.flip(1)
        if len(path) < 3:  # cubic in time needs a few knots
            path = torch.nn.functional.interpolate(
                path.permute(1, 2, 0), size=3, mode="linear", align_corners=True
            ).permute(2, 0, 1)
        self.path, self.span = path, (float(span[0]), float(span[1]))
        self.count = path.shape[1]
        self._around = AxisBasis(self.count, 0.0, 1.0, periodic=True)
        self._in_time = AxisBasis(len(path), *self.span, extrapolate=True)
        self._refuse_crossings()
        super().__init__(self._signed, 2, self._on_curve, None, self._at)

    @classmethod
    def moved(
        cls, start: Float[Tensor, "k 2"], velocity: Velocity, span: tuple[float, float], steps: int = 200
    ) -> Markers:
        """Carried by a velocity field (N, 3) -> (N, 2) with classical Runge-Kutta steps."""
        return cls(carry(start, velocity, span, steps), span)

    @classmethod
    def frozen(cls, start: Float[Tensor, "k 2"], span: tuple[float, float]) -> Markers:
        """A curve that stands still: the first guess of a solver."""
        return cls(start.double()[None].expand(3, -1, -1).clone(), span)

    def _at_times(self, t: Float[Tensor, " n"]) -> Float[Tensor, "n k 2"]:
        rows = self._in_time.rows(t.double(), 0)[0]
        return torch.einsum("nt,tkc->nkc", rows, self.path)

    def _locate(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions and their first two derivatives in the parameter, (N, 2) each."""
        markers = self._at_times(t)
        x, d, dd = (torch.einsum("nk,nkc->nc", rows, markers) for rows in self._around.rows(s, 2))
        return x, d, dd

    def _on_curve(self, n: int, span: tuple[float, float], generator: torch.Generator) -> OnInterface:
        u = unit_points(n, 2, "sobol", generator)
        t = span[0] + (span[1] - span[0]) * u[:, 0]
        x, d, dd = self._locate(u[:, 1], t)
        speed = d.norm(dim=1)
        normal = torch.stack([d[:, 1], -d[:, 0]], 1) / speed[:, None]
        curvature = (d[:, 0] * dd[:, 1] - d[:, 1] * dd[:, 0]) / speed**3
        return OnInterface(torch.cat([x, t[:, None]], 1), normal, curvature)

    def _at(self, t: float, angles: Tensor) -> tuple[Tensor, Tensor]:
        s = torch.remainder(angles / (2 * math.pi), 1.0)
        x, d, _ = self._locate(s, torch.full_like(s, t))
        return x, d / (2 * math.pi)

    def polygon(self, t: Float[Tensor, " n"], fine: int = 4) -> Float[Tensor, "n m 2"]:
        """The curve at each time as a polygon of `fine` corners a marker."""
        s = torch.arange(fine * self.count, dtype=torch.float64) / (fine * self.count)
        return torch.einsum("mk,nkc->nmc", self._around.rows(s, 0)[0], self._at_times(t))

    def _signed(self, z: Tensor) -> Tensor:
        """-1 inside, 1 outside, by counting crossings of a ray."""
        out = []
        for part in z.detach().double().split(2048):
            corners = self.polygon(part[:, 2])
            a, b = corners, corners.roll(-1, 1)
            x, y = part[:, :1], part[:, 1:2]
            straddles = (a[..., 1] > y) != (b[..., 1] > y)
            rise = torch.where(straddles, b[..., 1] - a[..., 1], torch.ones_like(x))
            left = x < a[..., 0] + (y - a[..., 1]) / rise * (b[..., 0] - a[..., 0])
            out.append(1.0 - 2.0 * ((straddles & left).sum(1) % 2).double())
        return torch.cat(out).to(z.dtype)

    def area(self, t: float) -> float:
        """Inside the curve, exactly for the spline's quadrature points."""
        angles = 2 * math.pi * torch.arange(32 * self.count, dtype=torch.float64) / (32 * self.count)
        x, d = self._at(t, angles)
        return float(0.5 * (x[:, 0] * d[:, 1] - x[:, 1] * d[:, 0]).mean() * 2 * math.pi)

    def distance(self, other: Markers) -> float:
        """Largest distance between two curves at the same times, marker to polygon."""
        t = torch.linspace(*self.span, 21, dtype=torch.float64)
        mine, theirs = self._at_times(t), other.polygon(t)
        return float(torch.cdist(mine, theirs).amin(2).max())

    def spread(self) -> float:
        """Largest over smallest gap between neighbours at the end."""
        gaps = (self.path[-1] - self.path[-1].roll(-1, 0)).norm(dim=1)
        return float(gaps.max() / gaps.min().clamp_min(1e-300))

    def even(self) -> Markers:
        """The same curves with their markers spread evenly along them at the start and carried alike."""
        fine = self.polygon(torch.tensor([self.span[1]]).double(), 16)[0]
        lengths = (fine - fine.roll(-1, 0)).norm(dim=1)
        along = torch.cat([torch.zeros(1).double(), lengths.cumsum(0)])
        targets = along[-1] * torch.arange(self.count).double() / self.count
        s = torch.from_numpy(np.interp(targets.numpy(), along.numpy(), np.linspace(0, 1, len(along))))
        rows = self._around.rows(s.clamp(max=1 - 1e-12), 0)[0]
        return Markers(torch.einsum("mk,tkc->tmc", rows, self.path), self.span)

    def keeping_area(self) -> tuple[Markers, Float[Tensor, " t"]]:
        """The same curves moved along their normals until each has the area of the first, and by how much at each time.

        The shift is the multiplier of the constraint: of all small corrections with this change of area, an even one along the
        normal is the least in L2.
        """
        path, shifts = self.path.clone(), torch.zeros(len(self.path), dtype=torch.float64)
        target = _spline_area(self._around, self.path[0])
        s = torch.arange(self.count, dtype=torch.float64) / self.count
        rows = self._around.rows(s, 1)[1]
        for _ in range(4):  # Newton's method: dA / dshift is the length
            tangent = torch.einsum("mk,tkc->tmc", rows, path)
            size = tangent.norm(dim=2)
            normal = torch.stack([tangent[..., 1], -tangent[..., 0]], 2) / size[..., None]
            step = (target - _spline_area(self._around, path)) / size.mean(1)
            path, shifts = path + step[:, None, None] * normal, shifts + step
        return Markers(path, self.span), shifts

    def _refuse_crossings(self) -> None:
        times = torch.linspace(*self.span, min(len(self.path), 21), dtype=torch.float64)
        for t in times.tolist():
            if _crosses(self.polygon(torch.tensor([t]).double(), 1)[0]):
                raise InputError(
                    "markers", given=f"a curve that crosses itself at t = {t:.4g}", expected="a simple curve",
                    hint="mergers and break-ups are beyond this method",
                )  # fmt: skip


def carry(
    start: Float[Tensor, "k 2"], velocity: Velocity, span: tuple[float, float], steps: int = 200
) -> Float[Tensor, "t k 2"]:
    """Positions of points in a flow, at steps + 1 even times."""
    x = start.double()
    h = (span[1] - span[0]) / steps

    def at(x: Tensor, t: float) -> Tensor:
        return velocity(torch.cat([x, torch.full((len(x), 1), t, dtype=x.dtype)], 1)).double()

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


def ring(center: tuple[float, float], radius: float, count: int = 128) -> Float[Tensor, "k 2"]:
    """Markers on a circle, counter-clockwise."""
    angle = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    return torch.tensor(center, dtype=torch.float64) + radius * torch.stack([torch.cos(angle), torch.sin(angle)], 1)


def _area(x: Tensor) -> float:
    y = x.roll(-1, 0)
    return float(0.5 * (x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]).sum())


def _spline_area(around: AxisBasis, path: Float[Tensor, "*t k 2"]) -> Float[Tensor, "*t"]:
    """Inside the periodic splines through markers."""
    s = torch.arange(8 * path.shape[-2], dtype=torch.float64) / (8 * path.shape[-2])
    value, slope = (torch.einsum("mk,...kc->...mc", rows, path) for rows in around.rows(s, 1))
    return 0.5 * (value[..., 0] * slope[..., 1] - value[..., 1] * slope[..., 0]).mean(-1)


def _crosses(p: Float[Tensor, "m 2"]) -> bool:
    """Whether two sides of a polygon that aren't neighbours meet."""
    q = p.roll(-1, 0)

    def turn(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])

    a, b, c, d = p[:, None], q[:, None], p[None], q[None]
    meet = (turn(a, b, c) * turn(a, b, d) < 0) & (turn(c, d, a) * turn(c, d, b) < 0)
    return bool(meet.any())


def moving_integral(
    g: Callable[[Tensor], Tensor], interface: Interface, t: float, angles: int = 200, radii: int = 40
) -> float:
    """The integral of g over the inside at a time: Gauss in the radius, the trapezoid rule around (star-shaped insides).

    Args:
        g: (N, 3) -> (N,); interface: a closed curve; t: when; angles, radii: quadrature points.
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
        g: a density; rate: its time derivative; velocity: of the interface, (N, 3) -> (N, 2).
        interface: a closed curve; t: when; step: of the central difference.
    """  # fmt: skip
    change = (moving_integral(g, interface, t + step) - moving_integral(g, interface, t - step)) / (2 * step)
    inside = moving_integral(rate, interface, t)
    theta = 2 * math.pi * torch.arange(400, dtype=torch.float64) / 400
    x, d = interface.curve(t, theta)
    z = torch.cat([x, torch.full((400, 1), t, dtype=torch.float64)], 1)
    out = torch.stack([d[:, 1], -d[:, 0]], 1)  # the outward normal times the arc
    through = float((g(z) * (velocity(z) * out).sum(1)).mean() * 2 * math.pi)
    return abs(change - inside - through) / max(abs(change), abs(inside), abs(through), 1e-300)
