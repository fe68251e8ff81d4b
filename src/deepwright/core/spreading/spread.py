"""The loop over pieces of work: here, or wherever the spread that is in force sends them.

Pieces are the very batches that one process takes, and results come back in their order, so that no sum is rounded in
another way. What a piece calls in turn stays in its process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar, runtime_checkable

from deepwright.core.progress import bar

T = TypeVar("T")
One = Callable[[int, Any], Any]
"""(number of a piece, the piece) -> its result."""

Opened = Callable[[], AbstractContextManager[One]]
"""Opens what a process needs while it works on pieces (evaluation mode, hooks), and gives what is done to one."""

Kept = Callable[[int, Any], object]
"""Is told (number, result) of each piece, in order."""


@runtime_checkable
class Spread(Protocol):
    """Where pieces are worked on."""

    def map(self, opened: Opened, pieces: Iterable[Any], kept: Kept) -> None:
        """Work on all pieces.

        Args:
            opened: what is done.
            pieces: in order.
            kept: takes the results, in order.
        """

    def alone(self, function: Callable[[], Any]) -> Any:
        """Work that is done once, whatever the number of processes.

        Args:
            function: the work.
        """


_SPREAD: ContextVar[Spread | None] = ContextVar("spread", default=None)


@contextmanager
def using(spread: Spread | None) -> Iterator[None]:
    """Send the pieces of every `spread_map` in the block there.

    Args:
        spread: where; None is this process.
    """
    token = _SPREAD.set(spread)
    try:
        yield
    finally:
        _SPREAD.reset(token)


def spread_map(
    opened: Opened,
    pieces: Iterable[Any],
    *,
    kept: Kept | None = None,
    progress: str | None = None,
) -> list[Any]:
    """The result of each piece, in their order: in this process, unless a spread is in force.

    Args:
        opened: see `Opened`; where pieces go to other processes it is pickled, and what it works with.
        pieces: an iterable; of a sequence, or of what is asked by number (`core.batches`), each process takes its own.
        kept: is told each result as soon as those before it are there, in the process that calls.
        progress: what a bar says; None shows none.

    Raises:
        BaseException: what the first piece that fails raises.
    """
    results: list[Any] = []
    size = len(pieces) if isinstance(pieces, Sized) else None
    with bar(progress or "", size, enabled=None if progress else False) as running:

        def keep(number: int, result: Any) -> None:
            results.append(result)
            if kept is not None:
                kept(number, result)
            running.advance()

        spread = None if size == 1 else _SPREAD.get()
        if spread is None:
            work(opened, enumerate(pieces), keep)
        else:
            spread.map(opened, pieces, keep)
    return results


def alone(function: Callable[[], T]) -> T:
    """What is done in one process only, and whose result all get: measured times, and a user's own code.

    Args:
        function: the work; it may not change what the processes share.
    """
    spread = _SPREAD.get()
    if spread is None:
        return function()
    found: T = spread.alone(function)
    return found


def work(opened: Opened, pieces: Iterable[tuple[int, Any]], keep: Kept) -> None:
    """Work on pieces in this process.

    Args:
        opened: what is done.
        pieces: with their numbers.
        keep: takes the results.
    """
    with using(None), opened() as one:
        for number, piece in pieces:
            keep(number, one(number, piece))


def chosen(pieces: Iterable[Any], numbers: Sequence[int]) -> Iterator[Any]:
    """Some of the pieces; of what is asked by number no others are read.

    Args:
        pieces: all.
        numbers: rising.
    """
    if hasattr(pieces, "only"):
        yield from pieces.only(numbers)
    elif isinstance(pieces, Sequence):
        yield from (pieces[number] for number in numbers)
    else:
        wanted = iter(numbers)
        following = next(wanted, None)
        for number, piece in enumerate(pieces):
            if number == following:
                yield piece
                following = next(wanted, None)
