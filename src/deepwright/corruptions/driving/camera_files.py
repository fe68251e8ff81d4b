"""Pictures as simulators send them: base64 of JPEG or PNG in a message, of limited size."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.corruptions.driving.simulators import InfrastructureError

_LARGEST = 4096 * 4096


def coded_picture(picture: Float[Tensor, "c h w"], quality: int = 95) -> str:
    """Base64 of a JPEG.

    Args:
        picture: in [0, 1], grey or colour.
        quality: of the JPEG.
    """
    from PIL import Image

    levels = (picture.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).expand(3, -1, -1)
    stream = io.BytesIO()
    Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy()).save(stream, "JPEG", quality=quality)
    return base64.b64encode(stream.getvalue()).decode()


def decoded_picture(code: Any) -> Float[Tensor, "3 h w"]:
    """A picture in [0, 1] from base64 of a JPEG or PNG file.

    Args:
        code: what a message holds.

    Raises:
        InfrastructureError: something else, or more than 4096 x 4096 pixels.
    """
    from PIL import Image

    try:
        data = base64.b64decode(code, validate=True)
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as opened:
            if opened.width * opened.height > _LARGEST:
                raise InfrastructureError(f"a picture of {opened.width} x {opened.height} pixels")
            pixels = np.asarray(opened.convert("RGB"))
    except (TypeError, ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:  # a broken PNG: syntax
        raise InfrastructureError(f"the message's picture can't be read: {error}") from error
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255


def number_in(message: dict[str, Any], name: str, default: float = float("nan")) -> float:
    """A number of a message; simulators write them as numbers or as text, some with a comma.

    Args:
        message: from a simulator.
        name: of the field.
        default: where it is missing or no number.
    """
    value = message.get(name, default)
    try:
        return float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):  # a whole number that no float holds
        return default
