"""Corner lists of shapes, centred at 0: what generators paint."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepwright.core.errors import unknown_name

_STAR = 1 / 1.7  # inner radius of a star over its outer one
SHAPES = ("square", "circle", "triangle", "rectangle", "diamond", "hexagon", "heptagon", "octagon", "star")


def unit_shape(name: str, device: torch.device | str = "cpu") -> Tensor:
    """(v, 2) corners of a shape of area 1 around 0.

    Args:
        name: one of `SHAPES`.
        device: where to.
    """
    if name not in SHAPES:
        raise unknown_name("shape", name, SHAPES)
    corners = _corners(name)
    corners = corners - centroid(corners[None])[0]
    return (corners / area(corners[None])[0].sqrt()).to(device)


def _corners(name: str) -> Tensor:
    if name == "rectangle":
        return torch.tensor([[-1.0, -0.5], [1.0, -0.5], [1.0, 0.5], [-1.0, 0.5]])
    if name == "star":
        return _ring(14) * torch.tensor([1.0, _STAR]).repeat(7)[:, None]
    sides = {"square": 4, "diamond": 4, "triangle": 3, "hexagon": 6, "heptagon": 7, "octagon": 8, "circle": 48}[name]
    return _ring(sides, math.pi / 4 if name == "square" else -math.pi / 2)


def _ring(sides: int, phase: float = -math.pi / 2) -> Tensor:
    angle = torch.arange(sides) * (2 * math.pi / sides) + phase
    return torch.stack([angle.cos(), angle.sin()], 1)


def area(corners: Tensor) -> Tensor:
    """(n,) areas of simple polygons.

    Args:
        corners: (n, v, 2).
    """
    return _cross(corners).sum(1).abs() / 2


def centroid(corners: Tensor) -> Tensor:
    """(n, 2) centres of area of simple polygons.

    Args:
        corners: (n, v, 2).
    """
    cross = _cross(corners)
    following = corners.roll(-1, 1)
    return ((corners + following) * cross[..., None]).sum(1) / (3 * cross.sum(1, keepdim=True))


def _cross(corners: Tensor) -> Tensor:
    following = corners.roll(-1, 1)
    return corners[..., 0] * following[..., 1] - following[..., 0] * corners[..., 1]


def turned(corners: Tensor, angle: Tensor) -> Tensor:
    """Corners turned about 0, from x towards y.

    Args:
        corners: (n, v, 2).
        angle: (n,) radians.
    """
    c, s = angle.cos()[:, None], angle.sin()[:, None]
    x, y = corners[..., 0], corners[..., 1]
    return torch.stack([c * x - s * y, s * x + c * y], -1)


def arc(radius: Tensor, thickness: Tensor, angle: Tensor, points: int = 20) -> Tensor:
    """(n, 2 points, 2) corners of a bent bar that opens downward, the middle of its bounding arc at 0.

    Args:
        radius: (n,) of its middle line.
        thickness: (n,).
        angle: (n,) radians that it spans.
        points: along each rim.
    """
    along = torch.linspace(-0.5, 0.5, points, device=radius.device) * angle[:, None] - math.pi / 2
    along = torch.cat([along, along.flip(1)], 1)
    side = torch.tensor([0.5] * points + [-0.5] * points, device=radius.device)
    r = radius[:, None] + side * thickness[:, None]
    corners = torch.stack([r * along.cos(), r * along.sin()], -1)
    return corners + torch.stack([torch.zeros_like(radius), radius], 1)[:, None]


def blob(draws_normal: Tensor, points: int = 32, roughness: float = 0.25) -> Tensor:
    """(n, points, 2) smooth closed outlines of area 1 around 0.

    Args:
        draws_normal: (n, 8) standard normal numbers: the cosines and sines of four waves around the rim.
        points: corners of each.
        roughness: deviation of the radius, of itself.
    """
    dtype, place = draws_normal.dtype, draws_normal.device
    angle = torch.arange(points, device=place, dtype=dtype) * (2 * math.pi / points)
    waves = torch.arange(2, 6, device=place, dtype=dtype)
    fall = roughness / (waves - 1.0)
    phase = waves[:, None] * angle
    swing = (draws_normal[:, :4] * fall) @ phase.cos() + (draws_normal[:, 4:] * fall) @ phase.sin()
    radius = 1 + swing.tanh() * 0.7
    corners = radius[..., None] * torch.stack([angle.cos(), angle.sin()], 1)
    corners = corners - centroid(corners)[:, None]
    return corners / area(corners).sqrt()[:, None, None]
