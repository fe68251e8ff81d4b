"""Pictures of a network's inputs for reports: small, of limited size, plain data that goes to JSON and back."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.results import Figure

LIMIT = 60_000
"""Characters that the pictures of one figure may take together."""
_SIDES = (112, 80, 56, 40)  # pixels of the longer side
_EXACT = 40  # up to this side a picture is kept pixel by pixel


@dataclass(frozen=True)
class Strip:
    """Pictures that belong together, in one row.

    Attributes:
        name: what they have in common.
        images: (N, C, H, W) in [0, 1], grey or colour; of other numbers of channels the first is shown.
        captions: one a picture, or none.
        note: small, beside the name.
    """

    name: str
    images: Tensor
    captions: Sequence[str] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.images, Tensor) or self.images.ndim != 4 or self.images.numel() == 0:
            given = f"shape {tuple(self.images.shape)}" if isinstance(self.images, Tensor) else type(self.images)
            raise InputError(f"pictures of {self.name!r}", given=given, expected="a tensor (N, C, H, W), not empty")
        if self.captions and len(self.captions) != len(self.images):
            raise InputError(
                f"captions of {self.name!r}", given=len(self.captions), expected=f"{len(self.images)}, or none"
            )


def strips(title: str, rows: Sequence[Strip], *, note: str = "", limit: int = LIMIT) -> Figure:
    """A figure of kind "strips": rows of pictures, each with a name.

    All are drawn smaller until they fit the limit together; where the smallest don't, the last rows are left out and
    the note says so.

    Args:
        title: words.
        rows: at least one.
        note: one line under the figure.
        limit: characters that the pictures may take together.

    Raises:
        InputError: no rows; a limit that isn't above 0.
    """
    require_whole(1, limit=limit)
    rows = list(rows)
    if not rows:
        raise InputError("strips", given="no rows", expected="at least one Strip")
    for side in _SIDES:
        coded = [[encode(image, side) for image in row.images] for row in rows]
        if sum(map(len, (code for row in coded for code in row))) <= limit:
            break
    kept = _kept(coded, limit)
    if kept < len(rows):
        note = f"{note} The first {kept} of {len(rows)} rows are shown.".strip()
    return Figure("strips", title, [_series(row, codes) for row, codes in zip(rows[:kept], coded)], note=note)


def _kept(coded: Sequence[Sequence[str]], limit: int) -> int:
    """How many of the first rows fit; at least one."""
    total = 0
    for i, row in enumerate(coded):
        total += sum(map(len, row))
        if total > limit:
            return max(1, i)
    return len(coded)


def _series(row: Strip, codes: Sequence[str]) -> dict[str, Any]:
    captions = list(row.captions) or [""] * len(codes)
    pictures = [{"png": code, "caption": str(caption)} for code, caption in zip(codes, captions)]
    return {"name": row.name, "note": row.note, "pictures": pictures}


def encode(image: Tensor, side: int = 96) -> str:
    """A picture in [0, 1] as base64: PNG, pixel by pixel, up to 40 a side; else WebP of at most `side` pixels.

    Args:
        image: (C, H, W), grey or colour; of other numbers of channels the first is shown.
        side: pixels of the longer side.
    """
    from PIL import Image

    require_whole(1, side=side)
    if not isinstance(image, Tensor) or image.ndim != 3 or image.numel() == 0:
        given = f"shape {tuple(image.shape)}" if isinstance(image, Tensor) else type(image).__name__
        raise InputError("picture", given=given, expected="a tensor (C, H, W), not empty")
    levels = (image.detach().cpu().double().nan_to_num(0.0).clamp(0, 1) * 255).round().to(torch.uint8)
    array = levels.permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(array if array.shape[2] == 3 else array[:, :, 0])
    stream = io.BytesIO()
    if max(picture.size) <= _EXACT:
        picture.save(stream, "PNG", optimize=True)
    else:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        picture.save(stream, "WEBP", quality=82, method=4)
    return base64.b64encode(stream.getvalue()).decode()


@dataclass(frozen=True)
class Decoded:
    """A picture as it stands in a figure.

    Attributes:
        uri: for the page.
        width: pixels.
        height: pixels.
    """

    uri: str
    width: int
    height: int


def decode(code: str) -> Decoded:
    """What a code of `encode` (or any base64 of a PNG or WebP file) holds.

    Args:
        code: base64.

    Raises:
        InputError: something else, which has no place in a page.
    """
    from PIL import Image

    try:
        data = base64.b64decode(code, validate=True)
        with Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as picture:
            kind, (width, height) = str(picture.format).lower(), picture.size
    except (TypeError, ValueError, OSError, Image.DecompressionBombError) as error:
        raise InputError("picture", given=type(error).__name__, expected="base64 of a PNG or WebP file") from error
    return Decoded(f"data:image/{kind};base64,{code}", width, height)
