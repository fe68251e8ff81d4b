"""What a picture must be to be published: its form, its range, its transparency, its light."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.inference import nan_outside

_SLACK = 1e-6
LEAST = 3  # rows and columns of a stencil
_LUMA = (0.299, 0.587, 0.114)


def require_pictures(x: object) -> None:
    """Refuse what isn't one picture or a batch of them.

    Args:
        x: what was given.

    Raises:
        InputError: another form or type, fewer than three rows or columns, numbers outside [0, 1] or none.
    """
    x = require_form(x)
    if x.dtype == torch.uint8 or torch.compiler.is_compiling():  # a program can't wait for values
        return
    low, high = (float(end) for end in torch.aminmax(x.detach()))
    if low != low or high != high:
        raise InputError("x", given="NaN", expected="finite numbers in [0, 1]")
    if low < -_SLACK or high > 1 + _SLACK:
        hint = "divide 8-bit pictures by 255" if high > 2 else "sharpen pixels, and normalise inside the model"
        raise InputError("x", given=f"range {low:.4g}..{high:.4g}", expected="[0, 1]", hint=hint)


def require_form(x: object) -> Tensor:
    """Refuse what hasn't the form and type of pictures; no value is looked at.

    Args:
        x: what was given.

    Raises:
        InputError: as `require_pictures`, but for the numbers' range.
    """
    if not isinstance(x, Tensor) or x.ndim not in (3, 4):
        given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise InputError("x", given=given, expected="pictures (N, C, H, W), or one (C, H, W)")
    if min(x.shape[-2:]) < LEAST or 0 in x.shape:
        given = f"{len(x)} of shape {tuple(x.shape[1:])}" if x.ndim == 4 else f"shape {tuple(x.shape)}"
        raise InputError("x", given=given, expected=f"at least one, of {LEAST} x {LEAST} pixels or more")
    if x.dtype != torch.uint8 and not x.is_floating_point():
        raise InputError("x", given=str(x.dtype), expected="floats in [0, 1], or uint8")
    return x


def looked_at(x: Tensor) -> bool:
    """Whether values may be looked at in passing: on an accelerator that waits, in a program it can't be.

    Args:
        x: pictures.
    """
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def without_strangers(out: Tensor, x: Tensor) -> Tensor:
    """What was made of pictures; all NaN where a picture had numbers outside [0, 1], without looking.

    Args:
        out: made of x.
        x: floats (N, C, H, W), or one (C, H, W).
    """
    bounds = (-_SLACK, 1 + _SLACK)
    return nan_outside(out[None], x[None], bounds)[0] if x.ndim == 3 else nan_outside(out, x, bounds)


def require_float_pictures(x: object) -> None:
    """Refuse what isn't a batch of floats.

    Args:
        x: what was given.

    Raises:
        InputError: bytes, one picture, or what `require_pictures` refuses.
    """
    require_pictures(x)
    assert isinstance(x, Tensor)
    if x.ndim != 4 or not x.is_floating_point():
        raise InputError("x", given=f"{x.dtype} of shape {tuple(x.shape)}", expected="floats (N, C, H, W)")


def luma(x: Tensor) -> Tensor:
    """(..., 1, H, W) the brightness Y of YCbCr (ITU-R BT.601) of colour pictures.

    Args:
        x: (..., 3, H, W).

    Raises:
        InputError: another number of channels.
    """
    if x.shape[-3] != 3:
        raise InputError("space", given=f"'luma' for {x.shape[-3]} channels", expected="three colours")
    weights = torch.tensor(_LUMA, dtype=x.dtype, device=x.device).view(3, 1, 1)
    return (x * weights).sum(-3, keepdim=True)


def encoded(linear: Tensor) -> Tensor:
    """Linear light as sRGB encodes it (IEC 61966-2-1), differentiable.

    Args:
        linear: in [0, 1].
    """
    low = linear <= 0.0031308
    safe = torch.where(low, 1.0, linear)
    return torch.where(low, 12.92 * linear, 1.055 * safe ** (1 / 2.4) - 0.055)


def decoded(picture: Tensor) -> Tensor:
    """The inverse of `encoded`.

    Args:
        picture: in [0, 1].
    """
    low = picture <= 0.04045
    return torch.where(low, picture / 12.92, ((picture.clamp_min(0) + 0.055) / 1.055) ** 2.4)
