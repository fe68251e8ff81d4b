"""Images per second of the common corruptions at severity 3, against imagecorruptions and albumentations.

And of all perturbations at the size of a camera's frame, in batches of 16, against what the authors of
PerturbationDrive state for their code, one image at a time on one core of a busy machine: CPU seconds of two
machines, so mind the ratios.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import seconds

from deepwright.corruptions import ALL, DYNAMIC, get

# Ours -> (imagecorruptions' name, a builder of albumentations' transform at a like strength).
PAIRS: dict[str, tuple[str | None, Any]] = {
    "gaussian_noise": ("gaussian_noise", lambda A: A.GaussNoise(std_range=(0.12, 0.12), p=1)),
    "poisson_noise": ("shot_noise", lambda A: A.ShotNoise(scale_range=(0.1, 0.1), p=1)),
    "impulse_noise": ("impulse_noise", lambda A: A.SaltAndPepper(amount=(0.04, 0.04), p=1)),
    "speckle_noise": ("speckle_noise", None),
    "defocus_blur": ("defocus_blur", lambda A: A.Defocus(radius=(6, 6), p=1)),
    "glass_blur": ("glass_blur", lambda A: A.GlassBlur(sigma=0.7, max_delta=2, iterations=1, p=1)),
    "motion_blur": ("motion_blur", lambda A: A.MotionBlur(blur_limit=(7, 7), p=1)),
    "zoom_blur": ("zoom_blur", lambda A: A.ZoomBlur(max_factor=(1.15, 1.15), step_factor=(0.02, 0.02), p=1)),
    "gaussian_blur": ("gaussian_blur", lambda A: A.GaussianBlur(blur_limit=(15, 15), p=1)),
    "fog_mapping": ("fog", lambda A: A.RandomFog(fog_coef_range=(0.22, 0.22), p=1)),
    "frost": ("frost", None),
    "snow": ("snow", lambda A: A.RandomSnow(p=1)),
    "increase_brightness": ("brightness", lambda A: A.RandomBrightnessContrast((0.3, 0.3), (0, 0), p=1)),
    "contrast": ("contrast", lambda A: A.RandomBrightnessContrast((0, 0), (0.3, 0.3), p=1)),
    "saturation": ("saturate", lambda A: A.HueSaturationValue(0, (40, 40), 0, p=1)),
    "elastic": ("elastic_transform", lambda A: A.ElasticTransform(alpha=5, sigma=1, p=1)),
    "pixelate": ("pixelate", lambda A: A.Downscale(scale_range=(0.35, 0.35), p=1)),
    "jpeg": ("jpeg_compression", lambda A: A.ImageCompression(quality_range=(15, 15), p=1)),
    "posterize": (None, lambda A: A.Posterize(num_bits=5, p=1)),
    "histogram_equalisation": (None, lambda A: A.CLAHE(clip_limit=(5, 5), p=1)),
    "sharpen": (None, lambda A: A.Sharpen(p=1)),
    "rotate": (None, lambda A: A.Rotate((45, 45), p=1)),
}


# Milliseconds of CPU an image of 240 x 320 at severity 3, of the authors' code; the sum is of all their static ones.
STATED = {
    "gaussian_noise": 8.6,
    "poisson_noise": 25.0,
    "impulse_noise": 0.66,
    "speckle_noise": 7.4,
    "defocus_blur": 12.7,
    "glass_blur": 5.4,
    "motion_blur": 0.33,
    "gaussian_blur": 0.96,
    "zoom_blur": 170.0,
    "increase_brightness": 1.0,
    "contrast": 1.1,
    "elastic": 6.3,
    "pixelate": 0.30,
    "jpeg": 0.89,
    "rotate": 0.76,
    "phase_scrambling": 40.0,
    "fog_mapping": 569.0,
    "snow": 10.2,
    "frost": 14.5,
    "sharpen": 0.48,
    "histogram_equalisation": 1.2,
    "posterize": 1.6,
}
STATED_SUM = 940.0
_FRAMES, _FRAME = 16, (240, 320)


def run() -> list[dict[str, Any]]:
    """Rows of (size, perturbation, peer, images/s of both, ratio), and the geometric means."""
    rows = []
    for size, n in ((32, 128), (224, 8), (480, 2)):
        rng = np.random.default_rng(0)
        coarse = rng.random((n, 8, 8, 3))
        images = (
            np.kron(coarse, np.ones((1, math.ceil(size / 8), math.ceil(size / 8), 1)))[:, :size, :size] * 255
        ).astype(np.uint8)
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        for name, (theirs, build) in PAIRS.items():
            calls: dict[str, Any] = {"ours": functools.partial(get(name), batch, 3)}
            calls |= _imagecorruptions(theirs, images) if theirs else {}
            calls |= _albumentations(build, images) if build else {}
            measured = seconds(calls, repeats=3)
            for peer in measured:
                if peer != "ours":
                    rows.append(
                        {
                            "size": size,
                            "what": name,
                            "peer": peer,
                            "ours_per_s": n / measured["ours"],
                            "peer_per_s": n / measured[peer],
                            "ratio": measured[peer] / measured["ours"],
                        }
                    )
    return rows + _means(rows)


def frames() -> list[dict[str, Any]]:
    """All perturbations on 16 frames of bytes and of floats, and the sum over those of pictures; CPU seconds."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(_FRAMES, 3, 30, 40, generator=rng)
    floats = torch.nn.functional.interpolate(coarse, _FRAME, mode="bicubic").clamp(0, 1)
    batches = {"bytes": (floats * 255).to(torch.uint8), "floats": floats}
    rows: list[dict[str, Any]] = []
    for kind, batch in batches.items():
        took = {p.name: _cpu_seconds(functools.partial(p, batch, 3)) / _FRAMES for p in (*ALL, *DYNAMIC)}
        stated = {name: value / 1000 for name, value in STATED.items()}
        took["ALL OF PICTURES BUT OVERLAYS"] = sum(took[p.name] for p in ALL if p.category != "overlay")
        stated["ALL OF PICTURES BUT OVERLAYS"] = STATED_SUM / 1000
        for name, ours in took.items():
            theirs = stated.get(name)
            rows.append(
                {
                    "size": f"240 x 320, {kind}",
                    "what": name,
                    "peer": "authors, as stated" if theirs else "",
                    "ours_per_s": 1 / ours,
                    "peer_per_s": 1 / theirs if theirs else None,
                    "ratio": theirs / ours if theirs else None,
                }
            )
    return rows


def _cpu_seconds(call: Callable[[], object], repeats: int = 2) -> float:
    """The least of a few, after one to warm up."""
    call()
    took = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        took.append(time.process_time() - begin)
    return min(took)


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    means = []
    for size in sorted({r["size"] for r in rows}):
        for peer in sorted({r["peer"] for r in rows}):
            ratios = [r["ratio"] for r in rows if r["size"] == size and r["peer"] == peer]
            if ratios:
                mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
                means.append(
                    {
                        "size": size,
                        "what": "GEOMETRIC MEAN",
                        "peer": peer,
                        "ours_per_s": None,
                        "peer_per_s": None,
                        "ratio": mean,
                    }
                )
    return means


def _imagecorruptions(name: str, images: np.ndarray) -> dict[str, Any]:
    try:
        from imagecorruptions import corrupt

        corrupt(images[0], corruption_name=name, severity=3)
    except Exception as error:
        print(f"  imagecorruptions {name}: {type(error).__name__} {error}")
        return {}
    return {"imagecorruptions": lambda: [corrupt(i, corruption_name=name, severity=3) for i in images]}


def _albumentations(build: Any, images: np.ndarray) -> dict[str, Any]:
    try:
        import albumentations

        transform = build(albumentations)
        transform(image=images[0])
    except Exception as error:
        print(f"  albumentations: {type(error).__name__} {str(error)[:100]}")
        return {}
    return {"albumentations": lambda: [transform(image=i) for i in images]}
