"""The two networks of a CycleGAN: a residual generator and a discriminator of patches."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Generator(nn.Module):
    """7 x 7 convolution, two down, residual blocks, two up; pictures in [0, 1] of any size.

    Args:
        width: channels of the first layer.
        blocks: residual ones.
    """

    def __init__(self, width: int = 64, blocks: int = 6) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), *_normed(nn.Conv2d(3, width, 7))]
        for k in (1, 2):
            layers += _normed(nn.Conv2d(k * width, 2 * k * width, 3, 2, 1))
        layers += [_Residual(4 * width) for _ in range(blocks)]
        for k in (2, 1):
            layers += _normed(nn.ConvTranspose2d(2 * k * width, k * width, 3, 2, 1, output_padding=1))
        self.layers = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())
        self.apply(_small)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """The pictures in the other domain.

        Args:
            x: in [0, 1].
        """
        h, w = x.shape[-2:]
        padded = F.pad(x * 2 - 1, (0, -w % 4, 0, -h % 4), mode="reflect")
        out: Tensor = (self.layers(padded)[..., :h, :w] + 1) / 2
        return out


class PatchDiscriminator(nn.Module):
    """Scores of overlapping patches of 70 x 70 pixels, larger for the real domain.

    Args:
        width: channels of the first layer.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for before, after, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            layers += [nn.Conv2d(before * width, after * width, 4, stride, 1), nn.InstanceNorm2d(after * width)]
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))
        self.apply(_small)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1 a b"]:
        """A score of each patch.

        Args:
            x: in [0, 1].
        """
        out: Tensor = self.layers(x * 2 - 1)
        return out


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(width, width, 3) for _ in range(2))
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1), *_normed(first), nn.ReflectionPad2d(1), second, nn.InstanceNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


def _normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU()]


def _small(module: nn.Module) -> None:
    """Weights as the authors draw them."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
