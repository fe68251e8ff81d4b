"""Which pixels an object owns: those inside its box, level or turned, that no earlier box of its image covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError


@dataclass(frozen=True)
class Regions:
    """Pixels of objects, a row an object, filled up to the longest.

    Attributes:
        image: the image of each object.
        index: of each pixel within its image's (channels, height, width).
        valid: which entries of `index` are pixels, and not filling.
        boxes: level boxes around the objects, cut at the image's edge.
        size: numbers in an image.
    """

    image: Int64[Tensor, " k"]
    index: Int64[Tensor, "k longest"]
    valid: Bool[Tensor, "k longest"]
    boxes: Float[Tensor, "k 4"]
    size: int

    def __len__(self) -> int:
        return len(self.image)

    @property
    def flat(self) -> Int64[Tensor, "k longest"]:
        """Places within all images, one after the other."""
        return self.image[:, None] * self.size + self.index

    def values(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "k longest"]:
        """What stands at the pixels; 0 in the filling.

        Args:
            images: of the size that the regions were made for.
        """
        return torch.where(self.valid, images.reshape(-1)[self.flat], 0.0)

    def spread(self, values: Float[Tensor, "k longest"], like: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Images with these values at the pixels and 0 elsewhere, differentiable.

        Args:
            values: of the pixels.
            like: of the images' shape.
        """
        flat = like.new_zeros(like.numel())
        return flat.index_put((self.flat[self.valid],), values[self.valid].to(flat)).view_as(like)

    def of(self, rows: Int64[Tensor, " m"], n: int) -> tuple[Regions, Bool[Tensor, " k"]]:
        """The objects of some images, which are then numbered in the order of `rows`; and which these were.

        Args:
            rows: images.
            n: images before.
        """
        place = torch.full((n,), -1, device=self.image.device)
        place[rows] = torch.arange(len(rows), device=place.device)
        kept = place[self.image] >= 0
        part = replace(
            self,
            image=place[self.image[kept]],
            index=self.index[kept],
            valid=self.valid[kept],
            boxes=self.boxes[kept],
        )
        return part, kept


Boxes = Sequence[Tensor] | Sequence[Detections]


def box_rows(boxes: Boxes, n: int) -> list[Tensor]:
    """(k, 4) corners or (k, 5) centre, size and angle of each image.

    Args:
        boxes: tensors, or detections.
        n: images.

    Raises:
        InputError: another number of images, other shapes, NaN, boxes turned round or without an extent.
    """
    if isinstance(boxes, Tensor | str) or not isinstance(boxes, Sequence):
        raise InputError("boxes", given=type(boxes).__name__, expected="a list, one tensor (k, 4) or (k, 5) an image")
    if len(boxes) != n:
        raise InputError("boxes", given=f"those of {len(boxes)} images", expected=f"of {n}")
    rows = []
    for i, found in enumerate(boxes):
        one = found.boxes if isinstance(found, Detections) else found
        if not isinstance(one, Tensor) or one.ndim != 2 or one.shape[1] not in (4, 5) or one.is_complex():
            given = f"shape {tuple(one.shape)}" if isinstance(one, Tensor) else type(one).__name__
            raise InputError(f"boxes of image {i}", given=given, expected="(k, 4) corners, or (k, 5) turned boxes")
        one = one.to(torch.float64)
        extent = one[:, 2:4] - one[:, :2] if one.shape[1] == 4 else one[:, 2:4]
        if not bool(torch.isfinite(one).all()) or bool((extent < 0).any()):
            hint = "corners are x1, y1, x2, y2; turned boxes x, y, length, width, radians"
            raise InputError(f"boxes of image {i}", given="NaN, or turned round", expected="finite extents", hint=hint)
        rows.append(one)
    return rows


def regions_of(boxes: Sequence[Tensor], channels: int, height: int, width: int, device: torch.device) -> Regions:
    """The pixels whose centre lies in each box.

    Args:
        boxes: as `box_rows` gives them.
        channels: numbers a pixel has, all of which it owns.
        height: of the images.
        width: of the images.
        device: where they are wanted.
    """
    image = torch.tensor([i for i, rows in enumerate(boxes) for _ in rows], dtype=torch.long, device=device)
    rank = torch.tensor([r for rows in boxes for r in range(len(rows))], dtype=torch.long, device=device)
    turned = turned_boxes(boxes).to(device, torch.float64)
    x = (torch.arange(width, device=device, dtype=torch.float64) + 0.5).view(1, 1, -1)
    y = (torch.arange(height, device=device, dtype=torch.float64) + 0.5).view(1, -1, 1)
    cx, cy, a, b, angle = (t.view(-1, 1, 1) for t in turned.unbind(1))
    along, across = (x - cx) * angle.cos() + (y - cy) * angle.sin(), (y - cy) * angle.cos() - (x - cx) * angle.sin()
    inside = (along.abs() <= a / 2) & (across.abs() <= b / 2)
    taken = torch.zeros(len(boxes), height, width, dtype=torch.bool, device=device)
    for r in range(int(rank.max()) + 1 if len(rank) else 0):  # the first box that covers a pixel has it
        now = rank == r
        inside[now] &= ~taken[image[now]]
        taken[image[now]] |= inside[now]
    own = inside.flatten(1)
    counts = own.sum(1)
    longest = max(1, int(counts.max())) if len(counts) else 1
    index = torch.zeros(len(image), longest, dtype=torch.long, device=device)
    valid = torch.arange(longest, device=device) < counts[:, None]
    index[valid] = own.nonzero()[:, 1]
    area = height * width
    index = torch.cat([index + c * area for c in range(channels)], 1)
    return Regions(image, index, valid.repeat(1, channels), _level(turned, height, width), channels * area)


def level_boxes(boxes: Sequence[Tensor], height: int, width: int) -> Float[Tensor, "k 4"]:
    """Level boxes around all objects in a row, cut at the image's edge.

    Args:
        boxes: as `box_rows` gives them.
        height: of the images.
        width: of the images.
    """
    return _level(turned_boxes(boxes), height, width)


def turned_boxes(boxes: Sequence[Tensor]) -> Float[Tensor, "k 5"]:
    """All objects in a row, as centre, length, width and angle.

    Args:
        boxes: as `box_rows` gives them.
    """
    return torch.cat([_turned(rows) for rows in boxes])


def _turned(boxes: Tensor) -> Tensor:
    if boxes.shape[1] == 5:
        return boxes
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return torch.cat([centre, size, boxes.new_zeros(len(boxes), 1)], 1)


def _level(turned: Tensor, height: int, width: int) -> Tensor:
    """The level boxes around turned ones, cut at the edge."""
    cos, sin = turned[:, 4].cos().abs(), turned[:, 4].sin().abs()
    half = torch.stack([turned[:, 2] * cos + turned[:, 3] * sin, turned[:, 2] * sin + turned[:, 3] * cos], 1) / 2
    limit = turned.new_tensor([width, height])
    return torch.cat([(turned[:, :2] - half).clamp_min(0).minimum(limit), (turned[:, :2] + half).minimum(limit)], 1)
