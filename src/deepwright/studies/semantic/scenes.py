"""Road scenes that are drawn, with label maps, and the network that reads them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.randomness import derive_seed, generator, local_rng
from deepwright.nets import BasicBlock

CLASSES = ("road", "sky", "vehicle", "lane marking", "vegetation")
HEIGHT, WIDTH = 48, 96
_COLOURS = ((0.35, 0.35, 0.37), (0.6, 0.72, 0.85), (0.3, 0.2, 0.25), (0.85, 0.85, 0.8), (0.25, 0.42, 0.2))
_VEHICLES = 3


def road_scenes(n: int, seed: int) -> tuple[Float[Tensor, "n 3 h w"], Int[Tensor, "n h w"]]:
    """Pictures of 48 x 96 in [0, 1] and their label maps: a road to its vanishing point, dashes, up to three vehicles.

    Args:
        n: how many.
        seed: of all draws.
    """
    rng = generator(seed, "road scenes")

    def drawn(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=rng)

    y, x = torch.arange(HEIGHT).float()[:, None], torch.arange(WIDTH).float()[None]
    horizon = drawn(14, 22, 1, 1).round()
    t = (y - horizon) / (HEIGHT - horizon)
    below = t >= 0
    far, near, wide, bend = drawn(30, 66, 1, 1), drawn(25, 70, 1, 1), drawn(55, 95, 1, 1), drawn(-0.02, 0.02, 1, 1)
    centre = far + (near - far) * t + bend * (HEIGHT - y).square() * t
    labels = torch.where(below.expand(-1, HEIGHT, WIDTH), 4, 1)
    labels = torch.where(below & ((x - centre).abs() < wide / 2 * t + 1), 0, labels)
    dash = (6 / (t.clamp_min(0.05)) + 8 * drawn(0, 1, 1, 1)).remainder(4) < 2.2
    labels = torch.where(below & dash & ((x - centre).abs() < 0.6 + 2 * t), 3, labels)
    count = torch.randint(1, _VEHICLES + 1, (n,), generator=rng)
    lift = torch.zeros(n, HEIGHT, WIDTH)
    for number in range(_VEHICLES):
        depth, aside, bright = drawn(0.25, 0.95, 1, 1), drawn(-0.35, 0.35, 1, 1), drawn(-0.2, 0.3, 1, 1)
        bottom, side = horizon + (HEIGHT - horizon) * depth, 3 + 9 * depth
        at = far + (near - far) * depth + bend * (HEIGHT - bottom).square() * depth + aside * wide * depth
        inside = (y <= bottom) & (y > bottom - side) & ((x - at).abs() < 0.6 * side)
        inside &= (number < count)[:, None, None]
        labels, lift = torch.where(inside, 2, labels), torch.where(inside, bright, lift)
    colours = torch.tensor(_COLOURS) + drawn(-0.1, 0.1, len(CLASSES), 3)
    flat = colours.gather(1, labels.flatten(1)[..., None].expand(-1, -1, 3))
    pictures = flat.mT.contiguous().view(n, 3, HEIGHT, WIDTH)
    coarse = torch.randn(n, 1, HEIGHT // 4, WIDTH // 4, generator=rng) * 0.05
    field = F.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)
    pictures = (pictures + lift[:, None] + field) * drawn(0.75, 1.15, 1, 1, 1)
    pictures += 0.03 * torch.randn(n, 3, HEIGHT, WIDTH, generator=rng)
    return (pictures.clamp(0, 1) * 255).round() / 255, labels


class SceneNet(nn.Module):
    """A stem, three residual blocks that halve, and a 1 x 1 head on each, added from coarse to fine."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.layer1, self.layer2, self.layer3 = BasicBlock(12, 12, 2), BasicBlock(12, 24, 2), BasicBlock(24, 36, 2)
        self.heads = nn.ModuleList(nn.Conv2d(c, len(CLASSES), 1) for c in (12, 24, 36))

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes h w"]:
        """Logits at every position.

        Args:
            x: pictures in [0, 1].
        """
        maps = [self.layer1(self.stem(x))]
        maps.append(self.layer2(maps[-1]))
        maps.append(self.layer3(maps[-1]))
        out = self.heads[2](maps[2])
        for head, features in ((self.heads[1], maps[1]), (self.heads[0], maps[0])):
            out = F.interpolate(out, features.shape[2:], mode="bilinear", align_corners=False) + head(features)
        return F.interpolate(out, x.shape[2:], mode="bilinear", align_corners=False)


def trained(x: Tensor, y: Tensor, seed: int, epochs: int) -> nn.Module:
    """AdamW with one cycle to 3e-3, in batches of 8.

    Args:
        x: pictures.
        y: label maps.
        seed: of weights and order.
        epochs: of training.
    """
    with local_rng(derive_seed("weights", seed=seed)):
        network = SceneNet()
    fit(
        network,
        (x, y),
        epochs=epochs,
        batch_size=8,
        optimizer=adamw(3e-3),
        scheduler=one_cycle(3e-3),
        seed=seed,
        description="train",
    )
    return network.eval()
