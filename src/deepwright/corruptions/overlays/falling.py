"""What falls: rain in streaks, snow in flakes; each particle has a depth, which says how large and how fast it is."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.randomness import Streams
from deepwright.corruptions.overlays.clock import turned
from deepwright.corruptions.overlays.marks import discs, strokes

_DROPS, _FLAKES = 420, 260
_EXPOSURE = 0.7  # of a frame: as far as a drop falls in it, its streak reaches


def rain(streams: Streams, size: tuple[int, int], unit: float, t: float | None) -> Float[Tensor, "n h w"]:
    """Streaks along the wind, each as long as its drop falls while the shutter is open.

    Args:
        streams: one a sample.
        size: height and width.
        unit: pixels per pixel of 240 lines.
        t: frames; None where it stands still.
    """
    u = streams.uniform(3, _DROPS)
    slope = streams.uniform(1, low=-0.35, high=0.35)
    depth = u[:, 2]
    speed = (10 + 22 * depth) * unit
    length = _EXPOSURE * speed
    longest = _EXPOSURE * 32 * unit
    head = _fallen(u[:, :2], torch.stack([slope * speed, speed], 1), size, longest + 2, t)
    tail = head - torch.stack([slope * length, length], -1)
    return strokes(
        tail, head, (0.6 + 0.9 * depth) * unit, 0.35 + 0.5 * depth, size, longest=longest * math.hypot(1, 0.35)
    )


def snow(streams: Streams, size: tuple[int, int], unit: float, t: float | None) -> Float[Tensor, "n h w"]:
    """Soft flakes that sway while they fall.

    Args:
        streams: one a sample.
        size: height and width.
        unit: pixels per pixel of 240 lines.
        t: frames; None where it stands still.
    """
    u = streams.uniform(5, _FLAKES)
    wind = streams.uniform(1, low=-0.7, high=0.7)
    depth = u[:, 2]
    speed = (1.2 + 3.2 * depth) * unit
    centre = _fallen(u[:, :2], torch.stack([wind * speed, speed], 1), size, 12 * unit + 2, t)
    round_ = turned(u[:, 3], 0.008 + 0.02 * u[:, 4], t)
    sway = torch.sin(2 * math.pi * round_) * (2 + 4 * depth) * unit
    centre = centre + torch.stack([sway, torch.zeros_like(sway)], -1)
    radius = (0.8 + 2.4 * depth.square()) * unit
    return discs(centre, radius, 0.55 + 0.45 * depth, size, largest=3.2 * unit)


def _fallen(start: Tensor, speed: Tensor, size: tuple[int, int], margin: float, t: float | None) -> Tensor:
    """(N, K, 2) places (x, y) of particles that leave at one side of the picture and come in at the other.

    Args:
        start: (N, 2, K) in [0, 1).
        speed: (N, 2, K) pixels a frame.
        size: height and width.
        margin: pixels around the picture, as wide as a particle, so that none appears in sight.
        t: frames; None where it stands still.
    """
    across = torch.tensor([size[1], size[0]], device=start.device)[:, None] + 2 * margin
    return (turned(start, speed / across, t) * across - margin).transpose(1, 2)
