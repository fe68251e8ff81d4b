"""A picture file as it is and as it is published: 8 and 16 bits, floats, EXIF and colour profile kept."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from deepwright.core.errors import InputError, first_line
from deepwright.core.packages import require_package

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_PLAIN = {"L": (255, False), "RGB": (255, False), "LA": (255, True), "RGBA": (255, True)}
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0]  # the palette that label maps have
_QUALITY = 95
# Of TIFF: sizes, compression, strips, tiles, resolution (kept by itself), sample formats, tables, the colour profile.
_LAYOUT = {*range(254, 260), 262, 266, 273, 277, 278, 279, 282, 283, 284, 296, 317, 320, *range(322, 326), 338, 339}
_LAYOUT |= {347, 530, 531, 532, 34675}


@dataclass
class Picture:
    """A decoded file.

    Attributes:
        pixels: (C, H, W) in [0, 1].
        levels: above zero; None for floats.
        alpha: whether the last channel is transparency.
        format: of the file, as PIL names it.
        kept: what is written beside the pixels: EXIF, colour profile, resolution.
        notes: what a reader must know.
    """

    pixels: Float[Tensor, "c h w"]
    levels: int | None
    alpha: bool
    format: str
    kept: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_picture(path: Path | str) -> Picture:
    """Decode a file in its own depth.

    Args:
        path: of the file.

    Raises:
        InputError: no picture, one of several frames, a map of labels, floats outside [0, 1].
        MissingExtraError: 16-bit colours without OpenCV.
    """
    content = Path(path).read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content))
            image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombWarning) as error:
        raise InputError(str(path), given=first_line(error), expected="a picture that can be decoded") from error
    if getattr(image, "n_frames", 1) > 1:
        raise InputError(str(path), given=f"{image.n_frames} frames", expected="one")  # type: ignore[attr-defined]
    kept = {k: image.info[k] for k in ("exif", "icc_profile", "dpi") if image.info.get(k)}
    if "exif" not in kept and (described := _described(image)):
        kept["exif"] = described
    found = _colours_of_16_bits(path, content, image) or _decoded(path, image)
    found.kept = kept
    return found


def _described(image: Image.Image) -> bytes:
    """EXIF of a file that has it among the tags of its own layout, which are written anew."""
    tags = image.getexif()
    for tag in _LAYOUT & set(tags):
        del tags[tag]
    return tags.tobytes() if len(tags) else b""


def _decoded(path: Path | str, image: Image.Image) -> Picture:
    notes: list[str] = []
    if image.mode in _DEEP:
        return _of(np.asarray(image).astype(np.float32)[None] / 65535, 65535, False, image, notes)
    if image.mode == "I" and image.format in ("PNG", "TIFF"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(str(path), given="32-bit numbers", expected="8 or 16 bits, or floats")
        return _of(values.astype(np.float32)[None] / 65535, 65535, False, image, notes)
    if image.mode == "F":
        values = np.asarray(image)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            given = f"floats from {values.min():.4g} to {values.max():.4g}"
            raise InputError(str(path), given=given, expected="floats in [0, 1]")
        return _of(values[None].copy(), None, False, image, notes)
    if image.mode not in _PLAIN or (image.mode in ("L", "RGB") and "transparency" in image.info):
        image_, said = _converted(path, image)
        notes.append(said)
    else:
        image_ = image
    levels, alpha = _PLAIN[image_.mode]
    values = np.asarray(image_, dtype=np.float32) / 255
    values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return _of(values, levels, alpha, image, notes)


def _of(values: np.ndarray, levels: int | None, alpha: bool, image: Image.Image, notes: list[str]) -> Picture:
    pixels = torch.from_numpy(np.ascontiguousarray(values))
    return Picture(pixels, levels, alpha, str(image.format), notes=notes)


def _converted(path: Path | str, image: Image.Image) -> tuple[Image.Image, str]:
    """A picture of indices, of inks or with a transparent colour in channels; a map of labels isn't one."""
    if image.mode in ("L", "RGB"):
        return image.convert(f"{image.mode}A"), "a transparent colour became a channel of transparency"
    if image.mode == "P":
        palette = list(image.getpalette() or [])
        if palette[: len(_VOC)] == _VOC:
            raise InputError(str(path), given="a map of labels (its palette is that of VOC)", expected="a picture")
        mode = "RGBA" if "transparency" in image.info else "RGB"
        return image.convert(mode), f"a palette became {mode}"
    if image.mode == "1":
        return image.convert("L"), "black and white became grey"
    if image.mode == "CMYK":
        return image.convert("RGB"), "CMYK became RGB, without its colour profile"
    raise InputError(str(path), given=f"mode {image.mode}", expected="grey, RGB, with transparency or without")


def _colours_of_16_bits(path: Path | str, content: bytes, image: Image.Image) -> Picture | None:
    """PIL reads 16-bit colours of a PNG as 8 bits: OpenCV has them whole. None for any other file."""
    if not content.startswith(_SIGNATURE) or content[24] != 16 or content[25] not in (2, 4, 6):
        return None
    require_package("cv2", "opencv", f"16-bit colours ({path})")
    import cv2

    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise InputError(str(path), given="16 bits that can't be decoded", expected="a PNG of grey or colours")
    order = [2, 1, 0, 3][: values.shape[2]]
    pixels = values[:, :, order].astype(np.float32).transpose(2, 0, 1) / 65535
    return _of(pixels, 65535, values.shape[2] == 4, image, [])


def encoded_picture(picture: Picture, pixels: Float[Tensor, "c h w"]) -> bytes:
    """The file of other pixels, in the format and with all that was kept of a picture.

    Args:
        picture: as it was read.
        pixels: in [0, 1], of its form.
    """
    if picture.levels == 65535 and len(pixels) > 1:
        return _png_of_16_bits(picture, pixels)
    if picture.levels is None:
        image = Image.fromarray(pixels[0].numpy().astype(np.float32))
    elif picture.levels == 65535:
        image = Image.fromarray((pixels[0].double() * 65535).round().numpy().astype(np.uint16))
    else:
        values = (pixels * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        image = Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
    options: dict[str, Any] = {k: v for k, v in picture.kept.items() if k != "icc_profile" or not _was_cmyk(picture)}
    if picture.format == "JPEG":
        options |= {"quality": _QUALITY, "subsampling": 0}
    if picture.format == "WEBP":
        options["lossless"] = True
    stream = io.BytesIO()
    image.save(stream, picture.format, **options)
    return stream.getvalue()


def _was_cmyk(picture: Picture) -> bool:
    return any("CMYK" in note for note in picture.notes)


def _png_of_16_bits(picture: Picture, pixels: Tensor) -> bytes:
    """OpenCV's PNG, with chunks for the profile and EXIF behind its header."""
    import cv2

    order = [2, 1, 0, 3][: len(pixels)]
    values = (pixels.double() * 65535).round().numpy().astype(np.uint16).transpose(1, 2, 0)[:, :, order]
    done, data = cv2.imencode(".png", np.ascontiguousarray(values))
    assert done
    content = data.tobytes()
    extra = b""
    if "icc_profile" in picture.kept:
        extra += _chunk(b"iCCP", b"profile\0\0" + zlib.compress(picture.kept["icc_profile"]))
    if "exif" in picture.kept:
        extra += _chunk(b"eXIf", picture.kept["exif"].removeprefix(b"Exif\0\0"))
    header = len(_SIGNATURE) + 25
    return content[:header] + extra + content[header:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
