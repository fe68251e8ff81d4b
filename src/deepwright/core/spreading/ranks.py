"""Several processes of this machine, each with a device of its own, that walk through the same work side by side."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

import torch

from deepwright.core.devices import Compute
from deepwright.core.errors import InputError
from deepwright.core.spreading.sending import packed, sendable, settings, unpacked
from deepwright.core.spreading.wire import read_message, write_message

_GRACE = 5.0  # seconds that a process gets to end, or to be seen dead


class RankError(InputError, RuntimeError):
    """One of several processes ended, or went another way than the others."""


class Ranks:
    """Processes that hold the same things and run the same functions; pieces of `spread_map` are shared among them.

    They start when the block begins and end with it, whatever happens; they end by themselves where this process dies.

    Args:
        given: what all of them get: the first argument of what is called. It stays as it is here.
        devices: how many processes.
        device: the first one's; the others take those after it. On the CPU all have the same.
        prepare: (given, device) -> given, in each process once.
        patience: seconds that a process waits for the others, after which one that hangs ends the work.

    Raises:
        InputError: devices that aren't there; something that can't be sent to another process.
    """

    def __init__(
        self,
        given: Any,
        devices: int,
        device: torch.device,
        prepare: Callable[[Any, torch.device], Any],
        patience: float = 1800.0,
    ) -> None:
        require_devices(devices, device)
        self.devices, self.device, self.patience = devices, device, patience
        self.given = sendable((given, prepare, settings()), f"devices={devices}")
        self._members: list[_Member] = []
        self._said: queue.Queue[tuple[int, Any]] = queue.Queue()

    def __enter__(self) -> Ranks:
        port = _free_port()
        try:
            for rank in range(self.devices):
                self._members.append(_Member(rank, self.devices, port, self._said))
            begin = packed((str(self.device), self.devices, self.patience))
            for member in self._members:
                member.send(begin)
                member.send(self.given)
            self._answers()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run `function(given, *args)` in all processes; gives what the first one gives.

        Args:
            function: that does the same in all of them.
            args: for it.

        Raises:
            RankError: a process ended, hangs, or goes another way than the others.
            BaseException: what the function raised.
        """
        message = sendable((function, args), getattr(function, "__name__", "function"))
        for member in self._members:
            member.send(message)
        return self._answers()

    def close(self) -> None:
        """End all processes."""
        for member in self._members:
            member.end()
        self._members = []

    def _answers(self) -> Any:
        """The first process's answer, when all have answered."""
        found: dict[int, Any] = {}
        while len(found) < self.devices:
            rank, message = self._next()
            if message is None:
                raise self._ended(rank)
            kind, value = unpacked(message)
            if kind == "lost":
                raise self._lost(value, {*found, rank})
            found[rank] = (kind, value)
        for kind, value in (found[rank] for rank in sorted(found)):
            if kind == "error":
                raise value
        return found[0][1]

    def _next(self, timeout: float | None = None) -> tuple[int, Any]:
        """What a process says next; None of one that ended. Ctrl-C is noticed meanwhile."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return self._said.get(timeout=0.5)
            except queue.Empty:
                if end is not None and time.monotonic() > end:
                    raise

    def _lost(self, why: str, heard: set[int]) -> RankError:
        """A process lost the others: one of them ended, which is seen within moments, or says nothing more."""
        end = time.monotonic() + _GRACE
        with suppress(queue.Empty):
            while time.monotonic() < end:
                rank, message = self._next(_GRACE)
                if message is None:
                    return self._ended(rank)
                heard.add(rank)
        silent = [f"process {rank} of {self.devices}" for rank in range(self.devices) if rank not in heard]
        return RankError(
            f"{', '.join(silent)} fell silent" if silent else f"{self.devices} processes can't go on together",
            given=why,
            hint="what is finished is kept: the same command goes on there, without --devices in one process",
        )

    def _ended(self, rank: int) -> RankError:
        how, last = self._members[rank].obituary()
        return RankError(
            f"process {rank} of {self.devices} {how}",
            given=last or None,
            hint="what is finished is kept: the same command goes on there; with fewer --devices each has more memory",
        )


class _Member:
    """One of the processes, and what is said to it and by it."""

    def __init__(self, rank: int, devices: int, port: int, said: queue.Queue[tuple[int, Any]]) -> None:
        self.rank = rank
        self.errors = None if rank == 0 else tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deepwright.core.spreading.rank"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=_environment(rank, devices, port),
            start_new_session=True,  # Ctrl-C comes to this process, which ends the others
        )
        self._reader = threading.Thread(target=self._read, args=(said,), daemon=True)
        self._reader.start()

    def _read(self, said: queue.Queue[tuple[int, Any]]) -> None:
        stream: BinaryIO = self.process.stdout  # type: ignore[assignment]
        message: bytes | None = b""
        while message is not None:
            try:
                message = read_message(stream)
            except (OSError, ValueError):
                message = None
            said.put((self.rank, message))

    def send(self, message: bytes) -> None:
        """Say something to it; to one that ended nothing, which is noticed when it should answer."""
        try:
            write_message(self.process.stdin, message)  # type: ignore[arg-type]
        except (BrokenPipeError, ValueError):
            return

    def obituary(self) -> tuple[str, str]:
        """How it ended, and the last thing that it said."""
        try:
            code = self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            return "fell silent", self._last()
        if code >= 0:
            return f"ended with exit code {code}", self._last()
        name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
        return f"was killed ({name})", self._last()

    def _last(self) -> str:
        if self.errors is None:
            return ""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""

    def end(self) -> None:
        """End it, now."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(_GRACE)
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream is not None:
                with suppress(BrokenPipeError):  # of what wasn't read any more
                    stream.close()


def require_devices(devices: int, device: torch.device) -> None:
    """Refuse a number of devices that aren't there.

    Args:
        devices: how many.
        device: the first.

    Raises:
        InputError: what there is.
    """
    if isinstance(devices, bool) or not isinstance(devices, int):
        raise InputError("devices", given=repr(devices), expected="a whole number of 1 or more")
    Compute(device=device, devices=devices).require(device, "32-true")


def _environment(rank: int, devices: int, port: int) -> dict[str, str]:
    """What Lightning and torch ask the environment for, and this process's own import path."""
    return os.environ | {
        "LOCAL_RANK": str(rank),
        "NODE_RANK": "0",
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(devices),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "PYTHONSAFEPATH": "1",
        "PYTHONHASHSEED": "0",  # sets are gone through alike
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
