"""Folders of pictures with label maps: PNG files of class numbers, a map a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.data.dataset import Data, Split
from deepwright.data.files.archives import Decoding, ImageSource, decode
from deepwright.data.files.parts import data_of_parts, part_in
from deepwright.data.files.pieces import FOR_TRAINING
from deepwright.data.files.voc_lists import MAPS, voc_lists

IGNORED = 255
_MODES = ("1", "L", "P", "I", "I;16")  # one channel
_MASKS = ("mask", "masks", "label", "labels", "annot", "annotation", "annotations", "gt", "segmentationclass")
_ENDINGS = ("_masks", "_mask", "_labels", "_label", "_gt", "_seg")  # of the names of maps


@dataclass(frozen=True)
class _Pair:
    """A picture and its map."""

    part: str
    picture: str
    mask: str


def holds_masks(path: Path) -> bool:
    """Whether a folder or a zip holds pictures that each have a label map in a folder of its own.

    Args:
        path: any.
    """
    source = ImageSource(path)
    pairs = _pairs(source, whole=False)
    if not pairs:
        return False
    try:
        with Image.open(io.BytesIO(source.read(pairs[0].mask))) as image:
            return image.mode in _MODES
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def load_masks(
    path: Path | str,
    *,
    classes: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    mode: str = "keep",
    shares: tuple[float, float] = FOR_TRAINING,
    split: str | None = None,
    limit: int | None = None,
    train_limit: int | None = None,
    seed: int = 0,
) -> Data:
    """Pictures with label maps as data for a segmentation: uint8 (N, C, H, W) and int64 (N, H, W).

    Maps stand in a folder of their own (`masks`, `labels`, `annotations`, `gt`, or `trainannot` beside `train`) under
    the names of their pictures, with or without `_mask`; `train`, `val`, `test` may stand above or below. A map is a
    PNG of one channel: its numbers are classes from 0, and 255 is what doesn't count. Maps of 0 and 255 alone are of
    two classes, nothing and something. Of a kit of VOC the parts are those of `ImageSets/Segmentation`.

    Args:
        path: a folder or a zip file.
        classes: names in the order of the numbers; numbers by default.
        size: (height, width) that pictures and maps are resized to (maps by the nearest neighbour).
        mode: "RGB", "L", or "keep" for that of the first picture.
        shares: of the training and the validation part, where the data come in one piece.
        split: "test" makes such data the test part, all of them.
        limit: at most so many test and validation pictures each.
        train_limit: at most so many training pictures.
        seed: of splits and limits.

    Raises:
        InputError: pictures without maps, maps in colours or of another size, numbers beyond the classes.
    """
    path = Path(path)
    source = ImageSource(path)
    pairs = _pairs(source)
    if not pairs:
        raise InputError(f"{path}", given="no picture with a label map", expected="images/a.png and masks/a.png")
    splits = {}
    for part in dict.fromkeys(pair.part for pair in pairs):
        mine = [pair for pair in pairs if pair.part == part]
        pixels, _, _ = decode(source, [pair.picture for pair in mine], Decoding(size, mode))
        maps = [read_map(source, pair.mask, (pixels.shape[2], pixels.shape[3]), size is not None) for pair in mine]
        splits[part] = Split(pixels, torch.stack(maps))
    seen = sorted({int(v) for each in splits.values() for v in each.y.unique().tolist()})
    notes = []
    if seen == [0, IGNORED]:
        splits = {part: Split(each.x, (each.y == IGNORED).long()) for part, each in splits.items()}
        seen, notes = [0, 1], ["label maps hold 0 and 255 only: read as two classes, 0 and 1"]
    names = _names(seen, classes, path)
    data = data_of_parts(path, "segmentation", names, splits, shares=shares, split=split, seed=seed, notes=notes)
    return data.limited(limit, train_limit, seed)


def _names(seen: Sequence[int], classes: Sequence[str] | None, path: Path) -> tuple[str, ...]:
    """Names of the classes, as many as the numbers need."""
    most = max((value for value in seen if value != IGNORED), default=0)
    if classes is None:
        return tuple(str(k) for k in range(max(2, most + 1)))
    if most >= len(classes):
        given = f"class {most}, and {len(classes)} names"
        hint = "name all classes, and give what doesn't count the number 255"
        raise InputError(f"label maps of {path}", given=given, expected=f"0..{len(classes) - 1}, or 255", hint=hint)
    return tuple(classes)


def _pairs(source: ImageSource, whole: bool = True) -> list[_Pair]:
    """Pictures with their maps, by part and by name; none where not all have one (told where `whole`).

    Of a kit of VOC those that `ImageSets/Segmentation` lists.
    """
    lists = voc_lists(source.path, MAPS) if source.path.is_dir() else {}
    if lists:
        return _listed_pairs(source, lists)
    pictures: dict[tuple[str, str], str] = {}
    masks: dict[tuple[str, str], str] = {}
    for name in source.images():
        place = PurePosixPath(name)
        parents = [parent.lower() for parent in place.parts[:-1]]
        is_map = any(parent in _MASKS or parent.endswith("annot") for parent in parents)
        part = next((p for p in (part_in(parent.removesuffix("annot")) for parent in parents) if p), "")
        stem = place.stem
        if is_map:
            if place.suffix.lower() != ".png":
                continue
            stem = next((stem.removesuffix(e) for e in _ENDINGS if stem.lower().endswith(e)), stem)
        (masks if is_map else pictures)[part, stem] = name
    if not masks:
        return []
    lost = [pictures[key] for key in pictures if key not in masks]
    if len(lost) == len(pictures):
        return []
    if lost and not whole:
        return []
    if lost:
        more = "..." if len(lost) > 3 else ""
        given = f"{len(lost)} pictures without a map: {', '.join(lost[:3])}{more}"
        raise InputError(f"{source.path}", given=given, expected="a label map for each picture")
    return [_Pair(part, name, masks[part, stem]) for (part, stem), name in sorted(pictures.items())]


def _listed_pairs(source: ImageSource, lists: dict[str, tuple[str, ...]]) -> list[_Pair]:
    home: dict[str, dict[str, str]] = {"JPEGImages": {}, "SegmentationClass": {}}
    for name in source.images():
        place = PurePosixPath(name)
        if str(place.parent) in home:
            home[str(place.parent)][place.stem] = name
    for folder, there in home.items():
        lost = next((stem for stems in lists.values() for stem in stems if stem not in there), None)
        if lost is not None:
            raise InputError(f"{source.path}", given=f"no {lost} in {folder}", expected="all that ImageSets lists")
    return [_Pair(p, *(there[stem] for there in home.values())) for p, stems in lists.items() for stem in stems]


def read_map(source: ImageSource, name: str, size: tuple[int, int], resized: bool) -> Tensor:
    """The class numbers of one file.

    Args:
        source: where it lies.
        name: of the file.
        size: (height, width) of its picture.
        resized: whether to bring it to that size, by the nearest neighbour.

    Raises:
        InputError: colours, another size, or a file that can't be read.
    """
    what = f"label map {name} of {source.path}"
    try:
        with Image.open(io.BytesIO(source.read(name))) as image:
            if image.mode not in _MODES:
                hint = "write the number of each pixel's class into a grey or palette PNG"
                raise InputError(
                    what, given=f"a picture in colours ({image.mode})", expected="class numbers", hint=hint
                )
            moved = resized and image.size != (size[1], size[0])
            ids = np.asarray(image.resize((size[1], size[0]), Image.Resampling.NEAREST) if moved else image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(what, given=str(error), expected="a PNG of class numbers") from error
    if ids.shape != size:
        given = f"{ids.shape[1]} x {ids.shape[0]}, and its picture {size[1]} x {size[0]}"
        raise InputError(what, given=given, expected="one size", hint="say --size N to resize both")
    return torch.from_numpy(ids.astype(np.int64))
