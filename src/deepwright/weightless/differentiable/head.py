"""A weightless classifier on the features of a frozen network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deepwright.weightless.differentiable.dwn import DWN
from deepwright.weightless.differentiable.layers import LearnedThresholds, LookupLayer


class WNNHead(nn.Module):
    """Features -> learned thresholds -> tables -> votes; the votes' margin says how sure it is.

    Call `start` on features of training, then train it by any loss on logits (`core.fit`).

    Args:
        features: numbers of a sample.
        classes: how many.
        bits: thresholds of each feature.
        layers: tables of each layer; the last number is a multiple of `classes`.
        n_inputs: bits that a table reads, 1..6.
        mapping: of the first layer, `learnable` or `random`.
        tau: votes are divided by it before the softmax of the loss.
        decay: of the finite difference, `exponential` or `linear`.
        seed: of entries and mappings.

    Example:
        >>> import torch
        >>> head = WNNHead(features=16, classes=3, layers=(60,), mapping="random")
        >>> features = torch.randn(100, 16, generator=torch.Generator().manual_seed(0))
        >>> head.start(features)
        >>> head(features).shape, head.margin(features).shape
        (torch.Size([100, 3]), torch.Size([100]))
    """

    def __init__(
        self,
        features: int,
        classes: int,
        bits: int = 8,
        layers: Sequence[int] = (1000,),
        n_inputs: int = 6,
        mapping: str = "random",
        tau: float = 1 / 0.3,
        decay: str = "exponential",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.coder = LearnedThresholds(features, bits)
        self.network = DWN(features * bits, classes, layers, n_inputs, mapping, tau, decay, seed)

    def start(self, features: Tensor) -> None:
        """Thresholds at the quantiles of samples; otherwise they are those of a standard normal distribution.

        Args:
            features: (samples, features), of training.
        """
        self.coder.start(features)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (samples, classes).

        Args:
            features: (samples, features).
        """
        return self.network(self.coder(features))

    @torch.no_grad()
    def margin(self, features: Tensor) -> Tensor:
        """Votes that the first class is ahead of the second, over the tables of a class: 0..1. Exit early where large.

        Args:
            features: (samples, features).
        """
        votes = self.network.votes(self.coder(features))
        most = votes.topk(2, dim=1).values
        last = self.network.layers[-1]
        assert isinstance(last, LookupLayer)
        return (most[:, 0] - most[:, 1]) / (last.luts // votes.shape[1])

    def anomaly(self, features: Tensor) -> Tensor:
        """1 - margin: larger is more anomalous, as the scores of `deepwright.ood`.

        Args:
            features: (samples, features).
        """
        return 1 - self.margin(features)
