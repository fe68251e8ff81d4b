"""The pool: inputs without labels, read by rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.data import Dataset

from deepwright.core.errors import InputError
from deepwright.data import to_float

Pool = Tensor | Dataset


class Inputs:
    """Float inputs of a pool, a batch at a time; nothing holds the whole of a data set.

    Args:
        pool: (N, ...) inputs, or a map-style data set of inputs (of (input, anything): what stands beside is ignored).
        batch_size: rows a batch.

    Raises:
        InputError: a pool that has no rows to read by their number.
    """

    def __init__(self, pool: Pool, batch_size: int) -> None:
        if isinstance(pool, Tensor):
            given, readable = f"a tensor of {pool.dtype}, shape {tuple(pool.shape)}", pool.ndim > 0
            readable &= not (pool.dtype == torch.bool or pool.is_complex())
        else:
            given, readable = type(pool).__name__, hasattr(pool, "__len__") and hasattr(pool, "__getitem__")
        if not readable:
            raise InputError("pool", given=given, expected="a tensor (N, ...) of numbers, or a map-style data set")
        self.pool, self.batch_size = pool, batch_size

    def __len__(self) -> int:
        return len(self.pool)  # type: ignore[arg-type]

    def rows(self, rows: Tensor) -> Tensor:
        """Some samples, where the pool has them.

        Args:
            rows: (n,) indices.
        """
        if isinstance(self.pool, Tensor):
            return to_float(self.pool[rows])
        items = [self.pool[int(i)] for i in rows]  # type: ignore[index]
        return to_float(torch.stack([torch.as_tensor(i[0] if isinstance(i, tuple | list) else i) for i in items]))

    def parts(self, count: int) -> list[list[Tensor]]:
        """The rows of all batches, dealt out to so many parts; the batches are the same whatever the number.

        Args:
            count: of parts.
        """
        batches = list(torch.arange(len(self)).split(self.batch_size))
        ends = [round(len(batches) * i / count) for i in range(count + 1)]
        return [batches[a:b] for a, b in pairwise(ends) if b > a]

    def __iter__(self) -> Iterator[Tensor]:
        """All batches."""
        for rows in self.parts(1)[0]:
            yield self.rows(rows)
