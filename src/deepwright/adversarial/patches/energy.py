"""How much may be taken away, and exactly that much: projections, greedy filling and rounding under a budget a row.

K = {u : 0 <= u <= cap, sum u = budget}, one such set a row. Rows are summed in float64; nothing loops over rows.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_HALVINGS = 60


def projected(
    q: Float[Tensor, "k m"], cap: Float[Tensor, "k m"], budget: Float[Tensor, " k"], *, at_most: bool = False
) -> Float[Tensor, "k m"]:
    """The nearest point of K: clip(q + nu, 0, cap), whose nu is found by halving, for all rows at once.

    Args:
        q: any numbers.
        cap: 0 or more; 0 where there is nothing to take.
        budget: of each row, no more than its caps hold.
        at_most: let the sum stay below the budget (nu <= 0).
    """
    wide, limit = q.double(), cap.double()
    there = limit > 0
    low = -torch.where(there, wide, -torch.inf).amax(1).clamp_min(-1e30)
    high = torch.where(there, limit - wide, -torch.inf).amax(1).clamp_min(-1e30)
    if at_most:
        high = high.clamp_max(0.0).maximum(low)
    goal = budget.double()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        over = (wide + middle[:, None]).clamp_min(0).minimum(limit).sum(1) > goal
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    if at_most:
        inside = wide.clamp_min(0).minimum(limit).sum(1) <= goal
        low, high = torch.where(inside, 0.0, low), torch.where(inside, 0.0, high)
    nu = ((low + high) / 2)[:, None]
    return torch.where(there, (wide + nu).clamp_min(0).minimum(limit), 0.0).to(q.dtype).minimum(cap)


def filled(score: Float[Tensor, "k m"], cap: Float[Tensor, "k m"], budget: Float[Tensor, " k"]) -> Float[Tensor, "k m"]:
    """The point of K that maximises sum score * u: caps from the highest score on, the last one in part.

    Equal scores are taken in the order in which they stand.

    Args:
        score: any finite numbers.
        cap: as for `projected`.
        budget: as for `projected`.
    """
    order = torch.where(cap > 0, score, -torch.inf).argsort(dim=1, descending=True, stable=True)
    sorted_cap = cap.gather(1, order).double()
    before = sorted_cap.cumsum(1) - sorted_cap
    taken = (budget.double()[:, None] - before).clamp_min(0).minimum(sorted_cap)
    return torch.zeros_like(cap).scatter(1, order, taken.to(cap.dtype))


def rounded_down(
    taken: Float[Tensor, "k m"], valid: Bool[Tensor, "k m"], budget: Float[Tensor, " k"]
) -> Float[Tensor, "k m"]:
    """Whole numbers near `taken` whose sum is the whole part of the budget: the largest remainders are rounded up.

    Args:
        taken: 0 or more, below whole caps.
        valid: where they may be.
        budget: of each row; sum of `taken`.
    """
    exact = taken.double()
    floor = (exact + 1e-6).floor()
    rest = (exact - floor).clamp_min(0)
    missing = ((budget.double() + 1e-6).floor() - floor.sum(1)).clamp_min(0)
    open_ = valid & (rest > 1e-6)
    rank = torch.where(open_, rest, -1.0).argsort(dim=1, descending=True, stable=True).argsort(dim=1, stable=True)
    return (floor + (open_ & (rank < missing[:, None]))).to(taken.dtype)
