"""Where things are: warps, shifts, mirrors, coarse pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.corruptions.engine import Context, Perturbation
from deepwright.corruptions.filters import affine, area_means, displace, gaussian


def shear(x: Tensor, slope: float, context: Context) -> Tensor:
    """x' = x + m y in pixels from the upper left corner, whose row stays."""
    return affine(x, [[1, -slope, -slope * (x.shape[2] - 1) / 2], [0, 1, 0]])


def translate(x: Tensor, shift: tuple[float, float], context: Context) -> Tensor:
    """Move by (tx, ty) pixels, down and to the right for positive values."""
    return affine(x, [[1, 0, -shift[0] * context.unit], [0, 1, -shift[1] * context.unit]])


def scale(x: Tensor, factor: float, context: Context) -> Tensor:
    """Shrink about the centre, black border."""
    return affine(x, [[1 / factor, 0, 0], [0, 1 / factor, 0]])


def rotate(x: Tensor, degrees: float, context: Context) -> Tensor:
    """Turn counter-clockwise about the centre, black corners."""
    if degrees == 180:
        return x.flip((2, 3))
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return affine(x, [[c, -s, 0], [s, c, 0]])


def reflection(x: Tensor, share: float, context: Context) -> Tensor:
    """The lowest share of the picture mirrored below it, then resized back."""
    h, w = x.shape[-2:]
    strip = round(share * h)
    if strip == 0:
        return x
    joined = torch.cat([x, x[..., h - strip :, :].flip(2)], 2)
    return F.interpolate(joined, size=(h, w), mode="bilinear", align_corners=False, antialias=True)


def elastic(x: Tensor, alpha_and_sigma: tuple[float, float], context: Context) -> Tensor:
    """Displace every pixel by U(-1, 1) alpha, smoothed by sigma."""
    alpha, sigma = alpha_and_sigma
    h, w = x.shape[-2:]
    field = context.streams.uniform(2, h, w, low=-1.0, high=1.0) * (alpha * context.unit)
    field = gaussian(field, max(sigma * max(context.unit, 0.5), 0.3))
    return displace(x, field[:, 0], field[:, 1])


def pixelate(x: Tensor, factor: float, context: Context) -> Tensor:
    """Exact area averages, enlarged by the nearest neighbour."""
    h, w = x.shape[-2:]
    small = (max(1, int(h * factor)), max(1, int(w * factor)))
    return F.interpolate(area_means(x, small), size=(h, w), mode="nearest")


GEOMETRY = (
    Perturbation(
        "shear",
        "geometry",
        shear,
        (0.12, 0.2, 0.32, 0.45, 0.6),
        label_preserving=False,
        moves_pixels=True,
        identity=0,
    ),
    Perturbation(
        "translate",
        "geometry",
        translate,
        ((10, -10), (25, -25), (40, -40), (65, -65), (90, -90)),
        identity=(0, 0),
        label_preserving=False,
        moves_pixels=True,
        monotone=False,
    ),
    Perturbation("scale", "geometry", scale, (0.96, 0.9, 0.8, 0.68, 0.5), moves_pixels=True, identity=1),
    Perturbation(
        "rotate",
        "geometry",
        rotate,
        (10, 20, 45, 90, 180),
        identity=0,
        label_preserving=False,
        moves_pixels=True,
        monotone=False,
    ),
    Perturbation(
        "reflection",
        "geometry",
        reflection,
        (0.2, 0.3, 0.45, 0.6, 0.9),
        identity=0,
        label_preserving=False,
        moves_pixels=True,
        monotone=False,
    ),
    Perturbation(
        "elastic",
        "geometry",
        elastic,
        ((2, 0.4), (3, 0.75), (5, 0.9), (7, 1.2), (10, 1.5)),
        identity=(0, 0.4),
        moves_pixels=True,
        monotone=False,
    ),
    Perturbation("pixelate", "geometry", pixelate, (0.85, 0.55, 0.35, 0.2, 0.1), between="nothing"),
)
