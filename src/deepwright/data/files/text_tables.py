"""Tables with a column of texts, whatever their form: CSV, TSV, JSON lines, Parquet, folders of Hugging Face's."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError, first_line
from deepwright.core.files import reading
from deepwright.data.files.arrow_folders import arrow_columns, is_arrow_folder
from deepwright.data.files.frames import arrow
from deepwright.data.files.parts import PART_OF, by_part

TEXT_FILES = (".csv", ".tsv", ".jsonl", ".parquet")
Row = tuple[Any, ...]


@dataclass(frozen=True)
class TextRows:
    """A text and its targets in each row, as they stand in the files.

    Attributes:
        parts: rows of each part; a single one, whatever it is called, are data in one piece.
        files: where each part's rows are from, for messages.
        classes: of the only target, in the order that the data set itself names; None where it names none.
    """

    parts: dict[str, list[Row]]
    files: dict[str, str]
    classes: tuple[str, ...] | None = None


def part_of(name: str) -> str:
    """The part that a file or a folder is of, by its name without its ending; "" for others.

    Args:
        name: of the file or folder.
    """
    return PART_OF.get(name.lower(), "")


def text_tables(path: Path) -> list[Path]:
    """A folder's tables that are named as parts are.

    Args:
        path: the folder.
    """
    return [file for file in sorted(path.iterdir()) if file.suffix.lower() in TEXT_FILES and part_of(file.stem)]


def read_rows(path: Path, text: str, targets: Sequence[str]) -> TextRows:
    """The rows of a table of texts, or of the tables of a folder by part.

    Args:
        path: a file, a folder of files named as parts are, or a folder of Hugging Face's `datasets`.
        text: column of the texts.
        targets: columns of what is predicted.

    Raises:
        InputError: damaged files, two of one part, columns that aren't there (those that are, are listed).
        MissingExtraError: the package that reads Arrow's and Parquet's files isn't installed.
    """
    columns = (text, *targets)
    if is_arrow_folder(path):
        found, names = arrow_columns(path, columns, lambda there: _require(columns, there, path))
        parts = by_part(((part_of(name), name, rows) for name, rows in found.items()), path)
        own = names.get(targets[0]) if len(targets) == 1 else None
        return TextRows(parts, dict.fromkeys(parts, path.name), own)
    files = [path] if path.is_file() else text_tables(path)
    tables = by_part(((part_of(file.stem), file.name, file) for file in files), path)
    return TextRows(
        {part: _rows(file, columns) for part, file in tables.items()},
        {part: file.name for part, file in tables.items()},
    )


def _require(columns: Sequence[str], there: Sequence[str], path: Path) -> None:
    for i, name in enumerate(columns):
        if there.count(name) > 1:
            raise InputError(
                f"column of {path.name}", given=f"{name!r} {there.count(name)} times", expected="each name once"
            )
        if name not in there:
            raise InputError(
                f"column of {path.name}",
                given=repr(name),
                expected="one of " + ", ".join(map(str, there)),
                hint=f"{'--target' if i else '--text'} NAME",
            )


def _rows(file: Path, columns: Sequence[str]) -> list[Row]:
    suffix = file.suffix.lower()
    if suffix not in TEXT_FILES:
        raise InputError("texts", given=file.name, expected=f"a file that ends in {', '.join(TEXT_FILES)}")
    if suffix == ".parquet":
        return _parquet(file, columns)
    with reading(f"cannot read {file}", f"a {suffix} file in UTF-8", file):
        content = file.read_text(encoding="utf-8-sig")
        if suffix == ".jsonl":
            records = [json.loads(line) for line in content.split("\n") if line.strip()]
            there = list(records[0]) if records and isinstance(records[0], dict) else []
        else:
            there, records = _records(content, "\t" if suffix == ".tsv" else ",")
    _require(columns, there, file)
    wide = [number for number, each in enumerate(records, 1) if isinstance(each, dict) and None in each]
    if wide:  # most likely a text with a comma in it and no quotes around it, by which all that follows is shifted
        raise InputError(
            file.name,
            given=f"more fields than the header's {len(there)} in {len(wide)} rows, first {wide[:3]}",
            expected="one field a column, in quotes where a separator is part of it",
        )
    return [tuple(each.get(name) if isinstance(each, dict) else None for name in columns) for each in records]


def _records(content: str, delimiter: str) -> tuple[list[str], list[dict[Any, Any]]]:
    """Header and rows of a table; a text may be longer than csv's usual limit, which is everybody's and put back."""
    usual = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter)
        return list(reader.fieldnames or ()), list(reader)
    finally:
        csv.field_size_limit(usual)


def _parquet(file: Path, columns: Sequence[str]) -> list[Row]:
    """Only the columns that are asked for are read."""
    pa = arrow(f"reading {file.name}")
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(file) as opened:
            _require(columns, opened.schema_arrow.names, file)
            table = opened.read(columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot read {file}", given=first_line(error), expected="a Parquet file") from error
    return list(zip(*(table.column(name).to_pylist() for name in columns), strict=True))
