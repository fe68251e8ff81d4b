"""Boxes around a class's activations, and how far others are outside them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

# Exceedances below this many deviations are rounding: re-extraction at another batch size moves activations by 1e-6.
ATOL = 1e-5


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


def box_values(
    phi: Float[Tensor, "n m"],
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

    Samples go in blocks that stay in the cache; there is never an (N, boxes, M) tensor.

    Args:
        phi: (N, M) variables.
        low: (boxes, M) lower sides, in deviations.
        high: (boxes, M) upper sides, in deviations.
        scale: (M,) deviations.
        factors: (boxes, M) what a unit of exceedance counts.
        owner: the class of each box.
        needed: (N, classes) which classes' boxes each sample is compared with.
        count: 1 for each variable outside, instead of how far it is outside.
    """
    all_needed = bool(needed.all())
    out = torch.zeros(len(phi), len(owner), device=phi.device)
    block = max(16, 65536 // phi.shape[1]) if phi.device.type == "cpu" else 4096
    for start in range(0, len(phi), block):
        z = phi[start : start + block] / scale
        for b, k in enumerate(owner):
            rows = None if all_needed else needed[start : start + block, k].nonzero().flatten()
            if rows is not None and len(rows) == 0:
                continue
            part = z if rows is None or len(rows) == len(z) else z[rows]
            outside = part.clamp(low[b], high[b]).sub_(part).abs_()
            value = ((outside > ATOL).float() if count else F.threshold(outside, ATOL, 0.0)) @ factors[b]
            if part is z or rows is None:
                out[start : start + block, b] = value
            else:
                out[start + rows, b] = value
    return out
