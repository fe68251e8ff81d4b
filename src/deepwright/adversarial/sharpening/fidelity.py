"""How far a published picture is from what it was: squared error, PSNR, SSIM; and the levels that it is stored on."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from deepwright.adversarial.sharpening.pictures import require_float_pictures
from deepwright.core.errors import InputError

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_OFF = 1e-4  # of a level


def squared_error(x: Float[Tensor, "n ..."], y: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
    """Mean squared error of each picture, in float32 at least.

    Args:
        x: pictures.
        y: the others.
    """
    return (x - y).flatten(1).square().mean(1, dtype=torch.promote_types(x.dtype, torch.float32))


def decibels(error: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """PSNR of mean squared errors, of pictures in [0, 1]; infinite where there is none.

    Args:
        error: mean squared errors.
    """
    return -10 * error.log10()


def psnr(x: Float[Tensor, "n c h w"], y: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Peak signal to noise ratio of each picture, in decibels; infinite for equal ones.

    Args:
        x: pictures in [0, 1].
        y: the others.

    Raises:
        InputError: other shapes, or what isn't a batch of pictures.
    """
    _require_alike(x, y)
    return decibels(squared_error(x, y))


def ssim(x: Float[Tensor, "n c h w"], y: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Structural similarity of each picture, in [-1, 1]: the mean over channels and places.

    Windows of 11 x 11 with Gaussian weights (sigma 1.5) that lie inside the picture; of a smaller picture its own size.

    Args:
        x: pictures in [0, 1].
        y: the others.

    Raises:
        InputError: other shapes, or what isn't a batch of pictures.

    Source: Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
    """
    _require_alike(x, y)
    return similarity(x, y)


def similarity(x: Float[Tensor, "n c h w"], y: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """`ssim` without a look at what it is given.

    Args:
        x: pictures.
        y: the others.
    """
    n, c, h, w = x.shape
    lines = [_line(min(_WINDOW, side)).to(x) for side in (h, w)]

    def mean(t: Tensor) -> Tensor:
        planes = t.reshape(n * c, 1, h, w)
        return F.conv2d(F.conv2d(planes, lines[0].view(1, 1, -1, 1)), lines[1].view(1, 1, 1, -1))

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    found = ((2 * mx * my + _C1) * (2 * both + _C2)) / ((mx * mx + my * my + _C1) * (vx + vy + _C2))
    return found.reshape(n, -1).mean(1)


def _line(size: int) -> Tensor:
    offsets = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-0.5 * (offsets / _SIGMA) ** 2)
    return weights / weights.sum()


def _require_alike(x: Tensor, y: Tensor) -> None:
    for pictures in (x, y):
        require_float_pictures(pictures)
    if x.shape != y.shape:
        raise InputError("pictures", given=f"{tuple(x.shape)} and {tuple(y.shape)}", expected="one shape")


def on_grid(y: Tensor, x: Tensor, levels: int, max_change: float | None) -> Tensor:
    """y on the nearest levels; where these are more than `max_change` from x, one level nearer to x.

    Args:
        y: within `max_change` of x.
        x: what it was.
        levels: above zero.
        max_change: half a level at least, or None.
    """
    scaled = y * levels
    near = scaled.round()
    if max_change is not None:
        origin, allowed = x * levels, max_change * levels + _OFF
        beyond = (near - origin).abs() > allowed
        near = torch.where(beyond, near - (near - origin).sign(), near)
    return near / levels


def require_levels(levels: object, max_change: float | None) -> None:
    """Refuse levels that there aren't, and a change that no level fits in.

    Args:
        levels: a whole number above zero.
        max_change: of each pixel, or None.

    Raises:
        InputError: either.
    """
    if not isinstance(levels, int) or isinstance(levels, bool) or levels < 1:
        raise InputError(
            "quantize", given=repr(levels), expected="a number of levels above zero", hint="255 for 8 bits"
        )
    if max_change is not None and max_change * levels < 0.5 - _OFF:
        given = f"{max_change:.4g} on {levels} levels"
        raise InputError("max_change", given=given, expected=f"half a level ({0.5 / levels:.4g}) or more")


def mean_squared_of(decibel: float) -> float:
    """The mean squared error of a PSNR.

    Args:
        decibel: the PSNR.
    """
    return math.pow(10.0, -decibel / 10)
