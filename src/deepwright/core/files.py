"""Writing and reading files safely: atomic writes, content hashes, plain-data state under a checksum."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError

_MAGIC = b"deepwright state 1\n"
_TOLD = {errno.ENOSPC: "make room on the disk and run again", errno.EDQUOT: "make room on the disk and run again"}


class ForeignFileError(InputError):
    """A file that something else wrote. It is never overwritten or moved: it may be somebody's work."""


class DamagedFileError(InputError):
    """A file of ours that isn't what was written: cut short, or with bits that changed."""


def write_atomic(path: Path | str, write: Callable[[BinaryIO], object]) -> Path:
    """Write through a temporary file beside `path`, then rename: a reader sees the old file or the new one.

    File and folder reach the disk before this returns, so a power cut leaves the one or the other too. The file gets
    the mode that the process's umask asks for. A symlink stays, and the file that it points to is written.

    Args:
        path: where to; missing folders are made.
        write: gets the open file.

    Raises:
        InputError: the disk is full, the folder can't be written, a pipe or a device is there, ...; what was at `path`
            is still there.
    """
    path = Path(path)
    if not path.name or "\0" in str(path):
        raise InputError("cannot write a file", given=repr(str(path)), expected="the name of a file")
    target = _target(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except BaseException as error:
        _forget(temporary)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise
    return path


def _target(path: Path) -> Path:
    """The file that a rename may replace: renaming onto a symlink, a pipe or a device would put an end to it."""
    try:
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        require_plain_file(target, f"cannot write {path}")
    except OSError as error:
        raise cannot_write(path, error) from error
    if target.is_symlink():
        raise InputError(f"cannot write {path}", given="a symlink that leads back to itself", expected="a plain file")
    return target


def require_plain_file(path: Path | str, what: str) -> None:
    """Refuse pipes, devices and sockets, which may have no end; what isn't there and folders have their own errors.

    Args:
        path: of the file; a symlink is followed.
        what: begins the message, as in "cannot read report.json".

    Raises:
        InputError: something is there that is no plain file.
        OSError: the disk doesn't say what is there.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(what, given=f"{path}, which is no plain file", expected="a plain file")


def require_new_file(path: Path | str, what: str) -> None:
    """Refuse a place where no file can be written: before the work, not after it.

    Args:
        path: of the file; it may be there, and so may its folder.
        what: begins the message.

    Raises:
        InputError: no name, a folder, something that is no plain file, a place that can't be written.
    """
    if not str(path) or "\0" in str(path):
        raise InputError(what, given=repr(str(path)), expected="the name of a file")
    path = Path(path)
    if path.is_dir():
        raise InputError(what, given=f"{path}, a folder", expected="the name of a file")
    require_plain_file(path, what)
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(path if path.exists() else there, os.W_OK):
        raise InputError(what, given=f"{path}, which can't be written", expected="a file that you may write")


def cannot_write(path: Path, error: OSError) -> InputError:
    """What went wrong at the disk, as bad input: the user chose the place."""
    hint = _TOLD.get(error.errno or 0, "choose a folder that you may write to (--out DIR)")
    return InputError(f"cannot write {path}", given=error.strerror or str(error), hint=hint)


def _forget(temporary: Path) -> None:
    with suppress(OSError):  # the same trouble as the write's, which is told
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Without it a power cut may undo the rename. Some file systems can't, and then nobody can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


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
def reading(what: str, expected: str, path: Path | str | None = None) -> Iterator[None]:
    """Turn what goes wrong with a user's file in this block into an `InputError`.

    Args:
        what: begins the message, as in "cannot read report.json".
        expected: what the file should have been.
        path: of the file that the block opens; a pipe or a device, which may have no end, is refused before.

    Raises:
        InputError: the block couldn't open the file, or what it holds has another form.
    """
    try:
        if path is not None:
            require_plain_file(path, what)
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        said = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise InputError(what, given=said, expected=expected) from error


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
    """Save tensors and plain data under a checksum; `load_state` reads them without unpickling code."""
    return write_sealed(path, {}, state)


def load_state(path: Path | str, *, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Load what `save_state` wrote, or plain tensors by `torch.save` (`weights_only=True`: nothing in it can run)."""
    path, content = Path(path), _content(path)
    return _unpacked(path, content if content[:2] == b"PK" else _opened(path, content)[1], map_location)


def write_sealed(path: Path | str, header: dict[str, Any], state: Any) -> Path:
    """Write a header and a state under one checksum; both are packed in memory first, so a bad disk harms neither.

    Args:
        path: where to.
        header: plain JSON.
        state: tensors and plain data.
    """
    packed = io.BytesIO()
    torch.save(_of_python(state), packed)
    body = json.dumps(header).encode() + b"\n" + packed.getvalue()
    return write_atomic(path, lambda stream: stream.writelines((_MAGIC, _seal(body), b"\n", body)))


def _of_python(state: Any) -> Any:
    """NumPy's numbers as Python's, which can be read back without trusting the file."""
    if isinstance(state, np.generic):
        return state.item()
    if type(state) is dict:
        return {_of_python(key): _of_python(value) for key, value in state.items()}
    if type(state) in (list, tuple):
        return type(state)(map(_of_python, state))
    return state


def read_sealed(path: Path | str, *, map_location: str | torch.device = "cpu") -> tuple[dict[str, Any], Any]:
    """The header and the state that `write_sealed` wrote.

    Args:
        path: where from.
        map_location: where tensors go.

    Raises:
        ForeignFileError: the file isn't one of ours.
        DamagedFileError: the file is cut short, or a bit of it has changed.
        InputError: the file can't be read.
    """
    path = Path(path)
    header, packed = _opened(path, _content(path))
    return header, _unpacked(path, packed, map_location)


def _content(path: Path | str) -> bytes:
    try:
        require_plain_file(path, f"cannot read {path}")
        return Path(path).read_bytes()
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}", given=getattr(error, "strerror", None) or str(error)) from error


def _opened(path: Path, content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the packed state of a file under its checksum."""
    if not content.startswith(_MAGIC):
        raise ForeignFileError(
            f"cannot read {path}",
            given="an empty file" if not content else f"a file that begins with {content[:20]!r}",
            expected="a state that Deepwright saved",
            hint="choose another file, or delete this one to start afresh",
        )
    seal, _, body = content[len(_MAGIC) :].partition(b"\n")
    if seal != _seal(body):
        raise DamagedFileError(
            f"cannot read {path}",
            given="a damaged file: its checksum doesn't fit what it holds",
            expected="the file as it was written",
            hint="put back a copy of it, or delete it to start afresh",
        )
    header, _, packed = body.partition(b"\n")
    return json.loads(header), packed


def _seal(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode()


def _unpacked(path: Path, packed: bytes, map_location: str | torch.device) -> Any:
    try:
        return torch.load(io.BytesIO(packed), map_location=map_location, weights_only=True)
    except Exception as error:
        raise DamagedFileError(
            f"cannot read {path}", given=f"{type(error).__name__}: {error}", hint="delete the file to start afresh"
        ) from error


def set_aside(path: Path) -> Path:
    """Move a damaged file out of the way, to a name that is free; it may still be of use to a person."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        return path.rename(aside)
    except OSError as error:
        raise cannot_write(path, error) from error


def contiguous(tensor: Tensor) -> Tensor:
    """A tensor on the CPU whose memory can be read as bytes.

    A tensor of one number counts as contiguous whatever its stride, and a stride of 2 can't be viewed as bytes.

    Args:
        tensor: anywhere.
    """
    data = tensor.detach().cpu()
    plain = data.is_contiguous() and (data.ndim == 0 or data.stride(-1) == 1)
    return data if plain else data.clone(memory_format=torch.contiguous_format)


def hash_tensors(tensors: dict[str, Tensor]) -> str:
    """A short content hash of named tensors (names, dtypes, shapes, bytes)."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        data = contiguous(tensor)
        digest.update(f"{name}|{data.dtype}|{tuple(data.shape)}".encode())
        digest.update(data.reshape(-1).view(torch.uint8).numpy().tobytes() if data.numel() else b"")
    return digest.hexdigest()


def hash_model(model: nn.Module) -> str:
    """A short content hash of a module's parameters and buffers."""
    return hash_tensors({k: v for k, v in model.state_dict().items() if isinstance(v, Tensor)})
