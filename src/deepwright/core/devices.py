"""Where work happens: on the device where the model lives, unless something else is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Compute:
    """On what a training runs.

    Attributes:
        device: "cpu", "cuda", "cuda:1", "mps"; None is where the model lives.
        devices: how many.
        strategy: of several, as in Lightning Fabric.
        precision: as in Lightning Fabric; None is the model's own dtype.
    """

    device: str | None = None
    devices: int = 1
    strategy: str = "auto"
    precision: str | None = None

    def fabric(self, model: nn.Module) -> dict[str, Any]:
        """Lightning Fabric's arguments for a model.

        Args:
            model: that is to be trained.
        """
        device = torch.device(self.device) if self.device else device_of(model)
        one = self.devices == 1 and device.index is not None and device.type != "cpu"
        return {
            "accelerator": device.type,
            "devices": [device.index] if one else self.devices,
            "strategy": self.strategy,
            "precision": self.precision or "32-true",  # which leaves every dtype as it is
        }


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters (or else its buffers) lie."""
    return next((t.device for t in (*model.parameters(), *model.buffers())), torch.device("cpu"))


def dtype_of(model: nn.Module) -> torch.dtype:
    """The floating dtype of a model's parameters (or else its buffers)."""
    floating = (t.dtype for t in (*model.parameters(), *model.buffers()) if t.is_floating_point())
    return next(floating, torch.get_default_dtype())
