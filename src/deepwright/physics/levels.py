"""Functions that are above 0 inside a region and 0 on its boundary, joined as the regions are, and smooth.

Rvachev's functions: a + b - sqrt(a^2 + b^2) is above 0 where both are, a + b + sqrt(a^2 + b^2) where either is; unlike
min and max they have slopes everywhere but where both are 0. A segment's function and the joining of many of them are
those of "Exact imposition of boundary conditions with distance functions in physics-informed deep neural networks",
arXiv 2104.08426.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_TINY = 1e-24  # under a root: its slope at 0 has no value
_MOST = 2**22  # pairs of points and segments that are looked at at once


def both(a: Float[Tensor, " n"], b: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Above 0 where a and b are.

    Args:
        a: of one region.
        b: of the other.
    """
    return a + b - (a.square() + b.square() + _TINY).sqrt()


def either(a: Float[Tensor, " n"], b: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Above 0 where a or b is.

    Args:
        a: of one region.
        b: of the other.
    """
    return a + b + (a.square() + b.square() + _TINY).sqrt()


def along_segments(
    x: Float[Tensor, "n 2"], start: Float[Tensor, "s 2"], end: Float[Tensor, "s 2"]
) -> Float[Tensor, " n"]:
    """0 on the segments, above elsewhere, smooth but at their ends, like the distance near each.

    With f the distance to a segment's line and t = (l / 2)^2 - |x - middle|^2 over l, both 0 or above on it,
    phi = sqrt(f^2 + ((sqrt(t^2 + f^4) - t) / 2)^2); all together 1 / sum 1 / phi.

    Args:
        x: points.
        start: of each segment.
        end: of each segment.
    """
    side = end - start
    length = side.norm(dim=1)
    away = x[:, None] - start
    line = (away[..., 0] * side[:, 1] - away[..., 1] * side[:, 0]) / length
    trim = (length.square() / 4 - (x[:, None] - (start + end) / 2).square().sum(2)) / length
    rest = ((trim.square() + line**4 + _TINY).sqrt() - trim) / 2
    phi = (line.square() + rest.square() + _TINY).sqrt()
    return 1 / (1 / phi).sum(1)


def distance_to_segments(
    x: Float[Tensor, "n 2"], start: Float[Tensor, "s 2"], end: Float[Tensor, "s 2"]
) -> Float[Tensor, " n"]:
    """The distance to the nearest of some segments.

    Args:
        x: points.
        start: of each segment.
        end: of each segment.
    """
    side = end - start
    found = []
    for part in x.split(max(1, _MOST // len(side))):
        away = part[:, None] - start
        share = ((away * side).sum(2) / side.square().sum(1)).clamp(0, 1)
        found.append((away - share[..., None] * side).norm(dim=2).amin(1))
    return torch.cat(found)
