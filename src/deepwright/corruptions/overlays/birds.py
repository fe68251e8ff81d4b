"""Flocks of birds on closed splines, their wings beating."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.randomness import Streams
from deepwright.corruptions.overlays.clock import PERIOD, turned
from deepwright.corruptions.overlays.marks import strokes

_FLOCKS, _BIRDS, _POINTS = 2, 10, 8
_LAPS = 4  # of a spline in a period
_WING = 17.0  # pixels of 240 lines, the longest


def birds(streams: Streams, size: tuple[int, int], unit: float, t: float | None) -> Float[Tensor, "n h w"]:
    """Two flocks; a bird is two strokes that meet.

    Args:
        streams: one a sample.
        size: height and width.
        unit: pixels per pixel of 240 lines.
        t: frames; None where it stands still.
    """
    h, w = size
    corners = streams.uniform(_FLOCKS, _POINTS, 2)
    corners = corners * torch.tensor([0.8 * w, 0.55 * h], device=corners.device)
    corners = corners + torch.tensor([0.1 * w, 0.08 * h], device=corners.device)
    begun = streams.uniform(_FLOCKS)
    middle = _on_spline(corners, turned(begun, _LAPS / PERIOD, t))[:, :, None]
    offset = streams.normal(_FLOCKS, _BIRDS, 2) * torch.tensor([0.09 * w, 0.05 * h], device=corners.device)
    u = streams.uniform(4, _FLOCKS, _BIRDS)
    beat = torch.sin(2 * math.pi * turned(u[:, 0], 0.1 + 0.04 * u[:, 1], t))
    glide = torch.sin(2 * math.pi * turned(u[:, 3], 0.01, t)) * 3 * unit
    body = middle + offset
    body = torch.stack([body[..., 0], body[..., 1] + glide], -1).flatten(1, 2)
    wing = ((7 + (_WING - 7) * u[:, 2]) * unit).flatten(1)
    angle = (0.25 + 0.6 * beat).flatten(1)
    tips = [torch.stack([side * wing * angle.cos(), -wing * angle.sin()], -1) + body for side in (-1, 1)]
    width = ((1.4 + 0.8 * u[:, 2]) * unit).flatten(1).repeat(1, 2)
    return strokes(body.repeat(1, 2, 1), torch.cat(tips, 1), width, torch.ones_like(width), size, longest=_WING * unit)


def _on_spline(corners: Tensor, lap: Tensor) -> Tensor:
    """(N, flocks, 2) places on closed uniform cubic B-splines.

    Args:
        corners: (N, flocks, points, 2) control points.
        lap: (N, flocks) how far around, in [0, 1).
    """
    points = corners.shape[2]
    place = lap * points
    first = place.floor()
    f = place - first
    weights = torch.stack([(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3], -1)
    index = (first.long()[..., None] + torch.arange(4, device=first.device)) % points
    near = corners.gather(2, index[..., None].expand(-1, -1, -1, 2))
    return (near * weights[..., None]).sum(2) / 6
