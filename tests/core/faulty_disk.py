"""A disk that fails: at one of its calls it is full, broken, or takes less than it was given."""

import errno
import io
import os
from contextlib import contextmanager

FAULTS = {"full": errno.ENOSPC, "broken": errno.EIO}


class Disk:
    """Counts what is asked of the disk, and fails once.

    Args:
        at: the number of the call that fails, from 0 on.
        number: the error, or None to take only half of what is written, each time.
        lasting: all later calls fail too, but for those that give room back.

    Attributes:
        calls: so far.
    """

    def __init__(self, at=0, number=None, lasting=False):
        self.at, self.number, self.lasting, self.calls = at, number, lasting, 0

    def ask(self):
        now, self.calls = self.calls, self.calls + 1
        if self.number is not None and (now >= self.at if self.lasting else now == self.at):
            raise OSError(self.number, os.strerror(self.number))

    @contextmanager
    def mounted(self, monkeypatch):
        """All files that are opened for writing lie on this disk."""
        disk, plain, sync, rename = self, io.open, os.fsync, os.replace

        class File(io.FileIO):
            def write(self, data):
                if disk.number is not None and len(data) > 1:
                    super().write(data[: len(data) // 2])  # half of it is on the disk before it fails
                    disk.ask()
                    return len(data) // 2 + (super().write(data[len(data) // 2 :]) or 0)
                disk.ask()
                return super().write(data[: max(1, len(data) // 2)])

        def opened(path, mode="r", buffering=-1, *rest, **more):
            if not set(mode) & set("wxa+"):
                return plain(path, mode, buffering, *rest, **more)
            disk.ask()
            raw = File(path, mode.replace("b", ""))
            return raw if buffering == 0 else io.BufferedWriter(raw)

        with monkeypatch.context() as patch:
            patch.setattr(io, "open", opened)
            patch.setattr(os, "fsync", lambda handle: (disk.ask(), sync(handle)))
            patch.setattr(os, "replace", lambda a, b: (disk.ask(), rename(a, b)))
            yield self
