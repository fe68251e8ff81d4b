"""CPU milliseconds of sharpening one colour picture of 224 x 224, against convolutions, OpenCV and Pillow."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch.nn import functional as F

from deepwright.adversarial.sharpening import LaplacianSharpen

SIDE, COUNT, REPEATS = 224, 16, 9
A = 0.5
_KERNEL = [[0.0, -A, 0.0], [-A, 1 + 4 * A, -A], [0.0, -A, 0.0]]


def run() -> list[dict[str, Any]]:
    """Rows of (what, ours, peer, theirs, ratio, note); every repeat alternates ours and all peers."""
    x = torch.rand(COUNT, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    ours, plain = LaplacianSharpen(A), LaplacianSharpen(A, clip=False)
    eight, target = LaplacianSharpen(A, 8), LaplacianSharpen("psnr:30", quantize=255)
    arrays = (x * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    calls: dict[str, Callable[[], Any]] = {
        "ours": lambda: ours(x),
        "ours, not clipped": lambda: plain(x),
        "ours, 8 neighbours": lambda: eight(x),
        "ours, to a PSNR on 8 bits": lambda: target(x),
        "conv2d, grouped": lambda: _convolved(x, 3).clamp(0, 1),
        "conv2d, one channel": lambda: _convolved(x.view(-1, 1, SIDE, SIDE), 1).clamp(0, 1),
        "Pillow, uint8": lambda: [_pillow(a) for a in arrays],
        **_opencv(arrays),
    }
    assert torch.allclose(calls["ours"](), calls["conv2d, grouped"](), atol=1e-5)
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(REPEATS):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            best[name] = min(best[name], (time.process_time() - begin) / COUNT * 1e3)
    note = f"CPU ms a picture, the best of {REPEATS} turns"
    return [
        {
            "what": f"{SIDE} x {SIDE} x 3",
            "ours": best["ours"],
            "peer": p,
            "theirs": t,
            "ratio": t / best["ours"],
            "note": note,
        }
        for p, t in best.items()
        if p != "ours"
    ]


def _convolved(x: torch.Tensor, channels: int) -> torch.Tensor:
    kernel = torch.tensor(_KERNEL).expand(channels, 1, 3, 3)
    return F.conv2d(F.pad(x, [1] * 4, mode="replicate"), kernel, groups=channels)


def _pillow(picture: np.ndarray) -> Image.Image:
    numbers = [round(2 * v) for row in _KERNEL for v in row]
    return Image.fromarray(picture).filter(ImageFilter.Kernel((3, 3), numbers, scale=2))


def _opencv(arrays: np.ndarray) -> dict[str, Callable[[], Any]]:
    try:
        import cv2
    except ImportError:
        return {}
    cv2.setNumThreads(1)
    kernel = np.array(_KERNEL, np.float32)
    floats = arrays.astype(np.float32) / 255
    return {
        "OpenCV filter2D, float32": lambda: [_filtered(a, kernel) for a in floats],
        "OpenCV filter2D, uint8": lambda: [_filtered(a, kernel) for a in arrays],
    }


def _filtered(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE)
