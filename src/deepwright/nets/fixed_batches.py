"""Networks that compute one batch size alone: what is given to them is cut into such batches, the last filled up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.utils import _pytree as pytree

from deepwright.core.errors import InputError


def in_full_batches(x: Shaped[Tensor, "n ..."], size: int, call: Callable[[Tensor], Any], what: str, hint: str) -> Any:
    """What `call` gives for all rows; the last batch is filled up with copies of its last row, which are dropped.

    Args:
        x: at least one row.
        size: rows that `call` takes.
        call: `size` rows -> tensors (size, ...), one or nested.
        what: that is called, for the message.
        hint: what to do about outputs that aren't one row a sample.

    Raises:
        InputError: no row; outputs that aren't one row a sample.
    """
    if x.ndim == 0 or len(x) == 0:
        raise InputError(f"input of {what}", given=f"shape {tuple(x.shape)}", expected="at least one sample")

    def rows(out: Any, count: int) -> Tensor:
        if isinstance(out, Tensor) and out.ndim and len(out) == size:
            return out[:count]
        given = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        expected = f"({size}, ...), one row a sample"
        raise InputError(f"the output of {what} for batches of {size}", given=given, expected=expected, hint=hint)

    parts = []
    for piece in x.split(size):
        missing, count = size - len(piece), len(piece)
        filled = torch.cat([piece, piece[-1:].expand(missing, *piece.shape[1:])]) if missing else piece
        parts.append(pytree.tree_map(lambda out, count=count: rows(out, count), call(filled)))
    return parts[0] if len(parts) == 1 else pytree.tree_map(lambda *each: torch.cat(each), *parts)
