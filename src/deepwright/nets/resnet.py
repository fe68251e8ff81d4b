"""Residual networks in the CIFAR layout (8, 20, 56, 110) and the ImageNet layout (18, 50).

Source: "Deep Residual Learning for Image Recognition", arXiv 1512.03385. Parameter names follow the field
(`conv1`, `bn1`, `layer1.0.conv1`, `layer1.0.downsample.0`, `fc`), so published state dicts load strictly.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (1x1 convolution where the shape changes).

    Args:
        channels_in: of the input.
        width: channels of the output.
        stride: of the first convolution.
    """

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(channels_in, width, stride)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        """The block's output, after the last ReLU."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride), 1x1 with four times the width.

    Args:
        channels_in: of the input.
        width: channels inside.
        stride: of the 3x3 convolution.
    """

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(channels_in, 4 * width, stride)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        """The block's output, after the last ReLU."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and channels_in == channels_out:
        return None
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))


class ResNet(nn.Module):
    """A residual network.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        depths: blocks per stage.
        widths: channels per stage (before the block's expansion).
        classes: logits.
        channels: input channels.
        stem: "cifar" (3x3, stride 1) or "imagenet" (7x7, stride 2, then 3x3 max pooling).
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, ...],
        widths: tuple[int, ...],
        *,
        classes: int = 10,
        channels: int = 3,
        stem: str = "cifar",
    ) -> None:
        super().__init__()
        require_whole(1, classes=classes, channels=channels, width=min(widths))
        if stem not in ("cifar", "imagenet"):
            raise InputError("stem", given=repr(stem), expected="'cifar' or 'imagenet'")
        if stem == "cifar":
            self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
            self.maxpool: nn.Module = nn.Identity()
        else:
            self.conv1 = nn.Conv2d(channels, widths[0], 7, 2, 3, bias=False)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        current = widths[0]
        self._stages = [f"layer{i + 1}" for i in range(len(depths))]
        for i, (depth, width) in enumerate(zip(depths, widths)):
            strides = [1 if i == 0 else 2] + [1] * (depth - 1)
            blocks = []
            for stride in strides:
                blocks.append(block(current, width, stride))
                current = width * block.expansion
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(current, classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Logits."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self._stages:
            x = getattr(self, stage)(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


def cifar_resnet(depth: int, *, classes: int = 10, channels: int = 3, width: int = 16) -> ResNet:
    """ResNet-8/20/56/110 for small images: three stages of (depth - 2) / 6 blocks, widths w, 2w, 4w.

    Args:
        depth: 6 n + 2.
        classes: logits.
        channels: input channels.
        width: w.

    Raises:
        InputError: another depth.
    """
    require_whole(1, classes=classes, channels=channels, width=width)
    if depth < 8 or (depth - 2) % 6:
        raise InputError("depth of a CIFAR ResNet", given=depth, expected="6 n + 2 (8, 20, 32, 44, 56, 110)")
    n = (depth - 2) // 6
    return ResNet(BasicBlock, (n, n, n), (width, 2 * width, 4 * width), classes=classes, channels=channels)


def imagenet_resnet(depth: int, *, classes: int = 1000, channels: int = 3) -> ResNet:
    """ResNet-18, -34, -50 or -101 in the ImageNet layout: 11,689,512, 21,797,672, 25,557,032, 44,549,160 parameters.

    Args:
        depth: 18, 34, 50 or 101.
        classes: logits.
        channels: input channels.

    Raises:
        InputError: another depth.
    """
    layouts: dict[int, tuple[Callable, tuple[int, ...]]] = {
        18: (BasicBlock, (2, 2, 2, 2)),
        34: (BasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
    }
    require_whole(1, classes=classes, channels=channels)
    if depth not in layouts:
        raise InputError("depth of an ImageNet ResNet", given=depth, expected="18, 34, 50 or 101")
    block, depths = layouts[depth]
    return ResNet(block, depths, (64, 128, 256, 512), classes=classes, channels=channels, stem="imagenet")  # type: ignore[arg-type]
