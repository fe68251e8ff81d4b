"""The walk through a value of any kind, of which a hash is left."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from deepwright.core.errors import InputError

PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), range, slice)
# (kinds, (walk, value) -> None), of which the first that fits takes a value in; the last fits all.
Takers = Sequence[tuple[Any, Callable[["Walk", Any], None]]]


class Digest(str):
    """A hash of something that was identified already: a part of an identity as it is."""

    __slots__ = ()


class Walk:
    """A hash that walks through values. Each object enters once; later its number stands for it, so circles end."""

    def __init__(self, name: str, takers: Takers, weights: bool = True) -> None:
        self.name, self.takers, self.weights = name, takers, weights
        self.hash = hashlib.blake2b(digest_size=16)
        self.trail: list[str] = []
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # while we walk, no other object may get the address of one that was seen

    def of(self, value: Any) -> Digest:
        """The hash of one value."""
        try:
            self.feed(value)
        except RecursionError as error:
            raise InputError(f"{self.name} can't be identified", given="a value nested too deeply") from error
        return Digest(self.hash.hexdigest())

    def apart(self, value: Any) -> Digest:
        """The hash of a value by itself, whatever was seen before."""
        return Walk(self.name, self.takers).of(value)

    def feed(self, value: Any) -> None:
        """Take in a value of any kind."""
        if isinstance(value, enum.Enum):
            self.word("enum", str(value.name))
            self.feed(value.value)
            self.feed(type(value))
        elif isinstance(value, PLAIN) and type(value) in PLAIN:
            self.word(type(value).__name__, value.hex() if isinstance(value, float) else repr(value))
        elif type(value) in (tuple, frozenset):  # constants of code are shared or not as Python likes
            self._by_kind(value)
        elif id(value) in self.seen:
            self.word("again", str(self.seen[id(value)]))
        else:
            self.seen[id(value)] = len(self.seen)
            self.kept.append(value)
            self._by_kind(value)

    def within(self, name: str, value: Any) -> None:
        """Take in a value, and remember its name for an error."""
        self.trail.append(name)
        self.feed(value)
        self.trail.pop()

    def word(self, kind: str, text: str) -> None:
        """A tag and a text, with their lengths, so that no two sequences of them read alike."""
        data = text.encode(errors="surrogatepass")
        self.hash.update(f"{kind}:{len(data)}:".encode())
        self.hash.update(data)

    def _by_kind(self, value: Any) -> None:
        own = None if isinstance(value, type) else getattr(type(value), "__resume_identity__", None)
        if own is not None:
            self.word("declared", "")
            self.feed(own(value))
            return
        take = next(take for kinds, take in self.takers if isinstance(value, kinds))
        take(self, value)

    def refuse(self, value: Any, what: str) -> NoReturn:
        """Say that a value can't be identified, and where it lies."""
        raise InputError(
            f"{self.name} can't be identified, so that a result of it could not be told from another's",
            given=" of ".join([what, *reversed(self.trail)]),
            expected="data, models, functions, options and objects that consist of them",
            hint=f"give {type(value).__qualname__} a method __resume_identity__() that returns what it is",
        )
