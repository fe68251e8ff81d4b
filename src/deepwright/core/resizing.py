"""How a picture comes to the size that a network takes: resized by one of Pillow's filters, then cropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

if TYPE_CHECKING:
    from PIL.Image import Image

BICUBIC = 3
FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", BICUBIC: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's filters by their numbers."""


@dataclass(frozen=True)
class Resizing:
    """What is done to a picture before its pixels are read.

    Attributes:
        to: (height, width) that it is stretched to; one number is that of its short side, and the long one follows,
            rounded down. None leaves it as it is.
        crop: (height, width) that are cut out of its middle; what is smaller stands in black. None keeps all.
        resample: Pillow's filter, 0 to 5.

    Raises:
        InputError: sides below 1, a filter that there isn't.
    """

    to: tuple[int, int] | int | None = None
    crop: tuple[int, int] | None = None
    resample: int = BICUBIC

    def __post_init__(self) -> None:
        sides = [self.to] if isinstance(self.to, int) else list(self.to or ())
        require_whole(1, **{f"side {i}": side for i, side in enumerate([*sides, *(self.crop or ())])})
        if self.resample not in FILTERS or isinstance(self.resample, bool):
            expected = ", ".join(f"{number} ({name})" for number, name in FILTERS.items())
            raise InputError("resample", given=repr(self.resample), expected=expected)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of every picture that comes out; None where that depends on the picture."""
        return self.crop or (self.to if isinstance(self.to, tuple) else None)

    def __call__(self, picture: Image) -> Image:
        """The picture at its new size.

        Args:
            picture: in the mode in which it is read.
        """
        height, width = self._resized(picture.height, picture.width)
        if (width, height) != picture.size:
            picture = picture.resize((width, height), self.resample)  # type: ignore[arg-type]
        return picture if self.crop is None else _cropped(picture, *self.crop)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.to is None or isinstance(self.to, tuple):
            return self.to or (height, width)
        short, long = self.to, int(self.to * max(height, width) / min(height, width))
        return (long, short) if width <= height else (short, long)


def _cropped(picture: Image, height: int, width: int) -> Image:
    """The middle, half a pixel to the upper left where it can't be exact; beyond its edges Pillow gives black."""
    top, left = (picture.height - height) // 2, (picture.width - width) // 2
    return picture.crop((left, top, left + width, top + height))
