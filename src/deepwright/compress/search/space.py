"""What a pruning search moves in: layers of bits with an importance each.

Over coupled units (`units`) or over single weights (`weights`) a space offers the same few things: masks from
thresholds, the cost of many masks at once, and predictions of many masked networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating, fast_layout

COSTS = ("params", "macs", "bytes")


class Space:
    """Base of both spaces.

    Attributes:
        size: number of bits D.
        layer: (D,) index of each bit's layer.
        names: of the layers.
        score: (D,) importance, higher = keep.
        scale: (L,) what a threshold of 1 means in each layer.
        min_keep: bits that every layer keeps.

    Args:
        layer: (D,) index of each bit's layer.
        names: of the layers.
        score: (D,) importance, higher = keep.
        scale: (L,) what a threshold of 1 means in each layer.
        min_keep: bits that every layer keeps.

    Raises:
        InputError: nothing to prune, or a negative `min_keep`.
    """

    granularity = ""

    def __init__(
        self,
        layer: Int[Array, " d"],
        names: Sequence[str],
        score: Float[Array, " d"],
        scale: Float[Array, " layers"],
        min_keep: int,
    ) -> None:
        if min_keep < 0:
            raise InputError("min_keep", given=min_keep, expected="0 or more")
        if len(layer) == 0:
            raise InputError(
                "the network", given="nothing that can be pruned", expected="a convolution or linear layer"
            )
        if not np.isfinite(score).all():
            hint = "look at the data and the loss of the importance"
            raise InputError("importance", given="scores that are NaN or infinite", expected="finite ones", hint=hint)
        if min_keep >= np.bincount(layer).max():
            raise InputError("min_keep", given=min_keep, expected="fewer than some layer has, or nothing can be pruned")
        self.layer, self.names = layer, list(names)
        self.score, self.scale, self.min_keep = score, np.maximum(scale, 1e-30), min_keep
        self.size = len(layer)
        self.layer_sizes = np.bincount(layer, minlength=len(self.names))
        self.rank = percentiles(score, layer)

    @property
    def network(self) -> nn.Module:
        """The whole network."""
        raise NotImplementedError

    def from_thresholds(self, thresholds: Float[Array, "p layers"]) -> Bool[Array, "p d"]:
        """Masks from thresholds: a bit stays when its score is above.

        Args:
            thresholds: in units of `scale`.
        """
        cut = thresholds * self.scale
        return self.repair(self.score > cut[:, self.layer])

    def repair(self, masks: Bool[Array, "p d"]) -> Bool[Array, "p d"]:
        """Give every layer its `min_keep` most important bits where it has fewer.

        Args:
            masks: left as they are.
        """
        kept = np.stack([np.bincount(self.layer[m], minlength=len(self.names)) for m in masks])
        short = kept < np.minimum(self.min_keep, self.layer_sizes)
        if not short.any():
            return masks
        masks = masks.copy()
        for layer in np.flatnonzero(short.any(0)):
            inside = np.flatnonzero(self.layer == layer)
            best = inside[np.argsort(-self.score[inside], kind="stable")[: self.min_keep]]
            masks[np.ix_(np.flatnonzero(short[:, layer]), best)] = True
        return masks

    def costs(self, masks: Bool[Array, "p d"], names: Sequence[str]) -> Float[Array, "p names"]:
        """Shares of the dense network's cost.

        Args:
            masks: one network a row.
            names: among `COSTS`.
        """
        raise NotImplementedError

    def account(self, mask: Bool[Array, " d"], shares: dict[str, float]) -> dict[str, float]:
        """What one network really costs, by name, as shares of the dense network.

        Args:
            mask: which bits stay.
            shares: the costs that the search saw.
        """
        return shares

    def predict(self, masks: Bool[Array, "p d"], x: Tensor) -> Tensor:
        """Outputs of the masked networks, where the network lives.

        Args:
            masks: one network a row.
            x: (N, ...) inputs, from any device.

        Returns:
            (P, N, ...).
        """
        raise NotImplementedError

    def build(self, mask: Bool[Array, " d"]) -> nn.Module:
        """The network of one mask.

        Args:
            mask: which bits stay.
        """
        raise NotImplementedError


def percentiles(score: Float[Array, " d"], layer: Int[Array, " d"]) -> Float[Array, " d"]:
    """Rank of each score within its layer, in [0, 1].

    Args:
        score: of each bit.
        layer: of each bit.
    """
    order = np.lexsort((score, layer))
    sizes = np.bincount(layer, minlength=int(layer.max()) + 1 if len(layer) else 0)
    starts = np.cumsum([0, *sizes[:-1]])
    rank = np.empty(len(score))
    rank[order] = np.arange(len(score)) - starts[layer[order]]
    return rank / np.maximum(sizes[layer] - 1, 1)


def in_turn(space: Space, masks: Bool[Array, "p d"], x: Tensor) -> Tensor:
    """Outputs of each network of its own: less work the smaller it is.

    Args:
        space: that builds them.
        masks: one network a row.
        x: inputs, from any device.
    """
    return torch.stack([outputs(space.build(mask), x) for mask in masks])


def outputs(model: nn.Module, x: Tensor) -> Tensor:
    """Of one network, in eval mode, where it lives.

    Args:
        model: left as found.
        x: inputs, from any device.
    """
    with evaluating(model), fast_layout(model), torch.no_grad():
        return model(to_model(x, model))
