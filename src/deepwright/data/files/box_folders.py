"""Folders of pictures with boxes, told apart by what is in them: COCO JSON, PASCAL-VOC XML, YOLO text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.core.tasks import DetectionBatch
from deepwright.data.dataset import Data, Split
from deepwright.data.files.archives import Decoding, ImageSource, decode
from deepwright.data.files.detection import BoxData, load_coco, load_voc, load_yolo
from deepwright.data.files.parts import by_part, data_of_parts, part_in
from deepwright.data.files.pieces import FOR_TRAINING
from deepwright.data.files.voc_lists import BOXES, voc_lists
from deepwright.data.files.yolo_yaml import YAML, yaml_names, yolo_parts

_HEAD = 1 << 20  # bytes that a JSON file is told by
_CLASS_FILES = ("classes.txt", "obj.names", "_darknet.labels")


@dataclass(frozen=True)
class _Piece:
    """One part of the data: its pictures, and what marks the objects in them."""

    form: str
    pictures: Path
    marks: Path
    only: tuple[str, ...] | None = None  # of the pictures, where a kit of VOC or a file of YOLO lists them


def holds_boxes(path: Path) -> bool:
    """Whether a folder holds pictures with boxes in one of the three forms.

    Args:
        path: any.
    """
    return path.is_dir() and bool(_pieces(path)[0])


def load_boxes(
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
    """Pictures with boxes as data for a detector, in the form that the folder has.

    COCO: a JSON file beside the pictures or in `annotations/`, one a part (`instances_val2017.json`, for `val2017/`).
    VOC: an XML file a picture, beside it or in `Annotations/`; the lists in `ImageSets/Main` say the parts. YOLO: a
    text file a picture, beside it or in `labels/`, with class names in `classes.txt` or in `data.yaml`, whose `train:`,
    `val:` and `test:` say the parts. Each may stand in folders `train`, `val`, `test`, or in one piece.

    Args:
        path: the folder.
        classes: names in the order of the network's labels; the file's order by default, alphabetical for VOC.
        size: (height, width) that all are resized to; by default they must have one size and keep it.
        mode: "RGB", "L", or "keep" for that of the first picture.
        shares: of the training and the validation part, where the data come in one piece.
        split: "test" makes such data the test part, all of them.
        limit: at most so many test and validation pictures each.
        train_limit: at most so many training pictures.
        seed: of splits and limits.

    Raises:
        InputError: no form that is known, pictures of several sizes without `size`, class names that are missing.
    """
    path = Path(path)
    pieces, told = _pieces(path) if path.is_dir() else ({}, [])
    if not pieces:
        hint = "COCO: *.json; VOC: Annotations/*.xml; YOLO: labels/*.txt with data.yaml or classes.txt"
        raise InputError(
            f"{path}", given="no boxes that can be read", expected="a folder of pictures with boxes", hint=hint
        )
    first = next(iter(pieces.values()))
    shape, channels = _form_of_pictures(first, size, mode)
    names = classes if classes is not None else _class_names(path, first)
    read = {part: _read(piece, shape, channels, names) for part, piece in pieces.items()}
    found = tuple(names) if names is not None else tuple(sorted({c for each in read.values() for c in each.classes}))
    if any(each.classes != found for each in read.values()):  # VOC names its classes box by box
        read = {part: _read(piece, shape, channels, found) for part, piece in pieces.items()}
    splits = {part: Split(each.images, DetectionBatch(each.truth)) for part, each in read.items()}
    ignored = sum(int((each.occupied == -1).sum()) for each in read.values())
    order = ", ".join(f"{i} {name}" for i, name in enumerate(found[:20])) + (", ..." if len(found) > 20 else "")
    notes = [f"{first.form} boxes; labels are {order}", *told]
    if ignored:
        what = "pictures hold" if ignored > 1 else "picture holds"
        notes.append(f"{ignored} {what} only boxes marked difficult or crowd, which don't count as objects")
    data = data_of_parts(path, "detection", found, splits, shares=shares, split=split, seed=seed, notes=notes)
    return data.limited(limit, train_limit, seed)


def _pieces(path: Path) -> tuple[dict[str, _Piece], list[str]]:
    """The parts that a folder has, under "" one that has none, and what to tell of where they are from."""
    coco = _coco_pieces(path)
    if coco:
        return coco, []
    voc = _voc_pieces(path)
    if voc:
        return voc, ["parts are those of ImageSets/Main; coordinates count pixels from 1, as VOC's do"]
    said = yolo_parts(path)
    absent = [f"not found below the data's folder, as {YAML} says: {line}" for line in said.absent]
    if said.names:
        yolo = {part: _Piece("YOLO", path, path, only) for part, only in said.names.items()}
        return yolo, [f"parts are those of {YAML}", *absent]
    return _pieces_of_folders(path), absent


def _pieces_of_folders(path: Path) -> dict[str, _Piece]:
    """The parts that folders are named as, under "" one that has none."""
    inside = [(part_in(f.name), f.name, _one(f)) for f in _folders_of_parts(path)]
    found = by_part(((part, name, piece) for part, name, piece in inside if piece is not None), path)
    pictures, marks = path / "images", path / "labels"
    if not found and pictures.is_dir() and marks.is_dir():
        marked = [f for f in _folders_of_parts(pictures) if any((marks / f.name).glob("*.txt"))]
        found = by_part(((part_in(f.name), f.name, _Piece("YOLO", f, marks / f.name)) for f in marked), pictures)
    whole = None if found else _one(path)
    return found if whole is None else {"": whole}


def _folders_of_parts(path: Path) -> list[Path]:
    return [folder for folder in sorted(path.iterdir()) if folder.is_dir() and part_in(folder.name)]


def _one(path: Path) -> _Piece | None:
    """The form of a folder without parts; None for another."""
    coco = _coco_pieces(path)
    if coco:
        return next(iter(coco.values()))
    if any(path.glob("*.xml")) or any((path / "Annotations").glob("*.xml")):
        return _Piece("VOC", path, path)
    named = [name for name in _CLASS_FILES if (path / name).exists()] or (path / YAML).exists()
    if any((path / "labels").glob("*.txt")):
        pictures = path / "images" if (path / "images").is_dir() else path
        return _Piece("YOLO", pictures, path / "labels")
    beside = [file for file in path.glob("*.txt") if file.name not in _CLASS_FILES]
    return _Piece("YOLO", path, path) if named and beside else None


def _voc_pieces(path: Path) -> dict[str, _Piece]:
    """The parts that a kit of VOC lists."""
    pictures, marks = path / "JPEGImages", path / "Annotations"
    if not pictures.is_dir() or not marks.is_dir():
        return {}
    return {part: _Piece("VOC", pictures, marks, only) for part, only in voc_lists(path, BOXES).items()}


def _coco_pieces(path: Path) -> dict[str, _Piece]:
    """COCO files beside the pictures or in `annotations/`, by the part that their names say."""
    files = [
        file for folder in (path, path / "annotations") if folder.is_dir() for file in sorted(folder.glob("*.json"))
    ]
    files = [file for file in files if _is_coco(file)]
    if len(files) == 1:
        part = part_in(files[0].stem.removeprefix("instances_"))
        return {part: _Piece("COCO", path, files[0])}
    named = [(part_in(file.stem.removeprefix("instances_")), file.name, file) for file in files]
    found = by_part((each for each in named if each[0]), path)
    return {part: _Piece("COCO", _pictures_of(path, part), file) for part, file in found.items()}


def _pictures_of(path: Path, part: str) -> Path:
    """The folder of a part's pictures, where there is one of its own."""
    homes = [path, path / "images"]
    own = [
        f for home in homes if home.is_dir() for f in sorted(home.iterdir()) if f.is_dir() and part_in(f.name) == part
    ]
    return own[0] if own else path


def _is_coco(file: Path) -> bool:
    """Whether a JSON file begins like one of boxes; the whole is read where it is used."""
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    words = [word in head for word in (b'"images"', b'"annotations"', b'"categories"')]
    return any(words) if len(head) == _HEAD else all(words)


def _form_of_pictures(piece: _Piece, size: tuple[int, int] | None, mode: str) -> tuple[tuple[int, int], int]:
    """Height and width of all pictures, and their channels."""
    folder, source = piece.pictures, ImageSource(piece.pictures)
    names = list(piece.only) if piece.form == "YOLO" and piece.only is not None else source.images()
    if not names:
        raise InputError(f"{folder}", given="no picture", expected="at least one")
    first = decode(source, names[:1], Decoding(None, mode))[0]
    if size is not None:
        return size, first.shape[1]
    width, height = source.size_of(names[0])
    other = next((name for name in names if source.size_of(name) != (width, height)), None)
    if other is not None:
        wide, high = source.size_of(other)
        given = f"{names[0]} of {width} x {height}, {other} of {wide} x {high}"
        raise InputError(
            f"pictures of {folder}", given=given, expected="one size", hint="say --size N to resize them all"
        )
    return (height, width), first.shape[1]


def _read(piece: _Piece, size: tuple[int, int], channels: int, classes: Sequence[str] | None) -> BoxData:
    if piece.form == "COCO":
        return load_coco(piece.marks, piece.pictures, size, channels=channels, classes=classes)
    if piece.form == "VOC":
        marks = None if piece.only is None else piece.marks
        return load_voc(piece.pictures, size, channels=channels, classes=classes, marks=marks, only=piece.only)
    assert classes is not None
    return load_yolo(piece.pictures, size, classes, channels=channels, marks=piece.marks, only=piece.only)


def _class_names(path: Path, piece: _Piece) -> Sequence[str] | None:
    """Names that the data bring in an order of their own; None where they have none (VOC)."""
    if piece.form == "VOC":
        return None
    if piece.form == "COCO":
        with reading(f"cannot read {piece.marks}", "COCO's images, annotations and categories", piece.marks):
            categories = json.loads(piece.marks.read_text())["categories"]
            return [name for _, name in sorted((c["id"], str(c["name"])) for c in categories)]
    for folder in (path, piece.pictures, piece.marks):
        for name in _CLASS_FILES:
            if (folder / name).is_file():
                return [
                    line.strip() for line in (folder / name).read_text(encoding="utf-8").splitlines() if line.strip()
                ]
        if (folder / YAML).is_file():
            return yaml_names(folder / YAML)
    raise InputError(
        f"class names of {path}", given="none", expected="data.yaml or classes.txt", hint="or --classes a,b,c"
    )
