"""Regions given as a mesh: triangles in the plane, tetrahedra in space."""

from __future__ import annotations

import itertools
import math
import zipfile
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.levels import along_segments, distance_to_segments
from deepwright.physics.points import seeded, slack, unit_points

_VERTICES, _CELLS = ("vertices", "points"), ("triangles", "tetrahedra", "cells")


class Mesh:
    """A region of triangles (d = 2) or tetrahedra (d = 3).

    Args:
        vertices: (V, d) numbers.
        cells: (T, d + 1) rows of vertices, in any order.

    Raises:
        InputError: other shapes, rows that aren't vertices, cells without a volume or given twice, three cells at one
            facet, no boundary.

    Example:
        >>> square = Mesh([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]])
        >>> square.volume, square.area
        (1.0, 4.0)
    """

    def __init__(self, vertices: object, cells: object) -> None:
        try:
            points = torch.as_tensor(np.asarray(vertices, dtype=np.float64)).clone()
            rows = torch.as_tensor(np.asarray(cells)).clone()
        except (TypeError, ValueError) as error:
            raise InputError(
                "mesh", given=f"no numbers ({error})", expected="vertices (V, d), cells (T, d + 1)"
            ) from None
        if points.ndim != 2 or points.shape[1] not in (2, 3) or not bool(torch.isfinite(points).all()):
            given = f"shape {tuple(points.shape)}, or NaN or infinity"
            raise InputError("vertices", given=given, expected="finite (V, 2) or (V, 3)")
        self.dim = points.shape[1]
        if rows.ndim != 2 or rows.shape[1] != self.dim + 1 or not len(rows) or rows.is_floating_point():
            given = f"{rows.dtype} of shape {tuple(rows.shape)}"
            raise InputError("cells", given=given, expected=f"whole numbers (T, {self.dim + 1}), at least one row")
        if int(rows.min()) < 0 or int(rows.max()) >= len(points):
            given = f"rows {int(rows.min())} to {int(rows.max())} of {len(points)} vertices"
            hint = "rows begin with 0; subtract 1 where they begin with 1"
            raise InputError("cells", given=given, expected=f"0 to {len(points) - 1}", hint=hint)
        self.vertices, self.cells = points, rows.long()
        self._origin = points[self.cells[:, 0]]
        self._edges = points[self.cells[:, 1:]] - self._origin[:, None]  # (T, edges, d)
        self._volumes = torch.linalg.det(self._edges).abs() / math.factorial(self.dim)
        low, high = points[self.cells.reshape(-1)].aminmax(dim=0)
        self.bounds = tuple(zip(low.tolist(), high.tolist()))
        self._size = math.dist(low.tolist(), high.tolist())
        flat = self._volumes <= 1e-14 * self._size**self.dim
        if bool(flat.any()):
            row = int(flat.nonzero()[0])
            raise InputError(
                "cells", given=f"cell {row} has no volume", expected="corners that aren't in one line or plane"
            )
        self.volume = float(self._volumes.sum())
        self._facets, self._normals = self._boundary()
        self._areas = _facet_areas(self.vertices[self._facets])

    @classmethod
    def read(cls, path: Path | str) -> Mesh:
        """A mesh from a .npz file with "vertices" (or "points") and "triangles" ("tetrahedra", "cells").

        Args:
            path: of the file.

        Raises:
            InputError: no such file, one of another kind, or without these arrays.
        """
        file = Path(path)
        if not file.is_file() or file.suffix.lower() != ".npz":
            given = f"{file} {'is no .npz file' if file.is_file() else 'does not exist'}"
            hint = "np.savez(file, vertices=..., triangles=...) writes one from any mesher's arrays"
            raise InputError("mesh", given=given, expected="a .npz file", hint=hint)
        try:
            with np.load(file, allow_pickle=False) as held:
                names = [next((n for n in choice if n in held), None) for choice in (_VERTICES, _CELLS)]
                if None in names:
                    given = f"arrays {', '.join(held.files) or 'none'}"
                    raise InputError(f"mesh in {file}", given=given, expected="vertices and triangles (or tetrahedra)")
                arrays = [held[str(n)] for n in names]
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"mesh in {file}", given=str(error), expected="a .npz file of arrays") from None
        return cls(*arrays)

    @property
    def area(self) -> float:
        """Of the boundary."""
        return float(self._areas.sum())

    def _boundary(self) -> tuple[Tensor, Tensor]:
        """Facets of one cell only, and their normals away from it."""
        d = self.dim
        once = len(self.cells.sort(1)[0].unique(dim=0))
        if once < len(self.cells):
            given = f"{len(self.cells)} cells, {len(self.cells) - once} of them given twice"
            raise InputError("cells", given=given, expected="each once", hint="np.unique(np.sort(cells, 1), axis=0)")
        picks = list(itertools.combinations(range(d + 1), d))
        facets = torch.cat([self.cells[:, list(pick)] for pick in picks])
        opposite = torch.cat([self.cells[:, next(i for i in range(d + 1) if i not in pick)] for pick in picks])
        _, index, counts = facets.sort(1)[0].unique(dim=0, return_inverse=True, return_counts=True)
        if int(counts.max()) > 2:
            raise InputError("cells", given=f"a facet of {int(counts.max())} cells", expected="at most two")
        outer = counts[index] == 1
        if not bool(outer.any()):
            raise InputError("cells", given="every facet is of two cells", expected="a mesh with a boundary")
        facets, opposite = facets[outer], opposite[outer]
        corners = self.vertices[facets]
        normals = _normals(corners)
        inward = ((self.vertices[opposite] - corners[:, 0]) * normals).sum(1) > 0
        return facets, torch.where(inward[:, None], -normals, normals)

    def contains(self, x: Float[Tensor, "n d"]) -> Tensor:
        """(N,) whether in some cell, the boundary included.

        Args:
            x: points, on any device.
        """
        origin = self._origin.to(x)
        inverse = self._inverse.to(x)
        off = slack(x, 0.0, self.bounds)
        least = -1e-9 - off * inverse.norm(dim=1)  # a share's change over that distance
        most = 1 + 1e-9 + off * inverse.sum(2).norm(dim=1)
        found = []
        for part in x.split(max(1, 2**22 // len(origin))):
            share = torch.einsum("ntd,tde->nte", part[:, None] - origin, inverse)
            found.append(((share >= least).all(2) & (share.sum(2) <= most)).any(1))
        return torch.cat(found)

    @cached_property
    def _inverse(self) -> Tensor:
        """(T, d, edges): x - origin = share @ edges."""
        return torch.linalg.inv(self._edges)

    def sample(
        self, n: int, method: str = "sobol", *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n d"]:
        """Even points: cells by their volume, and even shares of their corners.

        Args:
            n: how many.
            method: see `points.unit_points`.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        rng = seeded(generator)
        u = unit_points(n, self.dim + 1, method, rng)
        cell = _chosen(self._volumes, u[:, 0])
        return _within(self.vertices[self.cells[cell]], u[:, 1:])

    def sample_boundary(self, n: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Even points of the boundary and their outward unit normals.

        Args:
            n: how many.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        rng = seeded(generator)
        u = unit_points(n, self.dim, "sobol", rng)
        facet = _chosen(self._areas, u[:, 0])
        return _within(self.vertices[self._facets[facet]], u[:, 1:]), self._normals[facet]

    def _sides(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.dim != 2:
            hint = "give a distance of your own, or state the condition as a Condition on the boundary"
            raise InputError("mesh", given="tetrahedra", expected="triangles, for distances", hint=hint)
        ends = self.vertices[self._facets].to(x)
        return ends[:, 0], ends[:, 1]

    def distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Signed distance to the boundary, exact, below 0 inside; in the plane.

        Args:
            x: points, on any device.

        Raises:
            InputError: a mesh in space.
        """
        away = distance_to_segments(x, *self._sides(x))
        return torch.where(self.contains(x), -away, away)

    def level(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Above 0 inside, below outside, smooth but at corners; in the plane.

        Args:
            x: points, on any device.
        """
        return torch.where(self.contains(x.detach()), 1.0, -1.0).to(x) * self.smooth_distance(x)

    def smooth_distance(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """0 on the boundary, above elsewhere, smooth but at its corners; in the plane.

        Args:
            x: points, on any device.

        Raises:
            InputError: a mesh in space.
        """
        return along_segments(x, *self._sides(x))


def _chosen(sizes: Tensor, u: Tensor) -> Tensor:
    """Rows in proportion to sizes."""
    ends = sizes.cumsum(0)
    return torch.searchsorted(ends, u * ends[-1], right=True).clamp_max(len(ends) - 1)


def _within(corners: Float[Tensor, "n k d"], u: Tensor) -> Float[Tensor, "n d"]:
    """Even points of simplices: gaps between sorted numbers are even shares."""
    edge = u.new_zeros(len(u), 1)
    shares = torch.cat([edge, u.sort(1)[0], edge + 1], 1).diff(dim=1)
    return (shares[..., None] * corners).sum(1)


def _normals(corners: Float[Tensor, "f k d"]) -> Float[Tensor, "f d"]:
    first = corners[:, 1] - corners[:, 0]
    if corners.shape[2] == 2:
        normal = torch.stack([first[:, 1], -first[:, 0]], 1)
    else:
        normal = torch.linalg.cross(first, corners[:, 2] - corners[:, 0])
    return normal / normal.norm(dim=1, keepdim=True)


def _facet_areas(corners: Float[Tensor, "f k d"]) -> Float[Tensor, " f"]:
    first = corners[:, 1] - corners[:, 0]
    if corners.shape[2] == 2:
        return first.norm(dim=1)
    return 0.5 * torch.linalg.cross(first, corners[:, 2] - corners[:, 0]).norm(dim=1)
