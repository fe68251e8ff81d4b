"""What is known of each sample beside its class: published sets with a shortcut, and anybody's list of groups."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from deepwright.core.errors import InputError
from deepwright.core.files import reading, require_plain_file
from deepwright.data.dataset import Data, Split
from deepwright.data.files.archives import Decoding, ImageSource
from deepwright.data.files.class_order import Matched
from deepwright.data.files.folders import labelled_pictures
from deepwright.data.files.pieces import Cut

ATTRIBUTE = "attribute"
"""The column that holds the shortcut's value."""
_PARTS = ("train", "validation", "test")
PHOTOGRAPHS = Decoding((224, 224))
"""As most backbones take them."""


def with_column(data: Data, name: str, by_file: Mapping[str, Any]) -> Data:
    """The same data with one more column, told by the samples' files.

    Args:
        data: whose splits have the column "file", as pictures in folders do.
        name: of the new column.
        by_file: file, as in that column or its last part alone -> value.

    Raises:
        InputError: samples without files, files without a value, last parts that several files share.
    """
    splits = {part: split for part in _PARTS if len(split := getattr(data, part))}
    files: dict[str, list[str]] = {}
    for part, split in splits.items():
        if "file" not in split.columns:
            given = f"samples of {data.name} without files"
            raise InputError(f"column {name!r}", given=given, expected="pictures in folders, or a column of the data")
        files[part] = [str(file) for file in split.columns["file"]]
    whole = [file for some in files.values() for file in some]
    if not any(file in by_file for file in whole):
        _require_own_names(name, whole)
        files = {part: [PurePosixPath(file).name for file in some] for part, some in files.items()}
    parts: dict[str, Any] = {part: _with_column(splits[part], name, by_file, keys) for part, keys in files.items()}
    return replace(data, **parts)


def _require_own_names(name: str, files: list[str]) -> None:
    """Refuse last parts that several files share, in one split or in two: a value would be that of both."""
    first: dict[str, str] = {}
    for file in files:
        other = first.setdefault(PurePosixPath(file).name, file)
        if other != file:
            given = f"names that several files share ({other!r} and {file!r})"
            raise InputError(f"column {name!r}", given=given, expected=f"paths, as {files[0]!r}")


def _with_column(split: Split, name: str, by_file: Mapping[str, Any], keys: list[str]) -> Split:
    lost = [key for key in keys if key not in by_file]
    if lost:
        given = f"none for {len(lost)} of {len(keys)} files ({', '.join(map(repr, lost[:3]))})"
        raise InputError(f"column {name!r}", given=given, expected="a value for each file of the data")
    values = np.array([by_file[key] for key in keys])
    return Split(split.x, split.y, {**split.columns, name: values})


def read_column(path: Path | str) -> tuple[str, dict[str, str]]:
    """A list of groups: its name, and file -> value.

    Args:
        path: a .csv with a header and two columns, "file" and one more, whose name is the groups'.

    Raises:
        InputError: other columns, a row without a value or with more cells, a file twice.
    """
    rows = _table(Path(path))
    columns = list(rows[0]) if rows else []
    if len(columns) != 2 or "file" not in columns:
        raise InputError(f"{path}", given=f"columns {columns}", expected="two, 'file' and one that names the groups")
    name = next(column for column in columns if column != "file")
    odd = [str(row["file"]) for row in rows if None in row or not row["file"] or not row[name]]
    if odd:
        given = f"{len(odd)} rows without a value or with more than two cells ({', '.join(map(repr, odd[:3]))})"
        raise InputError(f"{path}", given=given, expected="a file and its value in each row")
    found = {row["file"]: row[name] for row in rows}
    if len(found) != len(rows):
        raise InputError(f"{path}", given=f"{len(rows) - len(found)} files twice", expected="a row a file")
    return name, found


def _table(path: Path, separator: str = ",", skip: int = 0) -> list[dict[str, str]]:
    require_plain_file(path, f"cannot read {path}")
    with reading(f"cannot read {path}", "a table with a header", path), path.open(newline="", encoding="utf-8") as file:
        for _ in range(skip):
            next(file)
        if separator == ",":
            found = list(csv.DictReader(file))
        else:  # columns by any space; where the header lacks the first one, that is the file's
            head, *lines = [line.split() for line in file if line.strip()]
            heads = head if lines and len(head) == len(lines[0]) else ["image_id", *head]
            found = [dict(zip(heads, line)) for line in lines]
    if not found:
        raise InputError(f"{path}", given="no row", expected="a row a picture")
    return found


def load_waterbirds(root: Path | str, *, how: Decoding = PHOTOGRAPHS) -> Data:
    """Waterbirds: land and water birds (the class) before land or water (the attribute).

    Args:
        root: the released folder, with `metadata.csv` (img_filename, y, place, split 0/1/2) beside the pictures.
        how: size and mode.

    Source: S. Sagawa et al., "Distributionally robust neural networks for group shifts", arXiv 1911.08731.
    """
    rows = _columns(Path(root) / "metadata.csv", ("img_filename", "y", "place", "split"))
    places = ("land", "water")
    classes = ("landbird", "waterbird")
    table = [
        (row["img_filename"], _code(row["y"], 2), _code(row["split"], 3), places[_code(row["place"], 2)])
        for row in rows
    ]
    return _labelled(Path(root), table, classes, how)


def load_celeba(
    root: Path | str, *, target: str = "Blond_Hair", attribute: str = "Male", how: Decoding = PHOTOGRAPHS
) -> Data:
    """CelebA: hair (the class) and gender (the attribute), as they were annotated there, or any two of its columns.

    Args:
        root: with `list_attr_celeba` and `list_eval_partition` (.csv or .txt) beside `img_align_celeba/`.
        target: the column that is the class.
        attribute: the column that is the attribute.
        how: size and mode.

    Source: Z. Liu et al., "Deep learning face attributes in the wild", arXiv 1411.7766.
    """
    home = Path(root)
    marks = _celeba(home, "list_attr_celeba", skip=1)
    split = {_first(row): list(row.values())[1] for row in _celeba(home, "list_eval_partition", headless=True)}
    lost = [name for name in (target, attribute) if name not in marks[0]]
    if lost:
        raise InputError(f"{home}", given=f"no column {lost[0]!r}", expected=f"one of {', '.join([*marks[0]][1:])}")
    unknown = [_first(row) for row in marks if _first(row) not in split]
    if unknown:
        given = f"no part of {len(unknown)} pictures ({', '.join(map(repr, unknown[:3]))})"
        raise InputError(f"list_eval_partition of {home}", given=given, expected="a part of each picture")
    nested = ("img_align_celeba/img_align_celeba", "img_align_celeba")  # as one archive unpacks, and as another does
    folder = next((f for f in nested if (home / f).is_dir()), "")
    table = [
        (
            str(PurePosixPath(folder) / _first(row)),
            int(row[target] == "1"),
            _code(split[_first(row)], 3),
            attribute if row[attribute] == "1" else f"not {attribute}",
        )
        for row in marks
    ]
    return _labelled(home, table, (f"not {target}", target), how)


def _first(row: dict[str, str]) -> str:
    return next(iter(row.values()))


def _celeba(home: Path, stem: str, *, skip: int = 0, headless: bool = False) -> list[dict[str, str]]:
    if (home / f"{stem}.csv").exists():
        return _table(home / f"{stem}.csv")
    path = home / f"{stem}.txt"
    if not headless:
        return _table(path, " ", skip)
    require_plain_file(path, f"cannot read {path}")
    with reading(f"cannot read {path}", "a file and its part a line", path):
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [{"image_id": name, "partition": part} for name, part in lines]


def load_metashift(root: Path | str, *, how: Decoding = PHOTOGRAPHS) -> Data:
    """MetaShift's cats and dogs in folders `train|val|test/cat/cat(sofa)/...`: the place in brackets is the attribute.

    Args:
        root: of the parts; a name of the form class(place) may be the folder's below the class, or below the part.
        how: size and mode.

    Source: W. Liang, J. Zou, "MetaShift: a dataset of datasets for evaluating contextual distribution shifts", arXiv
    2202.06523.
    """
    part_of = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}
    table = []
    found = set()
    for name in ImageSource(root).images():
        folders = PurePosixPath(name).parts[:-1]
        part = next((part_of[f.lower()] for f in folders if f.lower() in part_of), None)
        kind, _, place = next((f for f in folders if f.endswith(")") and "(" in f), "").partition("(")
        if part is None or not kind:
            raise InputError(f"{name} of {root}", given="another place", expected="train|val|test/.../class(place)/")
        found.add(kind)
        table.append((name, kind, part, place.removesuffix(")")))
    classes = tuple(sorted(found))
    return _labelled(Path(root), [(n, classes.index(k), p, a) for n, k, p, a in table], classes, how)


def _labelled(root: Path, table: list[tuple[str, int, int, str]], classes: tuple[str, ...], how: Decoding) -> Data:
    """Data of (file, class, part, attribute)."""
    pools: dict[str, list[tuple[str, int]]] = {part: [] for part in _PARTS}
    for file, label, part, _ in table:
        pools[_PARTS[part]].append((file, label))
    empty = [part for part in _PARTS if not pools[part]]
    if empty:
        raise InputError(f"{root}", given=f"no {empty[0]} picture", expected="pictures in all three parts")
    order = Matched(classes, {name: i for i, name in enumerate(classes)}, "")
    data = labelled_pictures(ImageSource(root), pools, order, how, Cut())
    return with_column(data, ATTRIBUTE, {file: attribute for file, _, _, attribute in table})


def _columns(path: Path, names: tuple[str, ...]) -> list[dict[str, str]]:
    rows = _table(path)
    lost = [name for name in names if name not in rows[0]]
    if lost:
        raise InputError(f"{path}", given=f"no column {lost[0]!r}", expected=", ".join(names))
    return rows


def _code(value: str, size: int) -> int:
    if value not in map(str, range(size)):
        raise InputError("a code of the table", given=repr(value), expected=f"0..{size - 1}")
    return int(value)


def load_features(path: Path | str) -> Data:
    """Embeddings of any backbone: an .npz of `features` (n, d), `y`, `group`, `split` (0 train, 1 validation, 2 test).

    Args:
        path: the file; `group` (numbers or names) may be missing, and becomes the column "group".

    Raises:
        InputError: missing arrays, other lengths, features that aren't finite numbers, a part without rows.
    """
    require_plain_file(path, f"cannot read {path}")
    with reading(f"cannot read {path}", "arrays features, y, split and group", path), np.load(path) as file:
        found = {name: file[name] for name in file.files if name in ("features", "y", "split", "group")}
    lost = [name for name in ("features", "y", "split") if name not in found]
    if lost:
        raise InputError(f"{path}", given=f"no array {lost[0]!r}", expected="features, y, split and, if known, group")
    x, y, split = found["features"], found["y"], found["split"]
    lengths = {name: len(values) for name, values in found.items()}
    if x.ndim != 2 or len(set(lengths.values())) != 1:
        raise InputError(f"{path}", given=f"features {x.shape}, lengths {lengths}", expected="(n, d) and n of each")
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32) if x.dtype.kind == "f" else x
    if x.dtype.kind != "f" or not np.isfinite(narrow).all():
        raise InputError(f"features of {path}", given=str(x.dtype), expected="finite floats that float32 holds")
    if y.dtype.kind not in "iu" or y.ndim != 1 or (len(y) and y.min() < 0):
        raise InputError(f"y of {path}", given=f"{y.dtype} of shape {y.shape}", expected="classes from 0")
    if split.ndim != 1 or set(np.unique(split).tolist()) != {0, 1, 2}:
        given = f"values {np.unique(split).tolist()[:5]}"
        raise InputError(
            f"split of {path}", given=given, expected="0 (train), 1 (validation) and 2 (test), all of them"
        )
    columns = {"group": found["group"]} if "group" in found else {}
    whole = Split(torch.from_numpy(narrow), torch.from_numpy(y.astype(np.int64)), columns)
    parts = [whole.where(torch.from_numpy(split == part)) for part in range(3)]
    names = tuple(f"feature {i}" for i in range(x.shape[1]))
    classes = tuple(map(str, range(int(y.max()) + 1)))
    train, validation, test = parts
    return Data(Path(path).stem, "tabular", classes, train, validation, test, features=names)
