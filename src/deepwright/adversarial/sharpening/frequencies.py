"""What the stencils do to each frequency, and so how they are undone.

The replicated border is the half-sample symmetric extension: the cosines of the DCT-II diagonalise the operator. A
division in Fourier space, whose border is periodic, is wrong there.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.adversarial.sharpening.pictures import require_pictures
from deepwright.adversarial.sharpening.stencil import require_neighbours
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number


def gain(
    down: Float[Tensor, "..."], across: Float[Tensor, "..."], strength: float = 0.5, neighbours: int = 4
) -> Float[Tensor, "..."]:
    """By how much sharpening multiplies a cosine of each frequency, before clipping: 1 + strength * lam.

    lam = p + q of 4 neighbours and (3 p + 3 q - p q) / 2 of 8, with p = 2 - 2 cos(down) and q = 2 - 2 cos(across).

    Args:
        down: radians a pixel, from row to row.
        across: radians a pixel, from column to column; broadcasts against `down`.
        strength: 0 or more.
        neighbours: 4 or 8.
    """
    require_number(0, strength=strength)
    p, q = 2 - 2 * torch.cos(down), 2 - 2 * torch.cos(across)
    lam = p + q if require_neighbours(neighbours) == 4 else (3 * p + 3 * q - p * q) / 2
    return 1 + strength * lam


def reverse(
    x: Float[Tensor, "*batch c h w"], strength: float = 0.5, neighbours: int = 4
) -> Float[Tensor, "*batch c h w"]:
    """The picture that sharpening at this strength made x of: exact up to the border where nothing was clipped.

    What was clipped or rounded can't be known from x, and spreads a little around itself.

    Args:
        x: sharpened pictures, floats in [0, 1].
        strength: as it was sharpened.
        neighbours: as it was sharpened.

    Returns:
        in x's dtype and where it is; not clipped.

    Raises:
        InputError: as for sharpening.
    """
    require_pictures(x)
    require_number(0, strength=strength)
    if not x.is_floating_point():
        raise InputError("x", given=str(x.dtype), expected="floats in [0, 1]", hint="x.float() / 255")
    batch = x if x.ndim == 4 else x[None]
    found = undone(batch, torch.full((len(batch),), float(strength), device=x.device), require_neighbours(neighbours))
    return found if x.ndim == 4 else found[0]


def undone(x: Float[Tensor, "n c h w"], strength: Float[Tensor, " n"], neighbours: int) -> Float[Tensor, "n c h w"]:
    """`reverse` with a strength of each picture, without a look at what it is given.

    Args:
        x: sharpened pictures.
        strength: of each.
        neighbours: 4 or 8.
    """
    h, w = x.shape[-2:]
    rows, columns = (cosines(n).to(x.device) for n in (h, w))
    frequency = [torch.arange(n, device=x.device, dtype=torch.float64) * (math.pi / n) for n in (h, w)]
    lam = gain(frequency[0][:, None], frequency[1][None], 1.0, neighbours) - 1
    spectrum = rows @ x.double() @ columns.T
    spectrum /= 1 + strength.double().view(-1, 1, 1, 1) * lam
    return (rows.T @ spectrum @ columns).to(x.dtype)


@lru_cache(maxsize=16)
def cosines(size: int) -> Float[Tensor, "size size"]:
    """The orthonormal DCT-II of a line: row k has frequency pi k / size.

    Args:
        size: of the line.
    """
    k, i = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)[None]
    matrix = torch.cos((math.pi / size) * k * (i + 0.5)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix
