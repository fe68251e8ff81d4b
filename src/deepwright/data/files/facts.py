"""What files say of their pictures beside the pixels: folder, format, size, and the year and camera of a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.data.files.archives import Pictures

_MOST = 5000  # files whose headers are read
_MODEL, _TIME, _EXIF, _TAKEN = 272, 306, 34665, 36867  # tags of EXIF
_LONGEST = 40


def picture_facts(source: Pictures, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Name -> one value a file: its name, its last folder below the class's, format, and of its header width, height,
    aspect, year and camera.

    Headers are read of at most 5,000 files; what a file doesn't say is "" or NaN, and what none says is left out.

    Args:
        source: where the files are.
        names: of the files.
    """
    found = {
        "file": np.array(names, dtype=str),
        "folder": np.array([PurePosixPath(name).parent.name for name in names], dtype=str),
        "format": np.array([PurePosixPath(name).suffix.lower().lstrip(".") for name in names], dtype=str),
    }
    if len(names) > _MOST or not names:
        return found
    facts = [_header(source, name) for name in names]
    for key in ("width", "height", "aspect", "year"):
        values = np.array([fact.get(key, np.nan) for fact in facts], dtype=np.float64)
        if np.isfinite(values).any():
            found[key] = values
    cameras = np.array([str(fact.get("camera", "")) for fact in facts], dtype=str)
    return {**found, "camera": cameras} if (cameras != "").any() else found


def _header(source: Pictures, name: str) -> dict[str, float | str]:
    try:
        with source.opened(name) as stream, Image.open(stream) as picture:
            width, height = picture.size
            tags = picture.getexif()
            taken = tags.get_ifd(_EXIF).get(_TAKEN) or tags.get(_TIME) or ""
            camera = tags.get(_MODEL) or ""
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, InputError, Image.DecompressionBombError):
        return {}  # a broken file is somebody else's business
    found: dict[str, float | str] = {"width": width, "height": height, "aspect": round(width / height, 3)}
    year = str(taken)[:4]
    if year.isdigit() and int(year) > 0:
        found["year"] = int(year)
    if str(camera).strip("\0 "):
        found["camera"] = str(camera).strip("\0 ")[:_LONGEST]
    return found
