"""Label maps of ordered classes as grey levels in steps: 0, 60, 120, ... in files of their own folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.data.dataset import Data, Split
from deepwright.data.files.archives import Decoding, ImageSource, decode
from deepwright.data.files.mask_folders import read_map
from deepwright.data.files.parts import data_of_parts, part_in
from deepwright.data.files.pieces import FOR_TRAINING

_LOSSY = (".jpg", ".jpeg")


def load_ordinal_masks(
    images: Path | str,
    masks: Path | str,
    *,
    scale: int = 60,
    classes: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    mode: str = "keep",
    shares: tuple[float, float] = FOR_TRAINING,
    split: str | None = None,
    seed: int = 0,
) -> Data:
    """Pictures with label maps that hold class times `scale`, as those of teeth, eyes and cervices are published.

    A map has its picture's name and place, in a folder of its own; BMP, PNG and other files without loss. Where no map
    of the data holds a class and one holds the next and last, as where 180 never occurs beside 240, the last one is
    counted down by one, and `notes` say so; not where `classes` name it. Name them for data of which some may lack a
    class, as a test set: it would be numbered in another way than what the network was trained on.

    Args:
        images: a folder or a zip file.
        masks: another one.
        scale: grey levels from one class to the next.
        classes: names from the outermost on; numbers by default.
        size: (height, width) that pictures and maps are resized to (maps by the nearest neighbour).
        mode: "RGB", "L", or "keep" for that of the first picture.
        shares: of the training and the validation part, where no folder is named train, val or test.
        split: "test" makes such data the test part, all of them.
        seed: of the draws.

    Raises:
        InputError: a picture without a map or with two, JPEG maps, levels that are no multiples of `scale`, more
            classes than names.
    """
    require_whole(1, scale=scale)
    pictures, maps = ImageSource(images), ImageSource(masks)
    pairs = _pairs(pictures, maps)
    parts: dict[str, list[str]] = {}
    for name in pairs:
        folders = [part_in(folder) for folder in PurePosixPath(name).parts[:-1]]
        parts.setdefault(next(filter(None, folders), ""), []).append(name)
    found = {}
    for part, names in parts.items():
        pixels, _, _ = decode(pictures, names, Decoding(size, mode))
        sides = (pixels.shape[2], pixels.shape[3])
        levels = [_classes_of(read_map(maps, pairs[n], sides, size is not None), scale, pairs[n]) for n in names]
        found[part] = Split(pixels, torch.stack(levels))
    found, notes = _closed(found, 0 if classes is None else len(classes))
    most = max(int(each.y.max()) for each in found.values())
    named = tuple(str(k) for k in range(max(2, most + 1))) if classes is None else tuple(classes)
    if most >= len(named):
        given = f"class {most}, and {len(named)} names"
        raise InputError(f"label maps of {masks}", given=given, expected=f"classes 0..{len(named) - 1}")
    path = pictures.path
    return data_of_parts(path, "segmentation", named, found, shares=shares, split=split, seed=seed, notes=notes)


def _pairs(pictures: ImageSource, maps: ImageSource) -> dict[str, str]:
    """Picture -> map of the same place and name, whatever its ending."""
    known: dict[str, str] = {}
    for name in maps.images():
        if name.lower().endswith(_LOSSY):
            hint = "a map that was stored with loss has levels between the classes"
            raise InputError(f"label map {name}", given="a JPEG", expected="a file without loss, as PNG", hint=hint)
        key = str(PurePosixPath(name).with_suffix(""))
        if key in known:
            raise InputError(f"label maps of {maps.path}", given=f"{known[key]} and {name}", expected="one a picture")
        known[key] = name
    found = {name: known.get(str(PurePosixPath(name).with_suffix("")), "") for name in pictures.images()}
    lost = [name for name, other in found.items() if not other]
    if lost or not found:
        given = f"{len(lost)} pictures without a map: {', '.join(lost[:3])}" if lost else "no picture"
        raise InputError(f"{pictures.path}", given=given, expected=f"pictures with maps of their names in {maps.path}")
    return found


def _classes_of(levels: Tensor, scale: int, name: str) -> Tensor:
    off = levels[levels % scale != 0]
    if len(off):
        given = f"level {int(off[0])}, no multiple of {scale}"
        hint = "maps that were resized with interpolation can't be mended: take the originals"
        raise InputError(f"label map {name}", given=given, expected=f"0, {scale}, {2 * scale}, ...", hint=hint)
    return levels // scale


def _closed(found: dict[str, Split], names: int) -> tuple[dict[str, Split], list[str]]:
    """The same without a gap before the last class, where that has no name; and what was done."""
    seen = sorted({int(k) for each in found.values() for k in each.y.unique().tolist()})
    missing = [k for k in range(seen[-1]) if k not in seen]
    if missing != [seen[-1] - 1] or seen[-1] < max(2, names):
        return found, []
    last = seen[-1]
    closed = {part: Split(each.x, each.y.where(each.y != last, last - 1)) for part, each in found.items()}
    return closed, [f"no label map holds class {last - 1}: class {last} is read as {last - 1}"]
