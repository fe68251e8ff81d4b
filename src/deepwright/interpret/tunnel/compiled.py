"""The loop of the union-find, compiled by numba where it is installed; plain Python gives the same numbers.

Only `components.py` imports this file, when it is first needed: numba takes a third of a second to import.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

try:
    import numba
except ImportError:
    numba = None  # type: ignore[assignment]


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    return numba.njit(cache=True, nogil=True)(inspect.unwrap(function)) if numba is not None else function


@_compile
def merge(values: Any, order: Any, starts: Any, neighbours: Any, border: Any) -> Any:
    """Vertices in ascending order join the valleys beside them; of two that meet the higher one ends.

    Args:
        values: of each vertex.
        order: vertices by value.
        starts: where each vertex's neighbours begin.
        neighbours: vertices.
        border: which vertices lie on it.
    """
    count = len(values)
    parent = np.full(count, -1, np.int64)
    low = np.empty(count, np.int64)  # by root, the valley's bottom
    open_ = np.zeros(count, np.bool_)  # by root, whether it touches the border
    best, bottom, level = 0.0, -1, np.nan
    for place in range(count):
        v = order[place]
        parent[v] = v
        low[v] = v
        open_[v] = border[v]
        for k in range(starts[v], starts[v + 1]):
            u = neighbours[k]
            if parent[u] < 0:
                continue
            while parent[u] != u:
                parent[u] = parent[parent[u]]
                u = parent[u]
            w = v
            while parent[w] != w:
                parent[w] = parent[parent[w]]
                w = parent[w]
            if u == w:
                continue
            if open_[u] and open_[w]:
                parent[w] = u
                continue
            if open_[w] or (not open_[u] and values[low[w]] <= values[low[u]]):
                keep, end = w, u
            else:
                keep, end = u, w
            climb = values[v] - values[low[end]]
            if climb > best:
                best, bottom, level = climb, low[end], values[v]
            parent[end] = keep
    return best, bottom, level
