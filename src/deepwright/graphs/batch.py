"""Many graphs as one: a disjoint union whose parts are cut out by index, on the device where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.graphs.scatter import scatter_sum


@dataclass(frozen=True)
class GraphBatch:
    """The disjoint union of G graphs: nodes graph after graph, edges sorted by their target (`pack` makes it).

    Attributes:
        x: features, a row a node.
        edge_index: sources and targets, numbered through the whole union.
        node_ptr: graph g has the nodes node_ptr[g] .. node_ptr[g + 1] - 1.
        edge_ptr: and the edges edge_ptr[g] .. edge_ptr[g + 1] - 1.
        edge_order: the place that each edge had among the edges as given.
        y: labels 0..C-1 of the graphs, or None.
        classes: by label, what the file called it; empty where labels came as they are.
    """

    x: Float[Tensor, "nodes features"]
    edge_index: Int64[Tensor, "2 edges"]
    node_ptr: Int64[Tensor, " ends"]
    edge_ptr: Int64[Tensor, " ends"]
    edge_order: Int64[Tensor, " edges"]
    y: Int64[Tensor, " graphs"] | None = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.node_ptr) - 1

    def __getitem__(self, graphs: Any) -> GraphBatch:
        """Some of the graphs: a number, a slice, indices or a mask; a node of a graph keeps its place in it."""
        rows = torch.arange(len(self), device=self.x.device)[_rows(graphs, self.x.device)].reshape(-1)
        nodes, node_ptr = _ragged(self.node_ptr, rows)
        edges, edge_ptr = _ragged(self.edge_ptr, rows)
        shift = (node_ptr[:-1] - self.node_ptr[rows]).repeat_interleave(edge_ptr.diff(), output_size=len(edges))
        order_shift = (edge_ptr[:-1] - self.edge_ptr[rows]).repeat_interleave(edge_ptr.diff(), output_size=len(edges))
        return replace(
            self,
            x=self.x[nodes],
            edge_index=self.edge_index[:, edges] + shift,
            node_ptr=node_ptr,
            edge_ptr=edge_ptr,
            edge_order=self.edge_order[edges] + order_shift,
            y=None if self.y is None else self.y[rows],
        )

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.x.device

    @property
    def nodes(self) -> Int64[Tensor, " graphs"]:
        """Nodes of each graph."""
        return self.node_ptr.diff()

    @property
    def edges(self) -> Int64[Tensor, " graphs"]:
        """Directed edges of each graph."""
        return self.edge_ptr.diff()

    @property
    def batch(self) -> Int64[Tensor, " nodes"]:
        """The graph of each node."""
        return torch.arange(len(self), device=self.device).repeat_interleave(self.nodes, output_size=len(self.x))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> GraphBatch:
        """The same elsewhere.

        Args:
            device: where to.
            dtype: of the features; theirs by default.
        """
        moved = {name: getattr(self, name).to(device) for name in ("edge_index", "node_ptr", "edge_ptr", "edge_order")}
        y = None if self.y is None else self.y.to(device)
        return replace(self, x=self.x.to(device, dtype or self.x.dtype), y=y, **moved)

    def labelled(self, y: Tensor | None) -> GraphBatch:
        """The same graphs with other labels.

        Args:
            y: one a graph; None for none.

        Raises:
            InputError: not one whole number, 0 or more, a graph.
        """
        if y is None:
            return replace(self, y=None, classes=())
        y = torch.as_tensor(y)
        if y.shape != (len(self),) or y.is_floating_point() or y.dtype == torch.bool or bool((y < 0).any()):
            given = f"{y.dtype} of shape {tuple(y.shape)}, from {y.min() if y.numel() else 'nothing'}"
            raise InputError("labels of graphs", given=given, expected=f"{len(self)} whole numbers, 0 or more")
        return replace(self, y=y.to(self.device, torch.int64), classes=())

    def pooled(self, values: Float[Tensor, "nodes ..."]) -> Tensor:
        """The sum of its nodes' values for each graph.

        Args:
            values: a row a node.
        """
        return scatter_sum(values, self.batch, len(self))

    def as_given(self, values: Float[Tensor, " edges"]) -> Float[Tensor, " edges"]:
        """Values of edges in the order in which the edges were given.

        Args:
            values: one an edge, in the order of `edge_index`.
        """
        return torch.empty_like(values).index_copy(0, self.edge_order, values)


def join(parts: Sequence[GraphBatch]) -> GraphBatch:
    """Several batches as one; labels stay where all have them and mean the same.

    Args:
        parts: at least one, of one width of features.

    Raises:
        InputError: none, or other widths.
    """
    widths = {p.x.shape[1] for p in parts}
    if len(widths) != 1:
        raise InputError("batches of graphs", given=f"node features of widths {sorted(widths)}", expected="one width")
    if len(parts) == 1:
        return parts[0]
    alike = all(p.y is not None for p in parts) and len({p.classes for p in parts}) == 1
    nodes = _before([len(p.x) for p in parts])
    edges = _before([p.edge_index.shape[1] for p in parts])
    return GraphBatch(
        x=torch.cat([p.x for p in parts]),
        edge_index=torch.cat([p.edge_index + n for p, n in zip(parts, nodes)], dim=1),
        node_ptr=_joined([p.node_ptr for p in parts], nodes),
        edge_ptr=_joined([p.edge_ptr for p in parts], edges),
        edge_order=torch.cat([p.edge_order + e for p, e in zip(parts, edges)]),
        y=torch.cat([p.y for p in parts if p.y is not None]) if alike else None,
        classes=parts[0].classes if alike else (),
    )


def _before(sizes: Sequence[int]) -> list[int]:
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + size)
    return starts


def _joined(ptrs: Sequence[Tensor], starts: Sequence[int]) -> Tensor:
    return torch.cat([ptrs[0][:1], *(ptr[1:] + start for ptr, start in zip(ptrs, starts))])


def _rows(graphs: Any, device: torch.device) -> Any:
    if isinstance(graphs, int | slice):
        return graphs
    rows = torch.as_tensor(graphs, device=device)
    return rows if rows.dtype == torch.bool else rows.long()


def _ragged(ptr: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The items of some segments one after another, and where each segment begins then."""
    lengths = ptr[rows + 1] - ptr[rows]
    ends = torch.cat([ptr.new_zeros(1), lengths.cumsum(0)])
    total = int(ends[-1])
    shift = (ptr[rows] - ends[:-1]).repeat_interleave(lengths, output_size=total)
    return torch.arange(total, device=ptr.device) + shift, ends
