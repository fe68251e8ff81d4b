"""Recordings of people who drove, as Donkey Car and Udacity's simulator keep them: pictures with what was steered.

Three layouts are known by their files: Donkey's tub v2 (manifest.json, catalogues of JSON lines, images/), its older
tub (a record_<n>.json a picture) and Udacity's driving_log.csv beside IMG/. Only JSON, CSV, JPEG and PNG are read, out
of a folder or a zip file in place; a name in them counts only where the folder holds it.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import torch

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole
from deepwright.corruptions.driving.collecting import Demonstrations
from deepwright.data.files.archives import Decoding, ImageSource, decode

MAX_STEERING = math.radians(25)  # of both simulators' cars at a steering of 1
_MOST = 500_000  # pictures
_LARGEST_TEXT = 64 * 2**20  # bytes of a catalogue or a log
_PICTURES = {".jpg", ".jpeg", ".png"}
_RECORD = re.compile(r"record_(\d{1,12})\.json")
_COLUMNS = ("center", "left", "right", "steering", "throttle", "brake", "speed")  # of a log without a heading


class _Record(NamedTuple):
    """One moment: the picture's name in the source, steering (to the right where positive) and throttle."""

    picture: str
    steering: float
    throttle: float


Reader = Callable[[ImageSource, set[str], PurePosixPath], Iterator[_Record]]


def read_recording(
    path: Path | str,
    *,
    size: tuple[int, int] | None = (40, 80),
    rgb: bool = False,
    max_steering: float = MAX_STEERING,
    limit: int | None = None,
) -> Demonstrations:
    """A recording as demonstrations: to imitate, or to measure errors on without driving.

    Steering is turned into radians, to the left where positive, as everywhere here. Records that Donkey marks as
    deleted are left out. Of Udacity's three cameras the one in the middle is read.

    Args:
        path: the folder (or a zip file of it) that holds manifest.json, record_<n>.json or driving_log.csv.
        size: (height, width) to which pictures are resized; None keeps what they have.
        rgb: in colour; else grey.
        max_steering: radians at a steering of 1.
        limit: the first so many.

    Raises:
        InputError: no such recording; a picture that is named and isn't there, or lies outside; a broken file; numbers
            that are none; steering that never changes; more than half a million pictures.

    Example:
        offline_errors(agent, read_recording("tub", size=(120, 160), rgb=True), [("fog_mapping", 3)])
    """
    require_positive(max_steering=max_steering)
    if limit is not None:
        require_whole(1, limit=limit)
    source = ImageSource(path)
    records = _sorted_out(source, limit)
    names = [record.picture for record in records]
    pixels, _, _ = decode(source, names, Decoding(size, "RGB" if rgb else "L"))
    steering = torch.tensor([-record.steering * max_steering for record in records], dtype=torch.float32)
    throttle = torch.tensor([record.throttle for record in records], dtype=torch.float32)
    if len(records) < 2 or float(steering.std()) < 1e-6:
        given = f"{len(records)} pictures, steering always {records[0].steering:.3g}"
        raise InputError(f"recording {source.path}", given=given, expected="steering that changes")
    return Demonstrations(pixels.float() / 255, torch.stack([steering, throttle], 1))


def _sorted_out(source: ImageSource, limit: int | None) -> list[_Record]:
    """The records of whichever layout it is; `limit` of them."""
    names = set(source.names)
    readers: dict[str, Reader] = {"manifest.json": _tub, "driving_log.csv": _log}
    found: dict[PurePosixPath, Reader] = {}
    for name in sorted(names):
        path = PurePosixPath(name)
        named = readers.get(path.name)
        if named is not None:
            found[path.parent] = named
        elif _RECORD.fullmatch(path.name):
            found.setdefault(path.parent, _old_tub)
    expected = "a Donkey tub, or a log of Udacity's simulator"
    if len(found) != 1:
        given = f"none of manifest.json, record_<n>.json and driving_log.csv among {len(names)} files"
        if found:
            given = f"{len(found)} of them, in {', '.join(map(str, list(found)[:3]))}"
        hint = "name one; read both and add them with +" if found else None
        raise InputError(f"recording {source.path}", given=given, expected=expected, hint=hint)
    folder, reader = next(iter(found.items()))
    records = []
    for record in reader(source, names, folder):
        records.append(record)
        if len(records) == limit:
            break
        if len(records) > _MOST:
            given, hint = f"more than {_MOST:,} pictures", "limit= reads the first so many"
            raise InputError(f"recording {source.path}", given=given, hint=hint)
    if not records:
        raise InputError(f"recording {source.path}", given="no records", expected="at least two")
    return records


def _tub(source: ImageSource, names: set[str], folder: PurePosixPath) -> Iterator[_Record]:
    """Donkey's tub v2: the last line of the manifest names the catalogues, and which records are deleted."""
    manifest = _name(folder, "manifest.json")
    last = [line for line in _text(source, manifest).splitlines() if line.strip()][-1:]
    told = _object(last[0] if last else "", source, manifest)
    catalogues, deleted = told.get("paths"), told.get("deleted_indexes", [])
    if not isinstance(catalogues, list) or not isinstance(deleted, list):
        raise _broken(source, manifest, "no list of catalogues", "the manifest of a tub v2")
    gone = {index for index in deleted if isinstance(index, int)}
    for catalogue in catalogues:
        file = _inside(names, folder, str(catalogue), source, manifest)
        for number, line in enumerate(_text(source, file).splitlines(), 1):
            if not line.strip():
                continue
            where = f"{file}, line {number}"
            row = _object(line, source, where)
            if row.get("_index") not in gone:
                yield _record(row, names, folder / "images", source, where)


def _old_tub(source: ImageSource, names: set[str], folder: PurePosixPath) -> Iterator[_Record]:
    """One JSON file a record; the picture is named in it, or begins with the record's number."""
    numbers = {}
    pictures: dict[str, list[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.parent != folder:
            continue
        if found := _RECORD.fullmatch(path.name):
            numbers[int(found[1])] = name
        elif path.suffix.lower() in _PICTURES:
            pictures.setdefault(path.name.partition("_")[0].lstrip("0") or "0", []).append(path.name)
    for number in sorted(numbers):
        row = _object(_text(source, numbers[number]), source, numbers[number])
        if "cam/image_array" not in row:
            mine = pictures.get(str(number), [])
            if len(mine) != 1:
                raise _broken(source, numbers[number], f"{len(mine)} pictures {number}_<text>", "one")
            row = {**row, "cam/image_array": mine[0]}
        yield _record(row, names, folder, source, numbers[number])


def _log(source: ImageSource, names: set[str], folder: PurePosixPath) -> Iterator[_Record]:
    """Udacity's log; its paths are those of the machine that recorded, of which the last part counts."""
    log = _name(folder, "driving_log.csv")
    rows = csv.reader(io.StringIO(_text(source, log), newline=""))
    columns: tuple[str, ...] = _COLUMNS
    try:
        for number, row in enumerate(rows, 1):
            cells = [cell.strip() for cell in row]
            if number == 1 and "center" in cells:
                columns = tuple(cells)
                continue
            if not any(cells):
                continue
            told = dict(zip(columns, cells))
            base = re.split(r"[/\\]", told.get("center", ""))[-1]
            plain = {"cam/image_array": base, "user/angle": told.get("steering"), "user/throttle": told.get("throttle")}
            yield _record(plain, names, folder / "IMG", source, f"{log}, line {number}")
    except csv.Error as error:
        raise _broken(source, log, str(error), "lines of center,left,right,steering,throttle,brake,speed") from error


def _record(row: dict[str, Any], names: set[str], folder: PurePosixPath, source: ImageSource, where: str) -> _Record:
    """A record out of its words, each of them looked at."""
    picture = row.get("cam/image_array")
    if not isinstance(picture, str) or PurePosixPath(picture).suffix.lower() not in _PICTURES:
        raise _broken(source, where, f"the picture {picture!r:.80}", "the name of a .jpg or .png")
    numbers = []
    for name, default in (("user/angle", None), ("user/throttle", 0.0)):
        value = row.get(name, default)
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not abs(number) <= 1.0 + 1e-6:
            raise _broken(source, where, f"{name} = {value!r:.40}", "a number from -1 to 1")
        numbers.append(number)
    return _Record(_inside(names, folder, picture, source, where), *numbers)


def _inside(names: set[str], folder: PurePosixPath, name: str, source: ImageSource, where: str) -> str:
    """A file of the source; never one that isn't listed there, wherever its name points."""
    full = _name(folder, name)
    linked = source.path.is_dir() and not (source.path / full).resolve().is_relative_to(source.path.resolve())
    if full not in names or linked:
        raise _broken(source, where, f"{name!r:.120}, which isn't in {folder}", "files of the recording itself")
    return full


def _text(source: ImageSource, name: str) -> str:
    """A text, if it is one, of a size that can be held."""
    with source.opened(name) as stream:
        data = stream.read(_LARGEST_TEXT + 1)
    if len(data) > _LARGEST_TEXT:
        raise _broken(source, name, f"more than {_LARGEST_TEXT >> 20} MiB", "a shorter text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _broken(source, name, str(error), "UTF-8") from error


def _object(text: str, source: ImageSource, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _broken(source, where, f"{type(error).__name__}: {error}", "a JSON object") from error
    if not isinstance(found, dict):
        raise _broken(source, where, f"{text!r:.60}", "a JSON object")
    return found


def _name(folder: PurePosixPath, name: str) -> str:
    """As the source lists it."""
    return (folder / name).as_posix()


def _broken(source: ImageSource, where: str, given: str, expected: str) -> InputError:
    return InputError(f"{where} of {source.path}", given=given, expected=expected)
