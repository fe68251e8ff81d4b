"""A network with its monitor beside it, as one module that is saved and exported with it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepwright.adversarial.semantic.detector import InputDetector
from deepwright.core.copies import copied
from deepwright.core.errors import NotCalibratedError


class Monitored(nn.Module):
    """A network that also says how near each input is to an alarm; its outputs stay what they are.

    It keeps copies of network and detector in eval mode, and its state dict holds both (tensors alone, so that it goes
    into a safetensors file).

    Args:
        detector: bound, fitted and calibrated.
    """

    def __init__(self, detector: InputDetector) -> None:
        super().__init__()
        if "thresholds_" not in dict(detector.named_buffers()):
            raise NotCalibratedError(detector.name)
        watch = detector.watch
        self.network = copied(watch.model).eval().requires_grad_(False)
        self.detector = detector.unbound().bind(self.network, watch.layers, watch.task).eval()

    def forward(self, x: Float[Tensor, "n ..."]) -> Any:
        """The network's output.

        Args:
            x: inputs.
        """
        return self.network(x)

    def watched(self, x: Float[Tensor, "n ..."]) -> tuple[Any, Float[Tensor, " n"], Bool[Tensor, " n"]]:
        """Outputs as the task reads them, how near they are to an alarm (0 is the middle of clean inputs, 1 the
        threshold), and alarms; from one pass, nothing checked.

        Args:
            x: inputs beside the network.
        """
        seen = self.detector.watch(x)
        parts = self.detector.graph_parts(seen)
        return seen.out, self.detector.nearness(parts), self.detector.alarms(parts)

    def program(self) -> nn.Module:
        """A module whose forward is `watched`, for `torch.export`."""
        return _Watched(self)

    def train(self, mode: bool = True) -> Monitored:
        """It stays in eval mode.

        Args:
            mode: not looked at.
        """
        return super().train(False)


class _Watched(nn.Module):
    def __init__(self, monitored: Monitored) -> None:
        super().__init__()
        self.monitored = monitored

    def forward(self, x: Tensor) -> tuple[Any, Tensor, Tensor]:
        with torch.no_grad():
            return self.monitored.watched(x)
