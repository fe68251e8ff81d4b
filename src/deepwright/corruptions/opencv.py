"""8-bit kernels of OpenCV for perturbations that draw nothing at random, where it is installed.

A kernel reads the planes (C, H, W) of one uint8 image and writes those of another; it agrees with the torch function of
the same name to within 2/255 in the mean. Images are spread over threads: OpenCV runs outside Python's lock.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.corruptions.filters import disk, kernel_sigma, motion

Planes = np.ndarray


@dataclass(frozen=True)
class Strength:
    """A perturbation's level at one severity, and pixels per pixel of a 240-line image."""

    level: Any
    severity: float
    unit: float


Kernel = Callable[[Planes, Planes, Strength], None]


@cache
def available() -> bool:
    """Whether OpenCV is installed."""
    return importlib.util.find_spec("cv2") is not None


@cache
def _opencv() -> Any:
    import cv2

    return cv2


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers)


def run(name: str, batch: Tensor, strength: Strength) -> Tensor:
    """Perturb a uint8 batch (N, C, H, W) on the CPU with the kernel of that name, images spread over threads."""
    pixels = batch.contiguous().numpy()
    out = np.empty_like(pixels)
    if name in TABLES:
        _look_up(pixels, out, TABLES[name](np.arange(256) / 255, strength))
        return torch.from_numpy(out)
    kernel, workers = KERNELS[name], min(len(pixels), torch.get_num_threads())

    def some(first: int) -> None:
        for i in range(first, len(pixels), workers):
            kernel(pixels[i], out[i], strength)

    if workers <= 1:
        some(0)
    else:
        list(_pool(workers).map(some, range(workers)))
    return torch.from_numpy(out)


def _look_up(x: np.ndarray, out: np.ndarray, values: np.ndarray) -> None:
    """Replace every 8-bit value; `values` are the 256 results in [0, 1], not yet clipped."""
    cv2 = _opencv()
    table = np.round(np.clip(values * 255, 0, 255)).astype(np.uint8)
    cv2.LUT(x.reshape(-1, x.shape[-1]), table, dst=out.reshape(-1, x.shape[-1]))


def brightness(x: Planes, out: Planes, strength: Strength) -> None:
    """HSV value times a factor, clipped."""
    cv2 = _opencv()
    factor = strength.level
    if len(x) == 1 or factor <= 1:
        _look_up(x, out, np.arange(256) / 255 * factor)
        return
    gains = (np.minimum(np.arange(256) * factor, 255) / np.maximum(np.arange(256), 1)).astype(np.float32)
    gain = cv2.LUT(_value(x), gains)
    for plane, target in zip(x, out):
        cv2.multiply(plane, gain, dst=target, dtype=cv2.CV_8U)


def saturation(x: Planes, out: Planes, strength: Strength) -> None:
    """HSV saturation times a factor, clipped: v - (v - x) min(v / (v - min), factor)."""
    cv2 = _opencv()
    if len(x) == 1:
        out[:] = x
        return
    value = _value(x)
    span = cv2.subtract(value, cv2.min(cv2.min(x[0], x[1]), x[2]))
    gain = cv2.min(cv2.divide(value, cv2.max(span, 1), dtype=cv2.CV_32F), float(strength.level))
    for plane, target in zip(x, out):
        cv2.subtract(value, cv2.multiply(cv2.subtract(value, plane), gain, dtype=cv2.CV_8U), dst=target)


def sharpen(x: Planes, out: Planes, strength: Strength) -> None:
    """Mix with the 3 x 3 kernel of -1 around 8 + severity."""
    cv2 = _opencv()
    kernel = np.full((3, 3), -1.0, np.float32)
    kernel[1, 1] = 8 + strength.severity
    keep = strength.level
    for plane, target in zip(x, out):
        edges = cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        cv2.addWeighted(plane, keep, edges, 1 - keep, 0, dst=target)


def gaussian_blur(x: Planes, out: Planes, strength: Strength) -> None:
    """A Gaussian of the field's kernel sizes."""
    cv2 = _opencv()
    taps, unit = strength.level, strength.unit
    sigma, radius = kernel_sigma(taps) * unit, max(1, round((taps - 1) / 2 * unit))
    side = (2 * radius + 1,) * 2 if sigma >= 0.05 else (1, 1)
    for plane, target in zip(x, out):
        cv2.GaussianBlur(plane, side, sigma, dst=target, borderType=cv2.BORDER_REFLECT_101)


def defocus_blur(x: Planes, out: Planes, strength: Strength) -> None:
    """Mean over a disk."""
    _correlate(x, out, disk(strength.level * strength.unit))


def motion_blur(x: Planes, out: Planes, strength: Strength) -> None:
    """Mean along a line."""
    size, angle = strength.level
    _correlate(x, out, motion(size, angle, strength.unit))


def zoom_blur(x: Planes, out: Planes, strength: Strength) -> None:
    """(x + sum_z zoom_z(x)) / (n + 1)."""
    cv2 = _opencv()
    h, w = x.shape[1:]
    factors = np.arange(1, *strength.level)
    for plane, target in zip(x, out):
        total = plane.astype(np.float32)
        for z in factors:
            ch, cw = math.ceil(h / z), math.ceil(w / z)
            top, left = (h - ch) // 2, (w - cw) // 2
            crop = plane[top : top + ch, left : left + cw]
            cv2.accumulate(crop if z == 1 else cv2.resize(crop, (w, h), interpolation=cv2.INTER_LINEAR), total)
        cv2.convertScaleAbs(total, alpha=1 / (len(factors) + 1), dst=target)


def rotate(x: Planes, out: Planes, strength: Strength) -> None:
    """Turn counter-clockwise about the centre, black corners."""
    cv2 = _opencv()
    h, w = x.shape[1:]
    matrix = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), strength.level, 1.0)
    for plane, target in zip(x, out):
        cv2.warpAffine(plane, matrix, (w, h), dst=target, flags=cv2.INTER_LINEAR)


def pixelate(x: Planes, out: Planes, strength: Strength) -> None:
    """Area averages, enlarged by the nearest neighbour."""
    cv2 = _opencv()
    h, w = x.shape[1:]
    small = (max(1, int(w * strength.level)), max(1, int(h * strength.level)))
    for plane, target in zip(x, out):
        coarse = cv2.resize(plane, small, interpolation=cv2.INTER_AREA)
        cv2.resize(coarse, (w, h), dst=target, interpolation=cv2.INTER_NEAREST)


def jpeg(x: Planes, out: Planes, strength: Strength) -> None:
    """Encode and decode."""
    cv2 = _opencv()
    picture = x[0] if len(x) == 1 else cv2.merge([x[2], x[1], x[0]])
    _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, strength.level])
    if len(x) == 1:
        out[0] = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    else:
        cv2.split(cv2.imdecode(code, cv2.IMREAD_COLOR), [out[2], out[1], out[0]])


def _value(x: Planes) -> np.ndarray:
    cv2 = _opencv()
    return cv2.max(cv2.max(x[0], x[1]), x[2])


def _correlate(x: Planes, out: Planes, kernel: Tensor) -> None:
    cv2 = _opencv()
    weights = kernel.numpy()
    for plane, target in zip(x, out):
        cv2.filter2D(plane, -1, weights, dst=target, borderType=cv2.BORDER_REFLECT_101)


def _contrast(values: np.ndarray, strength: Strength) -> np.ndarray:
    return (values - 0.5) * strength.level + 0.5


def _posterize(values: np.ndarray, strength: Strength) -> np.ndarray:
    levels = strength.level
    return np.floor(np.round(values * 255) * levels / 255) * (255 // (levels - 1)) / 255


TABLES: dict[str, Callable[[np.ndarray, Strength], np.ndarray]] = {
    "contrast": _contrast,
    "decrease_contrast": _contrast,
    "posterize": _posterize,
}
KERNELS: dict[str, Kernel] = {
    "increase_brightness": brightness,
    "decrease_brightness": brightness,
    "saturation": saturation,
    "saturation_decrease": saturation,
    "sharpen": sharpen,
    "gaussian_blur": gaussian_blur,
    "defocus_blur": defocus_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "rotate": rotate,
    "pixelate": pixelate,
    "jpeg": jpeg,
}
NAMES = frozenset(TABLES) | frozenset(KERNELS)
