"""Which pixels a map points at: those above a threshold, or an exact share of them."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import unknown_name
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_within

REGIONS = ("high", "top_n", "bottom_n", "random_n")


def region_of(
    maps: Float[Tensor, "n h w"], region: str, share: float, streams: Streams, threshold: float = 0.5
) -> Bool[Tensor, "n h w"]:
    """The pixels of a region, for each map.

    Pixels of equal saliency are taken in a random order, never in that of the picture: maps behind a ReLU are 0 nearly
    everywhere, and the share would be filled with the sky.

    Args:
        maps: saliency in [0, 1].
        region: "high" for saliency above the threshold; "top_n", "bottom_n" and "random_n" for exactly
            round(share h w) pixels, of the largest, the smallest, or any saliency.
        share: of the pixels.
        streams: one a map, for ties and for what is random.
        threshold: of "high".

    Raises:
        InputError: an unknown region; a share or threshold outside [0, 1].
    """
    if region not in REGIONS:
        raise unknown_name("region", region, REGIONS)
    require_within(0, 1, share=share, threshold=threshold)
    if region == "high":
        return maps > threshold
    n, h, w = maps.shape
    order = streams.uniform(h * w).argsort(1)
    if region != "random_n":
        shuffled = maps.flatten(1).gather(1, order)
        ranked = shuffled.argsort(dim=1, descending=region == "top_n", stable=True)
        order = order.gather(1, ranked)
    chosen = torch.zeros(n, h * w, dtype=torch.bool, device=maps.device)
    return chosen.scatter_(1, order[:, : round(share * h * w)], True).view(n, h, w)
