"""Patches pasted into images: where, how large, how turned and how bright, and which pixels they cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_number, require_within


@dataclass(frozen=True)
class Placement:
    """Where patches may lie, and what may happen to them: drawn anew for each image and step.

    Args:
        where: "anywhere", "objects" (on each true box), or (x, y) of the centre as shares of the image's sides.
        size: side of the patch over the image's shorter side, or over a box's longer side on objects.
        scale: ends of a factor of the size.
        turn: largest angle in degrees, either way.
        gain: ends of the brightness factor.
        lift: largest brightness that is added or taken away.
        shape: "square" or "disc".

    Raises:
        InputError: sizes that aren't above 0, ends that are turned round, unknown words.
    """

    where: str | tuple[float, float] = "anywhere"
    size: float = 0.3
    scale: tuple[float, float] = (0.8, 1.25)
    turn: float = 20.0
    gain: tuple[float, float] = (0.8, 1.2)
    lift: float = 0.1
    shape: str = "square"

    def __post_init__(self) -> None:
        if self.where not in ("anywhere", "objects"):
            if not isinstance(self.where, tuple) or len(self.where) != 2:
                raise InputError("where", given=repr(self.where), expected="'anywhere', 'objects' or (x, y)")
            require_within(0, 1, x=self.where[0], y=self.where[1])
        require_within(0, 2, ends="(]", size=self.size)
        require_within(0, 180, turn=self.turn)
        require_number(0, lift=self.lift)
        for name, ends in (("scale", self.scale), ("gain", self.gain)):
            if not isinstance(ends, tuple) or len(ends) != 2 or not 0 < ends[0] <= ends[1] < float("inf"):
                raise InputError(name, given=repr(ends), expected="(low, high) with 0 < low <= high")
        if self.shape not in ("square", "disc"):
            raise InputError("shape", given=repr(self.shape), expected="'square' or 'disc'")

    def still(self) -> Placement:
        """The same place, with nothing else drawn."""
        return Placement(self.where, self.size, (1.0, 1.0), 0.0, (1.0, 1.0), 0.0, self.shape)

    def draw(
        self,
        seed: int,
        ids: Int64[Tensor, " n"],
        step: int,
        size: tuple[int, int],
        objects: Sequence[Detections] | None,
        device: torch.device,
    ) -> Places:
        """Patches of a step.

        Args:
            seed: of the draws.
            ids: identity of each image.
            step: its number.
            size: height and width of the images.
            objects: true boxes of each image, for patches on objects.
            device: where the images are.

        Raises:
            InputError: patches on objects without boxes.
        """
        n, (height, width) = len(ids), size
        if self.where != "objects":
            u = Streams(seed, ids, "patch placement", step, device).uniform(7)
            side = self.size * min(size) * self._between(self.scale, u[:, 0])
            reach = side / 2 * 2**0.5 if self.turn else side / 2
            if self.where == "anywhere":
                room = u.new_tensor([width, height]) - 2 * reach[:, None]
                centre = torch.where(room > 0, reach[:, None] + u[:, 1:3] * room, u.new_tensor([width, height]) / 2)
            else:
                share_x, share_y = (float(share) for share in self.where)
                centre = u.new_tensor([share_x * width, share_y * height]).expand(n, 2)
            return self._places(
                torch.arange(n, device=device), torch.zeros(n, dtype=torch.long), centre, side, u[:, 3:]
            )
        if objects is None:
            raise InputError("where", given="'objects' without boxes", expected="targets that are boxes")
        image = torch.tensor([i for i, t in enumerate(objects) for _ in range(len(t))], dtype=torch.long, device=device)
        rank = torch.tensor([r for t in objects for r in range(len(t))], dtype=torch.long)
        most = int(rank.max()) + 1 if len(rank) else 1
        u = Streams(seed, ids, "patch placement", step, device).uniform(most, 7)[image, rank.to(device)]
        boxes = torch.cat([t.boxes.to(device, torch.float32) for t in objects]) if len(objects) else u.new_zeros(0, 4)
        longer = (boxes[:, 2:] - boxes[:, :2]).amax(1) if len(boxes) else boxes.new_zeros(0)
        side = self.size * longer * self._between(self.scale, u[:, 0])
        return self._places(image, rank, (boxes[:, :2] + boxes[:, 2:]) / 2, side.clamp_min(1.0), u[:, 3:])

    def _places(self, image: Tensor, rank: Tensor, centre: Tensor, side: Tensor, u: Tensor) -> Places:
        angle = (2 * u[:, 0] - 1) * self.turn * torch.pi / 180
        gain, lift = self._between(self.gain, u[:, 1]), (2 * u[:, 2] - 1) * self.lift
        return Places(image, rank, centre, side, angle, gain, lift, self.shape == "disc")

    @staticmethod
    def _between(ends: tuple[float, float], u: Tensor) -> Tensor:
        return ends[0] + (ends[1] - ends[0]) * u


@dataclass(frozen=True)
class Places:
    """Patches in images, a row each.

    Attributes:
        image: the image of each.
        rank: its number within the image: later ones cover earlier ones.
        centre: x and y in pixels.
        side: in pixels.
        angle: in radians.
        gain: factor of its brightness.
        lift: what is added to it.
        disc: whether it is round.
    """

    image: Int64[Tensor, " k"]
    rank: Int64[Tensor, " k"]
    centre: Float[Tensor, "k 2"]
    side: Float[Tensor, " k"]
    angle: Float[Tensor, " k"]
    gain: Float[Tensor, " k"]
    lift: Float[Tensor, " k"]
    disc: bool


def pasted(
    images: Float[Tensor, "n c h w"], patch: Float[Tensor, "m c p q"], places: Places, bounds: tuple[float, float]
) -> tuple[Float[Tensor, "n c h w"], Bool[Tensor, "n h w"]]:
    """Images with patches, differentiable in the patches, and which pixels they cover.

    Args:
        images: within bounds.
        patch: one for all images, or one an image.
        places: where.
        bounds: of pixels.
    """
    n, _, height, width = images.shape
    covered = torch.zeros(n, height, width, dtype=torch.bool, device=images.device)
    out = images
    for r in range(int(places.rank.max()) + 1 if len(places.rank) else 0):
        now = (places.rank == r).nonzero().flatten().to(images.device)
        rows = places.image[now]
        u, v = _coordinates(places, now, height, width, images)
        inside = u.square() + v.square() <= 1 if places.disc else (u.abs() <= 1) & (v.abs() <= 1)
        mine = patch.expand(n, -1, -1, -1)[rows] if len(patch) == 1 else patch[rows]
        shown = F.grid_sample(
            mine.to(images), torch.stack([u, v], -1), mode="bilinear", padding_mode="border", align_corners=False
        )
        gain, lift = (t[now].to(images).view(-1, 1, 1, 1) for t in (places.gain, places.lift))
        low, high = bounds
        shown = ((shown - low) * gain + low + lift * (high - low)).clamp(low, high)
        mask = torch.zeros_like(covered)
        mask[rows] = inside
        whole = torch.zeros_like(images).index_copy(0, rows, shown)
        out = torch.where(mask[:, None], whole, out)
        covered |= mask
    return out, covered


def _coordinates(places: Places, now: Tensor, height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Of each pixel in its patch, -1 to 1 from side to side."""
    x = (torch.arange(width, device=like.device) + 0.5).view(1, 1, -1)
    y = (torch.arange(height, device=like.device) + 0.5).view(1, -1, 1)
    centre, half, angle = places.centre[now], places.side[now] / 2, places.angle[now]
    dx, dy = x - centre[:, 0].view(-1, 1, 1), y - centre[:, 1].view(-1, 1, 1)
    cos, sin, half = (t.view(-1, 1, 1) for t in (angle.cos(), angle.sin(), half))
    return ((dx * cos + dy * sin) / half).to(like), ((dy * cos - dx * sin) / half).to(like)


def total_variation(patch: Float[Tensor, "m c p q"]) -> Float[Tensor, " m"]:
    """Mean absolute difference of neighbours, down and across.

    Args:
        patch: patches.
    """
    down, across = patch.diff(dim=2).abs().flatten(1), patch.diff(dim=3).abs().flatten(1)
    return down.mean(1) + across.mean(1)


def unprintable(patch: Float[Tensor, "m c p q"], colours: Float[Tensor, "k c"]) -> Float[Tensor, " m"]:
    """Mean distance of pixels from the nearest colour that a printer has.

    Args:
        patch: patches.
        colours: those of the printer.
    """
    pixels = patch.flatten(2).transpose(1, 2)
    apart = (pixels[:, :, None] - colours.to(patch)).square().sum(-1)
    return (apart.amin(2) + 1e-12).sqrt().mean(1)


def usual_colours(channels: int, bounds: tuple[float, float] = (0.0, 1.0)) -> Float[Tensor, "k c"]:
    """A coarse gamut that no common printer lacks: three levels a channel, or nine greys, off the ends of the range.

    Args:
        channels: of the images.
        bounds: of pixels.
    """
    low, span = bounds[0], bounds[1] - bounds[0]
    levels = torch.linspace(0.1, 0.9, 9 if channels == 1 else 3)
    grid = torch.cartesian_prod(*[levels] * channels) if channels <= 4 else levels[:, None].expand(-1, channels)
    return low + span * grid.reshape(len(grid), -1)
