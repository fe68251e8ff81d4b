"""Plain arrays and a JSON header in one `.npz` file, and their reading when a stranger may have edited it."""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.files import write_atomic

_DAMAGED = (  # what a file that somebody edited makes the readers raise
    KeyError,
    TypeError,
    ValueError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    SyntaxError,
    TokenError,
    RecursionError,
    MemoryError,
)


def write_arrays(path: Path | str, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Path:
    """Write them, without pickle.

    Args:
        path: of the file.
        header: plain data.
        arrays: by name.
    """
    text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    return write_atomic(
        path, lambda stream: np.savez_compressed(stream, allow_pickle=False, **{"header": text, **arrays})
    )


@contextmanager
def refusing_damage(path: Path | str) -> Iterator[None]:
    """What goes wrong inside is an `InputError` about the file.

    Args:
        path: of the file.
    """
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} can't be read", given=str(error)) from None
    except _DAMAGED as error:
        given = f"{type(error).__name__}: {error}"
        raise InputError(f"{path} isn't a whole weightless network's file", given=given) from None


def read_arrays(
    path: Path, names: set[str], kind: str, version: int, max_memory: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays, whose sizes are looked at before anything is unpacked; call it in `refusing_damage`.

    Args:
        path: of the file.
        names: of the arrays it must have, and no others.
        kind: its header's `format`.
        version: its header's `version`.
        max_memory: bytes that the arrays may take.
    """
    wanted = names | {"header"}
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if set(members) != wanted or len(archive.infolist()) != len(wanted):
            raise InputError(f"{path}", given=f"members {sorted(members)[:6]}", expected=f"{sorted(wanted)}")
        total = sum(info.file_size for info in members.values())
        if total > max_memory:
            raise InputError(f"{path}", given=f"{total} bytes unpacked", expected=f"at most max_memory={max_memory}")
        arrays = {}
        for name, info in members.items():
            with archive.open(info) as stream:  # as plain bytes, so that each one passes the archive's checksum
                arrays[name] = _array(stream.read(total + 1))
    header = json.loads(arrays.pop("header").tobytes())
    if header["format"] != kind or header["version"] != version:
        found = f"{header['format']!r} version {header['version']!r}"
        raise InputError(f"{path}", given=found, expected=f"{kind!r} version {version}")
    return header, arrays


def _array(body: bytes) -> np.ndarray:
    """An `.npy` member whose size is what its header says."""
    stream = io.BytesIO(body)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array of another version")
    shape, columns_first, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in "biufUS":
        raise ValueError(f"an array of {dtype}")
    if math.prod(shape) * dtype.itemsize != len(body) - stream.tell():  # before anything is made for it
        raise ValueError(f"{len(body) - stream.tell()} bytes for an array {shape} of {dtype}")
    return np.frombuffer(body, dtype, offset=stream.tell()).reshape(shape, order="F" if columns_first else "C").copy()
