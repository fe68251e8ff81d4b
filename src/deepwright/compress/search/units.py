"""Bits over coupled units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from torch import Tensor, nn

from deepwright.compress.counting import CostPolynomial
from deepwright.compress.coupling import ShrinkGraph
from deepwright.compress.search.space import Space, in_turn
from deepwright.compress.surgery import Plan, ShrinkResult, importance, shrink


class UnitSpace(Space):
    """Bits on coupled units: every mask is a really smaller network.

    Args:
        graph: units and groups.
        score: (D,) importance of each unit.
        min_keep: units that each group keeps.
    """

    granularity = "unit"

    def __init__(self, graph: ShrinkGraph, score: Float[Array, " d"], min_keep: int = 1) -> None:
        sizes = [g.size for g in graph.groups]
        layer = np.repeat(np.arange(len(sizes)), sizes)
        means = np.bincount(layer, score) / np.maximum(np.bincount(layer), 1) if len(layer) else np.zeros(0)
        super().__init__(layer, [g.name for g in graph.groups], score, means, min_keep)
        self.graph = graph

    @classmethod
    def of(
        cls,
        model: nn.Module,
        example: Any,
        criterion: str = "l2",
        data: Any = None,
        min_keep: int = 1,
        frozen: Sequence[str] = (),
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> UnitSpace:
        """From a network and an importance criterion.

        Args:
            model: the network.
            example: its example inputs, as for `ShrinkGraph`.
            criterion: of `importance`; "magnitude" is "l2".
            data: batches (inputs, targets) for criteria that need gradients.
            min_keep: units that each group keeps.
            frozen: modules that stay whole.
            loss: of the network's output and the targets, for such criteria; cross-entropy by default.

        Raises:
            InputError: nothing to prune, weights that aren't finite, an unknown criterion, missing data.
        """
        graph = ShrinkGraph.from_module(model, example, frozen=frozen)
        scores = importance(graph, "l2" if criterion == "magnitude" else criterion, data=data, loss=loss)
        parts = [scores[g].cpu().numpy() for g in graph.groups]
        return cls(graph, np.concatenate(parts) if parts else np.zeros(0), min_keep)

    @property
    def network(self) -> nn.Module:
        """The whole network."""
        return self.graph.model

    def costs(self, masks: Bool[Array, "p d"], names: Sequence[str]) -> Float[Array, "p names"]:
        """Exact, from the polynomial."""
        polynomial = CostPolynomial.of(self.graph)
        dense = polynomial.evaluate(np.ones((1, self.size), bool))
        values = polynomial.evaluate(masks)
        return np.stack([values[n] / dense[n][0] for n in names], 1)

    def predict(self, masks: Bool[Array, "p d"], x: Tensor) -> Tensor:
        """Each shrunk network in turn: less work the smaller it is."""
        return in_turn(self, masks, x)

    def build(self, mask: Bool[Array, " d"]) -> nn.Module:
        """The shrunk network, not proved: `proved` does that."""
        return shrink(self.graph.model, Plan(self.graph, mask), skip_verification=True).model

    def proved(self, mask: Bool[Array, " d"]) -> ShrinkResult:
        """The surgery's result with its proof.

        Args:
            mask: which units stay.

        Raises:
            SurgeryError: the network doesn't equal its masked original.
        """
        return shrink(self.graph.model, Plan(self.graph, mask))
