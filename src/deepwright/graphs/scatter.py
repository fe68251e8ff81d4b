"""Message passing on plain tensors: values of edges are gathered at their targets."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def scatter_sum(values: Float[Tensor, "items ..."], index: Int64[Tensor, " items"], size: int) -> Tensor:
    """Row i of the result is the sum of the values whose index is i; an empty sum is 0.

    On accelerators the values are sorted by index and reduced in segments, so that the same values give the same bits
    each time (an addition in whatever order threads arrive doesn't).

    Args:
        values: (items, ...).
        index: (items,) in 0..size-1.
        size: rows of the result.
    """
    if values.device.type == "cpu":
        return values.new_zeros(size, *values.shape[1:]).index_add(0, index, values)
    ordered, order = index.sort(stable=True)
    ends = torch.searchsorted(ordered, torch.arange(size + 1, device=index.device))
    return torch.segment_reduce(values[order], "sum", offsets=ends, axis=0, initial=0)


def scatter_mean(values: Float[Tensor, "items ..."], index: Int64[Tensor, " items"], size: int) -> Tensor:
    """Row i of the result is the mean of the values whose index is i; of none it is 0.

    Args:
        values: (items, ...).
        index: (items,) in 0..size-1.
        size: rows of the result.
    """
    count = scatter_sum(values.new_ones(len(index)), index, size).clamp_min(1)
    return scatter_sum(values, index, size) / count.view(-1, *[1] * (values.ndim - 1))


def pass_messages(
    x: Float[Tensor, "nodes d"],
    edge_index: Int64[Tensor, "2 edges"],
    edge_weight: Float[Tensor, " edges"] | None = None,
) -> Float[Tensor, "nodes d"]:
    """m_i = sum over edges j -> i of w_ji x_j.

    Args:
        x: a row a node.
        edge_index: sources, targets.
        edge_weight: w; all 1 by default.
    """
    sent = x.index_select(0, edge_index[0])
    return scatter_sum(sent if edge_weight is None else sent * edge_weight[:, None], edge_index[1], len(x))


def degrees(edge_index: Int64[Tensor, "2 edges"], nodes: int) -> Int64[Tensor, " nodes"]:
    """How many edges end in each node.

    Args:
        edge_index: sources, targets.
        nodes: how many there are.
    """
    return torch.bincount(edge_index[1], minlength=nodes)
