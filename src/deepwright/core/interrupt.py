"""Ctrl-C and SIGTERM at a safe point: the running step finishes, state is saved, then the interrupt goes on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_HELD = (signal.SIGINT, signal.SIGTERM)


class Terminated(SystemExit):
    """SIGTERM, after state was saved: the process ends with the code that shells give it, 128 + 15."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class StopFlag:
    """Becomes true when the user or the system asked to stop.

    Attributes:
        signal: what asked, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def error(self) -> BaseException:
        """What to raise when the state is saved: KeyboardInterrupt, or Terminated after SIGTERM."""
        return Terminated() if self.signal == signal.SIGTERM else KeyboardInterrupt()


@contextmanager
def graceful() -> Iterator[StopFlag]:
    """Hold back the first SIGINT or SIGTERM as a flag that the loop looks at; a second one interrupts at once.

    The loop saves its state and raises `flag.error()`; where it raises KeyboardInterrupt itself after SIGTERM, that
    becomes `Terminated`. A signal that came too late for the loop is raised at the end. Outside the main thread (where
    Python can't set handlers) the flag simply never rises.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def handler(signum: int, frame: FrameType | None) -> None:
        again = bool(flag)
        flag.signal = signum
        if again:
            raise flag.error()

    previous = {number: signal.signal(number, handler) for number in _HELD}
    try:
        yield flag
        if flag:
            raise flag.error()
    except KeyboardInterrupt:
        if flag.signal == signal.SIGTERM:
            raise Terminated from None
        raise
    finally:
        for number, before in previous.items():
            signal.signal(number, signal.SIG_DFL if before is None else before)
