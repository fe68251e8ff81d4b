"""Things in the way: dirt, lines, patches, signs, other pictures."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.randomness import Streams
from deepwright.corruptions.engine import Context, Perturbation, luminance
from deepwright.corruptions.filters import gaussian


def splatter(x: Tensor, a: float, context: Context) -> Tensor:
    """int(50 a) black disks of radius U(5, max(6, int(50 a)))."""
    n, _, h, w = x.shape
    count = int(50 * a)
    centre = context.streams.uniform(2, count)
    radius = context.streams.uniform(count, low=5, high=max(6, int(50 * a))) * context.unit
    ys, xs = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
    covered = torch.zeros(n, h, w, dtype=torch.bool, device=x.device)
    for i in range(count):  # disks, at most 25: all samples at once
        dy = (ys - centre[:, 0, i, None] * h).square()
        dx = (xs - centre[:, 1, i, None] * w).square()
        covered |= dy[:, :, None] + dx[:, None] <= radius[:, i].square()[:, None, None]
    return x.masked_fill(covered[:, None], 0.0)


def _draw(x: Tensor, px: Tensor, py: Tensor, radius: int, color: float) -> Tensor:
    """Disks of a radius at (N, K) pixel positions; what lies outside the picture is left out."""
    n, _, h, w = x.shape
    reach = range(-radius, radius + 1)
    offsets = torch.tensor(
        [(i, j) for i in reach for j in reach if i * i + j * j <= radius * radius + radius], device=x.device
    )
    rows = (py.round().long()[..., None] + offsets[:, 0]).view(n, -1)
    columns = (px.round().long()[..., None] + offsets[:, 1]).view(n, -1)
    inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    index = torch.where(inside, rows * w + columns, torch.full_like(rows, h * w))
    mask = torch.zeros(n, h * w + 1, dtype=torch.bool, device=x.device).scatter_(1, index, True)
    return x.masked_fill(mask[:, None, : h * w].reshape(n, 1, h, w), color)


def _lines(streams: Streams, count: int, h: int, w: int, points: int) -> tuple[Tensor, Tensor]:
    """(N, count, points) positions along straight lines through random points at random angles."""
    u = streams.uniform(3, count)
    reach = math.hypot(h, w)
    along = torch.linspace(-reach, reach, points, device=u.device)
    angle = u[:, 2, :, None] * math.pi
    return u[:, 0, :, None] * w + along * angle.cos(), u[:, 1, :, None] * h + along * angle.sin()


def dotted_lines(x: Tensor, count_and_a: tuple[int, float], context: Context) -> Tensor:
    """White dots along straight lines, spacing max(10, 50 (1 - a)), radius int(5 a)."""
    count, a = count_and_a
    h, w = x.shape[-2:]
    spacing = max(10.0, 50 * (1 - a)) * context.unit
    points = max(2, int(2 * math.hypot(h, w) / max(spacing, 2.0)))
    px, py = _lines(context.streams, count, h, w, points)
    return _draw(x, px.flatten(1), py.flatten(1), max(0, round(int(5 * a) * context.unit)), 1.0)


def zigzag(x: Tensor, a: float, context: Context) -> Tensor:
    """int(10 a) black triangle waves of amplitude int(20 a) and int(10 a) periods."""
    h, w = x.shape[-2:]
    count, amplitude, periods = int(10 * a), int(20 * a) * context.unit, int(10 * a)
    start = context.streams.uniform(count) * h
    px = torch.linspace(0, w - 1, 4 * w, device=x.device)
    phase = px / w * periods
    wave = 4 * (phase - (phase + 0.5).floor()).abs() - 1
    py = start[:, :, None] + amplitude * wave
    return _draw(x, px.expand_as(py).flatten(1), py.flatten(1), round(context.unit), 0.0)


def cutout(x: Tensor, count: int, context: Context) -> Tensor:
    """Black rectangles with sides of whole pixels from 5 % on and below 20 %."""
    _n, _, h, w = x.shape
    u = context.streams.uniform(4, count)
    height, width = _side(u[:, 2], h), _side(u[:, 3], w)
    top, left = (u[:, 0] * (h - height)).floor(), (u[:, 1] * (w - width)).floor()
    ys, xs = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
    rows = (ys >= top[..., None]) & (ys < (top + height)[..., None])
    columns = (xs >= left[..., None]) & (xs < (left + width)[..., None])
    covered = (rows[:, :, :, None] & columns[:, :, None]).any(1)
    return x.masked_fill(covered[:, None], 0.0)


def _side(u: Tensor, size: int) -> Tensor:
    """Whole numbers, uniform in [5 %, 20 %) of the size, at least 1."""
    least = max(1, int(0.05 * size))
    return least + (u * max(1, int(0.2 * size) - least)).floor()


def canny_edges(x: Tensor, a: float, context: Context) -> Tensor:
    """.7 x + .3 red edges, thresholds 50 + 100 a and 150 + 100 a (of 255)."""
    edges = canny(luminance(x), 50 + 100 * a, 150 + 100 * a)
    red = torch.zeros_like(x)
    red[:, :1] = edges
    return 0.7 * x + 0.3 * red


def canny(gray: Tensor, low: float, high: float) -> Tensor:
    """(N, 1, H, W) 0/1 edges: Sobel gradients, thinned along the gradient; weak edges stay beside strong ones.

    Args:
        gray: (N, 1, H, W) in [0, 1].
        low: gradients (of 0..255) from which an edge is weak.
        high: gradients from which it is strong.
    """
    smooth = gaussian(gray * 255, 1.0)
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=gray.device)
    padded = F.pad(smooth, (1, 1, 1, 1), mode="replicate")
    gx = F.conv2d(padded, kernel[None, None])
    gy = F.conv2d(padded, kernel.T[None, None])
    size = gx.abs() + gy.abs()
    sector = _sectors(gx, gy)[:, 0]
    around = F.pad(size, (1, 1, 1, 1))[:, 0]
    h, w = gray.shape[-2:]
    keep = torch.zeros_like(sector, dtype=torch.bool)
    for k, (dy, dx) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = around[:, 1 + dy : 1 + dy + h, 1 + dx : 1 + dx + w]
        behind = around[:, 1 - dy : 1 - dy + h, 1 - dx : 1 - dx + w]
        keep |= (sector == k) & (size[:, 0] >= ahead) & (size[:, 0] > behind)
    weak = (keep & (size[:, 0] > low)).float()[:, None]
    edges = (keep & (size[:, 0] > high)).float()[:, None]
    return _touching(weak > 0, edges > 0)


def _sectors(gx: Tensor, gy: Tensor) -> Tensor:
    """Directions in eighths of a turn, up to sign: along the row 0, down to the right 1, down 2, down to the left 3."""
    part = math.tan(math.pi / 8)
    across, down = gx.abs(), gy.abs()
    slanted = torch.where(gx * gy > 0, 1, 3)
    return torch.where(down <= part * across, 0, torch.where(across < part * down, 2, slanted))


def _touching(weak: Tensor, strong: Tensor) -> Tensor:
    """The connected pieces (8 neighbours) of `weak` that hold a pixel of `strong`, as 0/1 floats."""
    from scipy.ndimage import label

    structure = np.zeros((3, 3, 3), dtype=int)
    structure[1] = 1  # neighbours within a picture, never between pictures
    pieces, count = label(weak[:, 0].cpu().numpy(), structure)
    kept = np.zeros(count + 1, dtype=np.float32)
    kept[pieces[strong[:, 0].cpu().numpy()]] = 1
    kept[0] = 0
    return torch.from_numpy(kept[pieces])[:, None].to(weak.device)


def object_overlay(x: Tensor, divisor: float, context: Context) -> Tensor:
    """A stop sign of height H / c in the centre: a red octagon with a white rim and bar."""
    h, w = x.shape[-2:]
    half = h / divisor / 2
    ys = (torch.arange(h, device=x.device) + 0.5 - h / 2)[:, None].abs() / half
    xs = (torch.arange(w, device=x.device) + 0.5 - w / 2)[None].abs() / half
    octagon = torch.maximum(torch.maximum(xs, ys), (xs + ys) / math.sqrt(2))
    red = (
        torch.tensor([0.75, 0.05, 0.1], device=x.device)
        if x.shape[1] == 3
        else torch.full((x.shape[1],), 0.3, device=x.device)
    )
    white = ((octagon > 0.85) | ((ys < 0.16) & (xs < 0.6)))[None]
    sign = torch.where(white, torch.ones(1, device=x.device), red[:, None, None])
    return torch.where(octagon <= 1, sign, x)


def sample_pairing(x: Tensor, keep: float, context: Context) -> Tensor:
    """Mix with a random half-size crop of the picture itself, blown up."""
    u = context.streams.uniform(2, low=-0.5, high=0.5)
    theta = torch.zeros(len(x), 2, 3, device=x.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 0.5
    theta[:, :, 2] = u
    crop = F.grid_sample(
        x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False, padding_mode="border"
    )
    return torch.lerp(crop, x, keep)


OCCLUSION = (
    Perturbation("splatter", "occlusion", splatter, (0.1, 0.2, 0.3, 0.4, 0.5), between="nothing", sticks=True),
    Perturbation(
        "dotted_lines",
        "occlusion",
        dotted_lines,
        ((5, 0.1), (10, 0.2), (20, 0.3), (30, 0.4), (40, 0.5)),
        monotone=False,
        between="nothing",
        sticks=True,
    ),
    Perturbation(
        "zigzag",
        "occlusion",
        zigzag,
        (0.1, 0.2, 0.3, 0.4, 0.6),
        monotone=False,
        between="nothing",
        sticks=True,
    ),
    Perturbation("cutout", "occlusion", cutout, (1, 2, 4, 6, 10), between="nothing", sticks=True),
    Perturbation(
        "canny_edges",
        "occlusion",
        canny_edges,
        (0.01, 0.1, 0.25, 0.4, 0.7),
        color=True,
        monotone=False,
        differentiable=False,
    ),
    Perturbation("object_overlay", "occlusion", object_overlay, (10, 5, 3, 2, 1.5)),
    Perturbation("sample_pairing", "occlusion", sample_pairing, (0.9, 0.7, 0.5, 0.3, 0.1), identity=1),
)
