"""Synthetic radar amplitude images of ships at sea: detection data whose scattering is known.

Every scene is a function of (seed, index) and all are drawn at once. Amplitudes are what a receiver shows: the root of
a speckled intensity behind a point-spread function; `coherent=True` keeps the complex field before that function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Complex
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.boxes import Detections
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.tasks import DetectionBatch
from deepwright.data.dataset import Data, Split
from deepwright.data.named.scenes import Scenes

TAPS = (0.2, 0.6, 0.2)
"""Of the receiver, across and along."""
_GRID, _SEA, _TRIES, _SCATTERERS = 8, 0.02, 12, 4


@dataclass(frozen=True)
class ShipScenes(Scenes):
    """Radar images with what is in them.

    Attributes:
        oriented: of each scene (k, 5): centre x and y, length, width and heading in radians of each ship's frame.
        field: the complex field before the receiver, one for each look; None unless it was asked for.
    """

    oriented: list[Tensor]
    field: Complex[Tensor, "n looks h w"] | None = None

    def take(self, rows: Tensor | slice) -> ShipScenes:
        """Some of the scenes.

        Args:
            rows: indices, a mask or a slice.
        """
        some = super().take(rows)
        index = torch.arange(len(self))[rows.cpu() if isinstance(rows, Tensor) else rows].tolist()
        field = None if self.field is None else self.field[torch.tensor(index, device=self.field.device)]
        return ShipScenes(some.images, some.truth, [self.oriented[i] for i in index], field)


def sar_ships(
    n: int,
    size: int = 64,
    seed: int = 0,
    *,
    looks: int = 4,
    coherent: bool = False,
    islands: float = 0.0,
    ambiguities: float = 0.0,
    wakes: float = 0.0,
) -> ShipScenes:
    """Scenes of one or two ships, in [0, 1] and on 255 levels.

    Sea: intensity 0.02 times Gamma(4, 1/4) on a grid of 8 pixels, bilinear between. Ship: an ellipse of length
    U(9, 18), width U(3.5, 6), heading U(0, pi) and intensity U(0.12, 0.3), with four scatterers U(0.3, 1), Gaussians of
    deviation 0.8 pixels within +-0.4 of its length and +-0.3 of its width. Ships don't overlap; a box is the ellipse's
    extent and a pixel more on each side. Then Gamma(looks, 1 / looks) speckle, `TAPS` both ways on intensities, and the
    root.

    Args:
        n: scenes.
        size: of their sides in pixels.
        seed: of all draws.
        looks: that are averaged.
        coherent: speckle by a circular Gaussian field for each look, on which the taps act (at unit energy) before
            intensities are averaged; the field is kept.
        islands: share of scenes with a bright, rough island that is no ship.
        ambiguities: share of scenes in which each ship has a ghost, a twentieth as strong, across the image.
        wakes: share of scenes in which ships draw a bright line behind them.

    Raises:
        InputError: no scenes, scenes of less than 32 pixels, shares outside [0, 1].
    """
    require_whole(1, n=n, looks=looks)
    require_whole(32, size=size)
    require_within(0, 1, islands=islands, ambiguities=ambiguities, wakes=wakes)
    streams = Streams(seed, n, "radar ships")
    place = torch.arange(size, dtype=torch.float32) + 0.5
    x, y = place.view(1, 1, size), place.view(1, size, 1)
    intensity = _SEA * _texture(streams, n, size)
    length, width = streams.uniform(2, low=9, high=18), streams.uniform(2, low=3.5, high=6)
    heading = streams.uniform(2, high=math.pi)
    centre, shown = _places(streams, size, _half(length, width, heading) + 1)
    ships = [_ship(streams, x, y, centre[:, k], length[:, k], width[:, k], heading[:, k]) for k in range(2)]
    there = [shown[:, k].view(n, 1, 1) for k in range(2)]
    for k in range(2):
        hull, points = ships[k]
        intensity = torch.where(there[k], torch.maximum(intensity, hull) + points, intensity)
    drawn = Streams(seed, n, "radar distractors").uniform(3)
    if islands:
        intensity = _with_island(intensity, seed, x, y, drawn[:, 0] < islands, centre, length, shown)
    if ambiguities:
        ghosts = sum((there[k] * (ships[k][0] + ships[k][1])).roll(size // 2, 1) for k in range(2))
        intensity = intensity + 0.05 * ghosts * (drawn[:, 1] < ambiguities).view(n, 1, 1)
    if wakes:
        for k in range(2):
            behind = _wake(x, y, centre[:, k], length[:, k], heading[:, k])
            intensity = intensity + behind * there[k] * (drawn[:, 2] < wakes).view(n, 1, 1)
    field = _field(seed, intensity, looks) if coherent else None
    if field is None:
        seen = _received(intensity * _gamma(Streams(seed, n, "radar speckle"), looks, size, size), TAPS)
    else:
        energy = math.sqrt(sum(t * t for t in TAPS))
        taps = tuple(t / energy for t in TAPS)
        seen = (_received(field.real, taps).square() + _received(field.imag, taps).square()).mean(1)
    images = (seen.clamp_min(0).sqrt() * 255).round().clamp(0, 255)[:, None] / 255
    half = _half(length, width, heading) + 1
    boxes = torch.cat([centre - half, centre + half], -1).clamp(0, size)
    frames = torch.cat([centre, length[..., None] + 2, width[..., None] + 2, heading[..., None]], -1)
    truth = [Detections(boxes[i, s], torch.zeros(int(s.sum()), dtype=torch.long)) for i, s in enumerate(shown)]
    return ShipScenes(images, truth, [frames[i, s] for i, s in enumerate(shown)], field)


def load_sar_ships(seed: int = 0) -> Data:
    """1,600 scenes of `sar_ships` in 8 bits: 1,000 / 200 / 400.

    Args:
        seed: of all draws.
    """
    scenes = sar_ships(1600, seed=seed)
    x = (scenes.images * 255).round().to(torch.uint8)

    def part(begin: int, end: int) -> Split:
        return Split(x[begin:end], DetectionBatch(scenes.truth[begin:end]))

    return Data("sar-ships", "detection", ("ship",), part(0, 1000), part(1000, 1200), part(1200, 1600))


def _gamma(streams: Streams, shape: int, *size: int) -> Tensor:
    """Gamma(shape, 1 / shape) of a whole shape, as a sum of exponentials."""
    total: Any = 0
    for _ in range(shape):
        total = total - streams.uniform(*size).log()
    return total / shape


def _texture(streams: Streams, n: int, size: int) -> Tensor:
    nodes = -(-size // _GRID) + 1
    coarse = _gamma(streams, 4, nodes, nodes)[:, None]
    fine = F.interpolate(coarse, size=((nodes - 1) * _GRID + 1,) * 2, mode="bilinear", align_corners=True)
    return fine[:, 0, :size, :size]


def _half(length: Tensor, width: Tensor, heading: Tensor) -> Tensor:
    """(..., 2) half the extent of turned ellipses."""
    a, b, cos, sin = length / 2, width / 2, heading.cos(), heading.sin()
    across, down = (a * cos).square() + (b * sin).square(), (a * sin).square() + (b * cos).square()
    return torch.stack([across, down], -1).sqrt()


def _places(streams: Streams, size: int, half: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 2, 2) centres with boxes inside the image, and which of two are shown: the second at its first free place."""
    n = len(half)
    u = streams.uniform(2, _TRIES, 2)
    tries = half[:, :, None] + u * (size - 2 * half[:, :, None])
    apart = (tries[:, 1] - tries[:, 0, :1]).abs() > half.sum(1)[:, None] + 1  # (N, tries, 2): beside or above
    free = apart.any(2)
    first = free.long().argmax(1)
    centre = torch.stack([tries[:, 0, 0], tries[torch.arange(n), 1, first]], 1)
    two = (streams.uniform() < 0.5) & free.any(1)
    return centre, torch.stack([torch.ones_like(two), two], 1)


def _along(x: Tensor, y: Tensor, centre: Tensor, heading: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates along and across a heading, from a centre."""
    n = len(centre)
    dx, dy = x - centre[:, 0].view(n, 1, 1), y - centre[:, 1].view(n, 1, 1)
    cos, sin = heading.cos().view(n, 1, 1), heading.sin().view(n, 1, 1)
    return dx * cos + dy * sin, dy * cos - dx * sin


def _ship(
    streams: Streams, x: Tensor, y: Tensor, centre: Tensor, length: Tensor, width: Tensor, heading: Tensor
) -> tuple[Tensor, Tensor]:
    """Intensities of the hull and of its scatterers."""
    n = len(centre)
    along, across = _along(x, y, centre, heading)
    a, b = (length / 2).view(n, 1, 1), (width / 2).view(n, 1, 1)
    level = streams.uniform(1, 1, low=0.12, high=0.3)
    hull = level * ((along / a).square() + (across / b).square() <= 1)
    u = streams.uniform(_SCATTERERS, 2, low=-1, high=1)
    strength = streams.uniform(_SCATTERERS, low=0.3, high=1.0)
    points = torch.zeros_like(hull)
    for k in range(_SCATTERERS):
        p, q = (u[:, k, 0] * 0.4 * length).view(n, 1, 1), (u[:, k, 1] * 0.3 * width).view(n, 1, 1)
        near = ((along - p).square() + (across - q).square()) / (2 * 0.8**2)
        points = points + strength[:, k].view(n, 1, 1) * (-near).exp()
    return hull, points


def _with_island(
    intensity: Tensor,
    seed: int,
    x: Tensor,
    y: Tensor,
    there: Tensor,
    centre: Tensor,
    length: Tensor,
    shown: Tensor,
) -> Tensor:
    """A rough disc of radius U(6, 11) at an edge, where no ship is."""
    n, size = len(intensity), intensity.shape[-1]
    streams = Streams(seed, n, "radar island")
    angle, radius = streams.uniform(1, 1, high=2 * math.pi), streams.uniform(1, 1, low=6, high=11)
    cx, cy = size / 2 * (1 + angle.cos()), size / 2 * (1 + angle.sin())
    turn = torch.atan2(y - cy, x - cx)
    edge = radius * (1 + 0.25 * (3 * turn + 6 * streams.uniform(1, 1)).sin())
    land = ((x - cx).square() + (y - cy).square()).sqrt() <= edge
    gap = (centre - torch.cat([cx, cy], 2)).norm(dim=2) - length / 2 - 1.25 * radius[:, 0]
    free = ((gap > 2) | ~shown).all(1) & there
    rough = streams.uniform(1, 1, low=0.05, high=0.2) * _texture(streams, n, size)
    return torch.where(land & free.view(n, 1, 1), rough, intensity)


def _wake(x: Tensor, y: Tensor, centre: Tensor, length: Tensor, heading: Tensor) -> Tensor:
    """A line behind a ship, fading over three lengths."""
    n = len(centre)
    along, across = _along(x, y, centre, heading)
    behind = -along - (length / 2).view(n, 1, 1)
    fading = (-behind.clamp_min(0) / (1.5 * length).view(n, 1, 1)).exp() * (behind > 0)
    return 0.05 * fading * (-(across / 1.2).square()).exp()


def _field(seed: int, intensity: Tensor, looks: int) -> Tensor:
    """(N, looks, H, W) circular Gaussian fields of an intensity."""
    streams = Streams(seed, len(intensity), "radar field")
    parts = streams.normal(2, looks, *intensity.shape[1:]) * (0.5**0.5)
    return torch.complex(parts[:, 0], parts[:, 1]) * intensity.sqrt()[:, None]


def _received(values: Tensor, taps: tuple[float, ...]) -> Tensor:
    """A separable blur with mirrored edges, over the last two axes."""
    shape = values.shape
    flat = values.reshape(-1, 1, *shape[-2:])
    kernel = torch.tensor(taps, dtype=values.dtype)
    r = len(taps) // 2
    flat = F.conv2d(F.pad(flat, (r, r, 0, 0), mode="reflect"), kernel.view(1, 1, 1, -1))
    return F.conv2d(F.pad(flat, (0, 0, r, r), mode="reflect"), kernel.view(1, 1, -1, 1)).reshape(shape)
