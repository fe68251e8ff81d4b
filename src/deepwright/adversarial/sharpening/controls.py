"""What sharpening must be held against at the same squared error, and what published pictures go through."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from deepwright.adversarial.sharpening.blurring import blurred
from deepwright.adversarial.sharpening.enhancement import Enhancement
from deepwright.adversarial.sharpening.pictures import require_pictures
from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_positive, require_whole


class Blur(Enhancement):
    """x + strength * (G x - x): what takes detail away, as the control that must lose.

    Args:
        sigma: of the Gaussian, in pixels.
        strength: see `Enhancement`.
        options: of `Enhancement`: space, max_change, clip, quantize, alpha, linear.
    """

    def __init__(self, sigma: float = 1.0, strength: float | str = 0.5, **options: Any) -> None:
        super().__init__(strength, **options)
        require_positive(sigma=sigma)
        self.sigma = float(sigma)

    def detail(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """G x - x."""
        return blurred(x, self.sigma) - x


class GaussianNoise(Enhancement):
    """x + strength * z with standard normal z: the control that changes as much and means nothing.

    A picture has the same noise in every batch: its stream is known by its pixels.

    Args:
        strength: see `Enhancement`: the deviation.
        seed: of the noise.
        options: of `Enhancement`: space, max_change, clip, quantize, alpha, linear.
    """

    def __init__(self, strength: float | str = 0.05, seed: int = 0, **options: Any) -> None:
        super().__init__(strength, **options)
        require_whole(seed=seed)
        self.seed = int(seed)

    def detail(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """z."""
        known = (x.detach() * 65535).round().long().flatten(1)
        ids = (known * torch.arange(1, known.shape[1] + 1, device=x.device)).sum(1)
        return Streams(self.seed, ids, "publisher's noise", device=x.device).normal(*x.shape[1:]).to(x.dtype)


class BitDepth(nn.Module):
    """Pictures on few levels; no strength, no gradient.

    Args:
        bits: of each channel, 1 to 8.
    """

    def __init__(self, bits: int = 4) -> None:
        super().__init__()
        require_whole(1, bits=bits)
        if bits > 8:
            raise InputError("bits", given=bits, expected="1 to 8")
        self.levels = 2 ** int(bits) - 1

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """On the nearest levels.

        Args:
            x: floats in [0, 1].
        """
        require_pictures(x)
        return (x * self.levels).round() / self.levels


class Jpeg(nn.Module):
    """Pictures as they are after they were stored as JPEG: rounded to 8 bits, encoded, decoded; no gradient.

    Args:
        quality: 1 to 100.
    """

    def __init__(self, quality: int = 90) -> None:
        super().__init__()
        require_whole(1, quality=quality)
        if quality > 100:
            raise InputError("quality", given=quality, expected="1 to 100")
        self.quality = int(quality)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Encoded and decoded, on the CPU, and brought back.

        Args:
            x: floats in [0, 1], of one or three channels.

        Raises:
            InputError: another number of channels.
        """
        require_pictures(x)
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise InputError("x", given=f"shape {tuple(x.shape)}", expected="(N, 1 or 3, H, W)")
        return torch.stack([self._one(picture) for picture in x.detach().cpu()]).to(x)

    def _one(self, picture: Tensor) -> Tensor:
        pixels = (picture.float() * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        stream = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "JPEG", quality=self.quality)
        back = np.asarray(Image.open(stream))
        return torch.from_numpy(back.reshape(pixels.shape).copy()).permute(2, 0, 1) / 255
