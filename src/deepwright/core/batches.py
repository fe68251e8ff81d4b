"""Batches of a data set that can be asked for by number, so that a process reads those that are its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import Tensor

from deepwright.core.rows import Rows, read_ahead


class Batches:
    """(inputs, targets) of equal size, in order; where inputs lie in files the next one is read meanwhile.

    Args:
        x: a tensor, or `Rows`.
        y: targets, indexed by slices; None gives batches of inputs alone.
        size: of each batch but the last.
        change: inputs as they are stored -> as a network takes them.
    """

    def __init__(self, x: Any, y: Any, size: int, change: Callable[[Tensor], Tensor]) -> None:
        self.x, self.y, self.size, self.change = x, y, size, change

    @property
    def inputs(self) -> Batches:
        """The same batches without their targets."""
        return Batches(self.x, None, self.size, self.change)

    @property
    def in_files(self) -> bool:
        """Whether the inputs are read when a batch is asked for."""
        return isinstance(self.x, Rows)

    def __len__(self) -> int:
        return -(-len(self.x) // self.size)

    def __iter__(self) -> Iterator[Any]:
        return self.only(range(len(self)))

    def only(self, numbers: Iterable[int]) -> Iterator[Any]:
        """Some of the batches; no others are read.

        Args:
            numbers: of them.
        """
        parts = [slice(number * self.size, (number + 1) * self.size) for number in numbers]
        read = read_ahead(self.x.__getitem__, parts) if self.in_files else (self.x[part] for part in parts)
        for part, x in zip(parts, read, strict=True):
            yield self.change(x) if self.y is None else (self.change(x), self.y[part])
