"""Where residuals are asked for: domains, their boundaries, and time.

Points come in float64 on the CPU, so that a seed gives the same ones on every device; who uses them moves them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.physics.levels import both
from deepwright.physics.points import seeded, slack, unit_directions, unit_points


@runtime_checkable
class Domain(Protocol):
    """A region of space."""

    dim: int
    bounds: tuple[tuple[float, float], ...]

    def contains(self, x: Float[Tensor, "n d"]) -> Tensor:
        """(N,) whether inside, the boundary included.

        Args:
            x: points, on any device.
        """
        ...

    def sample(self, n: int, method: str = "sobol", *, generator: torch.Generator) -> Float[Tensor, "n d"]:
        """n points inside.

        Args:
            n: how many.
            method: see `points.unit_points`.
            generator: of the draw, on the CPU.
        """
        ...

    def sample_boundary(self, n: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n points of the boundary and their outward unit normals, (N, d) each.

        Args:
            n: how many.
            generator: of the draw, on the CPU.
        """
        ...


class Box:
    """A product of intervals.

    Args:
        bounds: (low, high) of each axis.

    Raises:
        InputError: no axis, or one without low < high.
    """

    def __init__(self, *bounds: tuple[float, float]) -> None:
        try:
            self.bounds = tuple((float(a), float(b)) for a, b in bounds)
        except (TypeError, ValueError):
            raise InputError(
                "Box", given=bounds, expected="(low, high) for each axis, as Box((0, 1), (0, 2))"
            ) from None
        if not self.bounds or any(not -math.inf < a < b < math.inf for a, b in self.bounds):
            raise InputError("Box", given=bounds, expected="finite (low, high) with low < high for each axis")
        self.dim = len(self.bounds)
        self._low, self._high = torch.tensor(self.bounds, dtype=torch.float64).T
        self._size = self._high - self._low

    @property
    def volume(self) -> float:
        """Product of the sides."""
        return float(self._size.prod())

    def contains(self, x: Float[Tensor, "n d"]) -> Tensor:
        """See `Domain`.

        Args:
            x: points, on any device.
        """
        off = torch.tensor([slack(x, b - a, [(a, b)]) for a, b in self.bounds], dtype=torch.float64)
        return ((x >= (self._low - off).to(x)) & (x <= (self._high + off).to(x))).all(1)

    def sample(
        self, n: int, method: str = "sobol", *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n d"]:
        """See `Domain`.

        Args:
            n: how many.
            method: see `points.unit_points`.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        return self._low + self._size * unit_points(n, self.dim, method, seeded(generator))

    def sample_boundary(self, n: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Faces in turn by their area, so that every face has its share to within one point.

        Args:
            n: how many.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        require_whole(1, points=n)
        draw = seeded(generator)
        areas = self.volume / self._size.repeat_interleave(2)
        edges = (areas.cumsum(0) / areas.sum() * n).round().long()
        counts = torch.diff(edges, prepend=torch.zeros(1, dtype=torch.long))
        face = torch.repeat_interleave(torch.arange(2 * self.dim), counts)
        axis, high = face // 2, face % 2 == 1
        if self.dim == 1:
            x = torch.zeros(n, 1, dtype=torch.float64)
        else:
            inner = unit_points(n, self.dim - 1, "sobol", draw)
            x = torch.zeros(n, self.dim, dtype=torch.float64)
            others = torch.stack([torch.tensor([e for e in range(self.dim) if e != a]) for a in range(self.dim)])[axis]
            x.scatter_(1, others, inner)
        x[torch.arange(n), axis] = high.double()
        normal = torch.zeros(n, self.dim, dtype=torch.float64)
        normal[torch.arange(n), axis] = torch.where(high, 1.0, -1.0).double()
        return self._low + self._size * x, normal

    @property
    def area(self) -> float:
        """Of the faces together (a number of points in one dimension)."""
        return float(2 * (self.volume / self._size).sum())

    def distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Signed distance to the boundary, exact, below 0 inside.

        Args:
            x: points, on any device.
        """
        beyond = torch.maximum(self._low.to(x) - x, x - self._high.to(x))
        return beyond.clamp_min(0).norm(dim=1) + beyond.amax(1).clamp_max(0)

    def level(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Above 0 inside, below outside, 0 on the boundary; smooth but at edges, and like the distance near faces.

        Args:
            x: points, on any device.
        """
        parts = (x - self._low.to(x)) * (self._high.to(x) - x) / self._size.to(x)
        return reduce(both, parts.unbind(1))

    def smooth_distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """A polynomial that is above 0 inside and 0 on the boundary, 1 in the middle.

        Args:
            x: points, on any device.
        """
        return (4 * (x - self._low.to(x)) * (self._high.to(x) - x) / self._size.square().to(x)).prod(1)


class Ball:
    """A ball.

    Args:
        centre: of it.
        radius: above 0.

    Raises:
        InputError: a radius that isn't, a centre that isn't finite.
    """

    def __init__(self, centre: Sequence[float], radius: float) -> None:
        if not 0 < radius < math.inf:
            raise InputError("radius", given=radius, expected="above 0")
        if not len(centre) or not all(map(math.isfinite, centre)):
            raise InputError("centre", given=centre, expected="finite coordinates, at least one")
        self.centre, self.radius = torch.tensor(centre, dtype=torch.float64), float(radius)
        self.dim = len(centre)
        self.bounds = tuple((float(c) - radius, float(c) + radius) for c in centre)

    def contains(self, x: Float[Tensor, "n d"]) -> Tensor:
        """See `Domain`.

        Args:
            x: points, on any device.
        """
        return self.distance(x) <= slack(x, self.radius, self.bounds)

    def sample(
        self, n: int, method: str = "sobol", *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n d"]:
        """Normal directions, and radii whose d-th power is uniform.

        Args:
            n: how many.
            method: see `points.unit_points`.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        u = unit_points(n, self.dim + 1, method, seeded(generator))
        return self.centre + self.radius * u[:, -1:] ** (1 / self.dim) * unit_directions(u[:, :-1])

    def sample_boundary(self, n: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """See `Domain`.

        Args:
            n: how many.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        normal = unit_directions(unit_points(n, self.dim, "sobol", seeded(generator)))
        return self.centre + self.radius * normal, normal

    @property
    def volume(self) -> float:
        """pi^(d / 2) r^d / Gamma(d / 2 + 1)."""
        return math.pi ** (self.dim / 2) * self.radius**self.dim / math.gamma(self.dim / 2 + 1)

    @property
    def area(self) -> float:
        """Of the sphere: d / r times the volume."""
        return self.dim * self.volume / self.radius

    def distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Signed distance to the boundary, exact, below 0 inside.

        Args:
            x: points, on any device.
        """
        return (x - self.centre.to(x)).norm(dim=1) - self.radius

    def level(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """(r^2 - |x - c|^2) / 2 r: above 0 inside, below outside, like the distance near the boundary.

        Args:
            x: points, on any device.
        """
        return (self.radius**2 - (x - self.centre.to(x)).square().sum(1)) / (2 * self.radius)

    def smooth_distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """1 - |x - c|^2 / r^2.

        Args:
            x: points, on any device.
        """
        return 2 / self.radius * self.level(x)


class SpaceTime:
    """A domain over a time span: points are (x, ..., t).

    Args:
        space: the domain.
        span: (start, end).

    Raises:
        InputError: a span without start < end.
    """

    def __init__(self, space: Domain, span: tuple[float, float]) -> None:
        if not isinstance(space, Domain):
            raise InputError("space", given=type(space).__name__, expected="a Box, Ball or another domain")
        if len(span) != 2 or not -math.inf < span[0] < span[1] < math.inf:
            raise InputError("span", given=span, expected="finite (start, end), start < end")
        self.space, self.span = space, (float(span[0]), float(span[1]))
        self.dim = space.dim + 1
        self.bounds = (*space.bounds, self.span)

    def contains(self, x: Float[Tensor, "n d"]) -> Tensor:
        """See `Domain`.

        Args:
            x: points, on any device.
        """
        off = slack(x, self.span[1] - self.span[0], [self.span])
        inside = (x[:, -1] >= self.span[0] - off) & (x[:, -1] <= self.span[1] + off)
        return inside & self.space.contains(x[:, :-1])

    def _with_time(self, x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([x, self.span[0] + (self.span[1] - self.span[0]) * t[:, None]], 1)

    def sample(
        self, n: int, method: str = "sobol", *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n d"]:
        """See `Domain`.

        Args:
            n: how many.
            method: see `points.unit_points`.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        draw = seeded(generator)
        if isinstance(self.space, Box):
            return Box(*self.bounds).sample(n, method, generator=draw)
        return self._with_time(self.space.sample(n, method, generator=draw), unit_points(n, 1, "lhs", draw)[:, 0])

    def sample_boundary(self, n: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """The sides at all times; normals have no part in time.

        Args:
            n: how many.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        draw = seeded(generator)
        x, normal = self.space.sample_boundary(n, generator=draw)
        t = unit_points(n, 1, "lhs", draw)[:, 0]
        return self._with_time(x, t), torch.cat([normal, torch.zeros(n, 1, dtype=normal.dtype)], 1)

    def sample_initial(
        self, n: int, method: str = "sobol", *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n d"]:
        """Points at the start.

        Args:
            n: how many.
            method: see `points.unit_points`.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        x = self.space.sample(n, method, generator=seeded(generator))
        return self._with_time(x, torch.zeros(n, dtype=x.dtype))


def require_inside(domain: Domain, x: Float[Tensor, "n d"]) -> None:
    """Refuse points outside.

    Args:
        domain: that they should be inside of.
        x: points.

    Raises:
        InputError: how many are outside, and the first.
    """
    if x.ndim != 2 or x.shape[1] != domain.dim:
        raise InputError("points", given=f"shape {tuple(x.shape)}", expected=f"(N, {domain.dim})")
    outside = ~domain.contains(x)
    if bool(outside.any()):
        first = x[outside][0].tolist()
        raise InputError("points", given=f"{int(outside.sum())} outside the domain, {first} first", expected="inside")
