"""What lights up: a low sun that dazzles, and lightning."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.randomness import Streams
from deepwright.corruptions.filters import gaussian
from deepwright.corruptions.overlays.clock import PERIOD, turned
from deepwright.corruptions.overlays.marks import strokes

_ARCS = 3  # of the sun in a period
_PAUSE = 60  # frames between two flashes
_FLASH = 3  # frames that a bolt is seen
_NODES, _BRANCHES, _TWIGS = 24, 4, 9  # points of a bolt, its branches, points of one


def sun(streams: Streams, size: tuple[int, int], unit: float, t: float | None) -> Float[Tensor, "n h w"]:
    """A disc on a slow arc, with its glare, rays and a veil over the picture.

    Args:
        streams: one a sample.
        size: height and width.
        unit: pixels per pixel of 240 lines.
        t: frames; None where it stands still.
    """
    h, w = size
    u = streams.uniform(3)
    angle = 2 * math.pi * turned(u[:, 0], _ARCS / PERIOD, t)[:, None, None]
    dx = torch.arange(w, device=u.device)[None, None] - (0.5 + 0.38 * angle.sin()) * w
    dy = torch.arange(h, device=u.device)[None, :, None] - (0.28 - 0.14 * angle.cos()) * h
    gap = (dx.square() + dy.square()).sqrt()
    radius = (14 + 8 * u[:, 1, None, None]) * unit
    disc = (radius + 0.5 - gap).clamp(0, 1)
    rays = torch.cos(4 * torch.atan2(dy, dx + 1e-6) + 2 * math.pi * u[:, 2, None, None]).square()
    glare = 0.75 * torch.exp(-(gap - radius).clamp_min(0) / (45 * unit))
    glare = glare + 0.3 * rays.square().square() * torch.exp(-gap / (110 * unit))
    return (disc + glare + 0.08).clamp(0, 1)


def lightning(streams: Streams, size: tuple[int, int], unit: float, t: float | None) -> Float[Tensor, "n h w"]:
    """Flashes of three frames with a pause between them, each bolt another one; the clouds glow on.

    Args:
        streams: one a sample.
        size: height and width.
        unit: pixels per pixel of 240 lines.
        t: frames; None where it stands still.
    """
    flashes = PERIOD // _PAUSE
    numbers = streams.uniform(flashes, 2 + _NODES + _BRANCHES * (2 + _TWIGS))
    since, which = _since(streams.uniform(), t, flashes)
    bolt = _bolt(numbers[torch.arange(len(numbers), device=numbers.device), which], size, unit)
    glow = gaussian(bolt[:, None], 5 * unit)[:, 0]
    lit = torch.sin(math.pi * (since / _FLASH).clamp(0, 1)).square()[:, None, None]
    clouds = (since / 1.5).clamp(0, 1) * torch.exp(-(since - 1.5).clamp_min(0) / 12) * (1 - since / _PAUSE)
    height = torch.linspace(1, 0, size[0], device=numbers.device)[:, None]
    return (lit * (bolt + 2.5 * glow) + 0.4 * clouds[:, None, None] * height).clamp(0, 1)


def _since(phase: Tensor, t: float | None, flashes: int) -> tuple[Tensor, Tensor]:
    """Frames since the last flash began, and its number; standing still, the middle of a flash."""
    if t is None:
        return torch.full_like(phase, _FLASH / 2), torch.zeros_like(phase, dtype=torch.long)
    rounds = phase + t / _PAUSE
    return (rounds % 1) * _PAUSE, rounds.floor().long() % flashes


def _bolt(u: Tensor, size: tuple[int, int], unit: float) -> Tensor:
    """(N, H, W) a random walk from the top down, with branches that start at its points.

    Args:
        u: (N, numbers) in (0, 1).
        size: height and width.
        unit: pixels per pixel of 240 lines.
    """
    h, w = size
    n = len(u)
    top, foot, steps, rest = u.split([1, 1, _NODES, _BRANCHES * (2 + _TWIGS)], 1)
    down = torch.linspace(0, 1, _NODES, device=u.device) * (0.7 + 0.28 * foot) * h
    across = (0.15 + 0.7 * top) * w + ((steps - 0.5) * 22 * unit).cumsum(1)
    trunk = torch.stack([across, down], -1)
    rest = rest.view(n, _BRANCHES, 2 + _TWIGS)
    node = (2 + rest[..., 0] * (_NODES - 6)).long()
    side = torch.where(rest[..., 1] < 0.5, -1.0, 1.0)[..., None]
    twig_x = ((0.35 + rest[..., 2:]) * 6 * unit * side).cumsum(-1)
    twig_y = torch.arange(1, _TWIGS + 1, device=u.device) * (0.022 * h)
    roots = trunk.gather(1, node[..., None].expand(-1, -1, 2))[:, :, None]
    twigs = roots + torch.stack([twig_x, twig_y.expand_as(twig_x)], -1)
    whole = torch.cat([roots, twigs], 2)
    start = torch.cat([trunk[:, :-1], whole[:, :, :-1].flatten(1, 2)], 1)
    end = torch.cat([trunk[:, 1:], whole[:, :, 1:].flatten(1, 2)], 1)
    width = torch.full(start.shape[:2], 1.2 * unit, device=u.device)
    width[:, : _NODES - 1] = 2.4 * unit
    longest = math.hypot(11 * unit, max(h / (_NODES - 1), 0.022 * h)) + 1
    return strokes(start, end, width, torch.ones_like(width), size, longest=longest)
