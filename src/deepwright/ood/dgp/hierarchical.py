"""GOOD-D: two encoders trained on two views of each graph, at the level of nodes, graphs and groups; a baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.fit import adamw, fit
from deepwright.core.randomness import derive_seed, local_rng
from deepwright.core.requirements import require_number, require_positive, require_whole
from deepwright.graphs import GraphBatch, structural_encoding
from deepwright.ood.dgp.encoders import WeightedGIN, beside, encode, in_parts
from deepwright.ood.dgp.groups import grouped
from deepwright.ood.dgp.guards import GraphDetector
from deepwright.ood.dgp.stores import WithGraphs, indices, rows_of, whole_batches

LEVELS = ("node", "graph", "group")


def _head(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


class TwoViews(nn.Module):
    """The errors of a batch's graphs at each level: how badly each view of a thing finds the other among its like.

    Args:
        features: width of the nodes' features.
        structure: width of their structural encoding, beside the features.
        dim: width of each layer of both encoders.
        layers: of both.
        groups: k of the prototypes.
        temperature: of all three levels.
    """

    centres: Tensor

    def __init__(self, features: int, structure: int, dim: int, layers: int, groups: int, temperature: float) -> None:
        super().__init__()
        width = dim * layers
        self.features, self.groups, self.temperature = features, groups, temperature
        self.encoders = nn.ModuleList([WeightedGIN(features, dim, layers), WeightedGIN(structure, dim, layers)])
        self.node_heads = nn.ModuleList(_head(width) for _ in range(2))
        self.graph_heads = nn.ModuleList(_head(width) for _ in range(2))
        self.register_buffer("centres", torch.zeros(2, groups, width))

    def views(self, graphs: GraphBatch) -> tuple[list[Tensor], list[Tensor]]:
        """Projected embeddings of graphs and of nodes, by view, of unit length.

        Args:
            graphs: their features and encodings side by side.
        """
        width = graphs.x.shape[1]
        found = [
            encode(encoder, replace(graphs, x=x))
            for encoder, x in zip(self.encoders, graphs.x.split([self.features, width - self.features], dim=1))
        ]
        of_graphs = [F.normalize(head(h), dim=1) for head, (h, _) in zip(self.graph_heads, found)]
        of_nodes = [F.normalize(head(n), dim=1) for head, (_, n) in zip(self.node_heads, found)]
        return of_graphs, of_nodes

    def forward(self, graphs: GraphBatch) -> Tensor:
        """(3, G): the errors at each of `LEVELS`.

        Args:
            graphs: see `views`.
        """
        (a, b), (n, m) = self.views(graphs)
        node = (self._nodes(n, m, graphs) + self._nodes(m, n, graphs)) / 2
        graph = (self._graphs(a, b) + self._graphs(b, a)) / 2
        group = (self._group(a, b, 1) + self._group(b, a, 0)) / 2
        return torch.stack([node, graph, group])

    def _graphs(self, a: Tensor, b: Tensor) -> Tensor:
        s = a @ b.T / self.temperature
        return s.logsumexp(1) - s.diagonal()

    def _nodes(self, a: Tensor, b: Tensor, graphs: GraphBatch) -> Tensor:
        """Each node's other view against all nodes of its graph, mean over the graph."""
        owner, sizes = graphs.batch, graphs.nodes
        place = torch.arange(len(a), device=a.device) - graphs.node_ptr[owner]
        most = int(sizes.max())
        padded = a.new_zeros(2, len(graphs), most, a.shape[1])
        left, right = (room.index_put((owner, place), rows) for room, rows in zip(padded, (a, b)))
        s = left @ right.transpose(1, 2) / self.temperature
        empty = torch.arange(most, device=a.device) >= sizes[:, None]
        total = s.masked_fill(empty[:, None], -torch.inf).logsumexp(2)[owner, place]
        own = (a * b).sum(1) / self.temperature
        return graphs.pooled(total - own) / sizes.clamp_min(1)

    def _group(self, a: Tensor, b: Tensor, other: int) -> Tensor:
        """How badly a view finds the group of the other view among the other view's prototypes."""
        centres = self.centres[other].to(a)
        mine = (b @ centres.T).argmax(1)
        return F.cross_entropy(a @ centres.T / self.temperature, mine, reduction="none")


class _Training(WithGraphs):
    def __init__(self, views: TwoViews, graphs: GraphBatch, alpha: float, momentum: float, seed: int) -> None:
        super().__init__(graphs)
        self.views, self.alpha, self.momentum, self.seed = views, alpha, momentum, seed

    def forward(self, rows: Tensor, step: int, fresh: bool) -> Tensor:
        """The mean of the levels' mean errors, each weighted by (its spread)^alpha, weights summing to 3."""
        if fresh:
            self.refresh(step)
        errors = self.views(self.cut(rows_of(rows)))
        weight = errors.detach().std(1).clamp_min(1e-6) ** self.alpha
        return (errors.mean(1) * weight / weight.mean()).mean()

    def refresh(self, step: int) -> None:
        """Prototypes: centres of both views' groups now, mixed with those of before."""
        with torch.no_grad():
            found = [self.views.views(part)[0] for part in in_parts(self.graphs)]
            for view in range(2):
                rows = torch.cat([pair[view] for pair in found])
                centres = F.normalize(grouped(rows, self.views.groups, self.seed)[1], dim=1)
                old = self.views.centres[view, : len(centres)]
                keep = self.momentum if step else 0.0
                # each new centre beside the old one that it is nearest to
                near = old[(centres @ old.T).argmax(1)]
                self.views.centres[view, : len(centres)] = F.normalize(keep * near + (1 - keep) * centres, dim=1)


@dataclass(frozen=True)
class _Steps:
    """The step of `core.fit`; prototypes are found anew at the start of each epoch."""

    steps: int

    def at(self, step: int, steps: int) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
        return _At(step, step % self.steps == 0)

    def __call__(self, model: nn.Module, rows: Tensor, _: Tensor) -> Tensor:
        return model(rows, 0, True)


@dataclass(frozen=True)
class _At:
    step: int
    fresh: bool

    def __call__(self, model: nn.Module, rows: Tensor, _: Tensor) -> Tensor:
        return model(rows, self.step, self.fresh)


class GOODD(GraphDetector):
    """Two GINs, one on features and one on structural encodings, that learn to agree; foreign is where they don't.

    Errors at the level of nodes, graphs and groups (k-means prototypes), each standardised by the training set's mean
    and deviation, are added. The graph level seeks a scored graph among training graphs that are kept, so that its
    score doesn't depend on what else is scored. Trains encoders of its own; this is our reading of its description,
    not its code.

    Args:
        dim: width of each layer.
        layers: of both encoders.
        groups: prototypes of each view.
        alpha: exponent of the levels' spreads, which are their weights in training.
        momentum: share of the old prototypes that stays.
        temperature: of all levels.
        kept: training graphs that a scored graph is compared with.
        lr: of AdamW.
        epochs: passes over the graphs.
        batch_size: graphs a step.
        seed: of encoders, groups and order.

    Source: Y. Liu et al., "GOOD-D: on unsupervised graph out-of-distribution detection", WSDM 2023.
    """

    def __init__(
        self,
        dim: int = 32,
        layers: int = 3,
        groups: int = 10,
        alpha: float = 1.0,
        momentum: float = 0.5,
        temperature: float = 0.2,
        kept: int = 128,
        lr: float = 1e-3,
        epochs: int = 100,
        batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_whole(1, dim=dim, layers=layers, groups=groups, epochs=epochs, batch_size=batch_size)
        require_whole(2, kept=kept)
        require_number(0, alpha=alpha, momentum=momentum)
        require_positive(temperature=temperature, lr=lr)
        self.dim, self.layers, self.groups, self.alpha, self.momentum = dim, layers, groups, alpha, momentum
        self.temperature, self.kept, self.lr, self.epochs = temperature, kept, lr, epochs
        self.batch_size, self.seed = batch_size, seed

    def _encoded(self, graphs: GraphBatch) -> GraphBatch:
        structure = structural_encoding(graphs.edge_index, len(graphs.x))
        return replace(graphs, x=torch.cat([graphs.x, structure.to(graphs.x)], dim=1))

    def _build(self, features: int, structure: int) -> None:
        self.two = TwoViews(features, structure, self.dim, self.layers, self.groups, self.temperature)

    def _fit_graphs(self, graphs: GraphBatch, val: Any) -> None:
        packed = self._encoded(graphs)
        with local_rng(derive_seed("views", seed=self.seed)):
            self._build(graphs.x.shape[1], packed.x.shape[1] - graphs.x.shape[1])
        self.two.to(packed.device, packed.x.dtype)
        size = whole_batches(len(packed), self.batch_size)
        fit(
            _Training(self.two, packed, self.alpha, self.momentum, self.seed),
            indices(packed),
            epochs=self.epochs,
            batch_size=size,
            step=_Steps(-(-len(packed) // size)),
            optimizer=adamw(self.lr, weight_decay=1e-4),
            seed=derive_seed("fit", seed=self.seed),
            clip_norm=1.0,
            description=self.name,
        )
        self.eval().requires_grad_(False)
        with torch.no_grad():
            a, b = self.two.views(packed[: self.kept])[0]
        self.remember(kept_a_=a, kept_b_=b)
        errors = self._errors(packed)
        self.remember(level_mean_=errors.mean(1), level_std_=errors.std(1).clamp_min(1e-8))

    def _errors(self, packed: GraphBatch) -> Tensor:
        """(3, G), each graph by itself: the graph level against the kept training graphs."""
        self.two.eval()
        found = []
        with torch.no_grad():
            for part in in_parts(packed, 256):
                (a, b), (n, m) = self.two.views(part)
                node = (self.two._nodes(n, m, part) + self.two._nodes(m, n, part)) / 2
                graph = (self._among(a, b, "kept_b_") + self._among(b, a, "kept_a_")) / 2
                group = (self.two._group(a, b, 1) + self.two._group(b, a, 0)) / 2
                found.append(torch.stack([node, graph, group]))
        return torch.cat(found, dim=1).double()

    def _among(self, a: Tensor, b: Tensor, kept: str) -> Tensor:
        own = (a * b).sum(1, keepdim=True) / self.temperature
        others = a @ self.get_buffer(kept).T / self.temperature
        return torch.cat([own, others], dim=1).logsumexp(1) - own[:, 0]

    def levels(self, graphs: Any) -> dict[str, Tensor]:
        """The standardised error of each graph at each level.

        Args:
            graphs: anything that `graphs.pack` takes.
        """
        return dict(zip(LEVELS, self._standardised(self._given(graphs, None))))

    def _standardised(self, graphs: GraphBatch) -> Tensor:
        packed = self._encoded(beside(graphs, self.two))
        return (self._errors(packed) - self.get_buffer("level_mean_")[:, None]) / self.get_buffer("level_std_")[:, None]

    def _score_graphs(self, graphs: GraphBatch) -> Tensor:
        return self._standardised(graphs).sum(0)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        first, second = (state_dict.get(f"{prefix}two.encoders.{i}.mlps.0.0.weight") for i in range(2))
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            self._build(first.shape[1], second.shape[1])
            self.two.to(first.dtype).eval().requires_grad_(False)
        super()._load_from_state_dict(state_dict, prefix, *rest)
