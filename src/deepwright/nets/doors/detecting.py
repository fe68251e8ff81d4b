"""The house's single-shot detector as a network that gives detections."""

from __future__ import annotations

from torch import Tensor, nn

from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.nets.ssd import SSD


class Detecting(nn.Module):
    """A detector whose output are its detections, as the task `Detection` reads them; gradients reach the scores.

    Args:
        network: gives codes and logits of its anchors.

    Raises:
        InputError: another network.
    """

    def __init__(self, network: SSD) -> None:
        super().__init__()
        if not isinstance(network, SSD):
            raise InputError("network", given=type(network).__name__, expected="an SSD of deepwright.nets")
        self.network = network
        self.training = network.training

    def forward(self, x: Tensor) -> list[Detections]:
        """Boxes in pixels of each image, best first.

        Args:
            x: images (N, C, H, W) of the network's size.
        """
        return self.network.postprocess(self.network(x))
