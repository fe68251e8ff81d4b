"""Arrays that stay in their file: rows are read from where they lie, and nothing is mapped or held."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError, first_line
from deepwright.core.rows import Rows


class StoredRows(Rows):
    """(N, ...) rows of an array that lies in a file, one row after another.

    Args:
        file: open for reading; it is held open, so that a file of another content under its name isn't mistaken for it.
        offset: bytes before the first row.
        dtype: numpy's, of what is stored.
        shape: of what is stored.
        change: stored rows (n, ...) -> the tensor of them, each from itself alone.
        what: names the array in a message.
    """

    def __init__(
        self,
        file: Any,
        offset: int,
        dtype: np.dtype,
        shape: Sequence[int],
        change: Callable[[np.ndarray], Tensor],
        what: str,
    ) -> None:
        self.stored = (int(shape[0]), *(int(side) for side in shape[1:]))
        example = change(np.empty((0, *self.stored[1:]), dtype))
        super().__init__((self.stored[0], *example.shape[1:]), example.dtype)
        self.file, self.offset, self.kind, self.change, self.what = file, offset, dtype, change, what
        self.made, self.lock = self._stamp(), threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which opens the file anew: by its name, or as long as this process holds it."""
        return vars(self) | {"file": None, "lock": None, "opened_from": _places(self.file)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        places = state.pop("opened_from")
        self.__dict__.update(state)
        self.file, self.lock = self._opened_again(places), threading.Lock()

    def _opened_again(self, places: Sequence[str]) -> Any:
        for path in places:
            try:
                self.file = Path(path).open("rb")  # noqa: SIM115 - it is held as long as its rows
            except OSError:
                continue
            if self._stamp() == self.made:
                return self.file
            self.file.close()
        raise InputError(
            self.what,
            given="rows in a file that this process can't open",
            expected="a file that all processes see under one name, unchanged",
            hint="hold the data in memory (stream=False), or unpack them first",
        )

    def _read(self, rows: Tensor) -> Tensor:
        if self._stamp() != self.made:
            raise self._changed()
        size = self.kind.itemsize * int(np.prod(self.stored[1:], dtype=np.int64))
        order = rows.numpy()
        raw = np.empty((len(order), size), np.uint8)
        ends = np.flatnonzero(np.diff(order) != 1) + 1  # where a run of neighbours ends
        for start, stop in zip([0, *ends.tolist()], [*ends.tolist(), len(order)]):
            if stop > start:
                self._fill(raw[start:stop].reshape(-1), self.offset + int(order[start]) * size)
        return self.change(raw.reshape(-1).view(self.kind).reshape(len(order), *self.stored[1:]))

    def _fill(self, room: np.ndarray, position: int) -> None:
        done = 0
        with self.lock:  # the file has one position, and the next batch is read while another is used
            self.file.seek(position)
            while done < len(room):
                count = self.file.readinto(room[done:].data)
                if not count:
                    raise self._changed()
                done += count

    def _stamp(self) -> tuple[int, int]:
        found = os.fstat(self.file.fileno())
        return found.st_size, found.st_mtime_ns

    def _changed(self) -> InputError:
        return InputError(
            self.what,
            given="a file that changed while it was in use",
            expected="the file that was there at the start",
            hint="begin again, and leave the file alone meanwhile",
        )


def _places(file: Any) -> list[str]:
    """Where other processes may find an open file; one without a name is seen in /proc by those of this machine."""
    named = [] if isinstance(file.name, int) else [os.path.abspath(file.name)]
    return [*named, f"/proc/{os.getpid()}/fd/{file.fileno()}"]


class Spool:
    """A file without a name that rows are written to, one part after another; it goes when nobody holds it.

    Args:
        what: names the data in a message.
    """

    def __init__(self, what: str) -> None:
        self.what, self.rows = what, 0
        self.file = tempfile.TemporaryFile(prefix="deepwright-")  # noqa: SIM115 - it lives as long as its rows

    def add(self, part: np.ndarray) -> None:
        """Write some rows.

        Args:
            part: (n, ...), of the same kind as those before.

        Raises:
            InputError: no room.
        """
        self._write(lambda: self.file.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data))
        self.rows += len(part)

    def copy(self, stream: Any) -> None:
        """Write what a stream still holds.

        Args:
            stream: open for reading.

        Raises:
            InputError: no room.
        """
        self._write(lambda: shutil.copyfileobj(stream, self.file, 2**20))

    def read_as(self, dtype: np.dtype, shape: Sequence[int], change: Callable[[np.ndarray], Tensor]) -> StoredRows:
        """The rows that were written.

        Args:
            dtype: numpy's, of what was written.
            shape: likewise.
            change: see `StoredRows`.
        """
        self.file.flush()
        return StoredRows(self.file, 0, dtype, shape, change, self.what)

    def _write(self, write: Callable[[], Any]) -> None:
        try:
            write()
        except OSError as error:
            place = tempfile.gettempdir()
            hint = f"make room in {place}, or set TMPDIR to a folder that has some"
            raise InputError(f"{self.what}, unpacked in {place}", given=first_line(error), hint=hint) from error


def floats(rows: np.ndarray) -> Tensor:
    """Stored float32 rows as they are.

    Args:
        rows: (n, ...).
    """
    return torch.from_numpy(rows)


def opened(path: Path) -> Any:
    """A file, open for reading as long as somebody holds it.

    Args:
        path: of it.

    Raises:
        InputError: it can't be opened.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}", given=error.strerror or str(error)) from error
