"""What the `data.yaml` of a YOLO data set says: the names of the classes, and which pictures are of which part."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.data.files.archives import ImageSource
from deepwright.data.files.parts import PART_OF

YAML = "data.yaml"
_WORDS = ("train", "val", "test")


@dataclass(frozen=True)
class YoloParts:
    """The parts that a file names.

    Attributes:
        names: part -> its pictures, as paths below the data's folder.
        absent: lines whose folder or list isn't there.
    """

    names: dict[str, tuple[str, ...]]
    absent: tuple[str, ...]


def yaml_names(file: Path) -> list[str]:
    """The names of the classes, a list or numbers with names.

    Args:
        file: a `data.yaml`.

    Raises:
        InputError: it can't be read, or has no names.
    """
    with reading(f"cannot read {file}", "names: a list, or numbers with names", file):
        names = _read(file)["names"]
        for name in names.values() if isinstance(names, dict) else names:
            if name is None or not str(name).strip():
                raise ValueError(f"an empty name among {len(names)}")
        if not isinstance(names, dict):
            return [str(name) for name in names]
        if sorted(names) != list(range(len(names))):  # the labels in the files are these numbers
            raise ValueError(f"numbers {sorted(names)} in names, not 0 to {len(names) - 1}")
        return [str(names[k]) for k in sorted(names)]


def yolo_parts(path: Path) -> YoloParts:
    """The pictures under `train:`, `val:` and `test:`: a folder, a list of pictures (.txt), or several of either.

    Paths are looked for below the folder that `path:` names and below that of the file, and `../train/images` below the
    latter too, as exports write it. Nothing outside of the data's folder is read.

    Args:
        path: the data's folder, with a `data.yaml`.

    Raises:
        InputError: a file of another form, a folder or a list without a picture, a listed picture that isn't there,
            a picture in two parts, key points.
    """
    file = path / YAML
    if not file.is_file():
        return YoloParts({}, ())
    with reading(f"cannot read {file}", "a YAML of words and values", file):
        said = dict(_read(file))
    if "kpt_shape" in said:
        raise InputError(f"{file}", given="key points (kpt_shape)", expected="boxes: lines of class cx cy w h")
    home, source = path.resolve(), ImageSource(path)
    bases = [home / str(said["path"]), home] if said.get("path") else [home]
    names, absent = dict[str, tuple[str, ...]](), list[str]()
    for word in _WORDS:
        value = said.get(word)
        entries = [str(entry) for entry in (value if isinstance(value, list) else [value] if value else [])]
        places = [_below(home, bases, entry) for entry in entries]
        if any(place is None for place in places):
            absent += [f"{word}: {entry}" for entry, place in zip(entries, places, strict=True) if place is None]
        elif places:
            found = [_pictures(source, home, bases, place) for place in places if place]
            names[PART_OF[word]] = tuple(chain.from_iterable(found))
    _require_apart(file, names)
    return YoloParts(names, tuple(absent))


def _read(file: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error).splitlines()[0]) from error


def _below(home: Path, bases: list[Path], entry: str) -> Path | None:
    """Where a path leads inside the data's folder, which is resolved; None where it leads out of it or nowhere."""
    inside = entry.removeprefix("../")
    for place in (*(base / entry for base in bases), home / inside):
        found = place.resolve()
        if found.exists() and found.is_relative_to(home):
            return found
    return None


def _pictures(source: ImageSource, home: Path, bases: list[Path], place: Path) -> list[str]:
    """The pictures of a folder, or those that a list names."""
    if place.is_dir():
        start = "" if place == home else f"{place.relative_to(home).as_posix()}/"
        found = [name for name in source.images() if name.startswith(start)]
    else:
        with reading(f"cannot read {place}", "a picture a line", place):
            lines = [line.strip() for line in place.read_text(encoding="utf-8").splitlines() if line.strip()]
        found, known = [], set(source.images())
        for line in lines:
            picture = _below(home, [place.parent, *bases], line)
            name = "" if picture is None else picture.relative_to(home).as_posix()
            if name not in known:
                raise InputError(f"{place}", given=line[:80], expected=f"pictures below {home}")
            found.append(name)
    if not found:
        raise InputError(f"{place}", given="no picture", expected=f"at least one, as {home / YAML} says")
    return found


def _require_apart(file: Path, names: dict[str, tuple[str, ...]]) -> None:
    owner: dict[str, str] = {}
    for part, pictures in names.items():
        for name in pictures:
            if name in owner:
                given = f"{name} twice in {part}" if owner[name] == part else f"{name} in {owner[name]} and in {part}"
                hint = "take out one of the lines: data in one piece are divided"
                raise InputError(f"{file}", given=given, expected="each picture once, in one part", hint=hint)
            owner[name] = part
