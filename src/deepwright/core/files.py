"""Writing and reading files safely: atomic writes, content hashes, plain-data checkpoints."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError


def write_atomic(path: Path | str, write: Callable[[BinaryIO], object]) -> Path:
    """Write through a temporary file beside `path`, then rename: a reader sees the old file or the new one."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(
            f"cannot write {path}", given=error.strerror, hint="choose a folder that you may write to (--out DIR)"
        ) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def write_bytes(path: Path | str, data: bytes) -> Path:
    """Write bytes atomically."""
    return write_atomic(path, lambda stream: stream.write(data))


def write_text(path: Path | str, text: str) -> Path:
    """Write UTF-8 text atomically."""
    return write_bytes(path, text.encode())


def write_json(path: Path | str, value: Any) -> Path:
    """Write JSON atomically; infinities become strings so that every JSON reader can read it."""
    return write_text(path, json.dumps(jsonable(value), indent=1, allow_nan=False) + "\n")


@contextmanager
def reading(what: str, expected: str) -> Iterator[None]:
    """Turn what goes wrong with a user's file in this block into an `InputError`.

    Args:
        what: begins the message, as in "cannot read report.json".
        expected: what the file should have been.

    Raises:
        InputError: the block couldn't open the file, or what it holds has another form.
    """
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(what, given=f"{type(error).__name__}: {error}", expected=expected) from error


def jsonable(value: Any) -> Any:
    """Plain data that strict JSON holds: tensors to lists, non-finite floats to 'inf', '-inf', 'nan'."""
    if isinstance(value, Tensor):
        return jsonable(value.detach().cpu().tolist())
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, int | float | str | bool):
        return jsonable(value.item() if getattr(value, "ndim", 0) == 0 else value.tolist())
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, Path):
        return str(value)
    return value


def save_state(path: Path | str, state: dict[str, Any]) -> Path:
    """Save tensors and plain data; `load_state` reads them without unpickling code."""
    return write_atomic(path, lambda stream: torch.save(state, stream))


def load_state(path: Path | str, *, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Load what `save_state` wrote (`weights_only=True`: nothing in the file can run)."""
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        raise InputError(
            f"cannot read {path}", given=f"{type(error).__name__}: {error}", hint="delete the file to start afresh"
        ) from error


def hash_tensors(tensors: dict[str, Tensor]) -> str:
    """A short content hash of named tensors (names, dtypes, shapes, bytes)."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        data = tensor.detach().cpu().contiguous()
        digest.update(f"{name}|{data.dtype}|{tuple(data.shape)}".encode())
        digest.update(data.reshape(-1).view(torch.uint8).numpy().tobytes() if data.numel() else b"")
    return digest.hexdigest()


def hash_model(model: nn.Module) -> str:
    """A short content hash of a module's parameters and buffers."""
    return hash_tensors({k: v for k, v in model.state_dict().items() if isinstance(v, Tensor)})
