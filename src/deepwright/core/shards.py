"""Activations on disk, in shards of so many batches; each belongs to the batches that it was made from.

Batches may come from anywhere, also from a stream that can't be read twice: each one is hashed as it comes, and a shard
that lies on disk is taken only where its batches were these.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.resume import OtherWorkError, Resume, digest, identified

_KIND, _SHARD = "extraction", "shard of an extraction"
_HINT = "give the same batches in the same order, or choose another folder"


class Shards:
    """A folder of finished parts of a pass over batches.

    Args:
        folder: where; made where it is missing. It belongs to one process at a time.
        parts: all that a part depends on besides its batches, by name.
        every: batches a shard.

    Attributes:
        states: what each finished shard holds.

    Raises:
        OtherWorkError: shards of another network, task or layer list.
        LockedError: another process works there.
    """

    def __init__(self, folder: Path | str, parts: Mapping[str, Any], every: int) -> None:
        require_whole(1, every=every)
        if not str(folder):
            raise InputError("store", given="''", expected="the name of a folder")
        self.folder, self.every = Path(folder), every
        self.parts = identified({**parts, "every": every})
        self.states: list[Any] = []
        self._manifest = Resume(self.folder / "manifest.pt", self.parts, kind=_KIND)
        self._total = self._manifest.load()  # of batches, where all were seen
        if self._total is None:
            self._manifest.save(None)
        self._done = 0  # batches of finished shards
        self._hashes: list[str] = []  # of the batches of the shard that is being gone through
        self._stored: Any = None

    def needs(self, batch: Any) -> bool:
        """Whether a batch, the next one, has to be worked on.

        Args:
            batch: as it came.
        """
        if not self._hashes:
            with self._shard() as kept:
                self._stored = kept.load()
        self._hashes.append(str(digest(batch, "a batch")))
        return self._stored is None

    def _shard(self) -> Resume:
        path = self.folder / f"shard-{len(self.states):06d}.pt"
        return Resume(path, self.parts, kind=_SHARD)

    @property
    def full(self) -> bool:
        """Whether the batches since the last shard make up another."""
        return len(self._hashes) == self.every

    @property
    def begun(self) -> bool:
        """Whether there were batches since the last shard."""
        return bool(self._hashes)

    def end(self, state: Any) -> None:
        """End a shard.

        Args:
            state: what its batches gave; None where they needed no work.

        Raises:
            OtherWorkError: the shard on disk was made from other batches.
        """
        if self._stored is None:
            with self._shard() as kept:
                kept.finish({"batches": self._hashes, "state": state})
            self.states.append(state)
        else:
            self._compare(self._stored["batches"])
            self.states.append(self._stored["state"])
        self._done += len(self._hashes)
        self._hashes, self._stored = [], None

    def _compare(self, before: list[str]) -> None:
        for number, (now, then) in enumerate(zip_longest(self._hashes, before), self._done):
            if now is None or then is None:
                raise self._other(
                    f"another number of batches: {self._done + len(self._hashes)}, was {self._done + len(before)}"
                )
            if now != then:
                raise self._other(f"another data, from batch {number} on")

    def finish(self) -> None:
        """Say that there are no more batches.

        Raises:
            OtherWorkError: there were more, or fewer, before.
        """
        if self._total is not None and self._done != self._total:
            raise self._other(f"another number of batches: {self._done}, was {self._total}")
        self._manifest.finish(self._done)

    def _other(self, difference: str) -> OtherWorkError:
        return OtherWorkError(self.folder, _KIND, [difference], _HINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._manifest.close()
