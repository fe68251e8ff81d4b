"""Weather: fog, frost and snow, with textures made on the spot."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.randomness import Streams
from deepwright.corruptions.engine import Context, Perturbation
from deepwright.corruptions.filters import fft_filter, gaussian, line
from deepwright.corruptions.static.tone import saturation


def diamond_square(streams: Streams, size: int, roughness: float = 0.6) -> Float[Tensor, "n size size"]:
    """A fractal height field in [0, 1] for each sample, by strided slices: O(pixels), no pixel loop.

    Args:
        streams: one a sample.
        size: of the sides, 2^k + 1.
        roughness: each halving of the step multiplies the noise by it.
    """
    levels = int(math.log2(size - 1))
    field = torch.zeros(streams.n, size, size, device=streams.device)
    field[:, :: size - 1, :: size - 1] = streams.uniform(2, 2)
    amplitude = 1.0
    for level in range(levels):
        step = (size - 1) >> level
        half = step // 2
        cells = (size - 1) // step
        noise = streams.uniform(cells, cells, low=-amplitude, high=amplitude)
        corners = field[:, ::step, ::step]
        field[:, half::step, half::step] = (
            corners[:, :-1, :-1] + corners[:, 1:, :-1] + corners[:, :-1, 1:] + corners[:, 1:, 1:]
        ) / 4 + noise
        padded = F.pad(field[:, None], (half, half, half, half), mode="reflect")[:, 0]
        for top, left in ((0, half), (half, 0)):
            target = field[:, top::step, left::step]
            mean = torch.zeros_like(target)
            for dy, dx in ((-half, 0), (half, 0), (0, -half), (0, half)):
                mean += _strided(padded, top + half + dy, left + half + dx, step, target.shape)
            target.copy_(mean / 4 + streams.uniform(*target.shape[1:], low=-amplitude, high=amplitude))
        amplitude *= 2**-roughness
    flat = field.flatten(1)
    low, high = flat.amin(1)[:, None, None], flat.amax(1)[:, None, None]
    return (field - low) / (high - low).clamp_min(1e-6)


def _strided(field: Tensor, top: int, left: int, step: int, shape: torch.Size) -> Tensor:
    """shape[1] x shape[2] values of a field, `step` apart, from (top, left)."""
    return field[:, top : top + (shape[1] - 1) * step + 1 : step, left : left + (shape[2] - 1) * step + 1 : step]


def fog_mapping(x: Tensor, share: float, context: Context) -> Tensor:
    """Mix with a fractal field."""
    h, w = x.shape[-2:]
    size = 2 ** math.ceil(math.log2(max(h, w) - 1)) + 1
    field = diamond_square(context.streams, size)[:, None, :h, :w]
    return torch.lerp(x, field.expand_as(x), share)


def fog_filter(x: Tensor, mix_and_noise: tuple[float, float], context: Context) -> Tensor:
    """Mix with white that is dimmed by a share of uniform noise."""
    mix, noise = mix_and_noise
    white = 1 - noise * context.streams.uniform(1, *x.shape[2:])
    return torch.lerp(x, white.expand_as(x), mix)


def frost(x: Tensor, alpha: float, context: Context) -> Tensor:
    """Ice crystals that grow from the border, then paler colours."""
    h, w = x.shape[-2:]
    ice, cover = _crystals(context.streams, h, w, side=min(72, max(h, w)))
    tint = torch.tensor([0.86, 0.93, 1.0], device=x.device).view(1, 3, 1, 1)
    mixed = x + 2 * alpha * cover * (ice * tint - x)
    return saturation(mixed.clamp(0, 1), 0.8, context)


def _crystals(streams: Streams, h: int, w: int, seeds: int = 48, side: int = 72) -> tuple[Tensor, Tensor]:
    """Brightness and cover (N, 1, H, W): facets of a Voronoi diagram whose seeds crowd at the border."""
    u = streams.uniform(2, seeds, low=-1.0, high=1.0)
    u = u.sign() * u.abs().sqrt()
    line_ = torch.linspace(-1, 1, side, device=u.device)
    d = (line_[:, None] - u[:, 1, :, None, None]).square() + (line_[None] - u[:, 0, :, None, None]).square()
    first, nearest = d.min(1)
    second = d.scatter_(1, nearest[:, None], math.inf).amin(1)
    gap = (second.sqrt() - first.sqrt()) * 6
    shade = streams.uniform(seeds).gather(1, nearest.flatten(1)).view(-1, side, side)
    ridge = torch.exp(-gap * 4)
    ice = (0.55 + 0.25 * shade + 0.45 * ridge).clamp(0, 1)
    edge = torch.maximum(line_[:, None].abs(), line_[None].abs()) + 0.25 * (shade - 0.5)
    cover = ((edge - 0.25) / 0.6).clamp(0, 1)
    both = F.interpolate(torch.stack([ice, cover], 1), size=(h, w), mode="bilinear", align_corners=False)
    return both[:, :1], both[:, 1:]


def snow(x: Tensor, alpha: float, context: Context) -> Tensor:
    """Falling flakes in two depths, then paler colours."""
    h, w = x.shape[-2:]
    flakes = torch.zeros(len(x), 1, h, w, device=x.device)
    for zoom, density in ((1, 0.03), (2, 0.02)):
        grid = (max(4, math.ceil(h / zoom)), max(4, math.ceil(w / zoom)))
        dots = (context.streams.uniform(1, *grid) < density).float()
        if zoom > 1:
            dots = F.interpolate(gaussian(dots, 0.6) * 2.2, size=(h, w), mode="bilinear", align_corners=False)
        flakes = torch.maximum(flakes, dots)
    fall = fft_filter(flakes, line(1 + 9 * context.unit, 70)) * 3.5
    mixed = x + alpha * torch.maximum(flakes, fall).clamp(0, 1) * (1 - x) * 1.6 + 0.25 * alpha * (1 - x)
    return saturation(mixed.clamp(0, 1), 0.8, context)


WEATHER = (
    Perturbation("fog_mapping", "weather", fog_mapping, (0.05, 0.12, 0.22, 0.35, 0.6), identity=0, sticks=True),
    Perturbation(
        "fog_filter",
        "weather",
        fog_filter,
        ((0.1, 0.05), (0.2, 0.1), (0.3, 0.2), (0.45, 0.3), (0.65, 0.45)),
        identity=(0, 0),
    ),
    Perturbation("frost", "weather", frost, (0.15, 0.19, 0.25, 0.32, 0.4), color=True, sticks=True),
    Perturbation("snow", "weather", snow, (0.15, 0.22, 0.3, 0.45, 0.6), color=True),
)
