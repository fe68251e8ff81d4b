"""Progress on anything over two seconds; silent when nobody is watching."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def watched() -> bool:
    """True when standard error is a terminal."""
    return sys.stderr.isatty()


class Bar:
    """A running bar; `advance(n, note)` moves it."""

    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, n: int = 1, note: str = "") -> None:
        """Move on by n steps and show a short note.

        Args:
            n: steps.
            note: shown behind the bar.
        """
        if self._progress is not None:
            self._progress.update(self._task, advance=n, note=note)


@contextmanager
def bar(description: str, total: int | None, *, enabled: bool | None = None) -> Iterator[Bar]:
    """A progress bar on standard error, or nothing at all when it isn't a terminal.

    Args:
        description: shown before the bar.
        total: steps in all; None when nobody knows.
        enabled: show it or not; None asks whether somebody watches.
    """
    if not (watched() if enabled is None else enabled):
        yield Bar(None, None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task(description, total=total, note=""))


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate with a bar.

    Args:
        items: what to go through.
        description: shown before the bar.
        total: how many; their length when None.
    """
    size = len(items) if total is None and isinstance(items, Sized) else total
    with bar(description, size) as running:
        for item in items:
            yield item
            running.advance()
