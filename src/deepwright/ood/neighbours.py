"""How far the k-th nearest row of a bank is."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

PAIRS = 20_000_000  # that are compared at once, at most
_IN_CACHE = 1_500_000  # so many are fastest


def kth_distance(rows: Float[Tensor, "n d"], bank: Float[Tensor, "m d"], k: int) -> Float[Tensor, " n"]:
    """Euclidean distance of each row to its k-th nearest in the bank; to its farthest where there are fewer than k.

    Which row is the nearest is found by one matrix product, |a - b|^2 = |a|^2 - 2 (a'b - |b|^2 / 2), about the bank's
    middle; how far it is, by the difference itself, in which small distances aren't lost.

    Args:
        rows: to judge.
        bank: what they are compared with.
        k: which neighbour, from 1.
    """
    middle = bank.mean(0)
    about = bank - middle
    near = torch.addmm(-about.square().sum(1)[None] / 2, rows - middle, about.T)
    nearest = near.topk(min(k, len(bank)), dim=1).indices[:, -1]
    return (rows - bank[nearest]).norm(dim=1)


def rows_at_once(bank: Tensor) -> int:
    """How many rows are compared with a bank at once, so that memory stays within bounds.

    Args:
        bank: as above.
    """
    m = max(1, len(bank))
    return max(1, min(PAIRS // m, max(64, _IN_CACHE // m)))
