"""Roads: a centre line and a width, from angles, at random, or as simulators write them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from deepwright.core.errors import InputError
from deepwright.core.randomness import derive_seed
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.corruptions.driving import road_shapes as shapes

_TRIES = 500
_MOST_POINTS = 100_000  # that a road in a text may have


@dataclass(frozen=True, eq=False)
class Road:
    """A road in the plane, driven from its first point to its last.

    Attributes:
        points: (n, 2) of the centre line, in metres; four or more, no two in a row alike.
        width: between the borders, in metres.

    Raises:
        InputError: fewer points, repeated ones, NaN.
    """

    points: Float[np.ndarray, "n 2"]
    width: float = 8.0

    def __post_init__(self) -> None:
        require_positive(width=self.width)
        points = np.array(self.points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 4 or not np.isfinite(points).all():
            raise InputError(
                "a road", given=f"points of shape {points.shape}", expected="(4 or more, 2) finite numbers"
            )
        _require_distinct(points, "points")
        points.setflags(write=False)
        object.__setattr__(self, "points", points)

    @classmethod
    def from_angles(
        cls,
        angles: Sequence[float],
        lengths: float | Sequence[float] = 25.0,
        width: float = 8.0,
        *,
        start: tuple[float, float] = (0.0, 0.0),
        literal: bool = False,
    ) -> Road:
        """A smooth road: at each node the heading turns by an angle, then the next node is a length ahead.

        It begins at `start` towards 90 degrees. The curve is a centripetal Catmull-Rom spline of 20 points a span; the
        last node only sets its end tangent.

        Args:
            angles: degrees, to the left where positive; three or more.
            lengths: metres between nodes: one for all, or one an angle.
            width: metres.
            start: of the centre line.
            literal: truncate headings to whole degrees at each node, as the reference code does (a road of zeros then
                isn't straight ahead).

        Raises:
            InputError: too few angles, as many lengths as neither one nor angles, nodes that coincide.
        """
        try:
            turned = np.asarray(angles, dtype=float)
        except (TypeError, ValueError):
            turned = np.zeros(0)
        if turned.ndim != 1 or len(turned) < 3 or not np.isfinite(turned).all():
            expected = "three finite numbers or more (four control nodes with the start)"
            raise InputError("angles", given=f"{angles!r:.80}", expected=expected)
        sizes = [lengths] * len(turned) if isinstance(lengths, int | float) else list(lengths)
        if len(sizes) != len(turned):
            raise InputError("lengths", given=f"{len(sizes)} of them", expected=f"one, or {len(turned)}")
        for size in sizes:
            require_positive(lengths=float(size))
        nodes = shapes.nodes_of([float(a) for a in turned], [float(s) for s in sizes], start, literal)
        _require_distinct(nodes, "control nodes")
        return cls(shapes.spline(nodes), width)

    @classmethod
    def random(
        cls,
        seed: int,
        *,
        max_angle: float = 90.0,
        nodes: int = 8,
        length: float = 25.0,
        width: float = 8.0,
        valid: bool = True,
    ) -> Road:
        """A road of angles drawn within +-max_angle, of which the first two and the last are 0.

        Args:
            seed: of the angles.
            max_angle: degrees.
            nodes: angles in all; four or more.
            length: metres between nodes.
            width: metres.
            valid: draw until the road is valid.

        Raises:
            InputError: no valid road was found.
        """
        require_whole(-(2**63), seed=seed)
        require_whole(4, nodes=nodes)
        require_within(0, 180, max_angle=max_angle)
        rng = np.random.default_rng(derive_seed("road", seed=seed))
        for _ in range(_TRIES):
            angles = [0.0, 0.0, *rng.uniform(-max_angle, max_angle, nodes - 3).tolist(), 0.0]
            road = cls.from_angles(angles, length, width)
            if not valid or road.is_valid():
                return road
        given = f"none in {_TRIES} draws of {nodes} nodes with max_angle {max_angle:g}"
        raise InputError("a valid random road", given=given, expected="gentler or fewer turns, or a narrower road")

    @classmethod
    def parse(cls, text: str, width: float = 8.0) -> Road:
        """A road as simulators write it: `x,z,y@x,z,y@...`, with the height z in the middle.

        Args:
            text: of at least four points.
            width: metres.

        Raises:
            InputError: anything else.
        """
        try:
            parts = text.strip().strip("@").split("@", _MOST_POINTS)
            rows = [[float(number) for number in part.split(",")] for part in parts]
            points = np.array([[x, y] for x, _, y in rows])
        except (AttributeError, ValueError) as error:
            raise InputError("a road in text", given=f"{text!r:.80}", expected='"x,z,y@x,z,y@..."') from error
        if len(points) > _MOST_POINTS:
            raise InputError("a road in text", given=f"more than {_MOST_POINTS} points", expected="fewer")
        return cls(points, width)

    def to_string(self) -> str:
        """`x,z,y@x,z,y@...` of all points, at height 0; `parse` gives the same numbers back."""
        return "@".join(f"{x!r},0.0,{y!r}" for x, y in self.points.tolist())

    @cached_property
    def arc(self) -> Float[np.ndarray, " n"]:
        """Metres along the centre line from the start to each point."""
        return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.points, axis=0), axis=1))])

    @property
    def length(self) -> float:
        """Metres along the centre line."""
        return float(self.arc[-1])

    @cached_property
    def curvatures(self) -> Float[np.ndarray, " m"]:
        """1/radius at the points, of circles through i, i+2 and i+4 (through all there are of a road of four)."""
        if len(self.points) < 5:
            return np.zeros(0)
        return shapes.curvatures(self.points)

    @property
    def curvature(self) -> float:
        """The largest of `curvatures`."""
        return float(self.curvatures.max(initial=0.0))

    @property
    def mean_curvature(self) -> float:
        """The mean of `curvatures`."""
        return float(self.curvatures.mean()) if len(self.curvatures) else 0.0

    @property
    def turns(self) -> int:
        """How many bends it has; short ones belong to their neighbours."""
        return shapes.count_turns(self.points)

    @property
    def heading(self) -> float:
        """Radians, at the start, counterclockwise from the x axis."""
        x, y = self.points[1] - self.points[0]
        return math.atan2(y, x)

    @cached_property
    def borders(self) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
        """Left and right, half a width from the centre line along its normals."""
        side = shapes.normals(self.points) * (self.width / 2)
        return self.points + side, self.points - side

    def fault(self, box: float = 250.0) -> str | None:
        """Why it isn't valid, in words; None where it is.

        Args:
            box: side of the square into which the centre line must fit, in metres.
        """
        low, high = self.points.min(0), self.points.max(0)
        if (high - low).max() > box:
            return f"it is {(high - low).max():.0f} m across, and {box:g} m are there"
        if self.curvature >= 2 / self.width:
            return f"a bend of radius {1 / self.curvature:.1f} m is tighter than half the width"
        if shapes.crosses_itself(*self.borders):
            return "it crosses itself"
        return None

    def is_valid(self, box: float = 250.0) -> bool:
        """Whether it fits a box, has no bend that is tighter than half its width, and doesn't cross itself.

        Args:
            box: side of the square, in metres.
        """
        return self.fault(box) is None

    def mirrored(self) -> Road:
        """Left and right exchanged, about the line through its start that points to 90 degrees."""
        points = self.points.copy()
        points[:, 0] = 2 * points[0, 0] - points[:, 0]
        return Road(points, self.width)

    def __eq__(self, other: Any) -> bool:
        same = isinstance(other, Road) and self.width == other.width
        return same and np.array_equal(self.points, other.points)

    def __hash__(self) -> int:
        return hash((self.points.tobytes(), self.width))


def _require_distinct(points: np.ndarray, what: str) -> None:
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    if not (gaps > 1e-9).all():
        where = int(np.flatnonzero(~(gaps > 1e-9))[0])
        raise InputError(
            f"a road's {what}", given=f"number {where} and the next are one", expected="no repeated points"
        )
