"""Where one curve overtakes another."""

from __future__ import annotations

import math

import numpy as np


def upward_crossings(sizes: np.ndarray, lead: np.ndarray) -> list[float]:
    """Where a lead rises above 0, on straight lines in log N.

    Args:
        sizes: (sizes,) rising.
        lead: (sizes,) of one over the other.
    """
    found = []
    for i in np.flatnonzero((lead[:-1] <= 0) & (lead[1:] > 0)):
        share = -lead[i] / (lead[i + 1] - lead[i])
        a, b = math.log(max(sizes[i], 1e-9)), math.log(sizes[i + 1])
        found.append(math.exp(a + share * (b - a)))
    return found


def last_crossing(sizes: np.ndarray, lead: np.ndarray) -> float:
    """The last of them; infinite where there is no lead in the end, 0 where there is one throughout.

    Args:
        sizes: (sizes,) rising.
        lead: (sizes,) of one over the other.
    """
    if lead[-1] <= 0:
        return math.inf
    crossings = upward_crossings(sizes, lead)
    return crossings[-1] if crossings else 0.0
