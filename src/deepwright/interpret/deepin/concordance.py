"""Harrell's concordance of risks with times of events."""

from __future__ import annotations

import numpy as np

_PAIRS = 4_000_000  # looked at together


def concordance(risk: np.ndarray, time: np.ndarray, event: np.ndarray) -> float:
    """Of comparable pairs, the share in which the larger risk has its event first; equal risks count half.

    Args:
        risk: (n,).
        time: (n,).
        event: (n,) whether it was seen.

    Returns:
        In [0, 1]; NaN where no pair is comparable.
    """
    n, right, pairs = len(risk), 0.0, 0
    first = np.flatnonzero(event)
    step = max(1, _PAIRS // max(1, n))
    for start in range(0, len(first), step):
        rows = first[start : start + step, None]
        later = (time[rows] < time) | ((time[rows] == time) & (event == 0))
        right += float(((risk[rows] > risk) + 0.5 * (risk[rows] == risk))[later].sum())
        pairs += int(later.sum())
    return right / pairs if pairs else float("nan")
