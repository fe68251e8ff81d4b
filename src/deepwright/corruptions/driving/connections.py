"""Sockets with time limits: what doesn't answer is an `InfrastructureError`, never a hang."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.corruptions.driving.simulators import InfrastructureError

T = TypeVar("T")
_PIECE = 1 << 16


def with_back_off(attempt: Callable[[], T], tries: int = 3, wait: float = 0.5) -> T:
    """Try several times, and wait twice as long after each failure.

    Args:
        attempt: what is tried; it raises OSError or InfrastructureError where it fails.
        tries: how often.
        wait: seconds after the first failure.

    Raises:
        InfrastructureError: it failed each time.
    """
    require_whole(1, tries=tries)
    for k in range(tries):
        try:
            return attempt()
        except (OSError, InfrastructureError) as error:
            if k == tries - 1:
                raise InfrastructureError(f"no success in {tries} tries: {error}") from error
            time.sleep(wait * 2**k)
    raise AssertionError


class Connection:
    """Bytes to and from a peer.

    Args:
        peer: a connected socket.
        timeout: seconds within which the peer must answer.
    """

    def __init__(self, peer: socket.socket, timeout: float = 10.0) -> None:
        require_positive(timeout=timeout)
        self._peer, self.timeout = peer, timeout
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def to(cls, host: str, port: int, timeout: float = 10.0) -> Connection:
        """Connect.

        Args:
            host: name or address.
            port: number.
            timeout: seconds, for this and for each answer.

        Raises:
            OSError: nobody listens there.
            InputError: a port that is none.
        """
        require_within(1, 65535, port=port)
        return cls(socket.create_connection((host, port), timeout=timeout), timeout)

    def send(self, data: bytes) -> None:
        """Send all.

        Args:
            data: bytes.

        Raises:
            InfrastructureError: the peer is gone or doesn't take them in time.
        """
        self._peer.settimeout(self.timeout)
        try:
            self._peer.sendall(data)
        except OSError as error:
            raise InfrastructureError(f"the peer takes no data: {error}") from error

    def receive(self, wait: float | None = None) -> bytes:
        """What has come, once something has; empty where nothing came in time.

        Args:
            wait: seconds at most; the connection's timeout by default.

        Raises:
            InfrastructureError: the peer hung up.
        """
        self._peer.settimeout(self.timeout if wait is None else max(wait, 1e-4))
        try:
            data = self._peer.recv(_PIECE)
        except TimeoutError:
            return b""
        except OSError as error:
            raise InfrastructureError(f"the connection broke: {error}") from error
        if not data:
            raise InfrastructureError("the peer hung up")
        return data

    def pending(self) -> Iterator[bytes]:
        """What has come already, piece by piece.

        Raises:
            InfrastructureError: the peer hung up, or sends without a pause for longer than it has to answer.
        """
        until = time.monotonic() + self.timeout
        while data := self.receive(0.0):
            yield data
            if time.monotonic() > until:
                raise InfrastructureError(f"the peer sends without a pause for {self.timeout:g} s")

    def close(self) -> None:
        """Hang up."""
        self._peer.close()


class Listener:
    """A port at which one peer after another is awaited.

    Args:
        host: address to listen at; this machine only by default.
        port: number; 0 for any that is free.

    Raises:
        InputError: an address or a port that can't be had.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        require_within(0, 65535, port=port)
        try:
            self._socket = socket.create_server((host, port))
        except OSError as error:
            expected = "an address of this machine, and a port that is free"
            raise InputError("port", given=f"{host}:{port}: {error.strerror}", expected=expected) from error
        self.port = int(self._socket.getsockname()[1])

    def accept(self, wait: float, timeout: float = 10.0) -> Connection:
        """The next peer.

        Args:
            wait: seconds at most.
            timeout: of the connection.

        Raises:
            InfrastructureError: nobody came.
        """
        self._socket.settimeout(wait)
        try:
            peer, _ = self._socket.accept()
        except OSError as error:
            raise InfrastructureError(f"nobody connected to port {self.port}: {error}") from error
        return Connection(peer, timeout)

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()
