"""Compression: the real JPEG codec, and a differentiable stand-in for attacks through it."""

from __future__ import annotations

import io
import math
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.corruptions.engine import Context, Perturbation

_LUMA = (
    16,
    11,
    10,
    16,
    24,
    40,
    51,
    61,
    12,
    12,
    14,
    19,
    26,
    58,
    60,
    55,
    14,
    13,
    16,
    24,
    40,
    57,
    69,
    56,
    14,
    17,
    22,
    29,
    51,
    87,
    80,
    62,
    18,
    22,
    37,
    56,
    68,
    109,
    103,
    77,
    24,
    35,
    55,
    64,
    81,
    104,
    113,
    92,
    49,
    64,
    78,
    87,
    103,
    121,
    120,
    101,
    72,
    92,
    95,
    98,
    112,
    100,
    103,
    99,
)


def jpeg(x: Tensor, quality: int, context: Context) -> Tensor:
    """Encode and decode with Pillow, two images at a time (the codec runs outside Python's lock)."""
    pixels = (x.detach().cpu() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()

    def one(array: np.ndarray) -> np.ndarray:
        buffer = io.BytesIO()
        picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
        picture.save(buffer, "JPEG", quality=quality)
        decoded = np.asarray(Image.open(buffer))
        return decoded[:, :, None] if decoded.ndim == 2 else decoded

    if pixels.shape[3] not in (1, 3):
        raise InputError("jpeg", given=f"{pixels.shape[3]} channels", expected="1 or 3")
    with ThreadPoolExecutor(2) as pool:
        arrays = list(pool.map(one, pixels))
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).to(x.device).float() / 255


def differentiable_jpeg(x: Float[Tensor, "n c h w"], quality: int) -> Float[Tensor, "n c h w"]:
    """8 x 8 cosine blocks with the codec's luminance table on every channel and a smooth rounding (r + (v - r)^3).

    Args:
        x: in [0, 1].
        quality: 1..100, as codecs count it.

    Raises:
        InputError: another quality.
    """
    if not 1 <= quality <= 100:
        raise InputError("quality", given=quality, expected="1..100")
    n, c, h, w = x.shape
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    table = torch.tensor(_LUMA, dtype=torch.float32, device=x.device).view(8, 8)
    table = ((table * scale + 50) / 100).floor().clamp(1, 255)
    ph, pw = -h % 8, -w % 8
    padded = F.pad(x, (0, pw, 0, ph), mode="replicate") * 255 - 128
    blocks = padded.view(n, c, (h + ph) // 8, 8, (w + pw) // 8, 8).transpose(3, 4)
    dct = _dct(x.device)
    coefficients = dct @ blocks @ dct.T / table
    nearest = coefficients.round().detach()
    coefficients = (nearest + (coefficients - nearest) ** 3) * table
    back = (dct.T @ coefficients @ dct).transpose(3, 4).reshape(n, c, h + ph, w + pw)
    return ((back + 128) / 255)[..., :h, :w].clamp(0, 1)


@lru_cache(maxsize=4)
def _dct(device: torch.device) -> Tensor:
    k = torch.arange(8, dtype=torch.float64)
    matrix = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) * 0.5
    matrix[0] /= math.sqrt(2)
    return matrix.float().to(device)


CODEC = (Perturbation("jpeg", "codec", jpeg, (30, 18, 15, 10, 5), differentiable=False, between="nothing"),)
