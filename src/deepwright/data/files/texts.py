"""Texts of the user's own: a column of a table, or folders of .txt files, one a class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.core.texts import to_codes
from deepwright.data.dataset import Data, Split
from deepwright.data.files.arrow_folders import is_arrow_folder
from deepwright.data.files.class_order import Matched, Named, in_order, listed, matched, order_note, require_names
from deepwright.data.files.parts import by_part, data_of_parts
from deepwright.data.files.pieces import FOR_TRAINING
from deepwright.data.files.text_tables import TextRows, part_of, read_rows, text_tables

LONGEST = 20_000  # characters of a text that are kept
_MOST_CLASSES = 100


def load_texts(
    path: Path | str,
    *,
    text: str = "text",
    target: str | Sequence[str] = "label",
    task: str | None = None,
    classes: Sequence[str] | None = None,
    outputs: Sequence[Named] | None = None,
    shares: tuple[float, float] = FOR_TRAINING,
    split: str | None = None,
    limit: int | None = None,
    train_limit: int | None = None,
    seed: int = 0,
    skip_broken: bool = False,
) -> Data:
    """Texts with one class each, with numbers, or with labels that apply (1) or not (0).

    A file comes in one piece and is split (stratified, seeded). A folder holds `class/*.txt`, or such folders under
    train, validation and test, or files named so (`train.csv`, `test.jsonl`), or is one of Hugging Face's `datasets`;
    parts are taken as they are; a missing part is cut from another one, and notes say so.

    Args:
        path: a .csv, .tsv, .jsonl or .parquet file, or a folder.
        text: column of the texts.
        target: column of the classes; one or several of numbers or of labels.
        task: "classification", "regression" or "multilabel"; by default classes of one column, and of several labels
            where all are 0 or 1, else numbers.
        classes: names of all outputs in their order; by default those that a data set of Hugging Face names, else
            those that occur, numbers by their value.
        outputs: a network's own classes, each under all its names; classes of such names are those.
        shares: of the training and the validation part, where the texts come in one piece.
        split: "test" makes such texts the test part, all of them.
        limit: at most so many test and validation texts each.
        train_limit: at most so many training texts.
        seed: of splits and limits.
        skip_broken: leave out rows without a text or a target instead of refusing.

    Raises:
        InputError: no such file or column (the columns are listed), rows without a text or target, a single class.
    """
    path, targets = Path(path), (target,) if isinstance(target, str) else tuple(target)
    found, notes = _whole_rows(_read(path, text, targets), skip_broken)
    if task is None and len(targets) > 1:
        flat = [_number(value) for rows in found.parts.values() for row in rows for value in row[1:]]
        task = "multilabel" if set(flat) <= {0.0, 1.0} else "regression"
    if task in ("multilabel", "regression"):
        if classes is not None:
            raise InputError("classes", given=f"beside --task {task}", expected="none")
        labels = {part: _numbers(rows, targets, task, found.files[part]) for part, rows in found.parts.items()}
        names: tuple[str, ...] = targets if task == "multilabel" else ()
    elif len(targets) > 1:
        hint = "--task multilabel for columns of 0 and 1, --task regression for numbers"
        raise InputError("target", given=f"{len(targets)} columns for {task}", expected="one", hint=hint)
    else:
        order = _classes(path, found, classes, outputs)
        notes += [order.note] if order.note else []
        labels = {
            part: torch.tensor([order.index[_label(row[1])] for row in rows]) for part, rows in found.parts.items()
        }
        names = order.classes
    texts = {part: [row[0].strip() for row in rows] for part, rows in found.parts.items()}
    cut = sum(len(each) > LONGEST for rows in texts.values() for each in rows)
    if cut:
        notes.append(f"{cut} texts were cut at {LONGEST:,} characters")
    whole = {part: Split(to_codes([each[:LONGEST] for each in rows]), labels[part]) for part, rows in texts.items()}
    data = data_of_parts(path, "text", names, whole, shares=shares, split=split, seed=seed, what="texts", notes=notes)
    return data.limited(limit, train_limit, seed)


def _read(path: Path, text: str, targets: Sequence[str]) -> TextRows:
    if not path.exists():
        expected = "a .csv, .tsv, .jsonl or .parquet file, or a folder"
        raise InputError("data", given=f"{path} does not exist", expected=expected)
    if not targets or len(set(targets)) < len(targets) or text in targets:
        raise InputError("target", given=f"{text!r} and {targets}", expected="columns, each once")
    if path.is_dir() and not is_arrow_folder(path) and not text_tables(path):
        return _folders(path)
    return read_rows(path, text, targets)


def _label(value: Any) -> str:
    """A class as it is called; empty where there is none."""
    return "" if value is None or isinstance(value, dict | list | bytes) else str(value).strip()


def _strange(rows: Sequence[tuple[Any, ...]]) -> str:
    """The first value that is there and is no text, or no target; empty where cells are only empty."""
    for number, row in enumerate(rows, 1):
        no_text = not isinstance(row[0], str) and row[0] is not None
        for value in ([row[0]] if no_text else []) + [v for v in row[1:] if v is not None and _label(v) == "" != v]:
            return f"; {value!r:.40} ({type(value).__name__}) in row {number}"
    return ""


def _whole_rows(found: TextRows, skip: bool) -> tuple[TextRows, list[str]]:
    """Rows that have a text and all targets, and what to tell of the others."""
    parts, notes = {}, []
    for part, rows in found.parts.items():
        whole = [isinstance(row[0], str) and bool(row[0].strip()) and all(map(_label, row[1:])) for row in rows]
        broken = [i + 1 for i, fine in enumerate(whole) if not fine]
        file = found.files[part]
        if broken and not skip:
            given = f"no text or no class in {len(broken)} rows, first {broken[:3]}{_strange(rows)}"
            raise InputError(
                file, given=given, expected="strings", hint="fill them, or pass --skip-broken to leave those rows out"
            )
        if broken:
            notes.append(f"{len(broken)} rows of {file} without a text or a class were left out")
        parts[part] = [row for row, fine in zip(rows, whole, strict=True) if fine]
        if not parts[part]:
            raise InputError(file, given=f"no row with a text{_strange(rows)}", expected="at least one")
    return TextRows(parts, found.files, found.classes), notes


def _classes(path: Path, rows: TextRows, classes: Sequence[str] | None, outputs: Sequence[Named] | None) -> Matched:
    found = in_order(_label(row[1]) for each in rows.parts.values() for row in each)
    if not 2 <= len(found) <= _MOST_CLASSES:
        given = f"{len(found)} ({', '.join(found[:3])})"
        hint = "numbers are predicted with --task regression" if len(found) > _MOST_CLASSES else None
        raise InputError(f"classes of {path.name}", given=given, expected=f"2 to {_MOST_CLASSES}", hint=hint)
    what = f"class of {path.name}"
    if rows.classes is not None and classes is None and (outputs is None or matched(found, outputs, what) is None):
        return listed(found, rows.classes, what)
    return _order(found, classes, outputs, what)


def _number(value: Any) -> float:
    """A target as a number; NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _numbers(rows: Sequence[tuple[Any, ...]], names: Sequence[str], task: str, file: str) -> Tensor:
    """(n, targets) float32, or int64 of labels."""
    values = [[_number(value) for value in row[1:]] for row in rows]
    for i, (row, given) in enumerate(zip(values, rows, strict=True)):
        for j, value in enumerate(row):
            fine = value in (0, 1) if task == "multilabel" else math.isfinite(value)
            if not fine:
                what = f"target column {names[j]!r} of {file}"
                expected = "0 and 1, whether the label applies" if task == "multilabel" else "finite numbers"
                raise InputError(what, given=f"{str(given[1 + j])[:30]!r} in row {i + 1}", expected=expected)
    return torch.tensor(values, dtype=torch.int64 if task == "multilabel" else torch.float32)


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
    return path.is_dir() and (bool(text_tables(path)) or any(path.glob("*/*.txt")) or any(path.glob("*/*/*.txt")))


def _folders(path: Path) -> TextRows:
    pools: dict[str, list[tuple[Any, ...]]] = {}
    inside = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and part_of(folder.name)]
    roots = by_part(((part_of(folder.name), folder.name, folder) for folder in inside), path) or {"": path}
    for part, root in roots.items():
        for file in sorted(root.glob("*/*.txt")):
            with reading(f"cannot read {file}", "text in UTF-8", file):
                body = file.read_text(encoding="utf-8-sig").strip()
            if not body:
                raise InputError(f"{file}", given="an empty file", hint="fill it or remove it")
            pools.setdefault(part, []).append((body, file.parent.name))
    if not pools:
        raise InputError(f"{path}", given="no class folders with .txt files", expected="class/text.txt")
    return TextRows(pools, dict.fromkeys(pools, path.name))
