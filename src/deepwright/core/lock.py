"""One process at a time on a file: a lock that the system drops when its process dies, however it dies."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path

from deepwright.core.errors import InputError
from deepwright.core.files import cannot_write

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_held: weakref.WeakValueDictionary[str, Lock] = weakref.WeakValueDictionary()
if hasattr(os, "register_at_fork"):  # a child doesn't inherit its parent's locks
    os.register_at_fork(after_in_child=_held.clear)


class LockedError(InputError):
    """Another process works on the file."""

    def __init__(self, path: Path, owner: str) -> None:
        super().__init__(
            f"{path} is in use",
            given=f"process {owner or '(unknown)'} is writing to it",
            hint="wait until it ends or stop it, or choose another file",
        )


class Lock:
    """Held from `lock(path)` until nobody refers to it any more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = path.with_name(f".{path.name}.lock")
        self._pid = os.getpid()
        self._handle = self._acquire()

    def _acquire(self) -> int:
        try:
            self._name.parent.mkdir(parents=True, exist_ok=True)
            while True:
                handle = os.open(self._name, os.O_RDWR | os.O_CREAT, 0o666)
                if not _take(handle):
                    owner = os.read(handle, 32).decode(errors="replace").strip()
                    os.close(handle)
                    raise LockedError(self.path, owner)
                if _same(handle, self._name):  # else its last owner removed it between our two calls
                    os.ftruncate(handle, 0)
                    os.write(handle, f"{self._pid}\n".encode())
                    return handle
                os.close(handle)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    @property
    def mine(self) -> bool:
        """Whether it is this process that holds it: a forked child has its parent's object and not its lock."""
        return self._pid == os.getpid()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is None or not self.mine:
            return
        with suppress(OSError):  # the folder may be gone
            self._name.unlink()
        os.close(self._handle)


def lock(path: Path) -> Lock:
    """The lock of a file. Within a process it is shared: the later of two writers there goes on where the first is.

    Raises:
        LockedError: another process holds it.
        InputError: the folder can't be written.
    """
    path = path.resolve()  # one file by whatever name: the system would drop both locks when one is closed
    found = _held.get(str(path))
    if found is None:
        found = _held[str(path)] = Lock(path)
    return found


def _take(handle: int) -> bool:
    if fcntl is None:
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _same(handle: int, name: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), name.stat())
    except FileNotFoundError:
        return False
