"""JSON objects out of a stream of bytes, wherever packets are split; what is malformed is skipped and counted."""

from __future__ import annotations

import json
import re
from typing import Any

_MARKS = re.compile(rb'["{}\\\n]')


class JsonStream:
    """Objects that come one after another, with or without line breaks between them.

    A line break inside an object that isn't finished ends it: its sender broke off, and what follows is a new one. So
    does its size.

    Args:
        limit: bytes that an object may have.

    Example:
        >>> stream = JsonStream()
        >>> stream.feed(b'{"a": 1}{"b"'), stream.feed(b': "}"}')
        ([{'a': 1}], [{'b': '}'}])
    """

    def __init__(self, limit: int = 8_000_000) -> None:
        self.limit, self.skipped = limit, 0
        self._buffer = bytearray()
        self._forget()

    def _forget(self) -> None:
        self._looked, self._depth, self._quoted = 0, 0, False

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes; the objects that they complete.

        Args:
            data: as many as came.
        """
        self._buffer += data
        found = []
        while (end := self._end()) is not None:
            raw, finished = bytes(self._buffer[: end[0]]), end[1]
            del self._buffer[: end[0]]
            self._forget()
            value = _parsed(raw) if finished else None
            if value is None:
                self.skipped += 1
            else:
                found.append(value)
        return found

    def _end(self) -> tuple[int, bool] | None:
        """Where the first object ends, and whether it is whole; None while it is under way."""
        if self._depth == 0:
            start = self._buffer.find(b"{")
            del self._buffer[: len(self._buffer) if start < 0 else start]
            self._looked = 0
        while (mark := _MARKS.search(self._buffer, self._looked)) is not None:
            at, sign = mark.start(), mark[0]
            if sign == b"\\" and self._quoted:
                if at + 1 >= len(self._buffer):
                    self._looked = at  # what it escapes is still to come
                    break
                self._looked = at + 2
                continue
            self._looked = at + 1
            if sign == b"\n":
                return at + 1, False
            if sign == b'"':
                self._quoted = not self._quoted
            elif not self._quoted and sign != b"\\":
                self._depth += 1 if sign == b"{" else -1
                if self._depth == 0:
                    return at + 1, True
        else:
            self._looked = len(self._buffer)
        return (len(self._buffer), False) if len(self._buffer) > self.limit else None


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
