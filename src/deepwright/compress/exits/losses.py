"""What heads are trained with beside the detector's own loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number


class BlankSkipLoss(nn.Module):
    """detector's loss + weight * sum over exits of BCE(is anything here).

    Frames marked undefined (-1) count for nothing.

    Args:
        weight: of the exits.
        pos_weight: of frames with an object.

    Raises:
        InputError: weights that are negative or no numbers.
    """

    def __init__(self, weight: float = 1.0, pos_weight: float = 1.0) -> None:
        super().__init__()
        require_number(0, weight=weight, pos_weight=pos_weight)
        self.weight, self.pos_weight = weight, pos_weight

    def forward(self, detector_loss: Tensor | float, exit_logits: dict[str, Tensor], occupied: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            detector_loss: of the detector itself, a scalar.
            exit_logits: cut -> (N, 1).
            occupied: (N,) 1 where something is there, 0 where nothing is, -1 where only boxes that don't count are.

        Returns:
            A scalar.

        Raises:
            InputError: flags for other frames than the logits'.
        """
        for logits in exit_logits.values():
            if occupied.shape != logits.shape[:1] or logits.shape[1:] != (1,):
                given = f"flags of shape {tuple(occupied.shape)} for logits of shape {tuple(logits.shape)}"
                raise InputError("occupied", given=given, expected="(N,) flags for (N, 1) logits")
        occupied = occupied.to(next(iter(exit_logits.values())).device) if exit_logits else occupied
        defined = (occupied >= 0).float()
        total = torch.as_tensor(detector_loss, dtype=torch.float32)
        for logits in exit_logits.values():
            losses = F.binary_cross_entropy_with_logits(
                logits[:, 0],
                occupied.clamp_min(0).float(),
                reduction="none",
                pos_weight=torch.tensor(self.pos_weight, device=logits.device),
            )
            total = total + self.weight * (losses * defined).sum() / defined.sum().clamp_min(1)
        return total
