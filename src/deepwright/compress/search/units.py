"""Bits over coupled units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from torch import Tensor, nn

from deepwright.compress.counting import CostPolynomial
from deepwright.compress.coupling import Group, ShrinkGraph
from deepwright.compress.search.space import Space, in_turn
from deepwright.compress.surgery import Plan, ShrinkResult, importance, shrink
from deepwright.core.errors import InputError


class UnitSpace(Space):
    """Bits on coupled units: every mask is a really smaller network.

    Args:
        graph: units and groups.
        score: (D,) importance of each unit.
        min_keep: units that each group keeps.

    Raises:
        InputError: no group, or groups that may be left without units.
    """

    granularity = "unit"

    def __init__(self, graph: ShrinkGraph, score: Float[Array, " d"], min_keep: int = 1) -> None:
        if min_keep < 1:
            hint = "granularity='weight' may empty a whole layer"
            raise InputError("min_keep", given=min_keep, expected="at least 1 for units", hint=hint)
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
            criterion: "magnitude" (see `layer_scaled`), or any of `importance`.
            data: batches (inputs, targets) for criteria that need gradients.
            min_keep: units that each group keeps.
            frozen: modules that stay whole.
            loss: of the network's output and the targets, for such criteria; cross-entropy by default.

        Raises:
            InputError: nothing to prune, weights that aren't finite, an unknown criterion, missing data.
        """
        graph = ShrinkGraph.from_module(model, example, frozen=frozen)
        if criterion == "magnitude":
            if data is not None or loss is not None:
                given = "data" if data is not None else "loss"
                raise InputError(given, given="for the importance 'magnitude'", expected="none: it has no use for it")
            scores = layer_scaled(graph)
        else:
            scores = importance(graph, criterion, data=data, loss=loss)
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


def layer_scaled(graph: ShrinkGraph) -> dict[Group, Tensor]:
    """Magnitude of each unit in units of its layers': sqrt(sum over producing weights of |slice|^2 / mean |slice|^2).

    Raw magnitudes of layers that meet in one group (a shortcut) or of a weight and its bias can't be added: multiply
    one layer by 128 and divide the next, and the same function gets another order. Vectors (biases, norms) count only
    for groups that nothing else produces.

    Args:
        graph: units and groups.

    Returns:
        group -> (size,), where the network lives.
    """
    scores = importance(graph, _share_of_mean)
    plain = importance(graph, "l2") if any(not bool(s.any()) for s in scores.values()) else scores
    return {g: s.sqrt() if bool(s.any()) else plain[g] for g, s in scores.items()}


def _share_of_mean(name: str, axis: int, weight: Tensor) -> Tensor:
    """Squared norm of each slice over their mean."""
    if weight.ndim < 2:
        return torch.zeros(len(weight), dtype=torch.float64)
    slices = weight.detach().double().square().movedim(axis, 0).flatten(1).sum(1)
    return slices / slices.mean().clamp_min(torch.finfo(torch.float64).tiny)
