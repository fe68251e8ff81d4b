"""Images out of folders and zip files, with every broken file named.

Zip files are read in place, never unpacked, so no path inside one can reach the disk.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.files import require_plain_file
from deepwright.core.progress import track
from deepwright.core.requirements import require_whole
from deepwright.core.resizing import Resizing
from deepwright.core.zips import open_zip, read_member

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"}
_MODES = ("RGB", "L", "keep")
_LARGEST = 16 * 2**30  # bytes of decoded pixels that we are willing to hold
_LARGEST_FILE = 2**30  # bytes of one file: Pillow's own limit of pixels, in the widest format
_HELD = 64 * 2**20  # bytes of files that are held before they are decoded
_TOGETHER = 64  # files that are decoded before the first of them is handed on
_WORKERS = min(8, os.cpu_count() or 1)


@runtime_checkable
class Pictures(Protocol):
    """Where files of pictures come from."""

    path: Path

    def read(self, name: str) -> bytes:
        """The bytes of one file."""
        ...

    def opened(self, name: str) -> io.BytesIO | io.BufferedReader:
        """One file, open for reading."""
        ...


class ImageSource:
    """A folder or a zip file of images, addressed by relative POSIX path.

    Args:
        path: the folder or the file.

    Raises:
        InputError: neither, or a zip that can't be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            self._zip = None
            files = (p for p in self.path.rglob("*") if p.is_file() and not p.name.startswith("."))
            self.names = sorted(p.relative_to(self.path).as_posix() for p in files)
        elif self.path.is_file():
            self._zip = open_zip(self.path, "a zip file or a folder")
            self.names = sorted({n for n in self._zip.namelist() if not n.endswith("/")})
        else:
            raise InputError("data", given=f"{self.path} does not exist", expected="a folder or a zip file of images")

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which opens a zip anew; each picture is compared with what it was."""
        return vars(self) | {"path": self.path.absolute(), "_zip": self._zip is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        again = open_zip(state["path"], "a zip file or a folder") if state["_zip"] else None
        self.__dict__.update(state | {"_zip": again})

    def images(self) -> list[str]:
        """Names that look like images."""
        return [n for n in self.names if PurePosixPath(n).suffix.lower() in SUFFIXES and "__MACOSX" not in n]

    def opened(self, name: str) -> io.BytesIO | io.BufferedReader:
        """One file, open for reading: of a folder's, only what is asked for is read.

        Args:
            name: as in `names`.

        Raises:
            InputError: as `read`.
            OSError: it can't be opened.
        """
        if self._zip is not None:
            return io.BytesIO(self.read(name))
        require_plain_file(self.path / name, f"cannot read {name} of {self.path}")
        return (self.path / name).open("rb")

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Args:
            name: as in `names`.

        Raises:
            InputError: it can't be read: damaged, under a password, larger than any picture.
        """
        if self._zip is not None:
            return read_member(self._zip, name, _LARGEST_FILE)
        try:
            require_plain_file(self.path / name, f"cannot read {name} of {self.path}")
            return (self.path / name).read_bytes()
        except OSError as error:
            raise InputError(f"{name} of {self.path}", given=error.strerror or str(error)) from error

    def size_of(self, name: str) -> tuple[int, int]:
        """(width, height) of a picture, from its header.

        Args:
            name: as in `names`.

        Raises:
            InputError: no picture.
        """
        try:
            with self.opened(name) as stream, Image.open(stream) as picture:
                return picture.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"broken image in {self.path}", given=f"{name}: {error}") from error


@dataclass(frozen=True)
class Decoding:
    """How files become tensors.

    Attributes:
        size: (height, width), or None to keep what the files have (then all must agree).
        mode: "RGB", "L" or "keep" (the mode of the first image; others are refused).
        resize_short: resize the short side to this many pixels (bicubic) before the centre crop to `size`;
            None resizes straight to `size`.
        resizing: what is done in place of these two.
        skip_broken: leave broken files out (they are listed) instead of refusing.

    Raises:
        InputError: another mode, sides below 1.
    """

    size: tuple[int, int] | None = None
    mode: str = "RGB"
    resize_short: int | None = None
    skip_broken: bool = False
    resizing: Resizing | None = None

    def __post_init__(self) -> None:
        if self.resizing is not None and (self.size is not None or self.resize_short is not None):
            given = f"beside size {self.size} and resize_short {self.resize_short}"
            raise InputError("resizing", given=given, expected="none of these two")
        if self.mode not in _MODES:
            raise unknown_name("mode", str(self.mode), _MODES)
        if self.size is not None:
            require_whole(1, height=self.size[0], width=self.size[1])
        if self.resize_short is not None:
            require_whole(1, resize_short=self.resize_short)


@dataclass(frozen=True)
class Decoded:
    """One file, decoded.

    Attributes:
        pixels: uint8 (H, W, C), or what is wrong with the file.
        checksum: of the file's bytes.
    """

    pixels: np.ndarray | str
    checksum: int


def decoded(source: Pictures, names: Iterable[str], how: Decoding) -> Iterator[Decoded]:
    """Files one by one, in their order; several are decoded at the same time.

    Args:
        source: where they are.
        names: which ones.
        how: size and mode.
    """

    def one(content: tuple[str, bytes | str]) -> Decoded:
        name, raw = content
        if isinstance(raw, str):
            return Decoded(raw, 0)
        checksum = zlib.crc32(raw)
        try:
            with Image.open(io.BytesIO(raw)) as image:
                image.load()
                return Decoded(_to_array(image, how), checksum)
        except Exception as error:
            return Decoded(f"{name}: {error}", checksum)

    for part in _read(source, names):
        yield from _decoders().map(one, part)


@lru_cache(maxsize=1)
def _decoders() -> ThreadPoolExecutor:
    """Threads for all decoding: each new one would take memory of its own that C's allocator hardly gives back."""
    return ThreadPoolExecutor(_WORKERS, "decode")


if hasattr(os, "register_at_fork"):  # a forked process has none of these threads
    os.register_at_fork(after_in_child=_decoders.cache_clear)


def sound(
    source: Pictures, names: Iterable[str], how: Decoding, skipped: list[str]
) -> Iterator[tuple[int, np.ndarray, int]]:
    """Files that can be decoded: the place in `names`, uint8 pixels (H, W, C), the checksum of the bytes.

    Args:
        source: where they are.
        names: which ones.
        how: size, mode, and what to do with broken ones.
        skipped: gets a line for each file that is left out.

    Raises:
        InputError: a broken file (named, with the reason), where they aren't left out.
    """
    for position, file in enumerate(decoded(source, names, how)):
        if not isinstance(file.pixels, str):
            yield position, file.pixels, file.checksum
            continue
        if not how.skip_broken:
            hint = "mend it, or pass --skip-broken to leave it out"
            raise InputError(f"broken image in {source.path}", given=file.pixels, hint=hint)
        skipped.append(file.pixels)


def unlike(source: Pictures, shapes: Iterable[tuple[int, ...]]) -> InputError:
    """The refusal of pictures that aren't of one shape.

    Args:
        source: where they are.
        shapes: (H, W, C) of some of them.
    """
    examples = ", ".join(f"{w}x{h}x{c}" for h, w, c in shapes)
    what = f"images of different sizes or modes in {source.path}"
    return InputError(what, given=examples, hint="say --size N to resize them all")


def none_read(source: Pictures) -> InputError:
    """The refusal of pictures of which none is sound.

    Args:
        source: where they are.
    """
    hint = "check the folder and the files' formats"
    return InputError(f"images in {source.path}", given="none could be read", hint=hint)


def decode(source: Pictures, names: Sequence[str], how: Decoding) -> tuple[Tensor, list[int], list[str]]:
    """Decode images to one uint8 tensor (N, C, H, W).

    Args:
        source: where they are.
        names: which ones.
        how: size, mode, and what to do with broken ones.

    Returns:
        The pixels, the positions in `names` that they came from, and a line for each file that was skipped.

    Raises:
        InputError: a broken file (named, with the reason), or images of different sizes when `size` is None.
    """
    arrays: list[np.ndarray] = []
    kept: list[int] = []
    skipped: list[str] = []
    held = 0
    for position, pixels, _ in sound(source, track(names, f"decode {source.path.name}"), how, skipped):
        held += pixels.nbytes
        if held > _LARGEST:
            raise InputError(
                "images", given=f"over {_LARGEST >> 30} GiB decoded", hint="use --limit N, or a smaller size"
            )
        arrays.append(pixels)
        kept.append(position)
    shapes = list({a.shape: None for a in arrays})
    if len(shapes) > 1:
        raise unlike(source, shapes[:3])
    if not arrays:
        raise none_read(source)
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous(), kept, skipped


def _read(source: Pictures, names: Iterable[str]) -> Iterator[list[tuple[str, bytes | str]]]:
    """(name, content or what is wrong with it), some at a time; on one thread, for a zip file has one position."""
    part: list[tuple[str, bytes | str]] = []
    held = 0
    for name in names:
        try:
            content: bytes | str = source.read(name)
        except InputError as error:
            content = str(error)
        part.append((name, content))
        held += len(content)
        if held > _HELD or len(part) == _TOGETHER:
            yield part
            part, held = [], 0
    if part:
        yield part


def _to_array(image: Image.Image, how: Decoding) -> np.ndarray:
    mode = how.mode
    if mode == "keep":
        mode = "L" if image.mode in ("1", "L", "I;16", "I", "F") else "RGB"
    if image.mode.startswith(("I", "F")):  # 16-bit and float images: scale by their own full range, not by clipping
        array = np.asarray(image, dtype=np.float64)
        image = Image.fromarray(np.uint8(np.clip(array / (65535 if array.max() > 255 else 255), 0, 1) * 255))
    image = image.convert(mode)
    if how.resizing is not None:
        image = how.resizing(image)
    elif how.size is not None:
        height, width = how.size
        if how.resize_short is not None:
            scale = how.resize_short / min(image.size)
            scaled = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
            image = image.resize(scaled, Image.Resampling.BICUBIC)
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        elif image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BICUBIC)
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array
