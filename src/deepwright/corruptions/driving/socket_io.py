"""Socket.IO events on a WebSocket, in the framing of Engine.IO 3 (which old Unity clients speak) and 4.

Only the WebSocket transport: a client that begins with polling is told so by being refused.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from typing import Any
from urllib.parse import parse_qs

from deepwright.core.errors import InputError
from deepwright.corruptions.driving import websockets as ws
from deepwright.corruptions.driving.connections import Connection
from deepwright.corruptions.driving.simulators import InfrastructureError

_OPEN = json.dumps({"sid": "deepwright", "upgrades": [], "pingInterval": 25000, "pingTimeout": 60000})
_PING_EVERY = 20.0  # seconds; Engine.IO 4 lets the server ping
_GRACE = 1.0  # seconds in which a client of Engine.IO 4 asks for its namespace; an older one never does
_EVENT = re.compile(r"2(?:/[^,]*,)?\d*(\[.*)", re.DOTALL)


class EventLink:
    """Events to and from a peer; `accepted` and `joined` make one.

    Attributes:
        version: of Engine.IO, 3 or 4.
        skipped: messages that couldn't be read.
    """

    def __init__(self, connection: Connection, *, serves: bool, version: int) -> None:
        self._connection, self._serves, self.version = connection, serves, version
        self._frames, self.skipped = ws.FrameReader(), 0
        self._packets: deque[str] = deque()
        self._events: deque[tuple[str, Any]] = deque()
        self._pinged = time.monotonic()

    @classmethod
    def accepted(cls, connection: Connection, version: int | None = None) -> EventLink:
        """Answer a client that opens a WebSocket.

        Args:
            connection: to it.
            version: of Engine.IO; None takes what the client says, and 3 where it says 4 and speaks 3, as Unity's old
                client does.

        Raises:
            InputError: another version.
            InfrastructureError: it speaks something else, or too slowly.
        """
        if version not in (None, 3, 4):
            raise InputError("version", given=repr(version), expected="3, 4 or None")
        head, rest = _head(connection)
        connection.send(ws.response(head))
        query = parse_qs(head.first.split(" ")[1].partition("?")[2])
        said = 3 if query.get("EIO", ["4"])[0] == "3" else 4
        link = cls(connection, serves=True, version=version or said)
        link._take(rest)
        link._send("0" + _OPEN)
        if link.version == 4 and not link._asks(_GRACE if version is None else connection.timeout):
            if version == 4:
                raise InfrastructureError("the client doesn't ask for a namespace, as Engine.IO 4 has it")
            link.version = 3
        link._send("40" if link.version == 3 else '40{"sid":"deepwright"}')
        return link

    @classmethod
    def joined(cls, connection: Connection, host: str, version: int = 4) -> EventLink:
        """Open a WebSocket at a server.

        Args:
            connection: to it.
            host: its name and port.
            version: of Engine.IO.

        Raises:
            InfrastructureError: it doesn't answer as it should.
        """
        opening, key = ws.request(host, f"/socket.io/?EIO={version}&transport=websocket")
        connection.send(opening)
        head, rest = _head(connection)
        if " 101 " not in head.first or head.fields.get("sec-websocket-accept") != ws.accept_key(key):
            raise InfrastructureError(f"the server opens no WebSocket: {head.first[:80]!r}")
        link = cls(connection, serves=False, version=version)
        link._take(rest)
        link._wait_for_packet("0")
        if version == 4:
            link._send("40")
        link._wait_for_packet("40")
        return link

    def emit(self, event: str, data: Any) -> None:
        """Send an event.

        Args:
            event: its name.
            data: plain data.
        """
        self._send("42" + json.dumps([event, data]))

    def wait_for(self, event: str | None = None, wait: float | None = None) -> tuple[str, Any]:
        """The next event, others are passed over.

        Args:
            event: its name; None takes any.
            wait: seconds at most; the connection's timeout by default.

        Returns:
            its name and data.

        Raises:
            InfrastructureError: none in time, or the peer broke off.
        """
        limit = self._connection.timeout if wait is None else wait
        until = time.monotonic() + limit
        while True:
            while self._events:
                found = self._events.popleft()
                if event in (None, found[0]):
                    return found
            left = until - time.monotonic()
            if left <= 0:
                raise InfrastructureError(f"no {event or 'event'!r} from the peer in {limit:g} s")
            self._pump(left)

    def comes(self, wait: float) -> bool:
        """Whether an event is there, or comes within a time.

        Args:
            wait: seconds.
        """
        until = time.monotonic() + wait
        while not self._events and (left := until - time.monotonic()) > 0:
            self._pump(left)
        return bool(self._events)

    def newest(self, event: str) -> Any:
        """The data of the last event of a name of those that have come, once one has.

        Args:
            event: its name.
        """
        data = self.wait_for(event)[1]
        self._catch_up()
        while any(name == event for name, _ in self._events):
            data = self.wait_for(event)[1]
        return data

    def forget(self) -> None:
        """Pass over all that has come."""
        self._catch_up()
        self._events.clear()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _send(self, packet: str) -> None:
        self._connection.send(ws.frame(packet.encode(), masked=not self._serves))

    def _pump(self, wait: float) -> None:
        """Take what comes within a time."""
        if self._serves and self.version == 4 and time.monotonic() - self._pinged > _PING_EVERY:
            self._pinged = time.monotonic()
            self._send("2")
        self._take(self._connection.receive(wait))
        while self._packets:
            self._heard(self._packets.popleft())

    def _catch_up(self) -> None:
        """Take all that has come."""
        for data in self._connection.pending():
            self._take(data)
        while self._packets:
            self._heard(self._packets.popleft())

    def _take(self, data: bytes) -> None:
        """Frames -> packets; WebSocket's own pings are answered."""
        for kind, payload in self._frames.feed(data):
            if kind == ws.PING:
                self._connection.send(ws.frame(payload, ws.PONG, masked=not self._serves))
            elif kind == ws.CLOSE:
                raise InfrastructureError("the peer closed the WebSocket")
            elif kind == ws.TEXT:
                self._packets.append(payload.decode("utf-8", "replace"))

    def _heard(self, packet: str) -> None:
        if packet.startswith("2"):
            self._send("3" + packet[1:])
        elif packet.startswith(("1", "41")):
            raise InfrastructureError("the peer closed the session")
        elif packet.startswith("42"):
            event = _event(packet[1:])
            if event is None:
                self.skipped += 1
            else:
                self._events.append(event)

    def _asks(self, wait: float) -> bool:
        """Whether a client asks for its namespace; anything else that it says is kept."""
        until = time.monotonic() + wait
        while not self._packets and (left := until - time.monotonic()) > 0:
            self._take(self._connection.receive(left))
        if self._packets and self._packets[0].startswith("40"):
            self._packets.popleft()
            return True
        return False

    def _wait_for_packet(self, start: str) -> None:
        until = time.monotonic() + self._connection.timeout
        while (left := until - time.monotonic()) > 0:
            while self._packets:
                packet = self._packets.popleft()
                if packet.startswith(start):
                    return
                self._heard(packet)
            self._take(self._connection.receive(left))
        raise InfrastructureError(f"no packet {start!r} from the server in {self._connection.timeout:g} s")


def _event(message: str) -> tuple[str, Any] | None:
    """Name and first argument of `2["name",data]`, with or without a namespace and a number in front."""
    match = _EVENT.fullmatch(message)
    try:
        value = json.loads(match[1]) if match else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        return None
    return value[0], value[1] if len(value) > 1 else None


def _head(connection: Connection) -> tuple[ws.Head, bytes]:
    reader, until = ws.HeadReader(), time.monotonic() + connection.timeout
    while (left := until - time.monotonic()) > 0:
        if (found := reader.feed(connection.receive(left))) is not None:
            return found
    raise InfrastructureError(f"no opening from the peer in {connection.timeout:g} s")
