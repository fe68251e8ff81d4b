"""Rows that are read when they are asked for: what a tensor answers to, without holding it.

A `Rows` has a tensor's length, shape and dtype, and gives a tensor for a slice, a mask or indices; `pick` and `moved`
take some of its rows or change each, and read nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.memory import release

K, V = TypeVar("K"), TypeVar("V")
PIECE = 32 * 2**20  # bytes that are read at once, where all rows are gone through
STREAMED = 512 * 2**20  # bytes of inputs: so much is held in memory, and more is read when it is needed
_BETWEEN = 32  # pieces after which memory that was freed is given back


class Rows:
    """(N, ...) rows on the CPU; a subclass says how to `_read` some of them.

    Args:
        shape: (N, ...), as of a tensor.
        dtype: of what is read.
    """

    def __init__(self, shape: Sequence[int], dtype: torch.dtype) -> None:
        self.shape, self.dtype, self.device = torch.Size(shape), dtype, torch.device("cpu")

    def _read(self, rows: Tensor) -> Tensor:
        raise NotImplementedError

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> Tensor:
        """Some rows, read now: indices, a mask, a slice; one row for a number."""
        if isinstance(rows, int):
            return self._read(self.numbers([rows]))[0]
        return self._read(self.numbers(rows))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows when they are read."""
        return self.shape.numel() * self.dtype.itemsize

    def is_floating_point(self) -> bool:
        """Whether the numbers are floats."""
        return self.dtype.is_floating_point

    def cpu(self) -> Rows:
        """Where they are read to already."""
        return self

    def numbers(self, rows: slice | Sequence[int] | Tensor) -> Tensor:
        """(n,) the indices that a slice, a mask or indices stand for.

        Args:
            rows: as a tensor takes them.

        Raises:
            IndexError: there aren't so many rows.
        """
        if isinstance(rows, slice):
            return torch.arange(*rows.indices(len(self)))
        found = torch.as_tensor(rows).cpu()
        if found.dtype == torch.bool:
            if found.shape != (len(self),):
                raise IndexError(f"a mask of shape {tuple(found.shape)} for {len(self)} rows")
            return found.nonzero().flatten()
        found = found.long()
        if len(found) and not -len(self) <= int(found.min()) <= int(found.max()) < len(self):
            raise IndexError(f"rows {int(found.min())} to {int(found.max())} of {len(self)}")
        return torch.where(found < 0, found + len(self), found)

    def pick(self, rows: slice | Sequence[int] | Tensor) -> Rows:
        """Some of the rows, not read yet.

        Args:
            rows: indices, a mask or a slice.
        """
        return Picked(self, self.numbers(rows))

    def moved(self, change: Callable[[Tensor], Tensor], dtype: torch.dtype | None = None) -> Rows:
        """Each row changed when it is read, its shape kept.

        Args:
            change: (n, ...) rows -> (n, ...) rows, each from itself alone.
            dtype: that it gives; the rows' own by default.
        """
        return Moved(self, change, dtype or self.dtype)


class Picked(Rows):
    """Some rows of others.

    Args:
        rows: all of them.
        which: (n,) indices.
    """

    def __init__(self, rows: Rows, which: Tensor) -> None:
        super().__init__((len(which), *rows.shape[1:]), rows.dtype)
        self.rows: Rows = rows
        self.which: Tensor = which
        if isinstance(rows, Picked):
            self.rows, self.which = rows.rows, rows.which[which]

    def _read(self, rows: Tensor) -> Tensor:
        return self.rows._read(self.which[rows])


class Moved(Rows):
    """Rows that are changed when they are read.

    Args:
        rows: as they are stored.
        change: (n, ...) rows -> (n, ...) rows.
        dtype: that it gives.
    """

    def __init__(self, rows: Rows, change: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
        super().__init__(rows.shape, dtype)
        self.rows, self.change = rows, change

    def _read(self, rows: Tensor) -> Tensor:
        return self.change(self.rows._read(rows))


def picked(x: Any, rows: slice | Tensor) -> Any:
    """Some rows of a tensor, or of `Rows`, which are not read yet.

    Args:
        x: either of them.
        rows: indices, a mask or a slice.
    """
    return x.pick(rows) if isinstance(x, Rows) else x[rows]


def moved(x: Any, change: Callable[[Tensor], Tensor], dtype: torch.dtype | None = None) -> Any:
    """Each row changed: now, or when it is read.

    Args:
        x: a tensor, or `Rows`.
        change: (n, ...) rows -> (n, ...) rows, each from itself alone.
        dtype: that it gives; that of `x` by default.
    """
    return x.moved(change, dtype) if isinstance(x, Rows) else change(x)


def pieces(x: Any, size: int | None = None) -> Iterator[Tensor]:
    """All rows, some at a time.

    Args:
        x: a tensor, or `Rows`.
        size: rows at a time; None gives a tensor whole, and of `Rows` what makes up some megabytes.
    """
    if isinstance(x, Tensor):
        yield from (x,) if size is None or not len(x) else x.split(size)
        return
    step = size or max(1, PIECE // max(1, x.nbytes // max(1, len(x))))
    yield from read_ahead(x.__getitem__, (slice(at, at + step) for at in range(0, len(x), step)))


def read_ahead(read: Callable[[K], V], keys: Iterable[K]) -> Iterator[V]:
    """What is read for each key, the next one being read while this one is used.

    Args:
        read: key -> value.
        keys: in order.
    """
    pool = ThreadPoolExecutor(1)
    try:
        waiting: Future[V] | None = None
        for count, key in enumerate(keys):
            following = pool.submit(read, key)
            if waiting is not None:
                yield waiting.result()
            waiting = following
            if count % _BETWEEN == _BETWEEN - 1:
                release()
        if waiting is not None:
            yield waiting.result()
    finally:
        pool.shutdown()
        waiting = None
        release()


def require_finite_rows(x: Any, name: str) -> None:
    """Refuse NaN and infinity, and name the first samples that have them.

    Args:
        x: a tensor, or `Rows`.
        name: for the message.

    Raises:
        InputError: with the first of these samples.
    """
    if not x.is_floating_point():
        return
    rows: list[int] = []
    start = 0
    for piece in pieces(x):
        if not bool(torch.isfinite(piece).all()):
            bad = (~torch.isfinite(piece)).flatten(1).any(1).nonzero().flatten()
            rows += (bad[:5] + start).tolist()
        start += len(piece)
        if len(rows) >= 5:
            break
    if rows:
        raise InputError(name, given=f"NaN or infinity in samples {rows[:5]}", expected="finite numbers")


def value_range(x: Any) -> tuple[float, float]:
    """The smallest and the largest number.

    Args:
        x: a tensor, or `Rows`, with at least one row.
    """
    ends = [(float(piece.min()), float(piece.max())) for piece in pieces(x)]
    return min(low for low, _ in ends), max(high for _, high in ends)


MOMENT_ROWS = 65_536  # a table up to so long is looked at whole


def column_moments(x: Any) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each column: the same numbers for a tensor and for `Rows`.

    Of long tables the rows are taken by the same pieces in both cases, and summed up in float64.

    Args:
        x: (N, columns) floats, at least one row.
    """
    parts = list(_moments(x))
    if len(parts) == 1:
        return parts[0][1], parts[0][2]
    n, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for count, centre, spread in parts:  # Chan, Golub and LeVeque's update
        delta = centre - mean
        squares = squares + spread + delta.square() * (n * count / (n + count))
        mean, n = mean + delta * (count / (n + count)), n + count
    return mean.to(x.dtype), (squares / (n - 1)).sqrt().to(x.dtype)


def _moments(x: Any) -> Iterator[tuple[int, Tensor, Tensor]]:
    """(rows, mean, deviation) of a short table; (rows, mean, sum of squared deviations) of each piece of a long one."""
    if len(x) <= MOMENT_ROWS:
        whole = next(pieces(x, MOMENT_ROWS))
        yield len(whole), whole.mean(0), whole.std(0, correction=min(1, len(whole) - 1))
        return
    for piece in pieces(x, MOMENT_ROWS):
        wide = piece.double()
        mean = wide.mean(0)
        yield len(wide), mean, (wide - mean).square().sum(0)
