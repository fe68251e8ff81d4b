"""Road scenes of five classes, drawn by a seed, and the small network that segments them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.randomness import generator, local_rng
from deepwright.core.tasks import Segmentation

ROAD, SKY, VEHICLE, LANE, VEGETATION = range(5)
TASK = Segmentation(5, ("road", "sky", "vehicle", "lane marking", "vegetation"))
SIZE = (48, 96)
_COLOURS = ((0.35, 0.35, 0.37), (0.6, 0.72, 0.85), (0.3, 0.2, 0.25), (0.85, 0.85, 0.8), (0.25, 0.42, 0.2))


def road_scenes(n: int, seed: int, size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor]:
    """A road to a vanishing point between vegetation and sky, a dashed lane, one to three vehicles.

    Args:
        n: how many.
        seed: of all of them.
        size: height and width.

    Returns:
        images (n, 3, height, width) in [0, 1] and labels (n, height, width).
    """
    rng = generator(seed, "road scenes")
    pairs = [_scene(rng, *size) for _ in range(n)]
    return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])


def _scene(rng: torch.Generator, height: int, width: int) -> tuple[Tensor, Tensor]:
    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=rng)

    across, down = width / 96, height / 48
    rows, columns = torch.arange(height).float()[:, None], torch.arange(width).float()[None, :]
    horizon = float(uniform(14, 22)) * down
    labels = torch.where(rows < horizon, SKY, VEGETATION).expand(height, width).clone()
    vanishing, bottom = float(uniform(30, 66)) * across, float(uniform(25, 70)) * across
    broad, curve = float(uniform(55, 95)) * across, float(uniform(-0.02, 0.02))
    t = ((rows - horizon) / (height - horizon)).clamp_min(0)
    centre = vanishing + (bottom - vanishing) * t + curve * (height - rows).square() * t
    below = rows >= horizon
    labels[((columns - centre).abs() < broad / 2 * t + 1) & below] = ROAD
    dashes = (torch.sin(25 * t.sqrt()) > 0) & below
    labels[((columns - centre).abs() < 0.6 + 2 * t) & dashes] = LANE
    for _ in range(int(torch.randint(1, 4, (), generator=rng))):
        depth = float(uniform(0.25, 0.95))
        side = 3 + 9 * depth
        y = horizon + depth * (height - horizon)
        at = vanishing + (bottom - vanishing) * depth + curve * (height - y) ** 2 * depth
        x = at + float(uniform(-0.35, 0.35)) * broad * depth
        car = ((columns - x).abs() < side * 0.6) & (rows <= y) & (rows > y - side * 0.8)
        labels[car] = VEHICLE
    colours = torch.tensor(_COLOURS) + uniform(-0.1, 0.1, 5, 3)
    colours[VEHICLE] += uniform(-0.2, 0.3, 3)
    image = colours[labels].permute(2, 0, 1)
    field = torch.randn(1, 3, -(-height // 4), -(-width // 4), generator=rng) * 0.05
    image = image + F.interpolate(field, size=(height, width), mode="bilinear", align_corners=False)[0]
    image = image + 0.03 * torch.randn(3, height, width, generator=rng)
    return (image * float(uniform(0.75, 1.15))).clamp(0, 1), labels


class _Block(nn.Module):
    """Two 3x3 convolutions, the first of stride 2, and a shortcut.

    Args:
        before: channels that come in.
        width: channels that go out.
    """

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.short, self.bn3 = nn.Conv2d(before, width, 1, 2, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.bn3(self.short(x)))


class SceneNet(nn.Module):
    """A stem to 12 channels, residual blocks of 12, 24 and 36, and 1x1 heads on all three, added coarse to fine."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, 1, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.layer1, self.layer2, self.layer3 = _Block(12, 12), _Block(12, 24), _Block(24, 36)
        self.heads = nn.ModuleList(nn.Conv2d(width, 5, 1) for width in (12, 24, 36))

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 5 h w"]:
        """Logits at every pixel.

        Args:
            x: images.
        """
        fine = self.layer1(self.stem((x - 0.5) / 0.25))
        middle = self.layer2(fine)
        out = self.heads[2](self.layer3(middle))
        for head, maps in ((self.heads[1], middle), (self.heads[0], fine)):
            out = _to(out, maps.shape[2:]) + head(maps)
        return _to(out, x.shape[2:])


def _to(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def scene_network(seed: int, x: Tensor, y: Tensor, epochs: int = 12) -> nn.Module:
    """Trained by AdamW, one cycle to 3e-3, batches of 8.

    Args:
        seed: of the weights and the order.
        x: images.
        y: labels.
        epochs: passes over them.
    """
    with local_rng(seed):
        model = SceneNet()
    fit(
        model,
        (x, y),
        epochs=epochs,
        batch_size=8,
        optimizer=adamw(3e-3),
        scheduler=one_cycle(3e-3),
        seed=seed,
        description="road scenes",
    )
    return model.eval()
