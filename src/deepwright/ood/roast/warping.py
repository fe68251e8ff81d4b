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
    rows = [torch.as_tensor(s).double() for s in series]
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
    """(P,) distances of pairs."""
    a, b = padded[first], padded[second].flip(1)  # so that a diagonal of b is a slice
    long, n, m = padded.shape[1], lengths[first], lengths[second]
    reach = long if band is None else max(band, int((n - m).abs().max()))
    own = torch.full_like(n, long) if band is None else (n - m).abs().clamp_min(band)
    own, ends = own.to(a.device), (n + m - 2).to(a.device)
    infinite = a.new_full((len(a), long + 1), torch.inf)  # place i + 1 holds row i; place 0 is outside
    before, last, result = infinite.clone(), infinite.clone(), a.new_zeros(len(a))
    for k in range(int(ends.max()) + 1):
        low = max(0, k - long + 1, -(-(k - reach) // 2))
        high = min(long - 1, k, (k + reach) // 2)
        here = infinite.clone()
        if low <= high:
            i = torch.arange(low, high + 1, device=a.device)
            gap = a[:, low : high + 1] - b[:, long - 1 - k + low : long - k + high]
            least = torch.minimum(last[:, low : high + 1], last[:, low + 1 : high + 2])
            least = torch.minimum(least, before[:, low : high + 1])
            least = torch.zeros_like(least) if k == 0 else least
            cost = gap.square() + least
            here[:, low + 1 : high + 2] = cost.masked_fill((2 * i - k).abs() > own[:, None], torch.inf)
        done = ends == k
        at = (n.to(a.device) - 1 + 1).clamp(max=long)
        result = torch.where(done, here.gather(1, at[:, None])[:, 0], result)
        before, last = last, here
    return result.sqrt()
