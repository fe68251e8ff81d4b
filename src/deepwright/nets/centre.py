"""A detector of one class at its smallest: a score, an offset and a size at every fourth pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.boxes import Detections, require_boxes, to_centre, to_corners
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole

_STRIDE = 4
_LARGEST = 6.0  # log of a size over the stride


def _layer(a: int, b: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())


class CentreDetector(nn.Module):
    """Four convolutions and one cell for each 4 x 4 pixels: takes images of any size and gives all cells as candidates.

    A cell's box has its centre at the cell's plus 4 (dx, dy), and sides 4 exp(w), 4 exp(h).

    Args:
        in_channels: of the images.
        width: channels of the first layer; the others have twice as many.
    """

    def __init__(self, in_channels: int = 1, width: int = 12) -> None:
        super().__init__()
        require_whole(1, in_channels=in_channels, width=width)
        self.in_channels, wide = in_channels, 2 * width
        self.features = nn.Sequential(
            _layer(in_channels, width, 2), _layer(width, wide, 2), _layer(wide, wide, 1), _layer(wide, wide, 1)
        )
        self.head = nn.Conv2d(wide, 5, 1)
        with torch.no_grad():
            self.head.bias[0] = -4.0  # type: ignore[index]

    def codes(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n cells 5"]:
        """Log-odds, offset and log size of each cell, row by row.

        Args:
            x: images.

        Raises:
            InputError: images of another kind.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels or not x.is_floating_point():
            expected = f"floats of shape (N, {self.in_channels}, height, width)"
            raise InputError("images", given=f"{x.dtype} of shape {tuple(x.shape)}", expected=expected)
        return self.head(self.features(x)).flatten(2).transpose(1, 2)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n cells 5"]:
        """Candidates: corners in pixels, and log-odds.

        Args:
            x: images.
        """
        codes = self.codes(x)
        centre = self._centres(x) + _STRIDE * codes[..., 1:3]
        size = _STRIDE * codes[..., 3:].clamp_max(_LARGEST).exp()
        return torch.cat([to_corners(torch.cat([centre, size], -1)), codes[..., :1]], -1)

    @staticmethod
    def _centres(x: Tensor) -> Float[Tensor, "cells 2"]:
        rows, columns = (torch.arange(-(-side // _STRIDE), device=x.device, dtype=x.dtype) for side in x.shape[2:])
        y, x_ = torch.meshgrid((rows + 0.5) * _STRIDE, (columns + 0.5) * _STRIDE, indexing="ij")
        return torch.stack([x_, y], -1).reshape(-1, 2)


def centre_targets(
    truth: Sequence[Detections], height: int, width: int
) -> tuple[Bool[Tensor, "n cells"], Float[Tensor, "n cells 4"]]:
    """(which cells hold an object's centre, the offset and log size wanted there).

    Args:
        truth: boxes in pixels of each image.
        height: of the images.
        width: of the images.

    Raises:
        InputError: boxes outside the frame, turned round or NaN.
    """
    down, across = -(-height // _STRIDE), -(-width // _STRIDE)
    positive = torch.zeros(len(truth), down * across, dtype=torch.bool)
    wanted = torch.zeros(len(truth), down * across, 4)
    for i, t in enumerate(truth):
        require_boxes(t.boxes, height, width, f"boxes of image {i}")
        form = to_centre(t.boxes.cpu().float())
        cell = (form[:, :2] / _STRIDE).floor().long().clamp_min(0)
        cell = torch.minimum(cell, torch.tensor([across - 1, down - 1]))
        place = cell[:, 1] * across + cell[:, 0]
        positive[i, place] = True
        offset = form[:, :2] / _STRIDE - (cell + 0.5)
        wanted[i, place] = torch.cat([offset, (form[:, 2:].clamp_min(1e-3) / _STRIDE).log()], 1)
    return positive, wanted


def centre_loss(
    codes: Float[Tensor, "n cells 5"],
    positive: Bool[Tensor, "n cells"],
    wanted: Float[Tensor, "n cells 4"],
    *,
    weight: float = 8.0,
) -> Tensor:
    """10 times the mean cross-entropy of the scores, positives weighted, and twice smooth-L1 at the positives.

    Args:
        codes: as `CentreDetector.codes` gives them.
        positive: see `centre_targets`.
        wanted: see `centre_targets`.
        weight: of positives.
    """
    require_positive(weight=weight)
    scores = F.binary_cross_entropy_with_logits(codes[..., 0], positive.to(codes), pos_weight=codes.new_tensor(weight))
    place = F.smooth_l1_loss(codes[..., 1:][positive], wanted[positive].to(codes), reduction="sum")
    return 10 * scores + 2 * place / positive.sum().clamp_min(1)
