"""A network together with its own preprocessing, so that everything outside works on pixels in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepwright.core.devices import device_of, dtype_of
from deepwright.core.errors import InputError


class Normalised(nn.Module):
    """(x - mean) / std, then the network: attacks and corruptions act before it, in pixel space.

    Args:
        network: takes normalised inputs; the two others come to where it lives, in its dtype.
        mean: per channel (images) or per feature (tables).
        std: the same.

    Raises:
        InputError: numbers that aren't finite, deviations that aren't above 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Tensor | list[float], std: Tensor | list[float]) -> None:
        super().__init__()
        self.network = network
        place, dtype = device_of(network), dtype_of(network)
        _require_statistics(mean, std)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=dtype, device=place))
        self.register_buffer("std", torch.as_tensor(std, dtype=dtype, device=place))

    def forward(self, x: Tensor) -> Tensor:
        """The network on normalised inputs."""
        for name, count in (("mean", self.mean.numel()), ("std", self.std.numel())):
            if x.ndim < 2 or count not in (1, x.shape[1]):
                given = f"{count} numbers, for inputs of shape {tuple(x.shape)}"
                raise InputError(name, given=given, expected="one, or one a channel or feature")
        shape = (-1,) + (1,) * (x.ndim - 2)
        return self.network((x - self.mean.view(shape)) / self.std.view(shape))


def _require_statistics(mean: Tensor | list[float], std: Tensor | list[float]) -> None:
    for name, given in (("mean", mean), ("std", std)):
        values = torch.as_tensor(given, dtype=torch.float64)
        if values.ndim > 1 or values.numel() == 0 or not bool(torch.isfinite(values).all()):
            raise InputError(name, given=given, expected="finite numbers, one or one a channel")
        if name == "std" and not bool((values > 0).all()):
            raise InputError(name, given=given, expected="numbers above 0")
