"""Whole camera frames beside three peers in one run: imagecorruptions and albumentations, frame by frame, and kornia.

All at severity 3 or what comes nearest to it, 240 x 320 in colour, CPU seconds of one thread that take turns, so that a
busy machine slows all alike. Ours and kornia get floats in batches of 16; the others know bytes best, so that ours is
held against them on bytes, in batches. Where a peer has no like transform there is no row.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from corruptions import PAIRS, STATED
from deepwright.corruptions import get

_FRAMES, _FRAME, _FEW, _REPEATS = 16, (240, 320), 2, 3

# Ours -> a builder of kornia's transform at a like strength, which then takes floats (N, 3, H, W).
KORNIA: dict[str, Callable[[Any], Callable[[torch.Tensor], torch.Tensor]]] = {
    "gaussian_noise": lambda K: K.augmentation.RandomGaussianNoise(std=0.12, p=1),
    "impulse_noise": lambda K: K.augmentation.RandomSaltAndPepperNoise(amount=(0.04, 0.04), p=1),
    "motion_blur": lambda K: K.augmentation.RandomMotionBlur((7, 7), (20.0, 20.0), 0.0, p=1),
    "gaussian_blur": lambda K: functools.partial(K.filters.gaussian_blur2d, kernel_size=(15, 15), sigma=(2.6, 2.6)),
    "increase_brightness": lambda K: functools.partial(K.enhance.adjust_brightness, factor=0.3),
    "contrast": lambda K: functools.partial(K.enhance.adjust_contrast, factor=1.3),
    "saturation": lambda K: functools.partial(K.enhance.adjust_saturation, factor=1.4),
    "elastic": lambda K: K.augmentation.RandomElasticTransform(kernel_size=(7, 7), sigma=(1.0, 1.0), p=1),
    "jpeg": lambda K: K.augmentation.RandomJPEG((15.0, 15.0), p=1),
    "rotate": lambda K: K.augmentation.RandomRotation((45.0, 45.0), p=1),
    "snow": lambda K: K.augmentation.RandomSnow(snow_coefficient=(0.3, 0.3), brightness=(2, 2), p=1),
    "sharpen": lambda K: functools.partial(K.enhance.sharpness, factor=2.0),
    "histogram_equalisation": lambda K: functools.partial(K.enhance.equalize_clahe, clip_limit=5.0, grid_size=(8, 8)),
    "posterize": lambda K: functools.partial(K.enhance.posterize, bits=5),
}


def run() -> list[dict[str, Any]]:
    """Rows of (perturbation, peer, images a CPU second of both, ratio), and the geometric means."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(_FRAMES, 3, 30, 40, generator=rng)
    floats = torch.nn.functional.interpolate(coarse, _FRAME, mode="bicubic").clamp(0, 1)
    levels = (floats * 255).to(torch.uint8)
    rows = []
    for name, (theirs, build) in PAIRS.items():
        few = [image.permute(1, 2, 0).contiguous().numpy() for image in levels[:_FEW]]
        for peer, each in (("imagecorruptions", _imagecorruptions(theirs)), ("albumentations", _albumentations(build))):
            if each is not None:
                calls = {
                    "ours": functools.partial(get(name), levels, 3),
                    "peer": functools.partial(_one_by_one, each, few),
                }
                rows += _row(name, f"{peer}, bytes", calls, {"ours": _FRAMES, "peer": _FEW})
        transform = _kornia(name)
        if transform is not None:
            calls = {"ours": functools.partial(get(name), floats, 3), "peer": functools.partial(transform, floats)}
            rows += _row(name, "kornia, floats", calls, {"ours": _FRAMES, "peer": _FRAMES})
    return rows + _means(rows)


def _one_by_one(corrupt: Callable[[Any], Any], images: list[Any]) -> list[Any]:
    return [corrupt(image) for image in images]


def _row(name: str, peer: str, calls: dict[str, Any], frames: dict[str, int]) -> list[dict[str, Any]]:
    """One row, or none where the peer doesn't run here."""
    try:
        took = {who: max(statistics.median(taken), 1e-6) for who, taken in _in_turns(calls).items()}
    except Exception as error:
        print(f"  {peer} {name}: {type(error).__name__} {str(error)[:100]}")
        return []
    rates = {who: frames[who] / seconds for who, seconds in took.items()}
    stated = 1000 / STATED[name] if name in STATED else None
    return [
        {
            "what": name,
            "peer": peer,
            "ours_per_s": rates["ours"],
            "peer_per_s": rates["peer"],
            "ratio": rates["ours"] / rates["peer"],
            "authors_per_s": stated,
        }
    ]


def _in_turns(calls: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """CPU seconds of each call, in turns, after one of each to warm up."""
    for call in calls.values():
        call()
    took: dict[str, list[float]] = {who: [] for who in calls}
    for _ in range(_REPEATS):
        for who, call in calls.items():
            begin = time.process_time()
            call()
            took[who].append(time.process_time() - begin)
    return took


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Geometric means of the ratios, by peer."""
    found = []
    for peer in dict.fromkeys(row["peer"] for row in rows):
        logs = [math.log(row["ratio"]) for row in rows if row["peer"] == peer]
        mean = math.exp(sum(logs) / len(logs))
        blank = {"ours_per_s": None, "peer_per_s": None}
        found.append({"what": "GEOMETRIC MEAN", "peer": peer, **blank, "ratio": mean, "authors_per_s": None})
    return found


def _imagecorruptions(name: str | None) -> Callable[[Any], Any] | None:
    """It names what newer NumPy and scikit-image have renamed: both names are given back to it, so that it runs."""
    if name is None:
        return None
    try:
        import numpy as np

        vars(np)["float_"] = np.float64
        from imagecorruptions import corrupt, corruptions
        from skimage.filters import gaussian

        def blurred(image: Any, sigma: float = 1, multichannel: bool = False, **options: Any) -> Any:
            return gaussian(image, sigma, channel_axis=-1 if multichannel else None, **options)

        corruptions.gaussian = blurred
    except ImportError as error:
        print(f"  imagecorruptions {name}: {error}")
        return None
    return functools.partial(corrupt, corruption_name=name, severity=3)


def _albumentations(build: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    """One of its transforms on one picture; its threads are OpenCV's, of which one is left."""
    if build is None:
        return None
    try:
        import albumentations
        import cv2

        cv2.setNumThreads(1)
        transform = build(albumentations)
    except Exception as error:
        print(f"  albumentations: {type(error).__name__} {str(error)[:100]}")
        return None
    return functools.partial(_transformed, transform)


def _transformed(transform: Any, image: Any) -> Any:
    return transform(image=image)


def _kornia(name: str) -> Callable[[torch.Tensor], torch.Tensor] | None:
    if name not in KORNIA:
        return None
    try:
        import kornia

        return KORNIA[name](kornia)
    except Exception as error:
        print(f"  kornia {name}: {type(error).__name__} {error}")
        return None
