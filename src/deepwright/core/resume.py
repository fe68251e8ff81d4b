"""Resumable work: one stored file, bound to what the work is made from, that only one process writes.

A door (a function with `checkpoint=`) does no more than this:

    with Resume(checkpoint, {"data": data, "options": options, "model": model}, kind="search") as kept:
        state = kept.load() or {"step": 0}
        while not kept.finished and state["step"] < steps:
            state = advance(state)
            kept.save(state)
        kept.finish(state)

The file holds a header (format, kind, version, identity, whether the work is finished) and the state, plain data and
tensors, under one checksum. Where the parts that the work is made from differ, `load` refuses and says which. Work that
was interrupted is never taken as finished: only `finish` says so. What many small pieces make up goes into a `Journal`
(`core.journal`), and what fans out into `core.trials`.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import torch

from deepwright.core.errors import InputError
from deepwright.core.files import DamagedFileError, ForeignFileError, read_sealed, set_aside, write_sealed
from deepwright.core.identity import Identity, architecture, digest, identity
from deepwright.core.lock import Lock, LockedError, lock

__all__ = [
    "DamagedFileError",
    "DamagedFileWarning",
    "ForeignFileError",
    "Identity",
    "LockedError",
    "OtherWorkError",
    "Resume",
    "architecture",
    "digest",
    "identified",
    "identity",
    "stored",
]
_VERSION = 1
_DAMAGED = ("recompute", "refuse")


class DamagedFileWarning(UserWarning):
    """A stored file was damaged; it was set aside, and what it held is computed again."""


class OtherWorkError(InputError):
    """A stored file was made from other data, options, models or code.

    Args:
        path: the file.
        kind: what the work is.
        differences: one "another ..." for each part that differs.
        hint: what to do about it.

    Attributes:
        path: the file.
        differences: as given.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        differences: list[str],
        hint: str = "go on with what it was made from, delete it to start afresh, or choose another file",
    ) -> None:
        self.path, self.differences = path, differences
        super().__init__(
            f"{path} belongs to another {kind}",
            given=", ".join(differences),
            expected="all that the file was made from",
            hint=hint,
        )


class Resume:
    """A stored state of work that can be taken up again.

    Args:
        path: the file, or None to keep nothing (then `load` gives None, and `save` and `finish` do nothing).
        identity: everything that the result depends on, by name: an `Identity`, or a dict of values to identify.
        kind: what the work is ("fit", "search"); a file of another kind is refused.
        damaged: what to do about a damaged file: "recompute" sets it aside as `<name>.damaged-1`, warns and starts
            afresh; "refuse" leaves it and raises, for what can't be computed again.
        writer: False in all processes but the first of work that runs in several: those read and don't write.

    Raises:
        LockedError: another process works on the file.
        InputError: something can't be identified, or the folder can't be written.
    """

    def __init__(
        self,
        path: Path | str | None,
        identity: Mapping[str, Any],
        *,
        kind: str,
        damaged: str = "recompute",
        writer: bool = True,
    ) -> None:
        if damaged not in _DAMAGED:
            raise InputError("damaged", given=repr(damaged), expected=" or ".join(map(repr, _DAMAGED)))
        self.path = None if path is None else place(path)
        self.kind, self.damaged, self.writer = kind, damaged, writer
        self.finished = False
        self._lock: Lock | None = None
        self._readable = False
        if self.path is not None:
            self.identity = identified(identity)
            self._lock = lock(self.path) if writer else None
            if writer:
                _sweep(self.path)

    def load(self, *, map_location: str | torch.device = "cpu") -> Any:
        """The stored state, or None where there is none yet; sets `finished`.

        Args:
            map_location: where tensors go.

        Raises:
            OtherWorkError: the file was made from something else; the message says from what.
            ForeignFileError: the file isn't one of ours, or belongs to another kind of work.
            DamagedFileError: the file is damaged, where that is refused.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            header, state = read_sealed(self.path, map_location=map_location)
        except DamagedFileError as error:
            if self.damaged == "refuse":
                raise
            if self.writer:
                warn_damaged(self.path, set_aside(self.path), error)
            return None
        self._check(header)
        self.finished = header["finished"]
        return state

    def _check(self, header: dict[str, Any]) -> None:
        assert self.path is not None
        kind, version = header.get("kind"), header.get("version")
        if (kind, version) != (self.kind, _VERSION):
            raise ForeignFileError(
                f"{self.path} belongs to other work",
                given=f"kind {kind!r}, version {version} of the file",
                expected=f"kind {self.kind!r}, version {_VERSION}",
                hint="choose another file, or delete this one to start afresh",
            )
        differences = self.identity.differences(header["identity"])
        if differences:
            raise OtherWorkError(self.path, self.kind, differences)

    def save(self, state: Any) -> None:
        """Store the state of work that goes on.

        Args:
            state: tensors and plain data.

        Raises:
            InputError: the disk is full or doesn't take it; the file of before is still there.
        """
        self._write(state, finished=False)

    def finish(self, state: Any) -> None:
        """Store the state of work that is done.

        Args:
            state: tensors and plain data.
        """
        self._write(state, finished=True)
        self.finished = True

    def _write(self, state: Any, finished: bool) -> None:
        if self.path is None or not self.writer:
            return
        if self._lock is None:
            raise InputError(f"{self.path} was let go", given="a state to store after close()", expected="none")
        if not self._lock.mine:
            raise LockedError(self.path, "that forked this one")
        header = {"kind": self.kind, "version": _VERSION, "identity": self.identity, "finished": finished}
        write_sealed(self.path, header, state)
        if not self._readable:
            self._require_readable(self.path, state)

    def _require_readable(self, path: Path, state: Any) -> None:
        """Whether what was stored can be read back; asked once, at the first save, when little work can be lost."""
        try:
            read_sealed(path)
        except DamagedFileError as error:
            path.unlink()
            given = str(error.given).splitlines()[0]
            expected = "tensors, numbers, words, lists and dicts in the state"
            raise InputError(f"{path} can't be read back", given=given, expected=expected) from error
        self._readable = True

    def close(self) -> None:
        """Let other processes take the file."""
        self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def place(path: Path | str) -> Path:
    """Where a stored file really lies: links are followed, so that they and what they point to are one file.

    Args:
        path: as the user gave it.

    Raises:
        InputError: a name that no file can have.
    """
    try:
        text = os.fspath(path)
    except TypeError as error:
        raise InputError("checkpoint", given=repr(path), expected="the name of a file") from error
    if not text or "\0" in text:
        raise InputError("checkpoint", given=repr(text), expected="the name of a file")
    return Path(path).resolve()


def stored(path: Path | str) -> tuple[dict[str, Any], Any]:
    """The header (kind, version, identity, finished) and the state of a stored file, whoever made it.

    Args:
        path: a file that a `Resume` wrote.
    """
    return read_sealed(path)


def identified(parts: Mapping[str, Any]) -> Identity:
    """Named parts as an identity; an identity as it is.

    Args:
        parts: name -> value.
    """
    return parts if isinstance(parts, Identity) else identity(**parts)


def warn_damaged(path: Path, aside: Path, error: InputError) -> None:
    """Say that a file was set aside.

    Args:
        path: the file.
        aside: where it is now.
        error: what was wrong with it.
    """
    message = f"{path} is damaged ({error.given}): it was set aside as {aside.name}, and what it held is computed again"
    warnings.warn(message, DamagedFileWarning, stacklevel=3)


def _sweep(path: Path) -> None:
    """Remove what a killed process had begun to write; nobody else writes here, since we hold the lock."""
    ours = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.tmp")
    with suppress(OSError):  # a folder that isn't there yet
        for rest in path.parent.iterdir():
            if ours.fullmatch(rest.name):
                rest.unlink(missing_ok=True)
