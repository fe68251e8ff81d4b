"""Prompts: small networks that weigh a graph's edges, and the predictor that judges what is left."""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole, require_within


class EdgePrompt(nn.Module):
    """w_uv = sigmoid(MLP([H_u ; H_v])), one weight a directed edge; MLP = Linear-LayerNorm-ReLU-Dropout-Linear.

    The first layer is applied to nodes, not to edges, and its two halves are added at each edge: the same numbers for
    less work. No statistics of a batch enter, so that a graph's weights don't depend on what else is in it.

    Args:
        emb_dim: width of the node embeddings H.
        hidden: width of the MLP.
        dropout: in training.
        symmetric: weigh (u, v) and (v, u) alike, by the mean of both.
    """

    def __init__(self, emb_dim: int, hidden: int = 128, dropout: float = 0.2, symmetric: bool = False) -> None:
        super().__init__()
        require_whole(1, emb_dim=emb_dim, hidden=hidden)
        require_within(0.0, 1.0, ends="[)", dropout=dropout)
        self.symmetric = symmetric
        self.first = nn.Linear(2 * emb_dim, hidden)
        self.rest = nn.Sequential(nn.LayerNorm(hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1))
        for layer in (self.first, cast(nn.Linear, self.rest[3])):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, node_emb: Float[Tensor, "nodes width"], edge_index: Int64[Tensor, "2 edges"]
    ) -> Float[Tensor, " edges"]:
        """Weights of the edges.

        Args:
            node_emb: H, of the graph without a prompt.
            edge_index: sources, targets.
        """
        width = self.first.in_features // 2
        if node_emb.shape[1] != width:
            raise InputError("node embeddings", given=f"width {node_emb.shape[1]}", expected=f"{width}, the prompt's")
        begin, end = (node_emb @ half.T for half in self.first.weight.split(width, dim=1))
        sources, targets = edge_index
        weight = self._weight(begin.index_select(0, sources) + end.index_select(0, targets))
        if not self.symmetric:
            return weight
        return (weight + self._weight(begin.index_select(0, targets) + end.index_select(0, sources))) / 2

    def _weight(self, hidden: Tensor) -> Tensor:
        return torch.sigmoid(self.rest(hidden + self.first.bias).squeeze(1))


class Predictor(nn.Sequential):
    """Logits of the classes from a graph's embedding: Linear-BN-ReLU-Dropout twice, then Linear.

    Args:
        emb_dim: width of the embedding.
        classes: how many.
    """

    def __init__(self, emb_dim: int, classes: int) -> None:
        super().__init__(
            *(nn.Linear(emb_dim, emb_dim), nn.BatchNorm1d(emb_dim), nn.ReLU(), nn.Dropout(0.7)),
            *(nn.Linear(emb_dim, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(32, classes),
        )
