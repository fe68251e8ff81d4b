"""Pictures that are decoded when they are asked for, after each was looked at once, so that none breaks midway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.progress import track
from deepwright.core.rows import STREAMED, Rows
from deepwright.data.files.archives import Decoding, Pictures, decode, decoded, none_read, sound, unlike


class PictureRows(Rows):
    """uint8 (N, C, H, W) pictures out of files.

    Args:
        source: where the files are.
        names: one a row.
        checksums: of the files as they were when they were looked at; what has changed since then is refused.
        how: size and mode.
        shape: (C, H, W) of all of them.
    """

    def __init__(
        self, source: Pictures, names: Sequence[str], checksums: Sequence[int], how: Decoding, shape: Sequence[int]
    ) -> None:
        super().__init__((len(names), *shape), torch.uint8)
        self.source, self.names, self.checksums, self.how = source, names, checksums, how

    def _read(self, rows: Tensor) -> Tensor:
        numbers = rows.tolist()
        out = torch.empty(len(numbers), *self.shape[1:], dtype=torch.uint8)
        files = decoded(self.source, (self.names[i] for i in numbers), self.how)
        for place, (i, file) in enumerate(zip(numbers, files)):
            if isinstance(file.pixels, str) or file.checksum != self.checksums[i]:
                raise InputError(
                    f"{self.names[i]} of {self.source.path}",
                    given="a file that changed while it was in use",
                    expected="the file that was there at the start",
                    hint="begin again, and leave the files alone meanwhile",
                )
            out[place] = torch.from_numpy(np.array(file.pixels)).permute(2, 0, 1)
        return out


def looked_at(source: Pictures, names: Sequence[str], how: Decoding) -> tuple[PictureRows, list[int], list[str]]:
    """Pictures that stay in their files, after each of them was decoded once.

    Args:
        source: where they are.
        names: which ones.
        how: size, mode, and what to do with broken ones.

    Returns:
        The pictures, the positions in `names` that they came from, and a line for each file that was skipped.

    Raises:
        InputError: a broken file (named, with the reason), or pictures of different sizes when `size` is None.
    """
    kept: list[int] = []
    checksums: list[int] = []
    skipped: list[str] = []
    shape: tuple[int, ...] | None = None
    for position, pixels, checksum in sound(source, track(names, f"look through {source.path.name}"), how, skipped):
        shape = shape or pixels.shape
        if pixels.shape != shape:
            raise unlike(source, (shape, pixels.shape))
        kept.append(position)
        checksums.append(checksum)
    if shape is None:
        raise none_read(source)
    height, width, channels = shape
    return PictureRows(source, [names[i] for i in kept], checksums, how, (channels, height, width)), kept, skipped


def pictures(
    source: Pictures, names: Mapping[str, Sequence[str]], how: Decoding, stream: bool | None
) -> dict[str, tuple[Any, list[int], list[str]]]:
    """The pictures of each part: in memory, or (where they are many) in their files.

    Args:
        source: where they are.
        names: part -> its files.
        how: size, mode, and what to do with broken ones.
        stream: leave them in their files; None does so where all of them are over 512 MiB when decoded.

    Returns:
        part -> uint8 pixels (N, C, H, W) as a tensor or `PictureRows`, the positions in `names` that they came from,
        and a line for each file that was skipped.

    Raises:
        InputError: a broken file (named, with the reason), or pictures of different sizes when `size` is None.
    """
    if stream is None:
        every = [name for part in names.values() for name in part]
        stream = len(every) * _bytes_of_one(source, every, how) > STREAMED
    read = looked_at if stream else decode
    return {part: read(source, files, how) for part, files in names.items() if files}


def _bytes_of_one(source: Pictures, names: Sequence[str], how: Decoding) -> int:
    """Bytes of a picture when it is decoded, told by the first that can be."""
    first = (file.pixels for name in names[:20] for file in decoded(source, [name], how))
    return next((pixels.nbytes for pixels in first if not isinstance(pixels, str)), 0)
