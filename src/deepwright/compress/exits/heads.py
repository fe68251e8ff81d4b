"""Heads that answer early: on maps and on vectors."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError


class ExitHead(nn.Module):
    """Two depthwise-separable convolutions, mean and maximum over space, one linear map.

    The maximum is there since small objects vanish in the mean.

    Args:
        in_channels: of the map.
        hidden: channels inside.
        outputs: 1 for "is anything here", or the number of classes.
        pool: "avg+max", "avg" or "max".
    """

    def __init__(self, in_channels: int, hidden: int = 24, outputs: int = 1, pool: str = "avg+max") -> None:
        super().__init__()
        if pool not in ("avg+max", "avg", "max"):
            raise InputError("pool", given=repr(pool), expected="'avg+max', 'avg' or 'max'")
        self.pool = pool
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 3, 2, 1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(),
            nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden, bias=False),
            nn.Conv2d(hidden, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(),
        )
        self.last = nn.Linear(hidden * (2 if pool == "avg+max" else 1), outputs)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n outputs"]:
        """Logits."""
        x = self.body(x)
        parts = [x.mean((2, 3))] if "avg" in self.pool else []
        parts += [x.amax((2, 3))] if "max" in self.pool else []
        return self.last(torch.cat(parts, 1))


class VectorHead(nn.Module):
    """The same question to a vector: one hidden layer.

    Args:
        in_features: of the vector.
        hidden: units of the layer.
        outputs: 1 for "is anything here", or the number of classes.
    """

    def __init__(self, in_features: int, hidden: int = 32, outputs: int = 1) -> None:
        super().__init__()
        self.body, self.last = nn.Linear(in_features, hidden), nn.Linear(hidden, outputs)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n outputs"]:
        """Logits."""
        return self.last(F.relu(self.body(x)))
