"""An append-only file of finished pieces of work, bound to what they were made from."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.files import (
    DamagedFileError,
    ForeignFileError,
    cannot_write,
    require_plain_file,
    set_aside,
    write_bytes,
)
from deepwright.core.lock import Lock, LockedError, lock
from deepwright.core.resume import OtherWorkError, identified, place, warn_damaged

_FORMAT = "deepwright journal 1"
_HEADER = f'{{"format": "{_FORMAT}"'.encode()
_SEALED = re.compile(rb'(?P<body>.*), "seal": "(?P<seal>[0-9a-f]{16})"\}', re.DOTALL)
_WHOLE = re.compile(rb', "seal": "[0-9a-f]{16}"\}|\n$')  # how a line ends that was written to its end
_UNNAMED = "model, data or settings"


class Journal:
    """JSON lines on disk: a header with the identity, then one row a finished piece, each line under its checksum.

    A row that was being written when the process died is dropped at the next start, so at most that piece is redone.
    Any other line that isn't as it was written is damage: see `damaged`. The file belongs to one process at a time,
    from here until nobody refers to the journal or it is closed.

    Args:
        path: the file, or None to keep rows in memory only.
        identity: what the rows depend on, by name: an `Identity`, or a dict of values to identify; a journal of another
            is an error that says what differs.
        durable: wait for the disk at every row: what a person did must outlive a power cut, what a machine did need
            not.
        kind: what the work is; a journal of another kind is refused.
        damaged: what to do about damaged lines: "recompute" sets the file aside as `<name>.damaged-1`, warns, and goes
            on with all other rows; "refuse" leaves it and raises. What a person did can't be computed again, so a
            durable journal refuses unless told otherwise.

    Raises:
        OtherWorkError: rows of other data, models, options or code.
        ForeignFileError: the file isn't a journal.
        DamagedFileError: damaged lines, where that is refused.
        LockedError: another process works on the file.
    """

    def __init__(
        self,
        path: Path | str | None,
        identity: Any,
        durable: bool = False,
        *,
        kind: str = "journal",
        damaged: str | None = None,
    ) -> None:
        self.path = None if path is None else place(path)
        self.durable, self.kind = durable, kind
        self.damaged = damaged or ("refuse" if durable else "recompute")
        self.rows: dict[str, Any] = {}
        self._half: int | None = None  # where half a row begins that the disk didn't let us take back
        if self.path is None:
            return
        self._identity = identified(identity if isinstance(identity, Mapping) else {_UNNAMED: identity})
        self._lock: Lock | None = lock(self.path)
        if self.path.exists():
            self._read(self.path)
        else:
            self._rewrite(self.path)

    def add(self, name: str, value: Any) -> None:
        """Keep a finished piece.

        Args:
            name: of the piece.
            value: plain JSON.
        """
        self.add_all({name: value})

    def add_all(self, rows: dict[str, Any]) -> None:
        """Keep several pieces; they are written before they count.

        Args:
            rows: name -> plain JSON.

        Raises:
            InputError: the disk doesn't take them; the rows of before are still there.
        """
        if self.path is not None and rows:
            lines = b"".join(_line({"name": name, "value": value}) for name, value in rows.items())
            self._append(self.path, lines)
        self.rows.update(rows)

    def same(self, name: str, data: str, start: int) -> dict[str, Any] | None:
        """A batch's row, if it is of the same inputs and targets; None where there is none yet.

        Args:
            name: of the row.
            data: digest of inputs and targets, which the row holds under "data".
            start: number of the batch's first sample.

        Raises:
            InputError: it is of others.
        """
        row: dict[str, Any] | None = self.rows.get(name)
        if row is not None and row["data"] != data:
            raise InputError(
                f"checkpoint {self.path}",
                given=f"other data (inputs or labels) in the batch from sample {start} on",
                hint="delete it, or use another file",
            )
        return row

    def close(self) -> None:
        """Let other processes take the file; nothing can be added any more."""
        self._lock = None

    def _append(self, path: Path, lines: bytes) -> None:
        if self._lock is None:
            raise InputError(f"{path} was let go", given="rows to add after close()", expected="none")
        if not self._lock.mine:
            raise LockedError(path, "that forked this one")
        try:
            with path.open("r+b", buffering=0) as stream:  # a buffer would be written once more when it is closed
                if self._half is not None:
                    os.ftruncate(stream.fileno(), self._half)
                self._half = end = stream.seek(0, os.SEEK_END)
                try:
                    _write_all(stream, lines)
                    if self.durable:
                        os.fsync(stream.fileno())
                except BaseException:  # also Ctrl-C
                    os.ftruncate(stream.fileno(), end)  # half a row would count as damage later
                    self._half = None
                    raise
                self._half = None
        except OSError as error:
            raise cannot_write(path, error) from error

    def _rewrite(self, path: Path) -> None:
        header = {"format": _FORMAT, "kind": self.kind, "identity": self._identity}
        rows = ({"name": name, "value": value} for name, value in self.rows.items())
        write_bytes(path, b"".join(map(_line, (header, *rows))))

    def _read(self, path: Path) -> None:
        first, *lines = _lines(path)
        header = _header(path, first, self.kind)
        if header is None:
            self._damage(path, [1])
            return
        differences = self._identity.differences(header["identity"])
        if differences:
            raise OtherWorkError(path, self.kind, differences)
        self._take(path, lines)

    def _take(self, path: Path, lines: list[bytes]) -> None:
        self.rows, bad, torn = _rows(lines)
        if bad:
            self._damage(path, bad)
        elif torn or not (lines or [b"\n"])[-1].endswith(b"\n"):
            self._rewrite(path)

    def _damage(self, path: Path, numbers: list[int]) -> None:
        where = f"line {', '.join(map(str, numbers))} isn't as it was written"
        hint = f"put back a copy of it, or delete {'that line' if 1 not in numbers else 'the file'} to go without"
        error = DamagedFileError(f"{path} is damaged", given=where, expected="lines under their checksums", hint=hint)
        if self.damaged == "refuse":
            raise error
        warn_damaged(path, set_aside(path), error)
        self._rewrite(path)


def stored_rows(path: Path | str, kind: str = "journal") -> tuple[dict[str, str], dict[str, Any], list[int]]:
    """What a journal holds, whatever it was made from; the file is left as it is.

    Args:
        path: the file.
        kind: what the work is.

    Returns:
        The identity (empty where its line is damaged), the undamaged rows, and the numbers of damaged lines.

    Raises:
        ForeignFileError: the file isn't a journal of that kind.
    """
    path = Path(path)
    first, *lines = _lines(path)
    header = _header(path, first, kind)
    rows, bad, _ = _rows(lines)
    return ({}, rows, [1, *bad]) if header is None else (header["identity"], rows, bad)


def _header(path: Path, first: bytes, kind: str) -> dict[str, Any] | None:
    """The header, or None where its line is damaged."""
    header = _parsed(first)
    if header is None and first.startswith(_HEADER):
        return None
    if header is None or header.get("format") != _FORMAT or header.get("kind") != kind:
        raise _foreign(path, first, kind)
    return header


def _rows(lines: list[bytes]) -> tuple[dict[str, Any], list[int], bool]:
    """Rows, the numbers of damaged lines, and whether the last line was being written when the process died."""
    rows = [_row(line) for line in lines]
    torn = bool(lines) and rows[-1] is None and _WHOLE.search(lines[-1]) is None
    if torn:
        rows.pop()
    bad = [number for number, row in enumerate(rows, 2) if row is None]
    return {row["name"]: row["value"] for row in rows if row is not None}, bad, torn


def _row(line: bytes) -> dict[str, Any] | None:
    """A row, or None where the line isn't as it was written, or is no row: a header that stands twice."""
    row = _parsed(line)
    return row if row is not None and {"name", "value"} <= row.keys() else None


def _write_all(stream: FileIO, data: bytes) -> None:
    """A write may take only a part, as on a disk that fills up; the next one then says why."""
    while data:
        data = data[stream.write(data) :]


def _line(row: dict[str, Any]) -> bytes:
    body = json.dumps(row).encode()[:-1]
    return body + b', "seal": "' + _seal(body) + b'"}\n'


def _seal(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=8).hexdigest().encode()


def _lines(path: Path) -> list[bytes]:
    try:
        require_plain_file(path, f"cannot read {path}")
        with path.open("rb") as stream:
            return stream.readlines() or [b""]
    except OSError as error:
        raise InputError(f"cannot read {path}", given=error.strerror) from error


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A row or the header, or None where the line isn't as it was written."""
    found = _SEALED.fullmatch(line.removesuffix(b"\n"))
    if found is None or found["seal"] != _seal(found["body"]):
        return None
    row = json.loads(found["body"] + b"}")
    return row if isinstance(row, dict) else None


def _foreign(path: Path, first: bytes, kind: str) -> ForeignFileError:
    return ForeignFileError(
        f"cannot read {path}",
        given="an empty file" if not first else f"a file that begins with {first[:40]!r}",
        expected=f"a journal of kind {kind!r} that Deepwright wrote",
        hint="choose another file, or delete this one to start afresh",
    )
