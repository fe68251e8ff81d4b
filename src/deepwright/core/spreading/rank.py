"""One of several processes: it takes what it is given, and runs what it is told, beside the others.

Run as `python -m deepwright.core.spreading.rank` by `Ranks`, which speaks to it over standard input and output.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Sized
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import count, islice
from typing import Any, BinaryIO

import torch
import torch.distributed as dist

from deepwright.core.devices import Compute
from deepwright.core.errors import first_line
from deepwright.core.spreading.sending import failed, packed, settle, unpacked
from deepwright.core.spreading.spread import Kept, Opened, chosen, using
from deepwright.core.spreading.wire import read_message, write_message


class LostError(RuntimeError):
    """The other processes aren't there any more, or do something else."""


class Together:
    """A spread among processes: each takes every n-th piece, and all get all results.

    Args:
        rank: of this process.
        size: how many there are.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.lost = ""
        self._turn = 0

    def map(self, opened: Opened, pieces: Iterable[Any], kept: Kept) -> None:
        """See `Spread`; what fails is raised in all processes, the first piece's error first.

        Args:
            opened: what is done.
            pieces: in order.
            kept: takes the results.
        """
        self._turn += 1
        mine = self._mine(pieces)
        number = 0
        with using(None), opened() as one:
            for turn in count():
                states = self._gather(f"turn {turn}", self._state(one, mine))
                for state, message in states:
                    if state == "end":
                        return
                    value = unpacked(message)
                    if state == "error":
                        raise value
                    kept(number, value)
                    number += 1

    def _mine(self, pieces: Iterable[Any]) -> Any:
        """(number, piece) of this process's pieces, read when they are asked for."""
        if isinstance(pieces, Sized):
            numbers = range(self.rank, len(pieces), self.size)
            return zip(numbers, chosen(pieces, numbers))
        return islice(enumerate(pieces), self.rank, None, self.size)

    @staticmethod
    def _state(one: Callable[[int, Any], Any], mine: Any) -> tuple[str, bytes]:
        """What became of the next piece."""
        try:
            following = next(mine, None)
            return ("end", b"") if following is None else ("value", packed(one(*following)))
        except Exception as error:
            return "error", failed(error)

    def alone(self, function: Callable[[], Any]) -> Any:
        """See `Spread`; it is done in the first process.

        Args:
            function: the work.
        """
        self._turn += 1
        state = ("none", b"")
        if self.rank == 0:
            with using(None):
                try:
                    state = "value", packed(function())
                except Exception as error:
                    state = "error", failed(error)
        kind, message = self._gather("alone", state)[0]
        if kind == "error":
            raise unpacked(message)
        return unpacked(message)

    def _gather(self, what: str, mine: tuple[str, bytes]) -> list[tuple[str, bytes]]:
        """What each process has; all have to be at the same place."""
        if self.lost:
            raise LostError(self.lost)
        place = f"{what} of step {self._turn}"
        found: list[Any] = [None] * self.size
        try:
            dist.all_gather_object(found, (place, mine))
        except Exception as error:  # of the connection: another process died, or hangs
            self.lost = f"it lost the others: {first_line(error)}"
            raise LostError(self.lost) from error
        places = [each for each, _ in found]
        if len(set(places)) > 1:
            self.lost = f"the processes went different ways ({'; '.join(places)})"
            raise LostError(self.lost)
        return [state for _, state in found]

    def end(self) -> None:
        """Wait for the others at the end of a call."""
        self._turn += 1
        self._gather("end", ("none", b""))


def main() -> None:
    """Take what is given, then run what comes, until standard input ends: then whoever started this is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a network prints is no answer
    told: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(told,), daemon=True).start()
    device, size, patience = unpacked(told.get())
    device = _join(torch.device(device), size, patience)
    given, prepare, found = unpacked(told.get())
    settle(found)
    given = prepare(given, device)
    together = Together(dist.get_rank(), size)
    _answer(answers, together, lambda: None)
    while True:
        _answer(answers, together, partial(_called, told.get(), given))


def _listen(told: queue.Queue[bytes]) -> None:
    while (message := read_message(sys.stdin.buffer)) is not None:
        told.put(message)
    os._exit(1)


def _join(device: torch.device, size: int, patience: float) -> torch.device:
    """Meet the other processes by Lightning Fabric; results go through the CPU, so gloo does on every device."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment
    from lightning_fabric.strategies import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    strategy = DDPStrategy(
        cluster_environment=LightningEnvironment(),
        process_group_backend="gloo",
        timeout=timedelta(seconds=patience),
    )
    asked = Compute(device=device, devices=size).fabric(torch.nn.Identity())
    fabric = Fabric(**asked | {"strategy": strategy})
    fabric.launch()
    return fabric.device


def _called(message: bytes, given: Any) -> Any:
    function, args = unpacked(message)
    return function(given, *args)


def _answer(answers: BinaryIO, together: Together, function: Callable[[], Any]) -> None:
    """Run, and say what came of it; only the first process's value is asked for."""
    try:
        with using(together):
            value = function()
        kind, answer = "value", value if together.rank == 0 else None
    except BaseException as error:
        kind, answer = "error", unpacked(failed(error))
    with suppress(LostError):
        together.end()
    if together.lost:
        kind, answer = "lost", together.lost
    try:
        message = packed((kind, answer))
    except Exception as error:
        message = packed(("error", unpacked(failed(error))))
    write_message(answers, message)


if __name__ == "__main__":
    main()
