"""Residual networks in the CIFAR layout (8, 20, 56, 110) and the ImageNet layout (18, 34, 50, 101).

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

_DENSE_STAGES = {32: 0, 16: 1, 8: 2}  # output stride -> stages without a stride


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (1x1 convolution where the shape changes).

    Args:
        channels_in: of the input.
        width: channels of the output.
        stride: of the first convolution.
        dilation: of the second one.
        dilation_before: of the first one, whose input the stage before made.
    """

    expansion = 1

    def __init__(
        self, channels_in: int, width: int, stride: int = 1, dilation: int = 1, dilation_before: int = 1
    ) -> None:
        super().__init__()
        self.conv1 = _conv3x3(channels_in, width, stride, dilation_before)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width, 1, dilation)
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
        dilation: of the stage; what follows the 3x3 convolution looks at single positions and needs none.
        dilation_before: of the 3x3 convolution, whose input the stage before made.
    """

    expansion = 4

    def __init__(
        self, channels_in: int, width: int, stride: int = 1, dilation: int = 1, dilation_before: int = 1
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width, stride, dilation_before)
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


def _conv3x3(channels_in: int, channels_out: int, stride: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, stride, dilation, dilation, bias=False)


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
        dense_stages: the last stages that keep the resolution of what they get: their strides become dilations, so that
            the same weights compute the same values, at more positions.
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
        dense_stages: int = 0,
    ) -> None:
        super().__init__()
        require_whole(1, classes=classes, channels=channels, width=min(widths))
        require_whole(0, dense_stages=dense_stages)
        if dense_stages >= len(depths):
            raise InputError("dense_stages", given=dense_stages, expected=f"fewer than the {len(depths)} stages")
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
        self.map_channels = tuple(width * block.expansion for width in widths)
        current, dilation = widths[0], 1
        self._stages = [f"layer{i + 1}" for i in range(len(depths))]
        for i, (depth, width) in enumerate(zip(depths, widths)):
            stride, before = (1 if i == 0 else 2), dilation
            if i >= len(depths) - dense_stages:
                stride, dilation = 1, dilation * stride
            blocks = []
            for j in range(depth):
                first = j == 0
                blocks.append(block(current, width, stride if first else 1, dilation, before if first else dilation))
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
        x = self._stem(x)
        for stage in self._stages:
            x = getattr(self, stage)(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))

    def maps(self, x: Float[Tensor, "n c h w"], last: int = 2) -> list[Float[Tensor, "n d h2 w2"]]:
        """What the last stages give, in order.

        Args:
            x: images.
            last: how many stages.
        """
        x, found = self._stem(x), []
        for i, stage in enumerate(self._stages, last - len(self._stages)):
            x = getattr(self, stage)(x)
            if i >= 0:
                found.append(x)
        return found

    def _stem(self, x: Tensor) -> Tensor:
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))


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


def imagenet_resnet(depth: int, *, classes: int = 1000, channels: int = 3, output_stride: int = 32) -> ResNet:
    """ResNet-18, -34, -50 or -101 in the ImageNet layout: 11,689,512, 21,797,672, 25,557,032, 44,549,160 parameters.

    Args:
        depth: 18, 34, 50 or 101.
        classes: logits.
        channels: input channels.
        output_stride: pixels between two positions of the last map: 32, 16 or 8, by the same weights. Where a finer map
            and a coarser one have a position in common, their values are the same.

    Raises:
        InputError: another depth or output stride.
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
    if output_stride not in _DENSE_STAGES:
        raise InputError("output_stride", given=output_stride, expected="32, 16 or 8")
    block, depths = layouts[depth]
    options = {"classes": classes, "channels": channels, "dense_stages": _DENSE_STAGES[output_stride]}
    return ResNet(block, depths, (64, 128, 256, 512), stem="imagenet", **options)  # type: ignore[arg-type]
