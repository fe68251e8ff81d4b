"""CSV files that people open in a spreadsheet: no cell is taken for a formula, and each comes back as it was."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.files import reading

# What spreadsheets work out (Chinese and Japanese ones the wide forms, too); also the guarded text, so that it can be
# undone.
_FORMULA = re.compile(r"'* *[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def guarded(value: Any) -> Any:
    """A cell that a spreadsheet shows as text: `=HYPERLINK(...)` in a file's name would be a link to anywhere.

    Args:
        value: a text, or a number, which stays as it is.
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value) or not _FORMULA.match(value):
        return value
    return f"'{value}"


def unguarded(text: str) -> str:
    """A cell as it was before `guarded`.

    Args:
        text: as it was read.
    """
    return text[1:] if text[:1] == "'" and _FORMULA.match(text) else text


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV, each cell guarded.

    Args:
        rows: of texts and numbers; the first are the columns.
    """
    cells = [[guarded(cell) for cell in row] for row in rows]
    returns = any("\r" in str(cell) for row in cells for cell in row)  # which the writer doesn't know to end a line
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL).writerows(cells)
    return stream.getvalue()


def read_csv(path: Path | str, what: str, expected: str) -> list[dict[str, str]]:
    """Rows by column, as a person or a spreadsheet left them: with a byte order mark, or with semicolons.

    Args:
        path: the file.
        what: begins the message of an error.
        expected: what the file should have been.

    Raises:
        InputError: no text, or a row with more cells than there are columns (a comma outside quotes shifts them).
    """
    with reading(what, expected, path), Path(path).open(newline="", encoding="utf-8-sig") as stream:
        text = stream.read()
        first = text.partition("\n")[0]
        found = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",")
        try:
            columns, *rows = [row for row in found if row] or [[]]
        except csv.Error as error:
            raise InputError(what, given=str(error), expected=expected) from error
    if len(set(columns)) < len(columns):
        raise InputError(what, given=f"columns {', '.join(columns)}", expected="each column once")
    for number, row in enumerate(rows, 2):
        if len(row) > len(columns):
            given = f"row {number} with {len(row)} cells, {len(columns)} columns"
            raise InputError(what, given=given, expected=expected, hint="put names with a comma between quotes")
    return [dict(zip(columns, [unguarded(cell) for cell in row] + [""] * (len(columns) - len(row)))) for row in rows]
