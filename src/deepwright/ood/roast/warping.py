"""Dynamic time warping of all pairs at once, diagonal by diagonal within a band.

Source: H. Sakoe and S. Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole


def dtw(series: Sequence[Tensor] | Tensor, band: int | None = None) -> Float[Tensor, "n n"]:
    """sqrt of the least sum of squared differences along a warping path, for each pair of series.

    d[i, j] = (a_i - b_j)^2 + min(d[i-1, j], d[i, j-1], d[i-1, j-1]) for |i - j| <= band; all pairs move along one
    diagonal i + j = k at a time, so that time is linear in length times band, and memory holds three diagonals.

    Args:
        series: (E, T), or E series of their own lengths.
        band: how far the path may stray from i = j; at least the difference of two lengths; None for no bound.

    Raises:
        InputError: no series, an empty one, more than one number a step, values that aren't finite.
    """
    rows = [torch.as_tensor(s).detach().double() for s in series]
    if not rows or any(s.ndim != 1 or not len(s) for s in rows):
        raise InputError("series", given=[tuple(s.shape) for s in rows], expected="rows of at least one number")
    if not all(bool(torch.isfinite(s).all()) for s in rows):
        raise InputError("series", given="missing or infinite values", expected="finite numbers")
    if band is not None:
        require_whole(0, band=band)
    first, second = torch.triu_indices(len(rows), len(rows), 1)
    found = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows[0].device)
    if len(first):
        lengths = torch.tensor([len(s) for s in rows])
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        distance = _pairs(padded, lengths, first, second, band)
        found[first, second] = found[second, first] = distance
    return found


def _pairs(padded: Tensor, lengths: Tensor, first: Tensor, second: Tensor, band: int | None) -> Tensor:
    """(P,) distances of pairs; steps are rows and pairs columns, so that what a diagonal reads lies together."""
    n, m, long = lengths[first], lengths[second], padded.shape[1]
    a, b = padded.T[:, first].contiguous(), padded.T.flip(0)[:, second].contiguous()  # a diagonal of b is a slice
    own = torch.full_like(n, long) if band is None else (n - m).abs().clamp_min(band)
    reach, uneven = int(own.max()), bool((own != own.max()).any())
    own, ends = own.to(a.device), n + m - 2
    last_of, rows = set(ends.tolist()), n.to(a.device)[None]
    ends, result = ends.to(a.device), a.new_zeros(len(first))
    # place i + 1 holds row i; one place on either side of what a diagonal fills is infinite, and no other is read
    before, last, here = (a.new_full((long + 2, len(first)), torch.inf) for _ in range(3))
    for k in range(max(last_of) + 1):
        low, high = max(0, k - long + 1, -(-(k - reach) // 2)), min(long - 1, k, (k + reach) // 2)
        cost = here[low + 1 : high + 2]
        here[low], here[high + 2 if low <= high else low + 1] = torch.inf, torch.inf
        if low <= high:
            gap = a[low : high + 1] - b[long - 1 - k + low : long - k + high]
            torch.minimum(last[low : high + 1], last[low + 1 : high + 2], out=cost)
            torch.minimum(cost, before[low : high + 1], out=cost)
            if k == 0:
                cost.zero_()
            cost.addcmul_(gap, gap)
            if uneven:
                i = torch.arange(low, high + 1, device=a.device)
                cost.masked_fill_((2 * i - k).abs()[:, None] > own, torch.inf)
        if k in last_of:
            result = torch.where(ends == k, here.gather(0, rows)[0], result)
        before, last, here = last, here, before
    return result.sqrt()
