"""A closed curve of markers that move: splined around and in time, with its area, and a flow that carries it."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.points import unit_points
from deepwright.physics.splines import AxisBasis
from deepwright.physics.two_phase.interface import Interface, OnInterface
from deepwright.physics.two_phase.transport import Velocity, carry


class Markers(Interface):
    """A closed curve through points that move: a periodic cubic spline in the curve's parameter, cubic in time.

    Args:
        path: (T, K, 2) positions of K markers, counter-clockwise, at even times over the span; kept in float64.
        span: (start, end).

    Raises:
        InputError: fewer than 8 markers, positions that aren't finite, a curve that crosses itself (the time is told).
    """

    def __init__(self, path: Float[Tensor, "t k 2"], span: tuple[float, float]) -> None:
        if path.ndim != 3 or path.shape[1] < 8 or path.shape[2] != 2 or not bool(torch.isfinite(path).all()):
            raise InputError("markers", given=tuple(path.shape), expected="finite (times, 8 or more, 2)")
        path = path.detach().double().cpu()
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
        """Carried by a velocity field with classical Runge-Kutta steps.

        Args:
            start: positions at the start.
            velocity: (N, 3) -> (N, 2).
            span: (start, end).
            steps: between them.
        """
        return cls(carry(start, velocity, span, steps), span)

    @classmethod
    def frozen(cls, start: Float[Tensor, "k 2"], span: tuple[float, float]) -> Markers:
        """A curve that stands still: the first guess of a solver.

        Args:
            start: its markers.
            span: (start, end).
        """
        return cls(start.double()[None].expand(3, -1, -1).clone(), span)

    def _at_times(self, t: Float[Tensor, " n"]) -> Float[Tensor, "n k 2"]:
        rows = self._in_time.rows(t.double(), 0)[0]
        return torch.einsum("nt,tkc->nkc", rows, self.path.to(rows.device))

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
        """The curve at each time as a polygon.

        Args:
            t: times.
            fine: corners a marker.
        """
        s = torch.arange(fine * self.count, dtype=torch.float64, device=t.device) / (fine * self.count)
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
        """Inside the curve, exactly for the spline's quadrature points.

        Args:
            t: when.
        """
        angles = 2 * math.pi * torch.arange(32 * self.count, dtype=torch.float64) / (32 * self.count)
        x, d = self._at(t, angles)
        return float(0.5 * (x[:, 0] * d[:, 1] - x[:, 1] * d[:, 0]).mean() * 2 * math.pi)

    def distance(self, other: Markers) -> float:
        """Largest distance between two curves at the same times, marker to polygon.

        Args:
            other: the second curve.
        """
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

        The shift is the multiplier of the constraint: of all small corrections with this change of area, an even one
        along the normal is the least in L2.
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
                    "markers",
                    given=f"a curve that crosses itself at t = {t:.4g}",
                    expected="a simple curve",
                    hint="mergers and break-ups are beyond this method",
                )


def ring(center: tuple[float, float], radius: float, count: int = 128) -> Float[Tensor, "k 2"]:
    """Markers on a circle, counter-clockwise.

    Args:
        center: of the circle.
        radius: of it.
        count: how many markers.
    """
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
