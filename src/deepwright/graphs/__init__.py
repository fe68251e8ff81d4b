"""Graphs in plain tensors: batches, message passing, readers, generators; torch-geometric and networkx as they come.

Example:
    >>> import torch
    >>> from deepwright.graphs import Graph, pack, statistics
    >>> triangle = Graph(torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]]))
    >>> path = Graph(torch.tensor([[0, 1], [1, 0]]), num_nodes=3)
    >>> graphs = pack([triangle, path])
    >>> graphs.nodes.tolist(), statistics(graphs)[:, 4].tolist()
    ([3, 3], [1.0, 0.0])
"""

from deepwright.graphs.batch import GraphBatch, join
from deepwright.graphs.ego import ego_graphs
from deepwright.graphs.generators import (
    GraphBenchmark,
    blocks,
    feature_ood,
    motif_ood,
    preferential_tree,
    random_edges,
    rewire,
    swap_edges,
    undirected,
    uniform_tree,
)
from deepwright.graphs.gin_text import gin_text_names, read_gin_text
from deepwright.graphs.measures import STATISTICS, refine, statistics, structural_encoding
from deepwright.graphs.packing import Graph, from_union, pack
from deepwright.graphs.scatter import degrees, pass_messages, scatter_mean, scatter_sum
from deepwright.graphs.tu import is_tu, node_kinds, read_tu

__all__ = [
    "STATISTICS",
    "Graph",
    "GraphBatch",
    "GraphBenchmark",
    "blocks",
    "degrees",
    "ego_graphs",
    "feature_ood",
    "from_union",
    "gin_text_names",
    "is_tu",
    "join",
    "motif_ood",
    "node_kinds",
    "pack",
    "pass_messages",
    "preferential_tree",
    "random_edges",
    "read_gin_text",
    "read_tu",
    "refine",
    "rewire",
    "scatter_mean",
    "scatter_sum",
    "statistics",
    "structural_encoding",
    "swap_edges",
    "undirected",
    "uniform_tree",
]
