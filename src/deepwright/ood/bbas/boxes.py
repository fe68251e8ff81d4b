"""Boxes around a class's activations, and how far others are outside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

# Exceedances below this many deviations are rounding: re-extraction at another batch size moves activations by 1e-6.
ATOL = 1e-5
# The least width of a box that distances are measured in, in deviations.
NARROWEST = 1e-3


@dataclass(frozen=True)
class Exceedance:
    """One variable outside a box: by how many deviations, on which side, and which class's box it was compared with."""

    layer: str
    statistic: str
    channel: int
    deviations: float
    side: str
    compared_class: int
    box: int


def sides(members: Float[Tensor, "n m"], quantile: float = 0.0) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """The lower and upper sides of the box of some samples.

    Args:
        members: (n, M) their variables.
        quantile: 0 for minimum and maximum, else this quantile and its complement.
    """
    if quantile == 0:
        low, high = torch.aminmax(members, dim=0)
        return low, high
    return torch.quantile(members, quantile, dim=0), torch.quantile(members, 1 - quantile, dim=0)


def left_out(
    members: Float[Tensor, "n m"], margin: float = 0.0, deviations: Float[Tensor, " m"] | None = None
) -> Float[Tensor, " m"]:
    """By how much members lie outside the box of the others, summed over the members: only an extreme one can.

    Args:
        members: (n, M) their variables.
        margin: by which a box is enlarged, as a share of its width.
        deviations: where given, it is counted in widths of the others' box, of at least `NARROWEST` of these.
    """
    if len(members) < 2:
        return torch.zeros_like(members[0])
    high, low = members.topk(2, dim=0).values, members.topk(2, dim=0, largest=False).values
    total = torch.zeros_like(high[0])
    for width, gap in ((high[1] - low[0], high[0] - high[1]), (high[0] - low[1], low[1] - low[0])):
        outside = (gap - margin * width).clamp_min(0)
        total += outside if deviations is None else outside / (width * (1 + 2 * margin)).maximum(NARROWEST * deviations)
    return total


def box_values(
    layers: Sequence[Float[Tensor, "n _"]],
    low: Float[Tensor, "boxes m"],
    high: Float[Tensor, "boxes m"],
    scale: Float[Tensor, " m"],
    factors: Float[Tensor, "boxes m"],
    owner: list[int],
    needed: Bool[Tensor, "n classes"],
    *,
    count: bool,
) -> Float[Tensor, "n boxes"]:
    """The weighted exceedance of every sample against every box; 0 where its class isn't needed.

    Samples of one class go together, in blocks that stay in the cache; there is never an (N, boxes, M) tensor, nor any
    other copy of all the variables.

    Args:
        layers: (N, width) variables of each layer, M of them in all.
        low: (boxes, M) lower sides, in deviations.
        high: (boxes, M) upper sides, in deviations.
        scale: (M,) deviations.
        factors: (boxes, M) what a unit of exceedance counts.
        owner: the class of each box.
        needed: (N, classes) which classes' boxes each sample is compared with.
        count: 1 for each variable outside, instead of how far it is outside.
    """
    out = torch.zeros(len(needed), len(owner), device=needed.device)
    boxes = {k: [b for b, of in enumerate(owner) if of == k] for k in dict.fromkeys(owner)}
    block = max(16, 65536 // len(scale)) if needed.device.type == "cpu" else 4096
    for rows in needed.int().argmax(1).argsort(stable=True).split(block):
        z = torch.cat([values[rows].float() for values in layers], 1).div_(scale)
        asked = needed[rows]
        for k, own in boxes.items():
            inside = asked[:, k].nonzero().flatten()
            if len(inside) == 0:
                continue
            part = z if len(inside) == len(z) else z[inside]
            for b in own:
                outside = part.clamp(low[b], high[b]).sub_(part).abs_()
                value = ((outside > ATOL).float() if count else F.threshold(outside, ATOL, 0.0)) @ factors[b]
                out[rows[inside], b] = value
    return out


def every_box(
    variables: Float[Tensor, "n m"],
    scale: Float[Tensor, " m"],
    low: Float[Tensor, "boxes m"],
    high: Float[Tensor, "boxes m"],
    factors: Float[Tensor, "boxes m"],
    *,
    count: bool,
) -> Float[Tensor, "n boxes"]:
    """`box_values` of every sample and box in tensor operations alone, for `torch.export`.

    Boxes go in blocks of about 65,536 numbers a sample: one each would make a graph of tens of thousands of nodes, all
    at once would need an (N, boxes, M) tensor.

    Args:
        variables: (N, M).
        scale: (M,) deviations.
        low: see `box_values`.
        high: see `box_values`.
        factors: see `box_values`.
        count: see `box_values`.
    """
    z, block = (variables / scale)[:, None], max(1, 65_536 // variables.shape[1])
    parts = []
    for lower, upper, factor in zip(low.split(block), high.split(block), factors.split(block)):
        outside = (z.clamp(lower, upper) - z).abs()
        beyond = (outside > ATOL).to(outside)
        parts.append(((beyond if count else outside * beyond) * factor).sum(2))
    return torch.cat(parts, 1)
