"""Where a statement about a map is made: boxes and balls in the units of its input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive

Point = Float[Tensor, " n"]
Points = Float[Tensor, "batch n"]


def _vector(values: Tensor | Sequence[float], name: str) -> Tensor:
    vector = torch.as_tensor(values, dtype=torch.float64).detach()
    if vector.ndim != 1 or not len(vector) or not bool(torch.isfinite(vector).all()):
        given = f"shape {tuple(vector.shape)}, {vector.tolist()}" if vector.ndim < 2 else f"shape {tuple(vector.shape)}"
        raise InputError(name, given=given, expected="finite numbers, one an input feature")
    return vector


@dataclass(frozen=True)
class Box:
    """low <= x <= high, feature by feature.

    Args:
        low: lower ends, in the units of the model's input.
        high: upper ends.

    Raises:
        InputError: ends that aren't finite, of different lengths, or that enclose no volume.
    """

    low: Tensor | Sequence[float]
    high: Tensor | Sequence[float]

    def __post_init__(self) -> None:
        low, high = _vector(self.low, "low"), _vector(self.high, "high")
        if low.shape != high.shape:
            raise InputError("box", given=f"{len(low)} and {len(high)} ends", expected="as many low as high ones")
        if not bool((high > low).all()):
            hint = "a feature that doesn't vary spans no volume: leave it out of the model, or widen the box"
            raise InputError("box", given=f"low {low.tolist()}, high {high.tolist()}", expected="low < high", hint=hint)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @property
    def dimension(self) -> int:
        """Features of a point."""
        return len(self.low)

    @property
    def centre(self) -> Point:
        """In the middle."""
        return (self.ends[0] + self.ends[1]) / 2

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """Low and high as tensors."""
        return torch.as_tensor(self.low), torch.as_tensor(self.high)

    @property
    def diameter(self) -> float:
        """Of the diagonal."""
        return float((self.ends[1] - self.ends[0]).norm())

    def box(self) -> Box:
        """Itself."""
        return self

    def contains(self, x: Points, slack: float = 0.0) -> Bool[Tensor, " batch"]:
        """Which points lie in it.

        Args:
            x: points.
            slack: how far outside still counts.
        """
        low, high = (end.to(x) for end in self.ends)
        return ((x >= low - slack) & (x <= high + slack)).all(1)

    def exit_share(self, x: Points, step: Points) -> Float[Tensor, " batch"]:
        """The share of a step from inside after which it leaves; infinite where it doesn't within any length.

        Args:
            x: points inside.
            step: from each.
        """
        low, high = (end.to(x) for end in self.ends)
        wall = torch.where(step > 0, high, low)
        share = torch.where(step != 0, (wall - x) / step, torch.full_like(step, math.inf))
        return share.clamp_min(0).amin(1)

    def spread(self, unit: Points) -> Points:
        """Points of the unit cube brought into it, evenly.

        Args:
            unit: in [0, 1].
        """
        low, high = (end.to(unit) for end in self.ends)
        return low + unit * (high - low)

    def loop(self, share: Float[Tensor, " batch"]) -> Points:
        """Points of its boundary in two dimensions, once around counter-clockwise.

        Args:
            share: in [0, 1), of the way around.
        """
        low, high = (end.to(share) for end in self.ends)
        corners = torch.stack((low, torch.stack((high[0], low[1])), high, torch.stack((low[0], high[1])), low))
        side = (share * 4).floor().clamp(0, 3).long()
        along = (share * 4 - side)[:, None]
        return corners[side] * (1 - along) + corners[side + 1] * along


@dataclass(frozen=True)
class Ball:
    """Points within a radius of a centre.

    Args:
        center: in the units of the model's input.
        radius: above 0.

    Raises:
        InputError: a centre that isn't finite, a radius that isn't above 0.
    """

    center: Tensor | Sequence[float]
    radius: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", _vector(self.center, "center"))
        require_positive(radius=self.radius)

    @property
    def dimension(self) -> int:
        """Features of a point."""
        return len(self.center)

    @property
    def centre(self) -> Point:
        """The centre."""
        return torch.as_tensor(self.center)

    @property
    def diameter(self) -> float:
        """Twice the radius."""
        return 2 * float(self.radius)

    def box(self) -> Box:
        """The smallest box around it."""
        return Box(self.centre - self.radius, self.centre + self.radius)

    def contains(self, x: Points, slack: float = 0.0) -> Bool[Tensor, " batch"]:
        """Which points lie in it.

        Args:
            x: points.
            slack: how far outside still counts.
        """
        return (x - self.centre.to(x)).norm(dim=1) <= self.radius + slack

    def exit_share(self, x: Points, step: Points) -> Float[Tensor, " batch"]:
        """The share of a step from inside after which it leaves; infinite where it doesn't within any length.

        Args:
            x: points inside.
            step: from each.
        """
        from_centre = x - self.centre.to(x)
        a, b = step.square().sum(1), (from_centre * step).sum(1)
        c = from_centre.square().sum(1) - self.radius**2
        root = (-b + (b.square() - a * c).clamp_min(0).sqrt()) / a
        return torch.where(a > 0, root, torch.full_like(a, math.inf)).clamp_min(0)

    def spread(self, unit: Points) -> Points:
        """Points of the unit cube brought into it: the cube's shells become the ball's, which keeps them spread.

        Args:
            unit: in [0, 1].
        """
        y = 2 * unit - 1
        scale = y.abs().amax(1, keepdim=True) / y.norm(dim=1, keepdim=True).clamp_min(1e-300)
        return self.centre.to(unit) + self.radius * y * scale

    def loop(self, share: Float[Tensor, " batch"]) -> Points:
        """Points of its boundary in two dimensions, once around counter-clockwise.

        Args:
            share: in [0, 1), of the way around.
        """
        angle = 2 * math.pi * share
        return self.centre.to(share) + self.radius * torch.stack((angle.cos(), angle.sin()), 1)


Domain = Box | Ball


def around(x: Float[Tensor, "batch n"], margin: float = 0.1) -> Box:
    """The box of the data, wider by a share of its extent on each side.

    Args:
        x: inputs.
        margin: that share.

    Raises:
        InputError: a feature that doesn't vary.
    """
    low, high = x.detach().to("cpu", torch.float64).aminmax(dim=0)
    wide = margin * (high - low)
    return Box(low - wide, high + wide)
