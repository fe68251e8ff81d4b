"""Emergent features: two pictures that differ in one dot are told apart more easily when the same dots join both."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_positive
from deepwright.interpret.mindset.canvas import Canvas
from deepwright.interpret.mindset.scene import Factors, Scene, between, first_valid

_RADIUS, _APART, _BORDER = 10 / 224, 20 / 224, 40 / 224  # of the canvas


def emergent(scene: Scene, *, radius: float = _RADIUS) -> tuple[Canvas, Factors]:
    """Pictures 2 k and 2 k + 1 are a and b of pair k, whose first dot is at two places.

    Single: that dot alone. Proximity: a second dot in both, near the dot of a on the line to the dot of b. Orientation:
    a second dot in both, as far from the dot of a as from that of b. Linearity: a third one in both, on the line
    through the two dots of a, near the first. All dots of one picture keep apart and off the border.

    Args:
        scene: what to draw.
        radius: of a dot, in canvas sides.
    """
    require_positive(radius=radius)
    items, is_b = scene.paired()
    places = first_valid(items.draws("dots"), lambda d: _candidates(d, radius), _fits, "dots that keep apart")
    a, b, near, equal, third = places.unbind(1)
    canvas, size = scene.canvas(), scene.size
    own = b.where(is_b[:, None] == 1, a)
    shown = {
        "single": [own],
        "proximity": [own, near],
        "orientation": [own, equal],
        "linearity": [own, equal, third],
    }[scene.condition]
    for place in shown:
        canvas.disc(place * size, radius * size, scene.ink)
    return canvas, {
        "Item": items.ids,
        "Side": ["b" if other else "a" for other in is_b.tolist()],
        "X": own[:, 0] * size,
        "Y": own[:, 1] * size,
        "Dots": torch.full((scene.n,), len(shown)),
    }


def _candidates(draws: Streams, radius: float) -> Tensor:
    """(n, 64, 5, 2): the dots of a and b, and those that are added, in canvas sides."""
    ends = between(draws.uniform(64, 2, 2), _BORDER, 1 - _BORDER)
    u, side = draws.uniform(64, 3), draws.integers(0, 2, 64)
    a, b = ends[:, :, 0], ends[:, :, 1]
    apart = (b - a).norm(dim=-1, keepdim=True).clamp_min(1e-6)
    low = (2 * radius / apart).clamp(max=0.4)
    near = a + between(u[..., :1], low, torch.full_like(low, 0.4)) * (b - a)
    reach = between(u[..., 1:2], (apart / 2).clamp_min(radius), torch.full_like(apart, 0.7))
    off = (reach.square() - apart.square() / 4).clamp_min(0).sqrt() * (2 * side[..., None] - 1)
    normal = torch.stack([a[..., 1] - b[..., 1], b[..., 0] - a[..., 0]], -1) / apart
    equal = (a + b) / 2 + off * normal
    to_equal = (equal - a).norm(dim=-1, keepdim=True).clamp_min(1e-6)
    low = (2 * radius / to_equal).clamp(max=0.4)
    third = a + between(u[..., 2:], low, torch.full_like(low, 0.4)) * (equal - a)
    return torch.stack([a, b, near, equal, third], 2)


def _fits(places: Tensor) -> Tensor:
    """Dots of one picture at least 20 px of 224 apart, rim to rim as middles, and 40 px from the border."""
    inside = ((places >= _BORDER) & (places <= 1 - _BORDER)).all(-1).all(-1)
    distance = (places[..., :, None, :] - places[..., None, :, :]).norm(dim=-1)
    together = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (0, 4), (1, 4), (3, 4))
    apart = torch.stack([distance[..., i, j] for i, j in together], -1).amin(-1)
    bent = _angle(places[..., 1, :], places[..., 3, :], places[..., 4, :]) > math.radians(10)
    return inside & (apart >= _APART) & bent


def _angle(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """How far from a straight line the three dots of b are."""
    u, v = b - a, c - a
    cross = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    return torch.atan2(cross.abs(), (u * v).sum(-1).abs())
