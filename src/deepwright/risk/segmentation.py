"""What a segmentation's errors look like: how well its borders lie, and which pixels stand for all of them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_positive, require_whole

_BLOCK = 4_000_000  # positions that are ranked at once


def boundary_f1(
    called: Int64[Tensor, "n h w"],
    truth: Int64[Tensor, "n h w"],
    classes: int,
    *,
    tolerance: float = 0.0075,
    ignore_index: int | None = None,
) -> Float[Tensor, " classes"]:
    """F1 of each class's border pixels over all images: those within a tolerance of the other border are found.

    A pixel of a class is on its border where one of its four neighbours is of another class. Pixels that don't count
    belong to no border and to no class.

    Args:
        called: (N, H, W) predicted classes.
        truth: (N, H, W) true classes.
        classes: how many.
        tolerance: as a share of the image's diagonal, one pixel at least; distances are Euclidean.
        ignore_index: the label of pixels that don't count.

    Returns:
        (classes,) NaN for a class that has no border in either.

    Raises:
        InputError: other shapes.

    Source: "What is a good evaluation measure for semantic segmentation?", BMVC 2013.
    """
    if called.ndim != 3 or called.shape != truth.shape:
        given = f"{tuple(called.shape)} and {tuple(truth.shape)}"
        raise InputError("label maps", given=given, expected="(N, height, width) twice")
    require_whole(1, classes=classes)
    require_positive(tolerance=tolerance)
    h, w = truth.shape[1:]
    radius = max(1, round(tolerance * (h * h + w * w) ** 0.5))
    near = torch.arange(-radius, radius + 1, device=truth.device)
    disc = ((near[:, None] ** 2 + near**2) <= radius**2).float()[None, None]
    counts = torch.ones_like(truth, dtype=torch.bool) if ignore_index is None else truth != ignore_index
    values = []
    for k in range(classes):
        here, there = ((labels == k) & counts for labels in (called, truth))
        used = (here | there).flatten(1).any(1)  # pictures without the class say nothing about its border
        a, b = _border(here[used], counts[used]), _border(there[used], counts[used])
        found_a, found_b = (a & _grown(b, disc)).sum(), (b & _grown(a, disc)).sum()
        precision, recall = found_a / a.sum(), found_b / b.sum()
        both = 2 * precision * recall / (precision + recall)
        values.append(torch.where((a.sum() + b.sum()) > 0, both.nan_to_num(0.0), torch.nan))
    return torch.stack(values).double()


def _border(mask: Tensor, counts: Tensor) -> Tensor:
    """Pixels of a mask with a neighbour that counts and is outside of it."""
    outside = F.pad((~mask & counts).float()[:, None], (1, 1, 1, 1))
    beside = outside[..., 1:-1, :-2] + outside[..., 1:-1, 2:] + outside[..., :-2, 1:-1] + outside[..., 2:, 1:-1]
    return mask & (beside[:, 0] > 0)


def _grown(border: Tensor, disc: Tensor) -> Tensor:
    """Pixels within the disc of a border pixel."""
    if len(border) == 0:
        return border
    return F.conv2d(border.float()[:, None], disc, padding=disc.shape[-1] // 2)[:, 0] > 0.5


def drawn_pixels(
    truth: Int64[Tensor, "n ..."], most: int, seed: int = 0, *, ignore_index: int | None = None
) -> tuple[Int64[Tensor, " m"], Int64[Tensor, " m"]]:
    """At most so many positions of each image, drawn at random from those that count.

    Args:
        truth: (N, ...) labels.
        most: of each image.
        seed: of the draws; an image's positions don't hang on the batch that it comes in.
        ignore_index: the label of positions that don't count.

    Returns:
        The image of each position, and the position in the flattened map, ordered by image.
    """
    require_whole(1, most=most)
    flat = truth.flatten(1)
    images, places = [], []
    for rows in torch.arange(len(flat)).split(max(1, _BLOCK // max(1, flat.shape[1]))):
        rank = Streams(seed, rows, "pixels", device=flat.device).uniform(flat.shape[1])
        if ignore_index is not None:
            rank = rank.masked_fill(flat[rows.to(flat.device)] == ignore_index, 2.0)
        order = rank.topk(min(most, flat.shape[1]), dim=1, largest=False)
        there = order.values < 2
        images.append(rows.to(flat.device)[:, None].expand_as(there)[there])
        places.append(order.indices[there])
    return torch.cat(images), torch.cat(places)
