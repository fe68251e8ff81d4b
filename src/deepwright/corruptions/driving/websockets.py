"""WebSocket frames (RFC 6455) and their opening handshake, over any bytes; no sockets here."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from dataclasses import dataclass, field

from deepwright.corruptions.driving.simulators import InfrastructureError

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LARGEST_HEAD = 16_384
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@dataclass(frozen=True)
class Head:
    """The head of an HTTP message.

    Attributes:
        first: its first line.
        fields: by their names in small letters.
    """

    first: str
    fields: dict[str, str] = field(default_factory=dict)


class HeadReader:
    """The head of an HTTP message out of bytes, wherever packets are split."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> tuple[Head, bytes] | None:
        """Take bytes; the head and what came behind it, once it is whole.

        Args:
            data: as many as came.

        Raises:
            InfrastructureError: no HTTP, or a head of more than 16 kB.
        """
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _LARGEST_HEAD:
                raise InfrastructureError("the peer doesn't speak HTTP: no end of a head in 16 kB")
            return None
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        named = (line.partition(":") for line in lines[1:])
        fields = {name.strip().lower(): value.strip() for name, _, value in named}
        return Head(lines[0], fields), bytes(self._buffer[end + 4 :])


def accept_key(key: str) -> str:
    """What a server answers to a client's `Sec-WebSocket-Key`.

    Args:
        key: of the client.

    Example:
        >>> accept_key("dGhlIHNhbXBsZSBub25jZQ==")
        's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    """
    return base64.b64encode(hashlib.sha1(key.encode("latin-1") + _MAGIC).digest()).decode()


def request(host: str, path: str) -> tuple[bytes, str]:
    """A client's opening, and the key to which the server must answer.

    Args:
        host: of the server, with its port.
        path: and query.
    """
    key = base64.b64encode(os.urandom(16)).decode()
    text = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    return text.encode(), key


def response(head: Head) -> bytes:
    """A server's answer to a client's opening.

    Args:
        head: of the client.

    Raises:
        InfrastructureError: it doesn't ask for a WebSocket.
    """
    key = head.fields.get("sec-websocket-key")
    if key is None or "websocket" not in head.fields.get("upgrade", "").lower() or not head.first.startswith("GET "):
        raise InfrastructureError(f"the peer doesn't ask for a WebSocket: {head.first[:80]!r}")
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n"
    ).encode()


def frame(payload: bytes, kind: int = TEXT, *, masked: bool = False) -> bytes:
    """One frame.

    Args:
        payload: its content.
        kind: TEXT, BINARY, CLOSE, PING or PONG.
        masked: as clients must.
    """
    n, mask = len(payload), 0x80 if masked else 0
    if n < 126:
        head = struct.pack("!BB", 0x80 | kind, mask | n)
    elif n < 1 << 16:
        head = struct.pack("!BBH", 0x80 | kind, mask | 126, n)
    else:
        head = struct.pack("!BBQ", 0x80 | kind, mask | 127, n)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + _masked(payload, key)


def _masked(payload: bytes, key: bytes) -> bytes:
    """Exclusive or with a key that repeats, as one long number: quick without a loop over bytes."""
    n = len(payload)
    mask = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(n, "big")


class FrameReader:
    """Messages out of bytes, wherever packets are split; messages in several frames are put together.

    Args:
        limit: bytes that a message may have.
    """

    def __init__(self, limit: int = 8_000_000) -> None:
        self.limit = limit
        self._buffer, self._parts, self._kind = bytearray(), bytearray(), 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes; (kind, content) of the messages that they complete.

        Args:
            data: as many as came.

        Raises:
            InfrastructureError: a message above the limit, or frames that can't follow each other.
        """
        self._buffer += data
        found = []
        while (one := self._frame()) is not None:
            final, kind, payload = one
            if kind >= CLOSE:
                found.append((kind, payload))
                continue
            if (kind == 0) != bool(self._kind):
                raise InfrastructureError("WebSocket frames out of order")
            self._kind = self._kind or kind
            self._parts += payload
            if len(self._parts) > self.limit:
                raise InfrastructureError(f"a WebSocket message above {self.limit} bytes")
            if final:
                found.append((self._kind, bytes(self._parts)))
                self._parts, self._kind = bytearray(), 0
        return found

    def _frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, at = buffer[1] & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(buffer) < at + size:
                return None
            length, at = int.from_bytes(buffer[at : at + size], "big"), at + size
        if length > self.limit:
            raise InfrastructureError(f"a WebSocket frame of {length} bytes")
        masked = bool(buffer[1] & 0x80)
        end = at + 4 * masked + length
        if len(buffer) < end:
            return None
        payload = bytes(buffer[end - length : end])
        if masked:
            payload = _masked(payload, bytes(buffer[at : at + 4]))
        final, kind = bool(buffer[0] & 0x80), buffer[0] & 0x0F
        del buffer[:end]
        return final, kind, payload
