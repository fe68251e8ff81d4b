"""Constructive geometry: unions, intersections and differences of regions, sampled evenly inside and on the boundary.

A point of a part's boundary is one of the whole's where one side of it is inside and the other isn't: that is asked
directly, a little off the point along the normal, so seams between parts, holes that stick out and parts within parts
need no cases of their own.
"""

from __future__ import annotations

import math
from functools import cached_property, reduce
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.physics.levels import both, either
from deepwright.physics.points import collect, sample_where, seeded, slack

_OFF = 1e-6  # of the size: how far off the boundary its two sides are asked
_COUNTED = 1 << 16
Part = Any  # Box, Ball, Polygon, Mesh, or a combination: what has `distance`, `level` and `sample_boundary`


class _Combined:
    """What combinations share.

    Args:
        parts: two or more regions of one dimension.

    Raises:
        InputError: fewer, of different dimensions, without a distance (a `LevelSet`), or nothing in common.
    """

    def __init__(self, *parts: Part) -> None:
        name = type(self).__name__
        if len(parts) < 2:
            raise InputError(name, given=f"{len(parts)} regions", expected="two or more")
        for part in parts:
            if not all(hasattr(part, method) for method in ("distance", "level", "sample_boundary", "contains")):
                hint = "LevelSet(lambda x: torch.maximum(f(x), -g(x)), box) is f without g; max is common to both"
                expected = "Box, Ball, Polygon, Mesh, or a combination of such"
                raise InputError(name, given=type(part).__name__, expected=expected, hint=hint)
        if len({part.dim for part in parts}) != 1:
            given = f"regions of {', '.join(str(part.dim) for part in parts)} dimensions"
            raise InputError(name, given=given, expected="one dimension")
        self.parts, self.dim = parts, parts[0].dim
        self.bounds = self._bounds()
        if any(not a < b for a, b in self.bounds):
            raise InputError(name, given="regions that have nothing in common", expected="a region that isn't empty")
        self._size = math.dist(*zip(*self.bounds))
        self._axes = [axis for part in parts for axis in getattr(part, "_axes", part.bounds)]  # of all that is asked

    def _bounds(self) -> tuple[tuple[float, float], ...]:
        raise NotImplementedError

    def contains(self, x: Float[Tensor, "n d"]) -> Tensor:
        """(N,) whether inside, the boundary included.

        Args:
            x: points, on any device.
        """
        return self.distance(x) <= slack(x, self._size, self._axes)

    def distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """A signed bound of the distance to the boundary: below 0 inside, never larger than the distance in size.

        Args:
            x: points, on any device.
        """
        raise NotImplementedError

    def sample(
        self, n: int, method: str = "sobol", *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n d"]:
        """Even points of the bounds that are inside.

        Args:
            n: how many.
            method: see `points.unit_points`.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        name, expected = type(self).__name__, "a region that isn't empty, nor much smaller than its bounds"
        return sample_where(
            lambda x: self.distance(x) < 0, self.bounds, n, method, generator, name, expected, draws=200
        )

    @cached_property
    def area(self) -> float:
        """Of the whole's boundary (a length in the plane), counted on 65,536 points of the parts': to about 1 %."""
        density = _COUNTED / self._area_of_parts
        return len(self.boundary_at(density, torch.Generator().manual_seed(7))[0]) / density

    @property
    def _area_of_parts(self) -> float:
        """Of their boundaries together, which is at least that of the whole."""
        return sum(part._area_of_parts if isinstance(part, _Combined) else part.area for part in self.parts)

    def sample_boundary(self, n: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Even points of the boundary and their outward unit normals.

        Args:
            n: how many.
            generator: of the draw, on the CPU; seed 0 where not given.

        Raises:
            InputError: none asked for; no boundary found.
        """
        require_whole(1, points=n)
        rng = seeded(generator)

        def draw() -> tuple[Tensor, Tensor]:
            x, normal = self.boundary_at(max(2 * n, 64) / self._area_of_parts, rng)
            order = torch.randperm(len(x), generator=rng)  # parts come one after the other: the first n weren't even
            return x[order], normal[order]

        x, normal = collect(draw, n, type(self).__name__, "a region with a boundary", draws=200)
        return x, normal

    def boundary_at(self, density: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points of the boundary, so many per area, and normals.

        Args:
            density: points per area (in the mean).
            rng: of the draw.
        """
        points, normals = [], []
        for i, part in enumerate(self.parts):
            x, normal = _at(part, density, rng)
            step = _OFF * self._size * normal
            within, beyond = self.distance(x - step) < 0, self.distance(x + step) < 0
            kept = within != beyond
            for other in self.parts[:i]:  # where boundaries lie on each other, the first part's is enough
                kept &= other.distance(x).abs() > _OFF * self._size
            points.append(x[kept])
            normals.append(torch.where(within, 1.0, -1.0)[kept, None].to(x) * normal[kept])
        return torch.cat(points), torch.cat(normals)

    def smooth_distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Above 0 inside, 0 on the boundary, smooth inside.

        Args:
            x: points inside.
        """
        raise NotImplementedError


def _at(part: Part, density: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    if isinstance(part, _Combined):
        return part.boundary_at(density, rng)
    wanted = density * part.area
    n = int(wanted) + int(float(torch.rand(1, generator=rng)) < wanted - int(wanted))
    if n == 0:
        return torch.zeros(2, 0, part.dim, dtype=torch.float64).unbind()  # type: ignore[return-value]
    return part.sample_boundary(n, generator=rng)


class Union(_Combined):
    """What is in any of some regions.

    Args:
        parts: two or more: `Box`, `Ball`, `Polygon`, `Mesh`, or combinations.

    Example:
        >>> from deepwright.physics import Box
        >>> corner = Union(Box((0, 2), (0, 1)), Box((0, 1), (0, 2)))
        >>> corner.contains(torch.tensor([[1.5, 0.5], [1.5, 1.5]])).tolist()
        [True, False]
    """

    def _bounds(self) -> tuple[tuple[float, float], ...]:
        return tuple(
            (min(a for a, _ in axis), max(b for _, b in axis)) for axis in zip(*[p.bounds for p in self.parts])
        )

    def distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The least of the parts': exact outside, a bound inside.

        Args:
            x: points, on any device.
        """
        return torch.stack([part.distance(x) for part in self.parts]).amin(0)

    def level(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Above 0 inside, below outside; see `levels.either`.

        Args:
            x: points, on any device.
        """
        return reduce(either, [part.level(x) for part in self.parts])

    def smooth_distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The same.

        Args:
            x: points inside.

        Raises:
            InputError: parts that only touch: this would be 0 along their seam, inside the region.
        """
        if self._touching:
            hint = "let the parts overlap, or draw the region as one Polygon"
            raise InputError("Union", given="parts that touch", expected="parts that overlap or lie apart", hint=hint)
        return self.level(x)

    @cached_property
    def _touching(self) -> bool:
        """Whether there are points between parts that no part has inside, though both sides are in the union."""
        rng = torch.Generator().manual_seed(11)
        for part in self.parts:
            x, normal = _at(part, 256 / part.area, rng)
            step = 10 * _OFF * self._size * normal
            seam = (self.distance(x - step) < 0) & (self.distance(x + step) < 0)
            if bool((seam & (self.distance(x) > -_OFF * self._size)).any()):
                return True
        return False

    def contains(self, x: Float[Tensor, "n d"]) -> Tensor:
        """(N,) whether inside any.

        Args:
            x: points, on any device.
        """
        return torch.stack([part.contains(x) for part in self.parts]).any(0)


class Intersection(_Combined):
    """What is in all of some regions.

    Args:
        parts: two or more: `Box`, `Ball`, `Polygon`, `Mesh`, or combinations.
    """

    def _bounds(self) -> tuple[tuple[float, float], ...]:
        return tuple(
            (max(a for a, _ in axis), min(b for _, b in axis)) for axis in zip(*[p.bounds for p in self.parts])
        )

    def distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The largest of the parts': exact inside, a bound outside.

        Args:
            x: points, on any device.
        """
        return torch.stack([part.distance(x) for part in self.parts]).amax(0)

    def level(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Above 0 inside, below outside; see `levels.both`.

        Args:
            x: points, on any device.
        """
        return reduce(both, [part.level(x) for part in self.parts])

    def smooth_distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The product of the parts': each is 0 on its own boundary only.

        Args:
            x: points inside.
        """
        return torch.stack([part.smooth_distance(x) for part in self.parts]).prod(0)


class Difference(_Combined):
    """The first region without the others: a hole, or a bite.

    Args:
        parts: the region, and what is taken away.

    Example:
        >>> from deepwright.physics import Ball, Box
        >>> plate = Difference(Box((0, 1), (0, 1)), Ball((0.5, 0.5), 0.2))
        >>> plate.contains(torch.tensor([[0.5, 0.5], [0.1, 0.1]])).tolist()
        [False, True]
    """

    def _bounds(self) -> tuple[tuple[float, float], ...]:
        return self.parts[0].bounds

    def distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The largest of the first's and the others' with their signs turned: exact inside, a bound outside.

        Args:
            x: points, on any device.
        """
        first, *others = [part.distance(x) for part in self.parts]
        return torch.stack([first, *(-d for d in others)]).amax(0)

    def level(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Above 0 inside, below outside; see `levels.both`.

        Args:
            x: points, on any device.
        """
        first, *others = [part.level(x) for part in self.parts]
        return reduce(both, [first, *(-v for v in others)])

    def smooth_distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The first's times the others' levels, which are of one sign outside of them.

        Args:
            x: points inside.
        """
        first, *others = self.parts
        return torch.stack([first.smooth_distance(x), *(-part.level(x) for part in others)]).prod(0)
