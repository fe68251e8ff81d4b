"""Radar scenes as GeoTIFF: amplitudes in [0, 1], which pixels say something, and where the scene lies."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.packages import require_package
from deepwright.core.requirements import require_whole
from deepwright.data.decibels import to_amplitude

_MOST = 2**28  # numbers of a scene: a gigabyte of floats
_SCALE, _TIES, _NO_DATA = 33550, 33922, 42113  # tags of GeoTIFF, and GDAL's


class RadarScene(NamedTuple):
    """A scene out of a file.

    Attributes:
        amplitude: in [0, 1]; 0 where nothing is known.
        valid: which pixels say something.
        pixel_size: (across, down) in units of the map, where the file has it.
        origin: of the map at the upper left corner, where the file has it.
    """

    amplitude: Float[Tensor, "c h w"]
    valid: Bool[Tensor, "h w"]
    pixel_size: tuple[float, float] | None
    origin: tuple[float, float] | None


def read_geotiff(
    path: Path | str, *, unit: str = "amplitude", percentile: float = 99.9, page: int = 0, no_data: float | None = None
) -> RadarScene:
    """Read one image of a TIFF or GeoTIFF, of 8, 16 or 32 bits, floats or complex numbers.

    Of complex numbers the modulus is taken. What the file marks as no data, and what isn't finite, is 0 and not
    `valid`; the others are scaled so that a percentile of their amplitudes becomes 1.

    Args:
        path: the file.
        unit: of its numbers: "amplitude", "intensity" or "decibels".
        percentile: see `to_amplitude`.
        page: which image of the file.
        no_data: the number that marks what isn't known; by default the file's own (GDAL's tag), where it has one.

    Raises:
        InputError: no such file or page, another kind of file, a compression that isn't known here, more than 268
            million numbers, nothing that is known, negative amplitudes.
        MissingExtraError: tifffile isn't installed.
    """
    require_package("tifffile", "geotiff", "reading GeoTIFF")
    require_whole(0, page=page)
    if unit not in ("decibels", "intensity", "amplitude"):
        raise InputError("unit", given=repr(unit), expected="'decibels', 'intensity' or 'amplitude'")
    array, tags, axes = _read(Path(path), page)
    array = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0) if axes.endswith("S") else array
    if array.ndim != 3:
        raise InputError("path", given=f"{path}: shape {array.shape}", expected="an image of rows, columns and bands")
    missing = _number(tags.get(_NO_DATA)) if no_data is None else no_data
    power = np.abs(array) if np.iscomplexobj(array) else array
    values = torch.from_numpy(np.ascontiguousarray(power, dtype=np.float32))
    known = torch.isfinite(values)
    if missing is not None and math.isfinite(missing):
        known &= values != missing
    valid = known.all(0)
    if not bool(valid.any()):
        raise InputError("path", given=f"{path}: no pixel that is known", expected="one at least")
    amplitude = torch.zeros_like(values)
    amplitude[:, valid] = to_amplitude(values[:, valid], "amplitude" if np.iscomplexobj(array) else unit, percentile)
    scale, tie = tags.get(_SCALE), tags.get(_TIES)
    sizes = (float(scale[0]), float(scale[1])) if scale is not None and len(scale) >= 2 else None
    origin = None
    if sizes is not None and tie is not None and len(tie) >= 6:
        origin = (float(tie[3]) - float(tie[0]) * sizes[0], float(tie[4]) + float(tie[1]) * sizes[1])
    return RadarScene(amplitude, valid, sizes, origin)


def _read(path: Path, page: int) -> tuple[np.ndarray, dict[int, Any], str]:
    """The numbers, the tags by their number, and the axes' letters."""
    import tifffile

    if not path.is_file():
        raise InputError("path", given=str(path), expected="a GeoTIFF file")
    try:
        with tifffile.TiffFile(path) as file:
            pages = len(file.pages)
            if page >= pages:
                raise InputError("page", given=page, expected=f"0..{pages - 1}")
            found: Any = file.pages[page]
            if math.prod(found.shape) > _MOST:
                given = f"{path}: {' x '.join(map(str, found.shape))} numbers"
                raise InputError("path", given=given, expected=f"up to {_MOST:,}", hint="cut it into parts first")
            tags = {tag.code: tag.value for tag in found.tags.values() if tag.code in (_SCALE, _TIES, _NO_DATA)}
            return found.asarray(), tags, str(found.axes)
    except InputError:
        raise
    except Exception as error:  # tifffile raises what its parts raise, and of damaged files anything
        hint = "gdal_translate -co COMPRESS=DEFLATE, or none" if "imagecodecs" in str(error) else None
        given = f"{path}: {type(error).__name__}: {str(error)[:120]}"
        raise InputError("path", given=given, expected="a GeoTIFF file", hint=hint) from error


def _number(text: Any) -> float | None:
    try:
        return None if text is None else float(str(text).strip("\x00 "))
    except ValueError:
        return None
