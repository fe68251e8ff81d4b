"""Sublevel sets of a function on a graph: what each valley must climb to leave, by union-find; numba where it is."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

NONE = -1


def barriers(values: Any, starts: Any, neighbours: Any, border: Any) -> tuple[float, int, float]:
    """The largest finite persistence of a function's valleys, those that touch the border counted as infinite.

    Args:
        values: (N,) of each vertex.
        starts: (N + 1,) where each vertex's neighbours begin.
        neighbours: vertices, of both directions.
        border: (N,) which vertices lie on it.

    Returns:
        the persistence, the vertex at the valley's bottom (-1 where every valley touches the border), and the level at
        which it is left.
    """
    order = np.argsort(values, kind="stable")
    best, bottom, level = _loop()(
        np.ascontiguousarray(values, np.float64),
        order.astype(np.int64),
        np.ascontiguousarray(starts, np.int64),
        np.ascontiguousarray(neighbours, np.int64),
        np.ascontiguousarray(border, np.bool_),
    )
    return float(best), int(bottom), float(level)


def _loop() -> Any:
    return importlib.import_module("deepwright.interpret.tunnel.compiled").merge
