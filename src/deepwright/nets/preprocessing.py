"""A network together with its own preprocessing, so that everything outside works on pixels in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepwright.core.devices import device_of, dtype_of


class Normalised(nn.Module):
    """(x - mean) / std, then the network: attacks and corruptions act before it, in pixel space.

    Args:
        network: takes normalised inputs; the two others come to where it lives, in its dtype.
        mean: per channel (images) or per feature (tables).
        std: the same.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Tensor | list[float], std: Tensor | list[float]) -> None:
        super().__init__()
        self.network = network
        place, dtype = device_of(network), dtype_of(network)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=dtype, device=place))
        self.register_buffer("std", torch.as_tensor(std, dtype=dtype, device=place))

    def forward(self, x: Tensor) -> Tensor:
        """The network on normalised inputs."""
        shape = (-1,) + (1,) * (x.ndim - 2)
        return self.network((x - self.mean.view(shape)) / self.std.view(shape))
