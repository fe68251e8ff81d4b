"""AAGOD: one edge weighting that pulls in-distribution graphs together, as a baseline on the same frozen encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.devices import device_of, dtype_of
from deepwright.core.fit import adamw, fit
from deepwright.core.randomness import derive_seed, local_rng
from deepwright.core.requirements import require_number, require_positive, require_whole
from deepwright.graphs import GraphBatch
from deepwright.ood.dgp.distances import distance, whitening
from deepwright.ood.dgp.encoders import FrozenEncoder, beside, in_parts
from deepwright.ood.dgp.guards import GraphDetector
from deepwright.ood.dgp.prompting import embedded_parts
from deepwright.ood.dgp.stores import WithGraphs, indices, rows_of, whole_batches

_WEAKENED = 0.4  # mean of 1 - w


class Amplifier(nn.Module):
    """Logits of edges: MLP([H_u ; H_v]) with one hidden layer of 64.

    Args:
        emb_dim: width of the node embeddings.
    """

    def __init__(self, emb_dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2 * emb_dim, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, nodes: Tensor, edge_index: Tensor) -> Tensor:
        """One logit an edge.

        Args:
            nodes: their embeddings.
            edge_index: sources, targets.
        """
        return self.mlp(torch.cat([nodes[edge_index[0]], nodes[edge_index[1]]], dim=1)).squeeze(1)


def _weakened(weight: Tensor, mean: Tensor) -> Tensor:
    """w with 1 - w scaled to a mean of 0.4, given its mean."""
    return 1 - ((1 - weight) * _WEAKENED / mean.clamp_min(1e-8)).clamp(max=1.0)


class _Amplifying(WithGraphs):
    def __init__(
        self, frozen: FrozenEncoder, graphs: GraphBatch, amplifier: Amplifier, ridge: float, alpha: float
    ) -> None:
        embedded, nodes = embedded_parts(frozen, graphs)
        super().__init__(replace(graphs, x=torch.cat([graphs.x, nodes], dim=1)))
        self.frozen, self.amplifier, self.width, self.alpha = frozen, amplifier, graphs.x.shape[1], alpha
        mean, white = whitening(embedded, ridge)
        for name, value in (("embedded", embedded), ("mean", mean), ("white", white)):
            self.register_buffer(name, value, persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Mean score of the amplified graphs + alpha / their mean distance to what they were, both whitened."""
        rows = rows_of(rows)
        graphs = self.cut(rows)
        x, nodes = graphs.x.split([self.width, graphs.x.shape[1] - self.width], dim=1)
        logit = self.amplifier(nodes, graphs.edge_index)
        noise = torch.rand_like(logit).clamp(1e-6, 1 - 1e-6)
        weight = torch.sigmoid(logit + noise.log() - (1 - noise).log())
        weight = _weakened(weight, (1 - weight).mean())
        h = self.frozen(replace(graphs, x=x), weight)[0]
        embedded, mean, white = map(self.get_buffer, ("embedded", "mean", "white"))
        moved = ((h - embedded[rows]).double() @ white).square().sum(1)
        loss = distance(h, mean, white).mean() + self.alpha / (moved.mean() + 1e-8)
        return loss.to(embedded)


@dataclass(frozen=True)
class _Step:
    def __call__(self, model: nn.Module, rows: Tensor, _: Tensor) -> Tensor:
        return model(rows)


class AAGOD(GraphDetector):
    """One learnt edge weighting on a frozen encoder, then the Mahalanobis distance of the weighted graphs.

    Training weights are w = sigmoid(logit + logistic noise), 1 - w scaled to a mean of 0.4 in each batch; at test there
    is no noise, and the scale is that of the training set, so that a score depends on its graph alone. This is our
    reading of its description, not its code.

    Args:
        encoder: see `GraphDetector`.
        alpha: weight of staying away from the plain embedding.
        ridge: see `distances.whitening`.
        lr: of AdamW.
        epochs: passes over the graphs.
        batch_size: graphs a step.
        seed: of the amplifier, order and noise.

    Source: Y. Guo et al., "A data-centric framework to endow graph neural networks with out-of-distribution detection
    ability", KDD 2023.
    """

    def __init__(
        self,
        encoder: nn.Module,
        alpha: float = 1e2,
        ridge: float = 1e-2,
        lr: float = 1e-3,
        epochs: int = 100,
        batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder)
        require_number(0, alpha=alpha)
        require_positive(ridge=ridge, lr=lr)
        require_whole(0, epochs=epochs)
        require_whole(1, batch_size=batch_size)
        self.alpha, self.ridge, self.lr = alpha, ridge, lr
        self.epochs, self.batch_size, self.seed = epochs, batch_size, seed

    def _fit_graphs(self, graphs: GraphBatch, val: Any) -> None:
        frozen = FrozenEncoder(self.encoder)
        packed = beside(graphs, frozen)
        with local_rng(derive_seed("amplifier", seed=self.seed)), torch.no_grad():
            self.amplifier = Amplifier(frozen(packed[:2])[1].shape[1])
        self.to(device_of(frozen), dtype_of(frozen))
        model = _Amplifying(frozen, packed, self.amplifier, self.ridge, self.alpha).to(device_of(frozen))
        if self.epochs:
            fit(
                model,
                indices(packed),
                epochs=self.epochs,
                batch_size=whole_batches(len(packed), self.batch_size),
                step=_Step(),
                optimizer=adamw(self.lr, weight_decay=1e-4),
                seed=derive_seed("fit", seed=self.seed),
                clip_norm=1.0,
                description=self.name,
            )
        self.requires_grad_(False)
        weights = torch.cat([self._plain(frozen, part) for part in in_parts(packed)])
        self.remember(weakening_=(1 - weights).mean())
        mean, white = whitening(self._embed_amplified(frozen, packed), self.ridge)
        self.remember(mean_=mean, white_=white)

    def _plain(self, frozen: FrozenEncoder, graphs: GraphBatch) -> Tensor:
        with torch.no_grad():
            return torch.sigmoid(self.amplifier(frozen(graphs)[1], graphs.edge_index))

    def _embed_amplified(self, frozen: FrozenEncoder, graphs: GraphBatch) -> Tensor:
        mean = self.get_buffer("weakening_")
        with torch.no_grad():
            found = [frozen(p, _weakened(self._plain(frozen, p), mean))[0] for p in in_parts(graphs)]
        return torch.cat(found)

    def _score_graphs(self, graphs: GraphBatch) -> Tensor:
        frozen = FrozenEncoder(self.encoder)
        self.to(device_of(frozen))
        h = self._embed_amplified(frozen, beside(graphs, frozen))
        return distance(h, self.get_buffer("mean_"), self.get_buffer("white_"))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        first = state_dict.get(f"{prefix}amplifier.mlp.0.weight")
        if isinstance(first, Tensor):
            self.amplifier = Amplifier(first.shape[1] // 2).to(first.dtype).requires_grad_(False)
        super()._load_from_state_dict(state_dict, prefix, *rest)
