"""How far the answer moves when the image is squeezed: an attack's pattern doesn't survive it, the scene does.

Several passes an image. It knows nothing of features, is fitted on nothing, and is the strongest of the rivals.
Source: W. Xu, D. Evans, Y. Qi, "Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks",
arXiv 1704.01155.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from deepwright.adversarial.semantic.detector import InputDetector
from deepwright.adversarial.semantic.watching import Seen, required
from deepwright.adversarial.sharpening.controls import Jpeg
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole


def median(x: Float[Tensor, "n c h w"], size: int = 3) -> Float[Tensor, "n c h w"]:
    """Each pixel the median of its neighbourhood, edges repeated outwards by reflection.

    Args:
        x: images.
        size: of the neighbourhood, odd.
    """
    edge = size // 2
    padded = F.pad(x, [edge] * 4, mode="reflect")
    n, c, h, w = x.shape
    windows = F.unfold(padded.flatten(0, 1)[:, None], size)
    return windows.median(1).values.reshape(n, c, h, w)


class _Moved(InputDetector):
    """Base: the largest L1 distance of probabilities from the image to what is made of it, mean over positions."""

    trainable = False

    def _squeezed(self, x: Tensor) -> list[Tensor]:
        raise NotImplementedError

    def _parts(self, seen: Seen) -> Float[Tensor, "n one"]:
        p = required(seen.logits).double().softmax(1)
        moved = []
        for x in self._squeezed(seen.x):
            gap = (self.watch.logits(x).double().softmax(1) - p).abs().sum(1)
            moved.append(gap.flatten(1).mean(1) if gap.ndim > 1 else gap)
        return torch.stack(moved).amax(0)[:, None]


class FeatureSqueezing(_Moved):
    """Squeezed to few levels, and by a median filter: three passes an image, nothing to fit.

    Who differentiates through it finds the rounding passed on as it came.

    Args:
        bits: of each channel that are left.
        size: of the median's neighbourhood, odd; 1 for none.
    """

    def __init__(self, bits: int = 5, size: int = 3) -> None:
        super().__init__()
        require_whole(1, bits=bits, size=size)
        if size % 2 == 0:
            raise InputError("size", given=size, expected="odd")
        self.bits, self.size = int(bits), int(size)

    def _squeezed(self, x: Tensor) -> list[Tensor]:
        if x.ndim != 4:
            raise InputError("inputs", given=f"shape {tuple(x.shape)}", expected="images (N, C, H, W)")
        levels = 2**self.bits - 1
        few = x + ((x * levels).round() / levels - x).detach()
        return [few] if self.size == 1 else [few, median(x, self.size)]


class JpegDifference(_Moved):
    """Stored as JPEG and read again: two passes an image, encoded on the CPU.

    Who differentiates through it finds the codec passed on as it came.

    Args:
        quality: 1 to 100.
    """

    def __init__(self, quality: int = 75) -> None:
        super().__init__()
        self._codec = [Jpeg(quality)]
        self.quality = int(quality)

    def _squeezed(self, x: Tensor) -> list[Tensor]:
        return [x + (self._codec[0](x.detach().clamp(0, 1)) - x).detach()]
