"""ONNX files whose weights lie in files beside them: nowhere else may such a file point."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.packages import require_package

LARGEST_FILE = 2 * 2**30  # bytes: protobuf holds no more
LARGEST_WEIGHTS = 64 * 2**30  # bytes in the files beside it


def require_own_data(data: bytes | Path | str) -> None:
    """Refuse an ONNX file that reads tensors from outside of its folder.

    Args:
        data: the file's bytes, which have no folder, or its path.

    Raises:
        MissingExtraError: onnx is missing.
        InputError: a place outside, or a file that is no ONNX.
    """
    read_proto(data)


def read_proto(data: bytes | Path | str) -> Any:
    """The file's own message; tensors that lie beside it aren't read, but where they lie is looked at.

    Args:
        data: the file's bytes, which have no folder, or its path.

    Raises:
        MissingExtraError: onnx is missing.
        InputError: tensors outside of the file's folder or in files that aren't there, a file that is no ONNX or is
            larger than one can be.
    """
    require_package("onnx", "export", "reading ONNX")
    import onnx

    what = "an ONNX file" if isinstance(data, bytes) else str(data)
    folder = None if isinstance(data, bytes) else Path(data).resolve().parent
    size = len(data) if isinstance(data, bytes) else Path(data).stat().st_size
    if size > LARGEST_FILE:
        raise InputError(what, given=f"{size:,} bytes", expected=f"at most {LARGEST_FILE:,}, as protobuf has it")
    try:
        model = onnx.load_from_string(data) if isinstance(data, bytes) else onnx.load(data, load_external_data=False)
    except Exception as error:  # protobuf's errors have no base of their own
        raise InputError(f"cannot read {what}", given=str(error).strip(), expected="an ONNX file") from error
    for place in sorted(_places(model)):
        if folder is None or not (folder / place).resolve().is_relative_to(folder):
            raise InputError(
                what, given=f"tensors in {place!r}", expected="tensors in the file, or in files of its own folder"
            )
    return model


def require_beside(model: Any, folder: Path, what: str) -> None:
    """Refuse where a file of weights is missing, or all of them are too large.

    Args:
        model: see `read_proto`.
        folder: of the ONNX file.
        what: the file, in words.

    Raises:
        InputError: no such file beside it; more bytes than `LARGEST_WEIGHTS`.
    """
    total = 0
    for place in sorted(_places(model)):
        path = folder / place
        if not path.is_file():
            raise InputError(what, given=f"weights in {place!r}, which isn't there", expected="all of its files")
        total += path.stat().st_size
    if total > LARGEST_WEIGHTS:
        raise InputError(what, given=f"{total:,} bytes of weights", expected=f"at most {LARGEST_WEIGHTS:,}")


def content_digest(path: Path, model: Any) -> str:
    """SHA-256 of an ONNX file and of the files that hold its weights, whatever their sizes.

    Args:
        path: of the file.
        model: see `read_proto`.
    """
    whole = hashlib.sha256()
    for part in (path, *(path.resolve().parent / place for place in sorted(_places(model)))):
        with part.open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()


def _places(message: Any) -> set[str]:
    """Where the tensors of a model lie that aren't in it: its subgraphs, functions and attributes are looked at too."""
    from onnx import TensorProto

    found: set[str] = set()
    if isinstance(message, TensorProto):
        if message.data_location == TensorProto.EXTERNAL or message.external_data:
            found = {entry.value for entry in message.external_data if entry.key == "location"} or {""}
        return found
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            parts = [value] if hasattr(value, "ListFields") else list(value)
            for part in parts:
                found |= _places(part)
    return found
