"""Polygons, from a list of corners or a file of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.physics.geometry.chains import Chains
from deepwright.physics.levels import along_segments, distance_to_segments
from deepwright.physics.points import sample_where, seeded, slack, unit_points

_MOST = 5000  # corners: all pairs of sides are looked at for crossings


class Polygon:
    """A plane region with straight sides that don't cross.

    Args:
        corners: (K, 2), one after the other, either way round; the first may be repeated at the end.

    Raises:
        InputError: fewer than 3 corners or more than 5,000, two of one place in a row, sides that cross, no area.

    Example:
        >>> Polygon([(0, 0), (2, 0), (0, 1)]).volume
        1.0
    """

    dim = 2

    def __init__(self, corners: Sequence[Sequence[float]] | Float[Tensor, "k 2"] | np.ndarray) -> None:
        try:
            points = torch.as_tensor(np.asarray(corners, dtype=np.float64)).clone()
        except (TypeError, ValueError) as error:
            raise InputError("corners", given=f"no numbers ({error})", expected="(K, 2), K >= 3") from None
        if points.ndim == 2 and len(points) > 1 and torch.equal(points[0], points[-1]):
            points = points[:-1]
        if points.ndim != 2 or points.shape[1] != 2 or not 3 <= len(points) <= _MOST:
            expected = f"(K, 2) with 3 to {_MOST} corners"
            raise InputError("corners", given=f"shape {tuple(points.shape)}", expected=expected)
        if not bool(torch.isfinite(points).all()):
            raise InputError("corners", given="NaN or infinity", expected="finite numbers")
        area = _area(points)
        self.corners = points if area > 0 else points.flip(0)
        self.start, self.end = self.corners, self.corners.roll(-1, 0)
        self._lengths = (self.end - self.start).norm(dim=1)
        self._require_simple(abs(area))
        self.volume = abs(float(area))
        low, high = self.corners.amin(0).tolist(), self.corners.amax(0).tolist()
        self.bounds = tuple(zip(low, high))

    def _require_simple(self, area: Tensor | float) -> None:
        if bool((self._lengths == 0).any()):
            row = int((self._lengths == 0).nonzero()[0])
            raise InputError("corners", given=f"corner {row} twice", expected="another place for each")
        crossing = _crossing(self.start, self.end)
        if crossing is not None:
            given = f"sides {crossing[0]} and {crossing[1]} cross or touch"
            hint = "list the corners in their order around the region; a hole is Difference(outer, inner)"
            raise InputError("corners", given=given, expected="sides that meet at corners only", hint=hint)
        if not float(area) > 0:
            raise InputError("corners", given="no area", expected="corners that aren't all on a line")

    @classmethod
    def read(cls, path: Path | str) -> Polygon:
        """A polygon from a file: rows of x and y in .csv or .txt (commas or spaces, # comments), .npy, or .json.

        Args:
            path: of the file.

        Raises:
            InputError: no such file, another kind of file, what isn't (K, 2) numbers.
        """
        file = Path(path)
        if not file.is_file():
            raise InputError("polygon", given=f"{file} does not exist", expected="a .csv, .txt, .npy or .json file")
        kind = file.suffix.lower()
        try:
            if kind in (".csv", ".txt"):
                rows = [r.split("#")[0].replace(",", " ").split() for r in file.read_text().splitlines()]
                return cls([[float(v) for v in row] for row in rows if row])
            if kind == ".npy":
                return cls(np.load(file, allow_pickle=False))
            if kind == ".json":
                return cls(json.loads(file.read_text()))
        except InputError as error:
            raise InputError(f"polygon in {file}: {error.what}", given=error.given, expected=error.expected) from None
        except (ValueError, OSError, EOFError) as error:
            raise InputError(f"polygon in {file}", given=str(error), expected="rows of x and y") from None
        raise InputError("polygon", given=f"a file {file.name}", expected=".csv, .txt, .npy or .json")

    @property
    def area(self) -> float:
        """The length of its sides together (what a boundary's area is in the plane)."""
        return float(self._lengths.sum())

    def contains(self, x: Float[Tensor, "n 2"]) -> Tensor:
        """(N,) whether inside, the boundary included.

        Args:
            x: points, on any device.
        """
        return self.distance(x) <= slack(x, float(self._lengths.max()), self.bounds)

    def _inside(self, x: Tensor) -> Tensor:
        """By how often a line to the right crosses sides."""
        a, b = self.start.to(x), self.end.to(x)
        found = []
        for part in x.split(max(1, 2**22 // len(a))):
            px, py = part[:, :1], part[:, 1:]
            spans = (a[:, 1] > py) != (b[:, 1] > py)
            rise = torch.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
            at = a[:, 0] + (py - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
            found.append((spans & (px < at)).sum(1) % 2 == 1)
        return torch.cat(found)

    def distance(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """Signed distance to the boundary, exact, below 0 inside.

        Args:
            x: points, on any device.
        """
        away = distance_to_segments(x, self.start.to(x), self.end.to(x))
        return torch.where(self._inside(x), -away, away)

    def level(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """Above 0 inside, below outside, smooth but at corners, like the distance near sides.

        Args:
            x: points, on any device.
        """
        away = along_segments(x, self.start.to(x), self.end.to(x))
        return torch.where(self._inside(x.detach()), 1.0, -1.0).to(x) * away

    def smooth_distance(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """0 on the sides, above 0 inside, smooth but at corners that go in; see `chains`.

        Args:
            x: points inside, on any device.
        """
        return self._chains(x)

    @cached_property
    def _chains(self) -> Chains:
        return Chains(self.start, self.end, self.sample(1024))

    def sample(
        self, n: int, method: str = "sobol", *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n 2"]:
        """Even points of the bounds that are inside.

        Args:
            n: how many.
            method: see `points.unit_points`.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        expected = "an area not much smaller than its bounds"
        return sample_where(self._inside, self.bounds, n, method, generator, "Polygon", expected)

    def sample_boundary(self, n: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Points evenly along the sides, and outward unit normals.

        Args:
            n: how many.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        require_whole(1, points=n)
        rng = seeded(generator)
        along = self.area * (torch.arange(n, dtype=torch.float64) + unit_points(1, 1, "uniform", rng)[0]) / n
        ends = self._lengths.cumsum(0)
        side = torch.searchsorted(ends, along).clamp_max(len(ends) - 1)
        share = ((along - (ends - self._lengths)[side]) / self._lengths[side]).clamp(0, 1)[:, None]
        way = (self.end - self.start)[side]
        normal = torch.stack([way[:, 1], -way[:, 0]], 1) / self._lengths[side, None]
        return self.start[side] + share * way, normal


def _area(points: Float[Tensor, "k 2"]) -> Tensor:
    """Signed: above 0 where corners go counter-clockwise; about the first corner, so that far ones lose no digits."""
    (x, y), (u, v) = (points - points[0]).T, (points - points[0]).roll(-1, 0).T
    return 0.5 * (x * v - y * u).sum()


def _crossing(a: Float[Tensor, "k 2"], b: Float[Tensor, "k 2"]) -> tuple[int, int] | None:
    """Two sides that aren't neighbours and have a point in common."""

    def turn(p: Tensor, q: Tensor, r: Tensor) -> Tensor:
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])

    k = len(a)
    for i in range(k - 2):
        rest = torch.arange(i + 2, k - (1 if i == 0 else 0))
        if not len(rest):
            continue
        p, q, r, s = a[i], b[i], a[rest], b[rest]
        apart = (torch.maximum(r, s) < torch.minimum(p, q)) | (torch.minimum(r, s) > torch.maximum(p, q))
        straddle = (turn(p, q, r) * turn(p, q, s) <= 0) & (turn(r, s, p) * turn(r, s, q) <= 0)
        hit = straddle & ~apart.any(1)
        if bool(hit.any()):
            return i, int(rest[hit][0])
    return None
