"""Marks on a mask: strokes and discs at real places, all samples at once, the same bits on any run.

What marks add to a pixel is summed in whole numbers: floats would round as the order of the additions happens to be,
which on a GPU is another one each time.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

_ONE = 2**14  # a full pixel; 2^17 of them fit


def strokes(
    start: Float[Tensor, "n k 2"],
    end: Float[Tensor, "n k 2"],
    width: Float[Tensor, "n k"],
    opacity: Float[Tensor, "n k"],
    size: tuple[int, int],
    *,
    longest: float,
) -> Float[Tensor, "n h w"]:
    """Straight strokes, drawn as points a pixel apart and shared out over the four pixels around each.

    Args:
        start: (x, y) in pixels.
        end: likewise.
        width: in pixels; below one a stroke is paler instead.
        opacity: of each, 0..1.
        size: height and width of the mask.
        longest: pixels; none is longer.
    """
    points = max(2, math.ceil(longest) + 1)
    along = torch.linspace(0, 1, points, device=start.device)[:, None]
    places = start[:, :, None] + (end - start)[:, :, None] * along
    spacing = (end - start).norm(dim=-1) / points
    weight = (spacing * width * opacity)[..., None].expand(-1, -1, points)
    corner = places.floor()
    part = places - corner
    mask = torch.zeros(len(start), size[0] * size[1] + 1, dtype=torch.int32, device=start.device)
    x, y = corner.long().unbind(-1)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        share = (part[..., 0] if dx else 1 - part[..., 0]) * (part[..., 1] if dy else 1 - part[..., 1])
        _add(mask, x + dx, y + dy, weight * share, size)
    return _as_shares(mask, size)


def discs(
    centre: Float[Tensor, "n k 2"],
    radius: Float[Tensor, "n k"],
    opacity: Float[Tensor, "n k"],
    size: tuple[int, int],
    *,
    largest: float,
) -> Float[Tensor, "n h w"]:
    """Discs with a rim one pixel wide; those that are smaller than a pixel are paler instead.

    Args:
        centre: (x, y) in pixels.
        radius: in pixels.
        opacity: of each, 0..1.
        size: height and width of the mask.
        largest: pixels; no radius is larger.
    """
    reach = math.ceil(max(largest, 0.5) + 0.5)
    side = torch.arange(-reach, reach + 1, device=centre.device)
    down, across = (grid.reshape(-1) for grid in torch.meshgrid(side, side, indexing="ij"))
    near = (down.square() + across.square()) <= (reach + 0.75) ** 2
    offsets = torch.stack([across[near], down[near]], -1)
    corner = centre.round()
    places = corner.long()[:, :, None] + offsets
    gap = (offsets - (centre - corner)[:, :, None]).square().sum(-1).sqrt()
    drawn = radius.clamp_min(0.5)
    pale = opacity * (radius / drawn).square()
    weight = (drawn[..., None] + 0.5 - gap).clamp(0, 1) * pale[..., None]
    mask = torch.zeros(len(centre), size[0] * size[1] + 1, dtype=torch.int32, device=centre.device)
    _add(mask, places[..., 0], places[..., 1], weight, size)
    return _as_shares(mask, size)


def _add(mask: Tensor, x: Tensor, y: Tensor, weight: Tensor, size: tuple[int, int]) -> None:
    """Add to the pixels inside; the last place takes what lies outside."""
    h, w = size
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    index = torch.where(inside, y * w + x, h * w)
    mask.scatter_add_(1, index.flatten(1), (weight * _ONE).to(torch.int32).flatten(1))


def _as_shares(mask: Tensor, size: tuple[int, int]) -> Tensor:
    return (mask[:, :-1].float() / _ONE).clamp_(0, 1).view(-1, *size)
