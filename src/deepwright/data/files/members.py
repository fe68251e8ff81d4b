"""The arrays of an `.npz` or of a folder of `.npy` files, by name: read whole, or left where they are."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.zips import DAMAGE, open_zip
from deepwright.data.files.stored import Spool, StoredRows, opened

_EXPECTED = "an .npz of plain arrays (numpy.savez)"
_FAULTS = (*DAMAGE, MemoryError, TypeError, KeyError, SyntaxError)
_LOCAL_HEADER = 30  # bytes of a member's header in a zip file, before its name


class Members:
    """Arrays by name.

    Args:
        path: an `.npz`, or a folder of `.npy` files.

    Raises:
        InputError: neither; a damaged file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            self.files = {file.stem: file for file in sorted(path.glob("*.npy"))}
            self.names = list(self.files)
            self.nbytes = sum(file.stat().st_size for file in self.files.values())
            return
        with path.open("rb") as file:
            if file.read(6) == b"\x93NUMPY":
                raise InputError(f"{path.name}", given="one array, as numpy.save writes it", expected=_EXPECTED)
        with open_zip(path, _EXPECTED) as archive:
            self.names = [name.removesuffix(".npy") for name in archive.namelist()]
            self.nbytes = sum(member.file_size for member in archive.infolist())

    def array(self, name: str) -> np.ndarray:
        """An array, whole.

        Args:
            name: of it.

        Raises:
            InputError: it is damaged, or none.
        """
        try:
            if self.path.is_dir():
                found = np.load(self.files[name], allow_pickle=False)
            else:
                with np.load(self.path, allow_pickle=False) as file:
                    found = file[name]
        except _FAULTS as error:
            raise self._damaged(error) from error
        if not isinstance(found, np.ndarray):  # a member that is no .npy comes as bytes
            raise InputError(f"{self.path.name}:{name}", given=type(found).__name__, expected="an array")
        return found

    def rows(self, name: str, change: Callable[[np.ndarray], Tensor]) -> StoredRows | None:
        """An array that stays where it is, after its checksum was looked at; a packed one is unpacked to a file.

        Args:
            name: of it.
            change: see `StoredRows`.

        Returns:
            None where its rows don't lie one after another (it is a scalar, or in Fortran's order).

        Raises:
            InputError: it is damaged, or none.
        """
        what = f"{self.path.name}:{name}"
        try:
            if self.path.is_dir():
                file = opened(self.files[name])
                header = _header(file)
                return None if header is None else _lying(file, file.tell(), header, change, what)
            with open_zip(self.path, _EXPECTED) as archive:
                member = next((m for m in archive.infolist() if m.filename == f"{name}.npy"), None)
                if member is None:
                    raise InputError(what, given="bytes", expected="an array")
                with archive.open(member) as stream:
                    header = _header(stream)
                    if header is None:
                        return None
                    before, spool = stream.tell(), Spool(what)
                    if member.compress_type != zipfile.ZIP_STORED:
                        spool.copy(stream)
                        return _lying(spool.file, 0, header, change, what)
                    shutil.copyfileobj(stream, _Nowhere(), 2**20)  # to the end, where the checksum is
            file = opened(self.path)
            file.seek(member.header_offset)
            local = file.read(_LOCAL_HEADER)
            lengths = (int.from_bytes(local[at : at + 2], "little") for at in (26, 28))  # of the name and what follows
            return _lying(file, member.header_offset + _LOCAL_HEADER + sum(lengths) + before, header, change, what)
        except InputError:
            raise
        except _FAULTS as error:
            raise self._damaged(error) from error

    def _damaged(self, error: BaseException) -> InputError:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        return InputError(f"cannot read {self.path}", given=said, expected=_EXPECTED)


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)


Header = tuple[tuple[int, ...], np.dtype]


def _header(stream: Any) -> Header | None:
    """Shape and dtype of an array, whose rows then follow; None where they don't lie one after another."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        return None
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    plain = not fortran and len(shape) > 1 and dtype.itemsize > 0
    return (shape, dtype) if plain else None


def _lying(file: Any, offset: int, header: Header, change: Callable[[np.ndarray], Tensor], what: str) -> StoredRows:
    shape, dtype = header
    file.flush()
    needed = offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    there = file.seek(0, 2)
    if there < needed:
        raise InputError(what, given=f"{there:,} bytes", expected=f"{needed:,}", hint="write the file again")
    return StoredRows(file, offset, dtype, shape, change, what)
