"""Texts of the user's own: a column of a table (CSV, TSV, JSON lines), or folders of .txt files, one a class."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.core.texts import to_codes
from deepwright.data.dataset import Data, Split
from deepwright.data.files.class_order import Matched, Named, in_order, listed, matched, order_note, require_names
from deepwright.data.files.parts import data_of_parts
from deepwright.data.files.pieces import FOR_TRAINING

TEXT_FILES = (".csv", ".tsv", ".jsonl")
LONGEST = 20_000  # characters of a text that are kept
_MOST_CLASSES = 100
_PARTS = {"train": "train", "training": "train", "val": "validation", "valid": "validation"}
_PARTS |= {"validation": "validation", "dev": "validation", "test": "test"}


def load_texts(
    path: Path | str,
    *,
    text: str = "text",
    target: str = "label",
    classes: Sequence[str] | None = None,
    outputs: Sequence[Named] | None = None,
    shares: tuple[float, float] = FOR_TRAINING,
    split: str | None = None,
    limit: int | None = None,
    train_limit: int | None = None,
    seed: int = 0,
    skip_broken: bool = False,
) -> Data:
    """Texts with one class each.

    A file comes in one piece and is split (stratified, seeded). A folder holds `class/*.txt`, or such folders under
    train, validation and test, or files named so (`train.csv`, `test.jsonl`), which are taken as they are; a missing
    part is cut from another one, and notes say so.

    Args:
        path: a .csv, .tsv or .jsonl file, or a folder.
        text: column of the texts.
        target: column of the classes.
        classes: names of all outputs in their order; by default those that occur, numbers by their value.
        outputs: a network's own classes, each under all its names; classes of such names are those.
        shares: of the training and the validation part, where the texts come in one piece.
        split: "test" makes such texts the test part, all of them.
        limit: at most so many test and validation texts each.
        train_limit: at most so many training texts.
        seed: of splits and limits.
        skip_broken: leave out rows without a text or a class instead of refusing.

    Raises:
        InputError: no such file or column (the columns are listed), rows without a text or class, a single class.
    """
    path = Path(path)
    pools, notes = _pools(path, text, target, skip_broken)
    found = in_order(label for rows in pools.values() for _, label in rows)
    if not 2 <= len(found) <= _MOST_CLASSES:
        raise InputError(
            f"classes of {path.name}", given=f"{len(found)} ({', '.join(found[:3])})", expected=f"2 to {_MOST_CLASSES}"
        )
    order = _order(found, classes, outputs, f"class of {path.name}")
    names, index = order.classes, order.index
    notes += [order.note] if order.note else []
    labels = {part: torch.tensor([index[label] for _, label in rows]) for part, rows in pools.items()}
    texts = {part: [each for each, _ in rows] for part, rows in pools.items()}
    cut = sum(len(each) > LONGEST for rows in texts.values() for each in rows)
    if cut:
        notes.append(f"{cut} texts were cut at {LONGEST:,} characters")
    whole = {part: Split(to_codes([each[:LONGEST] for each in rows]), labels[part]) for part, rows in texts.items()}
    data = data_of_parts(path, "text", names, whole, shares=shares, split=split, seed=seed, what="texts", notes=notes)
    return data.limited(limit, train_limit, seed)


def _order(
    found: tuple[str, ...], classes: Sequence[str] | None, outputs: Sequence[Named] | None, what: str
) -> Matched:
    """Which output each class is: by the user's list, by the network's names, else by the order of their names."""
    if classes is not None:
        return listed(found, require_names(classes, "classes"), what)
    by_name = None if outputs is None else matched(found, outputs, what)
    if by_name is not None:
        return by_name
    return Matched(found, {name: i for i, name in enumerate(found)}, "".join(order_note(found)))


def load_strings(path: Path | str, limit: int | None = None) -> torch.Tensor:
    """Texts that belong to no class, as code points: a line each of a .txt file, or every .txt file of a folder.

    Args:
        path: the file or folder.
        limit: at most so many.
    """
    path = Path(path)
    with reading(f"cannot read {path}", "a .txt file with a text a line, or a folder of .txt files"):
        if path.is_dir():
            texts = [each.read_text(encoding="utf-8-sig") for each in sorted(path.rglob("*.txt"))[:limit]]
        else:
            texts = path.read_text(encoding="utf-8-sig").splitlines()
    kept = [each.strip()[:LONGEST] for each in texts if each.strip()][:limit]
    if not kept:
        raise InputError(f"texts of {path}", given="none", expected="at least one")
    return to_codes(kept)


def holds_texts(path: Path) -> bool:
    """Whether a folder holds texts: .txt files in folders, or tables named train or test.

    Args:
        path: a folder.
    """
    return path.is_dir() and (bool(_tables(path)) or any(path.glob("*/*.txt")) or any(path.glob("*/*/*.txt")))


def _pools(path: Path, text: str, target: str, skip: bool) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
    """(text, class) of each part; a single part is called "all"."""
    if not path.exists():
        raise InputError("data", given=f"{path} does not exist", expected="a .csv, .tsv or .jsonl file, or a folder")
    tables = {"all": path} if path.is_file() else _tables(path)
    if not tables:
        return _folders(path), []
    pools, notes = {}, []
    for part, file in tables.items():
        rows, left_out = _rows(file, text, target, skip)
        pools[part] = rows
        if left_out:
            notes.append(f"{left_out} rows of {file.name} without a text or a class were left out")
    return ({"all": next(iter(pools.values()))} if len(pools) == 1 else pools), notes


def _tables(path: Path) -> dict[str, Path]:
    found = {}
    for file in sorted(path.iterdir()):
        if file.suffix.lower() in TEXT_FILES and file.stem.lower() in _PARTS:
            found[_PARTS[file.stem.lower()]] = file
    return found


def _records(content: str, delimiter: str) -> list[dict[str, Any]]:
    """The rows of a table; a text may be longer than csv's usual limit, which is everybody's and put back."""
    usual = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        return list(csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter))
    finally:
        csv.field_size_limit(usual)


def _rows(file: Path, text: str, target: str, skip: bool) -> tuple[list[tuple[str, str]], int]:
    suffix = file.suffix.lower()
    if suffix not in TEXT_FILES:
        raise InputError("texts", given=file.name, expected=f"a file that ends in {', '.join(TEXT_FILES)}")
    with reading(f"cannot read {file}", f"a {suffix} file in UTF-8", file):
        content = file.read_text(encoding="utf-8-sig")
        if suffix == ".jsonl":
            records = [json.loads(line) for line in content.split("\n") if line.strip()]
        else:
            records = _records(content, "\t" if suffix == ".tsv" else ",")
    columns = list(records[0]) if records and isinstance(records[0], dict) else []
    for name, option in ((text, "--text"), (target, "--target")):
        if name not in columns:
            raise InputError(
                f"column of {file.name}",
                given=repr(name),
                expected="one of " + ", ".join(map(str, columns)),
                hint=f"{option} NAME",
            )
    rows, broken = [], []
    for i, record in enumerate(records):
        body, label = (record.get(name) if isinstance(record, dict) else None for name in (text, target))
        label = "" if label is None or isinstance(label, dict | list) else str(label).strip()
        if isinstance(body, str) and body.strip() and label:
            rows.append((body.strip(), label))
        else:
            broken.append(i + 1)
    if broken and not skip:
        given = f"no text or no class in {len(broken)} rows, first {broken[:3]}"
        raise InputError(file.name, given=given, hint="fill them, or pass --skip-broken to leave those rows out")
    return rows, len(broken)


def _folders(path: Path) -> dict[str, list[tuple[str, str]]]:
    pools: dict[str, list[tuple[str, str]]] = {}
    parts = {f.name: _PARTS[f.name.lower()] for f in path.iterdir() if f.is_dir() and f.name.lower() in _PARTS}
    roots = {part: path / name for name, part in parts.items()} or {"all": path}
    for part, root in roots.items():
        for file in sorted(root.glob("*/*.txt")):
            with reading(f"cannot read {file}", "text in UTF-8", file):
                body = file.read_text(encoding="utf-8-sig").strip()
            if not body:
                raise InputError(f"{file}", given="an empty file", hint="fill it or remove it")
            pools.setdefault(part, []).append((body, file.parent.name))
    if not pools:
        raise InputError(f"{path}", given="no class folders with .txt files", expected="class/text.txt")
    return {"all": next(iter(pools.values()))} if len(pools) == 1 else pools
