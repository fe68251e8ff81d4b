"""GraphCL's augmentations of a batch of graphs, all graphs at once; draws come from torch's generator of the moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from deepwright.core.errors import unknown_name
from deepwright.graphs import GraphBatch


def keep_nodes(graphs: GraphBatch, kept: Bool[Tensor, " nodes"]) -> GraphBatch:
    """The graphs that some of the nodes induce.

    Args:
        graphs: any.
        kept: which nodes stay.
    """
    place = kept.cumsum(0) - 1
    sources, targets = graphs.edge_index
    edges = kept[sources] & kept[targets]
    owner = graphs.batch
    return replace(
        graphs,
        x=graphs.x[kept],
        edge_index=place[graphs.edge_index[:, edges]],
        node_ptr=_ends(owner[kept], len(graphs)),
        edge_ptr=_ends(owner[sources[edges]], len(graphs)),
        edge_order=torch.arange(int(edges.sum()), device=graphs.device),
    )


def _ends(owner: Tensor, graphs: int) -> Tensor:
    count = torch.bincount(owner, minlength=graphs)
    return torch.cat([count.new_zeros(1), count.cumsum(0)])


def drop_nodes(graphs: GraphBatch, strength: float = 0.1) -> GraphBatch:
    """Each node leaves, with its edges, with a probability of `strength`; a graph's first choice to stay always does.

    Args:
        graphs: any.
        strength: the probability.
    """
    drawn = torch.rand(len(graphs.x), device=graphs.device)
    best = drawn.new_zeros(len(graphs)).scatter_reduce(0, graphs.batch, drawn, "amax")
    return keep_nodes(graphs, (drawn >= strength) | (drawn == best[graphs.batch]))


def drop_edges(graphs: GraphBatch, strength: float = 0.1) -> GraphBatch:
    """Each undirected edge leaves, both ways, with a probability of `strength`.

    Args:
        graphs: any.
        strength: the probability.
    """
    low, high = graphs.edge_index.amin(0), graphs.edge_index.amax(0)
    _, pair = (low * len(graphs.x) + high).unique(return_inverse=True)
    kept = torch.rand(graphs.edge_index.shape[1], device=graphs.device)[pair] >= strength
    owner = graphs.batch[graphs.edge_index[0, kept]]
    order = torch.arange(int(kept.sum()), device=graphs.device)
    edges = graphs.edge_index[:, kept]
    return replace(graphs, edge_index=edges, edge_ptr=_ends(owner, len(graphs)), edge_order=order)


def mask_features(graphs: GraphBatch, strength: float = 0.1) -> GraphBatch:
    """Each node's features become draws of N(0.5, 0.5^2) with a probability of `strength`.

    Args:
        graphs: any.
        strength: the probability.
    """
    hidden = torch.rand(len(graphs.x), 1, device=graphs.device) < strength
    return replace(graphs, x=torch.where(hidden, 0.5 + 0.5 * torch.randn_like(graphs.x), graphs.x))


def subgraph(graphs: GraphBatch, strength: float = 0.2) -> GraphBatch:
    """A share `strength` of each graph's nodes, grown from a random one by random neighbours; fewer where it ends.

    Args:
        graphs: any.
        strength: the share, rounded up.
    """
    owner, size = graphs.batch, len(graphs.x)
    wanted = (graphs.nodes * strength).ceil().clamp_min(1).long()
    kept = _one_a_graph(torch.rand(size, device=graphs.device), owner, len(graphs))
    sources, targets = graphs.edge_index
    for _ in range(int(wanted.max()) - 1 if len(graphs) else 0):
        near = torch.zeros(size, dtype=torch.bool, device=graphs.device)
        near[targets[kept[sources]]] = True
        have = torch.bincount(owner[kept], minlength=len(graphs))
        open_ = near & ~kept & (have < wanted)[owner]
        kept = kept | _one_a_graph(torch.where(open_, torch.rand(size, device=graphs.device), -1.0), owner, len(graphs))
    return keep_nodes(graphs, kept)


def _one_a_graph(score: Tensor, owner: Tensor, graphs: int) -> Tensor:
    """The node of the highest score in each graph, where that is 0 or more."""
    best = score.new_full((graphs,), -1.0).scatter_reduce(0, owner, score, "amax")
    return (score == best[owner]) & (score >= 0)


Augmentation = Callable[[GraphBatch], GraphBatch]
AUGMENTATIONS: dict[str, Augmentation] = {
    "drop_nodes": drop_nodes,
    "drop_edges": drop_edges,
    "mask_features": mask_features,
    "subgraph": subgraph,
}
MIXTURES = {
    "random2": ("drop_nodes", "subgraph"),
    "random3": ("drop_nodes", "drop_edges", "subgraph"),
    "random4": ("drop_nodes", "drop_edges", "mask_features", "subgraph"),
}


def augmented(graphs: GraphBatch, how: str = "random4") -> GraphBatch:
    """One augmentation of a batch.

    Args:
        graphs: any.
        how: one of `AUGMENTATIONS`, or of `MIXTURES`: one of those for each batch.

    Raises:
        InputError: an unknown name.
    """
    if how not in AUGMENTATIONS and how not in MIXTURES:
        raise unknown_name("augmentation", how, [*AUGMENTATIONS, *MIXTURES])
    names = MIXTURES.get(how, (how,))
    return AUGMENTATIONS[names[int(torch.randint(len(names), ()))]](graphs)
