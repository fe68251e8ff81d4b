"""Blur: optics, motion, glass, zoom."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.corruptions.engine import Context, Perturbation
from deepwright.corruptions.filters import (
    NO_TAPS,
    disk,
    fft_filter,
    gaussian,
    kernel_sigma,
    motion,
    scale_value,
    tap_filter,
)


def defocus_blur(x: Tensor, radius: float, context: Context) -> Tensor:
    """Mean over a disk."""
    return fft_filter(x, disk(radius * context.unit))


def glass_blur(x: Tensor, reach: float, context: Context) -> Tensor:
    """Every pixel takes the pixel at a uniform integer offset within +-reach, clamped to the image."""
    n, c, h, w = x.shape
    span = reach * context.unit + 0.5
    offset = context.streams.uniform(2, h, w, low=-span, high=span).round_()
    rows = offset[:, 0].add_(torch.arange(h, device=x.device)[:, None]).clamp_(0, h - 1).int()
    columns = offset[:, 1].add_(torch.arange(w, device=x.device)).clamp_(0, w - 1).int()
    index = rows.mul_(w).add_(columns).long().view(n, 1, h * w).expand(-1, c, -1)
    return x.reshape(n, c, h * w).gather(2, index).view(n, c, h, w)


def motion_blur(x: Tensor, size_and_angle: tuple[float, float], context: Context) -> Tensor:
    """Mean along a line over `size` rows, turned by the angle from the vertical towards the lower right."""
    return tap_filter(x, motion(size_and_angle[0], size_and_angle[1], context.unit))


def zoom_blur(x: Tensor, zooms: tuple[float, float], context: Context) -> Tensor:
    """(x + sum_z zoom_z(x)) / (n + 1)."""
    h, w = x.shape[-2:]
    factors = np.arange(1, *zooms)
    total = x.clone()
    for z in factors:
        if z == 1:
            total += x
            continue
        ch, cw = int(np.ceil(h / z)), int(np.ceil(w / z))
        top, left = (h - ch) // 2, (w - cw) // 2
        crop = x[..., top : top + ch, left : left + cw]
        total += F.interpolate(crop, size=(h, w), mode="bilinear", align_corners=False)
    return total / (len(factors) + 1)


def gaussian_blur(x: Tensor, taps: float, context: Context) -> Tensor:
    """A Gaussian of the field's kernel sizes."""
    return gaussian(x, kernel_sigma(taps) * context.unit, max(1, round((taps - 1) / 2 * context.unit)))


def low_pass(x: Tensor, taps: float, context: Context) -> Tensor:
    """The same on the HSV value only."""
    value = x.amax(1, keepdim=True)
    smooth = gaussian(value, kernel_sigma(taps) * context.unit, max(1, round((taps - 1) / 2 * context.unit)))
    return scale_value(x, value, smooth)


BLUR = (
    Perturbation("defocus_blur", "blur", defocus_blur, (2, 5, 6, 9, 12), identity=0),
    Perturbation("glass_blur", "blur", glass_blur, (2, 5, 6, 9, 12), identity=0),
    Perturbation("motion_blur", "blur", motion_blur, ((2, 5), (4, 12), (6, 20), (10, 30), (15, 45)), identity=(1, 5)),
    Perturbation(
        "zoom_blur",
        "blur",
        zoom_blur,
        ((1.01, 0.01), (1.11, 0.01), (1.15, 0.02), (1.21, 0.02), (1.31, 0.03)),
        between="picture",  # a mean over zooms, as the mixture is
    ),
    Perturbation("gaussian_blur", "blur", gaussian_blur, (3, 7, 15, 25, 41), identity=NO_TAPS),
    Perturbation("low_pass", "blur", low_pass, (15, 23, 31, 37, 41), color=True, identity=NO_TAPS),
)
