"""Tables as frames of some thousand rows each, out of CSV and Parquet files that are read as often as asked for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepwright.core.errors import InputError, MissingExtraError, first_line

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 65_536  # rows of a frame
_ROW_NAMES = "__index_level_"  # how pandas calls the names of rows that it stores as columns


class Frames:
    """A table, some rows at a time.

    Args:
        path: the file, for messages.
        read: gives the frames from the first, with rows numbered from 0.
        first: the number under which the first row is found in the file.
        word: what the rows are there, "lines" or "rows".
        as_texts: columns that `read` leaves as the file's own text, where a file doesn't say the types of its columns.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[], Iterator[Any]],
        first: int,
        word: str,
        as_texts: set[str] | None = None,
    ) -> None:
        self.path, self.read, self.first, self.word = path, read, first, word
        self._as_texts = as_texts
        self._only: Any = None

    def leave_as_texts(self, columns: set[str]) -> bool:
        """Read columns as the file's own text from now on; False where nothing changes by it.

        Args:
            columns: names.
        """
        if self._as_texts is None or columns <= self._as_texts:
            return False
        self._as_texts |= columns
        self._only = None
        return True

    def __iter__(self) -> Iterator[pd.DataFrame]:
        if self._only is not None:
            yield self._only
            return
        count, frame = 0, None
        for frame in self.read():
            count += 1
            yield frame
        self._only = frame if count == 1 else None  # a short table is read once


def csv_frames(path: Path) -> Frames:
    """The rows of a CSV file with a header.

    Args:
        path: the file.
    """

    as_texts: set[str] = set()

    def read() -> Iterator[Any]:
        import pandas as pd

        types: Any = dict.fromkeys(as_texts, str)
        try:
            # `low_memory` would tell types from smaller parts still
            with pd.read_csv(path, chunksize=CHUNK, dtype=types, low_memory=False) as reader:
                for number, frame in enumerate(reader):
                    if number == 0:
                        _require_named_columns(path)
                    yield frame
        except (ValueError, OSError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            expected = "a CSV file with a header"
            raise InputError(f"cannot read {path}", given=first_line(error), expected=expected) from error

    return Frames(path, read, 2, "lines", as_texts)


def _require_named_columns(path: Path) -> None:
    """Refuse rows with more fields than the header: pandas would take their first for names of the rows."""
    with path.open(newline="", encoding="utf-8") as stream:
        header, first = (next(csv.reader(stream), []) for _ in range(2))
    if len(first) > len(header):
        given, expected = "rows with more fields than the header", "a name for each column"
        raise InputError(f"cannot read {path}", given=given, expected=expected)


def parquet_frames(path: Path) -> Frames:
    """The rows of a Parquet file, a part of a row group at a time.

    Args:
        path: the file.

    Raises:
        MissingExtraError: the package that reads it isn't installed.
        InputError: columns of types that are neither numbers nor text.
    """
    pa = arrow(f"reading {path.name}")

    def read() -> Iterator[Any]:
        from pyarrow.parquet import ParquetFile

        try:
            with ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
                require_columns(file.schema_arrow, path)
                yield from numbered(file.iter_batches(CHUNK))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"cannot read {path}", given=first_line(error), expected="a Parquet file") from error

    return Frames(path, read, 1, "rows")


def arrow(purpose: str) -> Any:
    """The package that reads Arrow's and Parquet's files.

    Args:
        purpose: of reading, for the message.

    Raises:
        MissingExtraError: it isn't installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", purpose) from error
    return pyarrow


def numbered(batches: Iterator[Any]) -> Iterator[Any]:
    """Frames of Arrow's batches, their rows numbered on.

    Args:
        batches: record batches.
    """
    import pyarrow as pa

    start = 0
    for batch in batches:
        table = pa.Table.from_batches([batch])
        kept = [i for i, name in enumerate(table.column_names) if not name.startswith(_ROW_NAMES)]
        for i in kept:
            plain = _plain(table.schema.field(i).type)
            if plain is not None:
                table = table.set_column(i, table.column_names[i], table.column(i).cast(plain))
        frame = table.select(kept).to_pandas(ignore_metadata=True)
        frame.index = frame.index + start
        start += len(frame)
        yield frame


def _plain(kind: Any) -> Any:
    """The type that a column is turned into; None where it may stay."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return kind.value_type
    return pa.float64() if pa.types.is_decimal(kind) or pa.types.is_float16(kind) else None


def require_columns(schema: Any, path: Path) -> None:
    """Refuse columns that are neither numbers nor text, and names that come twice.

    Args:
        schema: Arrow's.
        path: for the message.

    Raises:
        InputError: with the column and its type.
    """
    import pyarrow as pa

    is_a = pa.types
    tests = (is_a.is_integer, is_a.is_floating, is_a.is_boolean, is_a.is_decimal, is_a.is_null)
    texts = (is_a.is_string, is_a.is_large_string)
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise InputError(f"columns of {path.name}", given=f"{twice[0]!r} twice", expected="each name once")
    for field in schema:
        kind = field.type.value_type if is_a.is_dictionary(field.type) else field.type
        if not any(test(kind) for test in (*tests, *texts)):
            raise InputError(
                f"column {field.name!r} of {path.name}",
                given=f"values of type {field.type}",
                expected="numbers, yes or no, or text",
                hint="turn it into numbers, or leave it out",
            )
