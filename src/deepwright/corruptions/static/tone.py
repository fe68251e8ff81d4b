"""Light, contrast and colour.

HSV is never computed: at constant hue and saturation colours scale with the value max(R, G, B), and at constant hue and
value the distance to the value scales with the saturation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.corruptions.engine import Context, Perturbation, luminance
from deepwright.corruptions.filters import NO_TAPS, gaussian, kernel_sigma, scale_value


def brightness(x: Tensor, factor: float, context: Context) -> Tensor:
    """HSV value times a factor, clipped."""
    value = x.amax(1, keepdim=True)
    return scale_value(x, value, (value * factor).clamp_max(1))


def contrast(x: Tensor, factor: float, context: Context) -> Tensor:
    """(x - .5) c + .5."""
    return (x - 0.5).mul_(factor).add_(0.5)  # in place: fresh memory costs more than the sums


def saturation(x: Tensor, factor: float, context: Context) -> Tensor:
    """HSV saturation times a factor, clipped."""
    value = x.amax(1, keepdim=True)
    level = (value - x.amin(1, keepdim=True)) / value.clamp_min(1e-6)
    return value - (value - x) * torch.clamp(1 / level.clamp_min(1e-6), max=factor)


def grayscale(x: Tensor, share: float, context: Context) -> Tensor:
    """Mix with the luminance."""
    return torch.lerp(x, luminance(x).expand_as(x), share)


def white_balance(x: Tensor, share: float, context: Context) -> Tensor:
    """Mix with the grey-world correction."""
    means = x.mean((2, 3), keepdim=True)
    balanced = (x * (means.mean(1, keepdim=True) / means.clamp_min(1e-6))).clamp(0, 1)
    return torch.lerp(x, balanced, share)


def posterize(x: Tensor, levels: int, context: Context) -> Tensor:
    """floor(v / (255 / L)) floor(255 / (L - 1)) on 8-bit values, clipped."""
    v = (x * 255).round()
    return (torch.floor(v * levels / 255) * (255 // (levels - 1))).clamp(0, 255) / 255


def histogram_equalisation(x: Tensor, clip: float, context: Context) -> Tensor:
    """Contrast-limited adaptive equalisation of the value on 8 x 8 tiles, histograms clipped at `clip` x their mean."""
    value = x.amax(1, keepdim=True)
    # a few pictures at a time: their histograms (64 tiles of 256 bins each) then stay in the cache
    return scale_value(x, value, torch.cat([_clahe(part, clip) for part in value.split(8)]))


def _clahe(value: Tensor, clip: float, tiles: int = 8, bins: int = 256) -> Tensor:
    n, _, h, w = value.shape
    th, tw = math.ceil(h / tiles), math.ceil(w / tiles)
    padded = F.pad(value, (0, tw * tiles - w, 0, th * tiles - h), mode="replicate")
    index = (padded * (bins - 1)).round().long().clamp(0, bins - 1)
    blocks = index.view(n, tiles, th, tiles, tw).permute(0, 1, 3, 2, 4).reshape(n * tiles * tiles, th * tw)
    histogram = torch.zeros(len(blocks), bins, device=value.device).scatter_add_(
        1, blocks, torch.ones_like(blocks, dtype=torch.float32)
    )
    limit = max(clip * th * tw / bins, 1.0)
    excess = (histogram - limit).clamp_min(0).sum(1, keepdim=True)
    histogram = histogram.clamp_max_(limit).add_(excess / bins)
    lut = histogram.cumsum(1).div_(th * tw).view(n, tiles, tiles, bins)
    ys = (torch.arange(h, device=value.device) + 0.5) / th - 0.5
    xs = (torch.arange(w, device=value.device) + 0.5) / tw - 0.5
    y0, x0 = ys.floor().clamp(0, tiles - 1).long(), xs.floor().clamp(0, tiles - 1).long()
    y1, x1 = (ys.floor() + 1).clamp(0, tiles - 1).long(), (xs.floor() + 1).clamp(0, tiles - 1).long()
    fy, fx = (ys - ys.floor())[:, None], (xs - xs.floor())[None]
    bin_index = index[:, 0, :h, :w]
    flat = lut.view(n, -1)

    def look(row: Tensor, column: Tensor) -> Tensor:
        position = (row[:, None] * tiles + column[None]) * bins + bin_index
        return flat.gather(1, position.view(n, -1)).view(n, h, w)

    top = look(y0, x0) * (1 - fx) + look(y0, x1) * fx
    bottom = look(y1, x0) * (1 - fx) + look(y1, x1) * fx
    return (top * (1 - fy) + bottom * fy)[:, None].clamp(0, 1)


def sharpen(x: Tensor, keep: float, context: Context) -> Tensor:
    """Mix with the 3 x 3 kernel of -1 around 8 + severity."""
    around = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 1) * 9
    edges = (x * (9 + context.severity) - around).clamp(0, 1)
    return torch.lerp(edges, x, keep)


def high_pass(x: Tensor, taps: float, context: Context) -> Tensor:
    """2 x - Gaussian(x)."""
    return 2 * x - gaussian(x, kernel_sigma(taps) * context.unit, max(1, round((taps - 1) / 2 * context.unit)))


def phase_scrambling(x: Tensor, share: float, context: Context) -> Tensor:
    """Add share * pi * U(0, 1) to the phase of every frequency, keeping the spectrum Hermitian (all channels alike).

    `literal` scrambles the frequencies of the full spectrum independently and takes the real part, as the reference
    does.
    """
    h, w = x.shape[-2:]
    if context.literal:
        shift = context.streams.uniform(1, h, w, high=share * math.pi)
        return torch.fft.ifft2(torch.fft.fft2(x) * torch.polar(torch.ones_like(shift), shift)).real
    columns = w // 2 + 1
    shift = context.streams.uniform(1, h, columns, high=share * math.pi)
    mirror = (-torch.arange(h, device=x.device)) % h
    rows = torch.arange(h, device=x.device)
    for column in (
        {0, w // 2} if w % 2 == 0 else {0}
    ):  # these columns hold both halves of the spectrum: phase(-f) = -phase(f)
        line = shift[..., column]
        odd = torch.where(rows < mirror, line, torch.where(rows > mirror, -line[..., mirror], torch.zeros_like(line)))
        shift[..., column] = odd
    spectrum = torch.fft.rfft2(x)
    return torch.fft.irfft2(spectrum * torch.polar(torch.ones_like(shift), shift), s=(h, w))


def false_color(x: Tensor, kind: int, context: Context) -> Tensor:
    """1: (G, B, R); 2: swap R and G; 3: swap R and B; 4: invert; 5: mean with the next channel (8-bit floor)."""
    if kind == 4:
        return 1 - x
    if kind == 5:
        return ((x * 255).round() + (x.roll(-1, 1) * 255).round()).div(2).floor() / 255
    return x[:, {1: [1, 2, 0], 2: [1, 0, 2], 3: [2, 1, 0]}[kind]]


TONE = (
    Perturbation("increase_brightness", "tone", brightness, (1.1, 1.2, 1.3, 1.5, 1.7), color=True, identity=1),
    Perturbation("contrast", "tone", contrast, (1.1, 1.2, 1.3, 1.5, 1.7), identity=1),
    Perturbation("decrease_brightness", "tone", brightness, (0.9, 0.75, 0.6, 0.4, 0.2), color=True, identity=1),
    Perturbation("decrease_contrast", "tone", contrast, (0.9, 0.75, 0.6, 0.4, 0.2), identity=1),
    Perturbation("saturation", "tone", saturation, (1.05, 1.15, 1.4, 1.65, 1.9), color=True, identity=1),
    Perturbation("saturation_decrease", "tone", saturation, (0.9, 0.85, 0.6, 0.35, 0.1), color=True, identity=1),
    Perturbation("grayscale", "tone", grayscale, (0.1, 0.2, 0.35, 0.55, 0.85), color=True, identity=0),
    Perturbation("white_balance", "tone", white_balance, (0.1, 0.25, 0.5, 0.75, 0.99), color=True, identity=0),
    Perturbation(
        "posterize", "tone", posterize, (128, 64, 32, 8, 4), differentiable=False, monotone=False, between="nothing"
    ),
    Perturbation(
        "histogram_equalisation", "tone", histogram_equalisation, (1, 3, 5, 7, 10), color=True, differentiable=False
    ),
    Perturbation("sharpen", "tone", sharpen, (0.9, 0.8, 0.7, 0.6, 0.5), identity=1),
    Perturbation("high_pass", "tone", high_pass, (35, 59, 83, 107, 113), identity=NO_TAPS),
    Perturbation(
        "phase_scrambling", "tone", phase_scrambling, (0.05, 0.15, 0.26, 0.38, 0.55), has_literal=True, identity=0
    ),
    Perturbation(
        "false_color",
        "tone",
        false_color,
        (1, 2, 3, 4, 5),
        color=True,
        monotone=False,
        differentiable=False,
        between="nothing",
    ),
)
