"""Whatever a person calls graphs becomes a `GraphBatch`: plain tensors, torch-geometric's objects, networkx's."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_finite
from deepwright.graphs.batch import GraphBatch, join


@dataclass(frozen=True)
class Graph:
    """One graph in plain tensors.

    Attributes:
        edge_index: (2, E) sources and targets, numbered from 0; an undirected edge is stored both ways.
        x: (nodes, features); a column of ones where there are none.
        num_nodes: needed where neither `x` nor the edges say it (isolated nodes at the end).
        y: its class.
    """

    edge_index: Tensor
    x: Tensor | None = None
    num_nodes: int | None = None
    y: int | None = None


def pack(graphs: Any, y: Any = None, *, directed: bool = False) -> GraphBatch:
    """Graphs in any common form as one batch.

    Args:
        graphs: a `GraphBatch`; one graph or a sequence of them: `Graph`, (x, edge_index) pairs, torch-geometric's
            `Data`, networkx graphs (of either kind, node attribute "x" if there is one); or an iterable of
            torch-geometric's `Batch` objects, as a loader gives them.
        y: labels 0..C-1; those that the graphs carry by default.
        directed: whether edges may run one way; otherwise graphs without any reverse edge give a warning.

    Raises:
        InputError: what is no graph, an edge to a node that isn't there (which graph is said), other widths of
            features, numbers that aren't finite, labels of some graphs only.
    """
    if isinstance(graphs, GraphBatch):
        return graphs if y is None else graphs.labelled(y)
    items = [graphs] if _is_one(graphs) else _listed(graphs)
    if not items:
        raise InputError("graphs", given="none", expected="at least one")
    parts = [_union(item) for item in items if _is_batch(item)]
    if parts and len(parts) < len(items):
        raise InputError("graphs", given="batches and single graphs mixed", expected="either")
    packed = join(parts) if parts else _stacked([_read(item, i) for i, item in enumerate(items)])
    if not directed:
        warn_one_way(packed)
    return packed if y is None else packed.labelled(y)


def from_union(
    x: Tensor | None, edge_index: Tensor, batch: Tensor, num_graphs: int | None = None, y: Tensor | None = None
) -> GraphBatch:
    """A disjoint union whose nodes are numbered through, as torch-geometric and TU files have it.

    Args:
        x: (nodes, features), or None for a column of ones.
        edge_index: (2, E).
        batch: (nodes,) the graph of each node, in any order: nodes are sorted by graph, and stay in order within.
        num_graphs: needed where the last graphs have no nodes.
        y: (G,) labels.

    Raises:
        InputError: shapes, edges between two graphs or to nodes that aren't there.
    """
    edge_index, batch = _edges(edge_index, "edge_index"), torch.as_tensor(batch).long()
    nodes = len(batch)
    x = torch.ones(nodes, 1, device=batch.device) if x is None else require_finite(_features(x, "x"), "x")
    if len(x) != nodes:
        raise InputError("batch", given=f"{nodes} numbers for {len(x)} nodes", expected="one a node")
    most = int(batch.max()) + 1 if nodes else 0
    count = most if num_graphs is None else num_graphs
    if most > count or (nodes and int(batch.min()) < 0):
        raise InputError("batch", given=f"graph {most - 1}", expected=f"numbers of graphs from 0 to {count - 1}")
    _require_nodes(edge_index, nodes, "edge_index")
    owner = batch[edge_index[0]]
    across = (owner != batch[edge_index[1]]).nonzero().flatten()
    if len(across):
        ends = edge_index[:, across[0]].tolist()
        raise InputError(f"edge {ends}", given="its ends are in two graphs", expected="one graph")
    order = batch.argsort(stable=True)
    place = torch.empty_like(order).index_copy(0, order, torch.arange(nodes, device=order.device))
    packed = _sorted(x[order], place[edge_index], torch.bincount(batch, minlength=count), owner)
    return packed if y is None else packed.labelled(y)


def _sorted(x: Tensor, edge_index: Tensor, nodes: Tensor, owner: Tensor) -> GraphBatch:
    """The batch, its edges by target; those of a graph were given graph by graph, or are numbered as if they were."""
    by_graph = owner.argsort(stable=True)
    rank = torch.empty_like(by_graph).index_copy(0, by_graph, torch.arange(len(by_graph), device=by_graph.device))
    order = edge_index[1].argsort(stable=True)
    count = torch.bincount(owner, minlength=len(nodes))
    return GraphBatch(x, edge_index[:, order], _ends(nodes), _ends(count), rank[order])


def _ends(sizes: Tensor) -> Tensor:
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])


def _stacked(graphs: Sequence[Graph]) -> GraphBatch:
    """Graphs of plain tensors, each checked on its own numbers, as one batch."""
    xs = [g.x for g in graphs if g.x is not None]
    if len({x.shape[1] for x in xs}) > 1:
        given = f"widths {sorted({x.shape[1] for x in xs})}"
        raise InputError("node features", given=given, expected="one width for all graphs")
    sizes = torch.tensor([g.num_nodes for g in graphs], device=xs[0].device)
    counts = torch.tensor([g.edge_index.shape[1] for g in graphs], device=xs[0].device)
    owner = torch.arange(len(graphs), device=xs[0].device).repeat_interleave(counts)
    local = torch.cat([g.edge_index for g in graphs], dim=1)
    _require_local(local, owner, sizes)
    x = torch.cat(xs)
    _require_finite_graphs(x, sizes)
    packed = _sorted(x, local + _ends(sizes)[owner], sizes, owner)
    labels = [g.y for g in graphs]
    if all(label is None for label in labels):
        return packed
    if any(label is None for label in labels):
        raise InputError("labels", given=f"none for graph {labels.index(None)}", expected="one for all graphs, or none")
    return packed.labelled(torch.tensor(labels))


def _require_local(edges: Tensor, owner: Tensor, sizes: Tensor) -> None:
    """Refuse an edge to a node that its own graph doesn't have."""
    outside = (edges < 0) | (edges >= sizes[owner])
    if bool(outside.any()):
        at = int(outside.any(0).nonzero()[0])
        graph = int(owner[at])
        end = int(edges[:, at][outside[:, at]][0])
        hint = "numbers from 0; num_nodes= where the last nodes have no edges"
        expected = f"nodes 0 to {int(sizes[graph]) - 1}"
        raise InputError(f"graph {graph}", given=f"an edge to node {end}", expected=expected, hint=hint)


def _require_finite_graphs(x: Tensor, sizes: Tensor) -> None:
    """Refuse features that aren't finite, naming their graph."""
    if not bool(torch.isfinite(x.sum())) and not bool(torch.isfinite(x).all()):
        node = int((~torch.isfinite(x)).any(1).nonzero()[0])
        graph = int(torch.searchsorted(sizes.cumsum(0), node, right=True))
        given = f"NaN or infinity in node {node - int(sizes[:graph].sum())}"
        raise InputError(f"x of graph {graph}", given=given, expected="finite numbers")


def _read(item: Any, number: int) -> Graph:
    """One graph, its shapes looked at, with everything filled in."""
    name = f"graph {number}"
    if _is_networkx(item):
        item = _from_networkx(item)
    elif isinstance(item, tuple) and len(item) == 2:
        item = Graph(item[1], item[0])
    elif not isinstance(item, Graph) and hasattr(item, "edge_index"):
        given_y = getattr(item, "y", None)
        label = None if given_y is None or given_y.numel() != 1 else _label(given_y, name)
        item = Graph(item.edge_index, getattr(item, "x", None), getattr(item, "num_nodes", None), label)
    if not isinstance(item, Graph):
        expected = "Graph(edge_index, x), (x, edge_index), torch-geometric's Data, or a networkx graph"
        raise InputError(name, given=type(item).__name__, expected=expected)
    edges = _edges(item.edge_index, f"edge_index of {name}")
    x = None if item.x is None else _features(item.x, f"x of {name}")
    found = len(x) if x is not None else item.num_nodes
    nodes = found if found is not None else int(edges.max()) + 1 if edges.numel() else 0
    if x is not None and item.num_nodes not in (None, len(x)):
        raise InputError(name, given=f"num_nodes={item.num_nodes} and {len(x)} rows of x", expected="as many")
    return Graph(edges, torch.ones(nodes, 1, device=edges.device) if x is None else x, nodes, item.y)


def _label(y: Tensor, name: str) -> int:
    if y.is_floating_point() and float(y) != int(y):
        raise InputError(f"y of {name}", given=float(y), expected="a class")
    return int(y)


def _edges(edge_index: Any, name: str) -> Tensor:
    edges = torch.as_tensor(edge_index)
    if edges.numel() == 0:
        return torch.zeros(2, 0, dtype=torch.int64, device=edges.device)
    if edges.ndim != 2 or edges.shape[0] != 2:
        hint = "edge_index.T.contiguous()" if edges.ndim == 2 and edges.shape[1] == 2 else None
        raise InputError(name, given=f"shape {tuple(edges.shape)}", expected="(2, E): sources, targets", hint=hint)
    if edges.is_floating_point() or edges.dtype == torch.bool:
        raise InputError(name, given=str(edges.dtype), expected="whole numbers")
    return edges.long()


def _features(x: Any, name: str) -> Tensor:
    x = torch.as_tensor(x)
    if x.ndim != 2:
        hint = "one-hot columns of labels (torch.nn.functional.one_hot), x[:, None] of quantities"
        raise InputError(name, given=f"shape {tuple(x.shape)}", expected="(nodes, features)", hint=hint)
    if not x.is_floating_point():
        x = x.float()
    return x


def _require_nodes(edges: Tensor, nodes: int, name: str) -> None:
    if edges.numel() and (int(edges.min()) < 0 or int(edges.max()) >= nodes):
        bad = int(edges.min()) if int(edges.min()) < 0 else int(edges.max())
        hint = "numbers from 0; num_nodes= where the last nodes have no edges"
        raise InputError(name, given=f"an edge to node {bad}", expected=f"nodes 0 to {nodes - 1}", hint=hint)


def _is_batch(item: Any) -> bool:
    return isinstance(item, GraphBatch) or (hasattr(item, "edge_index") and getattr(item, "batch", None) is not None)


def _union(item: Any) -> GraphBatch:
    if isinstance(item, GraphBatch):
        return item
    count = getattr(item, "num_graphs", None)
    y = getattr(item, "y", None)
    return from_union(item.x, item.edge_index, item.batch, count, y if y is None or y.numel() == count else None)


def _is_one(graphs: Any) -> bool:
    pair = isinstance(graphs, tuple) and len(graphs) == 2 and all(isinstance(part, Tensor) for part in graphs)
    return pair or isinstance(graphs, Graph) or hasattr(graphs, "edge_index") or _is_networkx(graphs)


def _listed(graphs: Any) -> list[Any]:
    if isinstance(graphs, str | Tensor) or not isinstance(graphs, Iterable):
        expected = "graphs: a GraphBatch, a list of Graph(edge_index, x), torch-geometric's or networkx's"
        raise InputError("graphs", given=type(graphs).__name__, expected=expected)
    return list(graphs)


def _is_networkx(item: Any) -> bool:
    return hasattr(type(item), "nodes") and hasattr(type(item), "adj")


def _from_networkx(graph: Any) -> Graph:
    """A networkx graph, nodes in its order; an undirected edge both ways, a loop once."""
    place = {node: i for i, node in enumerate(graph.nodes)}
    pairs = np.array([(place[a], place[b]) for a, b in graph.edges()], dtype=np.int64).reshape(-1, 2)
    if not graph.is_directed():
        pairs = np.concatenate([pairs, pairs[pairs[:, 0] != pairs[:, 1]][:, ::-1]])
    rows = [data.get("x") for _, data in graph.nodes(data=True)]
    have = [row is not None for row in rows]
    if any(have) and not all(have):
        raise InputError("networkx graph", given='"x" of some nodes only', expected="of all, or of none")
    x = torch.as_tensor(np.asarray(rows, dtype=np.float32)).reshape(len(rows), -1) if have and all(have) else None
    label = graph.graph.get("y")
    return Graph(torch.from_numpy(np.ascontiguousarray(pairs.T)), x, len(place), None if label is None else int(label))


def warn_one_way(packed: GraphBatch) -> None:
    """Say where edges were stored once, so that messages would run one way.

    Args:
        packed: the graphs.
    """
    sources, targets = packed.edge_index
    size = len(packed.x)
    plain = sources != targets
    keys, back = sources[plain] * size + targets[plain], targets[plain] * size + sources[plain]
    owner = packed.batch[sources[plain]]
    answered = torch.zeros(len(packed), dtype=torch.bool, device=packed.device)
    answered[owner[torch.isin(keys, back)]] = True
    one_way = torch.bincount(owner, minlength=len(packed)).gt(0) & ~answered
    if bool(one_way.any()):
        warnings.warn(
            f"{int(one_way.sum())} of {len(packed)} graphs have no edge that runs both ways: if they are undirected, "
            "store each edge as (a, b) and (b, a); if not, say directed=True",
            stacklevel=3,
        )
