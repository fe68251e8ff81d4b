"""A linear head on a frozen encoder's embeddings, and the house's other detectors on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.errors import NotFittedError
from deepwright.core.requirements import require_positive
from deepwright.core.results import Table
from deepwright.graphs import pack
from deepwright.ood.detector import Detector
from deepwright.ood.dgp.encoders import embed
from deepwright.ood.dgp.guards import require_graph_labels
from deepwright.ood.suite import DetectorSuite


class LinearHead(nn.Module):
    """Logits of standardised embeddings: what a fresh probe reads from a view, and what post-hoc detectors look at.

    Args:
        h: embeddings that it is fitted on.
        y: their labels.
        classes: how many there are.
        decay: lambda of the ridge on its weights, of the mean loss.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, h: Float[Tensor, "n d"], y: Int64[Tensor, " n"], classes: int, decay: float = 1e-3) -> None:
        super().__init__()
        require_positive(decay=decay)
        h = h if h.dtype == torch.float64 else h.float()  # halves are too coarse to be fitted in
        std = h.std(0)
        self.register_buffer("mean", h.mean(0))
        self.register_buffer("scale", torch.where(std > 1e-6 * h.mean(0).abs(), std, torch.ones_like(std)))
        self.linear = nn.Linear(h.shape[1], classes).to(h)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self._learn((h - self.mean) / self.scale, y, decay)
        self.requires_grad_(False)

    def _learn(self, z: Tensor, y: Tensor, decay: float) -> None:
        """Logistic regression: convex, so that no seed enters."""
        solver = torch.optim.LBFGS(self.linear.parameters(), max_iter=200, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            solver.zero_grad()
            loss = nn.functional.cross_entropy(self.linear(z), y) + decay * self.linear.weight.square().sum()
            loss.backward()
            return loss

        with torch.enable_grad():
            solver.step(closure)

    def forward(self, h: Tensor) -> Tensor:
        """Logits.

        Args:
            h: embeddings.
        """
        return self.linear((h.to(self.mean.dtype) - self.mean) / self.scale)


class GraphSuite:
    """The house's post-hoc detectors on h_o: a `DetectorSuite` of a linear head, fed with graphs.

    Args:
        encoder: left as found.
        num_classes: of the labels.
        detectors: see `DetectorSuite`; all of the house by default. Those that can't work on a linear head are in
            `skipped`.
        decay: see `LinearHead`: what looks at logits depends on it.
    """

    def __init__(
        self,
        encoder: nn.Module,
        num_classes: int,
        detectors: dict[str, Detector] | Sequence[Detector] | None = None,
        decay: float = 1e-3,
    ) -> None:
        require_positive(decay=decay)
        self.encoder, self.num_classes, self.detectors, self.decay = encoder, num_classes, detectors, decay
        self.suite: DetectorSuite | None = None

    @property
    def skipped(self) -> dict[str, str]:
        """Detectors that weren't fitted, and why."""
        return {} if self.suite is None else self.suite.skipped

    def fit(self, graphs: Any, y: Any = None) -> Self:
        """Fit the head, then the detectors.

        Args:
            graphs: in-distribution, labelled.
            y: labels 0..C-1; those of the graphs by default.
        """
        packed = pack(graphs, y)
        labels = require_graph_labels(packed, self.num_classes, "GraphSuite")
        h = embed(self.encoder, packed)
        head = LinearHead(h, labels, self.num_classes, self.decay)
        self.suite = DetectorSuite(head, self.detectors).fit([(h, labels)])
        return self

    def score(self, graphs: Any) -> dict[str, Tensor]:
        """Scores by detector.

        Args:
            graphs: to judge.
        """
        return self._fitted().score([embed(self.encoder, graphs)])

    def report(self, id_graphs: Any, ood: dict[str, Any]) -> Table:
        """See `DetectorSuite.report`.

        Args:
            id_graphs: in-distribution.
            ood: the other sets by name.
        """
        sets: dict[str, Any] = {name: [embed(self.encoder, graphs)] for name, graphs in ood.items()}
        return self._fitted().report([embed(self.encoder, id_graphs)], sets)

    def _fitted(self) -> DetectorSuite:
        if self.suite is None:
            raise NotFittedError("GraphSuite")
        return self.suite
