"""The U-Net: an encoder that halves, a decoder that doubles, and each scale's features handed across.

Source: O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", arXiv
1505.04597; with padded convolutions, a norm after each, and nearest-neighbour doubling in place of transposed ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_BATCH = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_GROUPS = 4


class DoubleConv(nn.Sequential):
    """Two 3-wide convolutions that keep the size, each with its norm and ReLU.

    Args:
        channels_in: of the input.
        width: channels of both outputs.
        dims: spatial dimensions.
        norm: "batch" or "group".
    """

    def __init__(self, channels_in: int, width: int, dims: int = 2, norm: str = "batch") -> None:
        layers: list[nn.Module] = []
        for a in (channels_in, width):
            own = _BATCH[dims](width) if norm == "batch" else nn.GroupNorm(_GROUPS, width)
            layers += [_CONV[dims](a, width, 3, padding=1, bias=False), own, nn.ReLU()]
        super().__init__(*layers)


class UNet(nn.Module):
    """Logits of every class at every position of images, volumes or sequences of any size.

    Inputs whose sides aren't multiples of 2^(scales - 1) are padded inside by their edges, and the outputs cut back.

    Args:
        in_channels: of the input.
        classes: channels of the output.
        widths: channels at each scale, the finest first; two scales or more, multiples of 4 with "group".
        dims: spatial dimensions, 1 to 3.
        norm: "batch", or "group" of 4, whose outputs don't depend on the batch that is trained on.

    Raises:
        InputError: numbers out of range, or another norm.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 2,
        widths: Sequence[int] = (16, 32, 64, 128),
        dims: int = 2,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        require_whole(1, in_channels=in_channels, classes=classes, **{f"widths[{i}]": w for i, w in enumerate(widths)})
        if len(widths) < 2:
            raise InputError("widths", given=list(widths), expected="one a scale, two or more")
        if dims not in _CONV:
            raise InputError("dims", given=dims, expected="1, 2 or 3")
        if norm not in ("batch", "group"):
            raise InputError("norm", given=repr(norm), expected='"batch" or "group"')
        if norm == "group" and any(w % _GROUPS for w in widths):
            raise InputError("widths", given=list(widths), expected=f"multiples of {_GROUPS}, with norm 'group'")
        self.in_channels, self.dims, self.multiple = in_channels, dims, 2 ** (len(widths) - 1)
        ins = (in_channels, *widths[:-1])
        self.encoder = nn.ModuleList(DoubleConv(a, b, dims, norm) for a, b in zip(ins, widths))
        self.pool = _POOL[dims](2)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.decoder = nn.ModuleList(
            DoubleConv(below + width, width, dims, norm) for below, width in zip(widths[:0:-1], widths[-2::-1])
        )
        self.head = _CONV[dims](widths[0], classes, 1)

    def forward(self, x: Float[Tensor, "n c *positions"]) -> Float[Tensor, "n classes *positions"]:
        """Logits at every position.

        Args:
            x: (N, in_channels, *positions).

        Raises:
            InputError: other dimensions, channels or numbers.
        """
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels or not x.is_floating_point():
            expected = f"floats of shape (N, {self.in_channels}{', side' * self.dims})"
            raise InputError("inputs", given=f"{x.dtype} of shape {tuple(x.shape)}", expected=expected)
        sides = x.shape[2:]
        x = self._padded(x)
        across: list[Tensor] = []
        for scale in self.encoder[:-1]:
            across.append(scale(x))
            x = self.pool(across[-1])
        x = self.encoder[-1](x)
        for scale, fine in zip(self.decoder, reversed(across)):
            x = scale(torch.cat([self.up(x), fine], 1))
        out: Tensor = self.head(x)
        for dim, side in enumerate(sides, 2):
            out = out.narrow(dim, 0, side)
        return out

    def _padded(self, x: Tensor) -> Tensor:
        more = [-side % self.multiple for side in x.shape[2:]]
        if not any(more):
            return x
        return F.pad(x, [end for side in reversed(more) for end in (0, side)], mode="replicate")
