"""Fully convolutional networks: a residual network's maps, kept fine by dilation, and a class for every pixel.

Source: J. Long, E. Shelhamer, T. Darrell, "Fully Convolutional Networks for Semantic Segmentation", arXiv 1411.4038;
dilation in place of strides: F. Yu, V. Koltun, T. Funkhouser, "Dilated Residual Networks", arXiv 1705.09914. Names of
parameters follow the field (`backbone.layer1.0.conv1`, `classifier.0`, `classifier.4`, `aux_classifier.0`), so that
published state dicts load strictly.
"""

from __future__ import annotations

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.nets.resnet import ResNet, imagenet_resnet

_NARROWER = 4  # channels of the backbone's map over those inside a head
_DROPPED = 0.1


class FCN(nn.Module):
    """Logits of every class at every pixel of images of any size.

    Args:
        backbone: a residual network of two stages or more; its last layer is taken away.
        classes: two or more.
        auxiliary: whether a second head reads the last map but one: published weights have it, and training may use it.

    Raises:
        InputError: fewer than two classes, or stages.
    """

    def __init__(self, backbone: ResNet, classes: int = 21, *, auxiliary: bool = True) -> None:
        super().__init__()
        require_whole(2, classes=classes)
        widths = backbone.map_channels
        if len(widths) < 2:
            raise InputError("backbone", given=f"{len(widths)} stage", expected="two or more")
        backbone.fc = cast(nn.Linear, nn.Identity())  # without weights: published files of these have none
        self.backbone = backbone
        self.classifier = _head(widths[-1], classes)
        self.aux_classifier = _head(widths[-2], classes) if auxiliary else None

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes h w"]:
        """Logits at every pixel.

        Args:
            x: images.
        """
        return _spread(self.classifier(self.backbone.maps(x, 1)[0]), x)

    def both(
        self, x: Float[Tensor, "n c h w"]
    ) -> tuple[Float[Tensor, "n classes h w"], Float[Tensor, "n classes h w"]]:
        """Logits of both heads, for a training loss such as `loss(out, y) + 0.5 * loss(auxiliary, y)`.

        Args:
            x: images.

        Raises:
            InputError: there is one head.
        """
        if self.aux_classifier is None:
            raise InputError("both heads", given="auxiliary=False", expected="a network with auxiliary=True")
        inner, last = self.backbone.maps(x)
        return _spread(self.classifier(last), x), _spread(self.aux_classifier(inner), x)


def _head(channels: int, classes: int) -> nn.Sequential:
    inside = channels // _NARROWER
    return nn.Sequential(
        nn.Conv2d(channels, inside, 3, padding=1, bias=False),
        nn.BatchNorm2d(inside),
        nn.ReLU(),
        nn.Dropout(_DROPPED),
        nn.Conv2d(inside, classes, 1),
    )


def _spread(logits: Tensor, x: Tensor) -> Tensor:
    return F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)


def fcn_resnet(
    depth: int = 50, *, classes: int = 21, channels: int = 3, output_stride: int = 8, auxiliary: bool = True
) -> FCN:
    """FCN-ResNet-18, -34, -50 or -101; 35,322,218 parameters for depth 50, 21 classes and both heads.

    Args:
        depth: 18, 34, 50 or 101.
        classes: two or more.
        channels: input channels.
        output_stride: pixels between two positions of the map that the head reads: 32, 16 or 8, by the same weights.
        auxiliary: see `FCN`.

    Raises:
        InputError: another depth or output stride, or fewer than two classes.

    Example:
        >>> import torch
        >>> network = fcn_resnet(18, classes=5).eval()
        >>> network(torch.rand(1, 3, 40, 56)).shape
        torch.Size([1, 5, 40, 56])
    """
    backbone = imagenet_resnet(depth, classes=1, channels=channels, output_stride=output_stride)
    return FCN(backbone, classes, auxiliary=auxiliary)
