"""A network in training that carries its graphs: they travel with it, and an index cuts a batch where it trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.files import hash_tensors
from deepwright.graphs import GraphBatch

_PARTS = ("x", "edge_index", "node_ptr", "edge_ptr", "edge_order")


class WithGraphs(nn.Module):
    """Base of what `core.fit` trains on graphs: its batches are indices into `graphs`.

    The graphs are buffers, so that they move with the network and belong to a checkpoint's identity; they aren't stored
    in it.

    Args:
        graphs: to train on.
    """

    def __init__(self, graphs: GraphBatch) -> None:
        super().__init__()
        for name in _PARTS:
            self.register_buffer(f"graphs_{name}", getattr(graphs, name), persistent=False)

    @property
    def graphs(self) -> GraphBatch:
        """All of them, where the network is."""
        parts: list[Any] = [self.get_buffer(f"graphs_{name}") for name in _PARTS]
        return GraphBatch(*parts)

    def cut(self, rows: Tensor) -> GraphBatch:
        """Some of the graphs.

        Args:
            rows: their numbers.
        """
        return self.graphs[rows]


def indices(graphs: GraphBatch, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What `core.fit` takes for training data: numbers of graphs beside a hash of them all, and labels.

    By the hash a checkpoint of other graphs is refused for its training inputs; `rows_of` takes it off again.

    Args:
        graphs: to train on.
        y: labels; the numbers again where there are none.
    """
    rows = torch.arange(len(graphs))
    content = int(hash_tensors({name: getattr(graphs, name) for name in _PARTS})[:15], 16)
    return torch.stack([rows, torch.full_like(rows, content)], dim=1), rows if y is None else y.cpu()


def rows_of(numbered: Tensor) -> Tensor:
    """The numbers of a batch's graphs.

    Args:
        numbered: rows of what `indices` made.
    """
    return numbered[:, 0]


def whole_batches(graphs: int, batch_size: int) -> int:
    """The batch size, or the next above it that leaves no last batch of one graph, of which there are no statistics.

    Args:
        graphs: how many there are.
        batch_size: as asked for.

    Raises:
        InputError: one graph alone.
    """
    if graphs < 2:
        raise InputError("graphs to train on", given=graphs, expected="two or more")
    size = max(batch_size, 2)
    while graphs % size == 1:
        size += 1
    return size
