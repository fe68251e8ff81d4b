"""Graph encoders that take edge weights: a weighted GIN, other people's stacks, and a frozen copy of either."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.devices import device_of, dtype_of, home
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating
from deepwright.core.requirements import require_network, require_whole
from deepwright.graphs import GraphBatch, join, pack, pass_messages, scatter_sum

_AT_ONCE = 1024  # graphs of one pass


class WeightedGIN(nn.Module):
    """Graph isomorphism network whose messages carry weights.

    m_i = sum over edges j -> i of w_ji x_j; x_i' = BN(ReLU(MLP((1 + eps) x_i + m_i))), MLP = Linear-ReLU-Linear. The
    embedding of a node is what all layers gave for it, side by side; that of a graph is the sum over its nodes.

    Args:
        in_dim: width of the node features.
        dim: width of each layer.
        layers: how many.
        eps: weight of the node itself, less 1.
        train_eps: whether it is learnt.

    Source: K. Xu et al., "How powerful are graph neural networks?", 2019.
    """

    def __init__(self, in_dim: int, dim: int = 32, layers: int = 3, eps: float = 0.0, train_eps: bool = False) -> None:
        super().__init__()
        require_whole(1, in_dim=in_dim, dim=dim, layers=layers)
        self.in_dim = in_dim
        widths = [in_dim, *[dim] * (layers - 1)]
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, dim), nn.ReLU(), nn.Linear(dim, dim)) for width in widths
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(dim) for _ in widths)
        self.eps = nn.Parameter(torch.full((layers,), float(eps)), requires_grad=train_eps)

    def forward(
        self,
        x: Float[Tensor, "nodes features"],
        edge_index: Int64[Tensor, "2 edges"],
        batch: Int64[Tensor, " nodes"],
        edge_weight: Float[Tensor, " edges"] | None = None,
        num_graphs: int | None = None,
    ) -> tuple[Float[Tensor, "graphs width"], Float[Tensor, "nodes width"]]:
        """Embeddings of graphs and of nodes.

        Args:
            x: node features.
            edge_index: sources, targets.
            batch: the graph of each node.
            edge_weight: w; all 1 by default.
            num_graphs: needed where the last graphs have no nodes.
        """
        if x.shape[1] != self.in_dim:
            raise InputError("node features", given=f"width {x.shape[1]}", expected=f"{self.in_dim}, the encoder's")
        count = int(batch.max()) + 1 if num_graphs is None else num_graphs
        outs = []
        for eps, mlp, norm in zip(self.eps, self.mlps, self.norms):
            x = norm(torch.relu(mlp((1 + eps) * x + pass_messages(x, edge_index, edge_weight))))
            outs.append(x)
        nodes = torch.cat(outs, dim=1)
        return scatter_sum(nodes, batch, count), nodes


class AdaptedEncoder(nn.Module):
    """A stack of layers of another library as an encoder; see `adapt_encoder`.

    Args:
        layers: each called as layer(x, edge_index, edge_weight=w).
        activation: after each layer.
    """

    def __init__(self, layers: Sequence[nn.Module], activation: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.activation = nn.ReLU() if activation is None else activation

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        batch: Tensor,
        edge_weight: Tensor | None = None,
        num_graphs: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Embeddings of graphs and of nodes, as `WeightedGIN.forward` gives them.

        Args:
            x: node features.
            edge_index: sources, targets.
            batch: the graph of each node.
            edge_weight: all 1 by default.
            num_graphs: needed where the last graphs have no nodes.
        """
        weight = x.new_ones(edge_index.shape[1]) if edge_weight is None else edge_weight
        outs = []
        for layer in self.layers:
            x = self.activation(layer(x, edge_index, edge_weight=weight))
            outs.append(x)
        nodes = torch.cat(outs, dim=1)
        return scatter_sum(nodes, batch, int(batch.max()) + 1 if num_graphs is None else num_graphs), nodes


def adapt_encoder(module: nn.Module | Sequence[nn.Module], in_dim: int) -> AdaptedEncoder:
    """An encoder of message-passing layers: torch-geometric's GCNConv or GraphConv, or any others that take weights.

    Args:
        module: the layers, in a ModuleList, Sequential or list; each takes (x, edge_index, edge_weight=w).
        in_dim: width of the node features.

    Raises:
        InputError: a layer that takes no weights, or whose outputs don't depend on them (tried, not looked up).
    """
    layers = list(module.children()) if isinstance(module, nn.Module) else list(module)
    if not layers:
        raise InputError("encoder", given="no layers", expected="at least one")
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(4, in_dim, generator=rng).to(device_of(layers[0]), dtype_of(layers[0]))
    edges = torch.tensor([[0, 1, 1, 2, 2, 3, 0, 2], [1, 0, 2, 1, 3, 2, 2, 0]], device=x.device)
    weights = torch.rand(8, generator=rng).to(x)
    for number, layer in enumerate(layers):
        require_network(layer, f"layer {number}")
        with evaluating(layer), torch.no_grad():
            try:
                plain, weighted = (layer(x, edges, edge_weight=w) for w in (torch.ones_like(weights), weights))
            except TypeError as error:
                raise _ignoring(number, layer, str(error)) from error
        if torch.equal(plain, weighted):
            raise _ignoring(number, layer, "outputs that don't depend on edge_weight")
        x = plain
    return AdaptedEncoder(layers)


def _ignoring(number: int, layer: nn.Module, given: str) -> InputError:
    return InputError(
        f"layer {number} ({type(layer).__name__})",
        given=given,
        expected="one that weighs its messages by edge_weight",
        hint="GCNConv or GraphConv of torch-geometric, or deepwright.ood.WeightedGIN",
    )


class FrozenEncoder(nn.Module):
    """A copy of an encoder that never learns: eval mode whatever happens, no gradients for its parameters.

    Args:
        encoder: called as encoder(x, edge_index, batch, edge_weight=w, num_graphs=G) -> (graphs, nodes).
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        require_network(encoder, "encoder")
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode.

        Args:
            mode: not heeded.
        """
        return super().train(False)

    def forward(self, graphs: GraphBatch, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Embeddings of graphs and of nodes.

        Args:
            graphs: on the encoder's device, in its dtype.
            weight: of the edges.
        """
        return encode(self.encoder, graphs, weight)

    def views(self, graphs: GraphBatch, weights: Sequence[Tensor]) -> list[Tensor]:
        """Embeddings of the same graphs under several edge weights, in one pass.

        Args:
            graphs: as for `forward`.
            weights: one tensor a view.
        """
        copies = join([graphs] * len(weights))
        return list(self(copies, torch.cat(list(weights)))[0].chunk(len(weights)))


def encode(encoder: nn.Module, graphs: GraphBatch, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """One pass, its outputs looked at.

    Args:
        encoder: see `FrozenEncoder`.
        graphs: on its device, in its dtype.
        weight: of the edges.

    Raises:
        InputError: other outputs than one row a graph and one a node.
    """
    out = encoder(graphs.x, graphs.edge_index, graphs.batch, edge_weight=weight, num_graphs=len(graphs))
    sizes = [len(graphs), len(graphs.x)]
    if not isinstance(out, tuple) or len(out) != 2 or [len(o) for o in out] != sizes:
        given = [tuple(o.shape) for o in out] if isinstance(out, tuple) else type(out).__name__
        raise InputError("encoder's outputs", given=given, expected=f"({sizes[0]} graphs, d), ({sizes[1]} nodes, d')")
    return out


def embed(encoder: nn.Module, graphs: Any) -> Float[Tensor, "graphs width"]:
    """h_o: embeddings of graphs as the encoder gives them, in eval mode, where the graphs were.

    Args:
        encoder: see `FrozenEncoder`; left as found.
        graphs: anything that `graphs.pack` takes.
    """
    packed = pack(graphs)
    with evaluating(encoder), torch.no_grad():
        parts = [encode(encoder, part)[0] for part in in_parts(beside(packed, encoder))]
    return torch.cat(parts).to(home(packed.x))


def beside(graphs: GraphBatch, model: nn.Module) -> GraphBatch:
    """The graphs where a model lives, in its dtype.

    Args:
        graphs: anywhere.
        model: any.
    """
    return graphs.to(device_of(model), dtype_of(model, graphs.x.dtype))


def in_parts(graphs: GraphBatch, size: int = _AT_ONCE) -> list[GraphBatch]:
    """The graphs in parts that one pass can take.

    Args:
        graphs: any.
        size: graphs a part.
    """
    if len(graphs) <= size:
        return [graphs]
    return [graphs[begin : begin + size] for begin in range(0, len(graphs), size)]
