"""Pictures with boxes in the three formats that people have: PASCAL-VOC XML, COCO JSON, YOLO text.

All give grey or colour images of one size and boxes in its pixels; labels count from 0 in the order of the class names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import torch
from torch import Tensor

from deepwright.core.boxes import Aside, Detections, require_boxes
from deepwright.core.errors import InputError
from deepwright.core.files import reading, require_plain_file
from deepwright.data.files.archives import Decoding, ImageSource, decode


@dataclass(frozen=True)
class BoxData:
    """Pictures and the boxes in them.

    Attributes:
        images: uint8 (N, C, H, W).
        truth: the boxes in each, in pixels of these images; difficult and crowd ones are set `aside`.
        classes: class names, index = label.
        names: of the files.
        occupied: (N,) 1 for frames with a box that counts, 0 for empty ones, -1 where all boxes are marked difficult or
            crowd: whether something is there isn't defined for those.
    """

    images: Tensor
    truth: list[Detections]
    classes: tuple[str, ...]
    names: tuple[str, ...]
    occupied: Tensor

    def __len__(self) -> int:
        return len(self.truth)


@dataclass
class _Row:
    """One picture as a file says it: boxes as (x1, y1, x2, y2, class, counts), in pixels of a picture of the size said.

    Attributes:
        said: width and height, where the file says them.
    """

    name: str
    boxes: list[tuple[float, float, float, float, str, bool]]
    crowd: bool = False  # whether boxes that don't count hold many objects
    said: tuple[float, float] | None = None


def load_voc(
    folder: Path | str,
    size: tuple[int, int],
    *,
    channels: int = 1,
    classes: Sequence[str] | None = None,
    marks: Path | str | None = None,
    only: Sequence[str] | None = None,
) -> BoxData:
    """A folder of pictures with an XML file each: beside them, or in `Annotations/` with pictures in `JPEGImages/`.

    Boxes marked difficult are set aside, as VOC's measure has it. Of a list of a kit (`only`) coordinates count pixels
    from 1, both ends included: a box of 1 to W is as wide as the picture.

    Args:
        folder: of the pictures.
        size: (height, width) that all are resized to.
        channels: 1 for grey, 3 for colour.
        classes: names in the order of the labels; in alphabetical order by default.
        marks: the folder of the XML files, where it is another.
        only: the names of the pictures, without endings, as a kit of VOC lists them; all by default.

    Raises:
        InputError: a picture without XML or the other way round, XML that can't be read, boxes outside the picture or
            without a class, a size that isn't the picture's.
    """
    folder = Path(folder)
    beside = folder / "Annotations" if (folder / "Annotations").is_dir() else folder
    home = beside if marks is None else Path(marks)
    files = sorted(home.glob("*.xml")) if only is None else [home / f"{stem}.xml" for stem in only]
    if not files:
        raise InputError(f"{folder}", given="no .xml", expected="PASCAL-VOC annotations")
    pictures: dict[str, str] = {}
    for name in ImageSource(folder).images():
        if (other := pictures.setdefault(Path(name).stem, str(name))) != str(name):
            raise InputError(f"{folder}", given=f"{other} and {name}", expected="one picture for each .xml")
    rows = []
    for file in files:
        if file.stem not in pictures:
            raise InputError(f"{file.name}", given="no picture of that name", expected=f"{file.stem}.jpg or .png")
        boxes, said = _read_voc(file, 0 if only is None else 1)
        rows.append(_Row(pictures[file.stem], boxes, said=said))
    return _assemble(folder, rows, size, channels, classes)


def _read_voc(
    file: Path, first: int
) -> tuple[list[tuple[float, float, float, float, str, bool]], tuple[float, float] | None]:
    """Boxes of a file, and the size that it says."""
    require_plain_file(file, f"cannot read {file}")
    try:
        root = ElementTree.fromstring(file.read_bytes())
        found = []
        for item in root.iter("object"):
            box = item.find("bndbox")
            assert box is not None
            corners = [float(box.findtext(k, "nan")) for k in ("xmin", "ymin", "xmax", "ymax")]
            corners[:2] = [corner - first for corner in corners[:2]]  # from numbers of pixels to their outer edges
            counts = item.findtext("difficult", "0").strip() != "1"
            found.append((*corners, _named(item.findtext("name", ""), "the name of an object").strip(), counts))
        said = _size_said(root.findtext("size/width"), root.findtext("size/height"))
        return found, said  # type: ignore[return-value]
    except (ElementTree.ParseError, AssertionError, TypeError, ValueError) as error:
        raise InputError(f"cannot read {file}", given=str(error), expected="PASCAL-VOC XML") from error


def _size_said(width: object, height: object) -> tuple[float, float] | None:
    """Width and height as a file says them; None where it doesn't, or writes 0, as some tools do."""
    if width is None or height is None:
        return None
    sides = float(str(width)), float(str(height))
    return sides if all(sides) else None


def load_coco(
    annotations: Path | str,
    folder: Path | str,
    size: tuple[int, int],
    *,
    channels: int = 1,
    classes: Sequence[str] | None = None,
) -> BoxData:
    """A COCO JSON file and the folder of its pictures; crowd boxes are set aside, as COCO's measure has it.

    Args:
        annotations: the JSON file.
        folder: of the pictures.
        size: (height, width) that all are resized to.
        channels: 1 for grey, 3 for colour.
        classes: names in the order of the labels; in the order of the file's numbers by default.

    Raises:
        InputError: JSON of another layout, pictures that are missing, boxes outside the picture, a size that isn't the
            picture's.
    """
    with reading(f"cannot read {annotations}", "COCO's images, annotations and categories", annotations):
        data = json.loads(Path(annotations).read_text())
        names = {c["id"]: _named(c["name"], "the name of a category") for c in data["categories"]}
        rows = {
            i["id"]: _Row(_named(i["file_name"], "file_name"), [], True, _size_said(i.get("width"), i.get("height")))
            for i in data["images"]
        }
        for what, found, told in (
            ("id of a category", names, data["categories"]),
            ("name of a category", set(names.values()), data["categories"]),
            ("id of a picture", rows, data["images"]),
            ("picture", {row.name for row in rows.values()}, data["images"]),
        ):
            if len(found) < len(told):
                raise ValueError(f"the same {what} twice")
        for a in data["annotations"]:
            x, y, w, h = a["bbox"]
            rows[a["image_id"]].boxes.append((x, y, x + w, y + h, names[a["category_id"]], not a.get("iscrowd", 0)))
    order = classes or [names[k] for k in sorted(names)]
    return _assemble(Path(folder), list(rows.values()), size, channels, order)


def _named(value: object, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{what} is {value!r}, no text" if value else f"{what} is empty")
    return value


def load_yolo(
    folder: Path | str,
    size: tuple[int, int],
    classes: Sequence[str],
    *,
    channels: int = 1,
    marks: Path | str | None = None,
    only: Sequence[str] | None = None,
) -> BoxData:
    """Pictures with a text file each: `class cx cy w h` a line, as shares of the picture (in `labels/` or beside them).

    A line of three or more points, `class x y x y x y`, is an outline; its box is the one around them. Pictures without
    a text file hold no object.

    Args:
        folder: of the pictures.
        size: (height, width) that all are resized to.
        classes: names in the order of the class numbers.
        channels: 1 for grey, 3 for colour.
        marks: the folder of the text files, where it is another.
        only: the pictures, as paths below `folder`; all by default.

    Raises:
        InputError: lines of another form, a class number without a name, boxes outside the picture, no text file that
            fits a picture.
    """
    folder = Path(folder)
    beside = folder / "labels" if (folder / "labels").is_dir() else folder
    home = beside if marks is None else Path(marks)
    rows = []
    source = ImageSource(folder)
    names = source.images() if only is None else list(only)
    shared = {stem for stem, times in Counter(PurePosixPath(name).stem for name in names).items() if times > 1}
    marked = 0
    for name in names:
        file = _yolo_text(folder, home, PurePosixPath(name), shared)
        marked += file is not None
        width, height = source.size_of(name)
        rows.append(_Row(name, [] if file is None else _yolo_boxes(file, width, height, classes)))
    if rows and not marked:
        raise InputError(
            f"{home}", given=f"no text file for any of {len(rows)} pictures", expected=f"{Path(rows[0].name).stem}.txt"
        )
    return _assemble(folder, rows, size, channels, classes)


def _yolo_text(folder: Path, home: Path, name: PurePosixPath, shared: set[str]) -> Path | None:
    """The text of a picture: with `labels` for `images`, at the same path, or by its name where no other has it."""
    text = name.with_suffix(".txt")
    places = [home / text]
    if "images" in text.parts[:-1]:
        last = max(i for i, part in enumerate(text.parts[:-1]) if part == "images")
        places.insert(0, folder.joinpath(*text.parts[:last], "labels", *text.parts[last + 1 :]))
    if name.stem not in shared:
        places.append(home / text.name)
    return next((place for place in places if place.exists()), None)


def _yolo_boxes(
    file: Path, width: int, height: int, classes: Sequence[str]
) -> list[tuple[float, float, float, float, str, bool]]:
    found = []
    with reading(f"cannot read {file}", "a text of lines: class cx cy w h", file):
        lines = file.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            kind, *words = line.split()
            if int(kind) < 0:  # would count from the end
                raise IndexError(kind)
            x1, y1, x2, y2 = _yolo_corners([float(word) for word in words])
            found.append((x1 * width, y1 * height, x2 * width, y2 * height, classes[int(kind)], True))
        except (ValueError, IndexError) as error:
            raise InputError(
                f"{file}, line {number}",
                given=line.strip()[:60],
                expected=f"class cx cy w h, class 0..{len(classes) - 1}",
            ) from error
    return found


def _yolo_corners(numbers: list[float]) -> tuple[float, float, float, float]:
    """The corners of a box (with its score, where a detector wrote it), or of the box around an outline."""
    if len(numbers) in (4, 5):
        cx, cy, w, h = numbers[:4]
        return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"{len(numbers)} numbers")
    xs, ys = numbers[::2], numbers[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _assemble(
    folder: Path, rows: list[_Row], size: tuple[int, int], channels: int, classes: Sequence[str] | None
) -> BoxData:
    """Decode and resize the pictures, and scale the boxes along."""
    names = tuple(classes) if classes is not None else tuple(sorted({b[4] for r in rows for b in r.boxes}))
    if channels not in (1, 3):
        raise InputError("channels", given=channels, expected="1 or 3")
    if not rows:
        raise InputError(f"{folder}", given="no picture", expected="at least one")
    source = ImageSource(folder)
    exact, known = set(source.images()), dict[str, list[str]]()
    for name in source.images():
        known.setdefault(Path(name).name, []).append(name)
    truth, occupied, files = [], [], []
    for row in rows:
        # else by its own name: a path that leads out of the folder leads nowhere
        found = [row.name] if row.name in exact else known.get(Path(row.name).name, [])
        if len(found) != 1:
            raise InputError(
                f"picture {row.name}",
                given=f"{len(found)} of that name in {folder}",
                expected="one for every annotation",
            )
        file = found[0]
        files.append(str(file))
        width, height = source.size_of(file)
        if row.said not in (None, (width, height)):
            said = " x ".join(f"{side:g}" for side in row.said or ())
            given = f"{said} pixels, and a picture of {width} x {height}"
            hint = "was the picture resized or turned? Its boxes count the pixels of the size that is said"
            raise InputError(f"the size said of {row.name}", given=given, expected="one size", hint=hint)
        strange = next((b[4] for b in row.boxes if b[4] not in names), None)
        if strange is not None:
            raise InputError(f"a box of {row.name}", given=f"class {strange!r}", expected=", ".join(names))
        boxes = torch.tensor([b[:4] for b in row.boxes], dtype=torch.float32).reshape(-1, 4)
        require_boxes(boxes, height, width, f"a box of {row.name}")
        boxes *= torch.tensor([size[1] / width, size[0] / height] * 2)
        counts = torch.tensor([b[5] for b in row.boxes], dtype=torch.bool)
        labels = torch.tensor([names.index(b[4]) for b in row.boxes], dtype=torch.long)
        many = torch.tensor([row.crowd for _ in row.boxes], dtype=torch.bool)[~counts]
        beside = None if bool(counts.all()) else Aside(boxes[~counts], labels[~counts], many)
        truth.append(Detections(boxes[counts], labels[counts], None, beside))
        occupied.append(1 if counts.any() else (-1 if len(counts) else 0))
    pixels, _, _ = decode(source, files, Decoding(size, "L" if channels == 1 else "RGB", None, False))
    return BoxData(pixels, truth, names, tuple(files), torch.tensor(occupied))
