"""Low-pass filters with a replicated border: Gaussian, and guided by the picture itself."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@lru_cache(maxsize=32)
def _lines(size: int, sigma: float) -> Float[Tensor, "size size"]:
    """A row-stochastic matrix that blurs a line; what lies outside is the pixel at the border."""
    radius = math.ceil(4 * sigma)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    columns = (torch.arange(size)[:, None] + offsets[None]).clamp(0, size - 1)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, columns, (weights / weights.sum()).expand(size, -1).contiguous())


def blurred(x: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, "n c h w"]:
    """Gaussian blur, as two matrix products.

    Args:
        x: pictures.
        sigma: of the Gaussian, in pixels, above 0.
    """
    down, across = (_lines(size, sigma).to(x) for size in x.shape[-2:])
    return down @ x @ across.T


def guided(x: Float[Tensor, "n c h w"], radius: int, regularisation: float) -> Float[Tensor, "n c h w"]:
    """Means over windows where a picture is flat, the picture itself where it has an edge (self-guided).

    Args:
        x: pictures.
        radius: of the windows.
        regularisation: a variance: windows of more are edges.

    Source: K. He, J. Sun and X. Tang, "Guided image filtering", 2013.
    """

    def mean(t: Tensor) -> Tensor:
        side = 2 * radius + 1
        return F.avg_pool2d(F.pad(t, [radius] * 4, mode="replicate"), side, stride=1)

    middle = mean(x)
    variance = (mean(x * x) - middle * middle).clamp_min(0)
    slope = variance / (variance + regularisation)
    return mean(slope) * x + mean(middle * (1 - slope))
