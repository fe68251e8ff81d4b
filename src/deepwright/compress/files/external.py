"""ONNX files whose weights lie in files beside them: nowhere else may such a file point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepwright.compress.files.requirements import require
from deepwright.core.errors import InputError


def require_own_data(data: bytes | Path | str) -> None:
    """Refuse an ONNX file that reads tensors from outside of its folder.

    Args:
        data: the file's bytes, which have no folder, or its path.

    Raises:
        MissingExtraError: onnx is missing.
        InputError: a place outside, or a file that is no ONNX.
    """
    require("onnx", "export", "reading ONNX")
    import onnx

    folder = None if isinstance(data, bytes) else Path(data).resolve().parent
    what = "an ONNX file" if isinstance(data, bytes) else str(data)
    try:
        model = onnx.load_from_string(data) if isinstance(data, bytes) else onnx.load(data, load_external_data=False)
    except Exception as error:  # protobuf's errors have no base of their own
        raise InputError(f"cannot read {what}", given=str(error).strip(), expected="an ONNX file") from error
    for place in sorted(_places(model)):
        if folder is None or not (folder / place).resolve().is_relative_to(folder):
            raise InputError(
                what, given=f"tensors in {place!r}", expected="tensors in the file, or in files of its own folder"
            )


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
