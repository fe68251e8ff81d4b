"""Streams: time warping beside tslearn and dtaidistance, nearest windows beside scikit-learn and pyod.

    python benchmarks/run.py streams

Run by an interpreter that has the peers beside this package; what is missing is said. CPU seconds of one thread, ours
and the peer's in turn, the least of several; results are compared before anything is timed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from graph_speed import Row, in_turn, row

from deepwright.ood import KNNDetector, dtw

_SERIES, _LENGTH, _BAND = 40, 200, 20
_TRAINED, _SCORED, _K = 5000, 2000, 7


def warping() -> list[Row]:
    """All pairs of some series, with and without a band."""
    draws = torch.Generator().manual_seed(0)
    series = torch.randn(_SERIES, _LENGTH, generator=draws, dtype=torch.float64).cumsum(1)
    rows = []
    for band in (None, _BAND):
        what = f"DTW of all pairs of {_SERIES} series of {_LENGTH}, {'no band' if band is None else f'band {band}'}"
        for name, peer in _warpers(series.numpy(), band).items():
            np.testing.assert_allclose(dtw(series, band).numpy(), peer(), rtol=1e-9, atol=1e-9)
            rows.append(row(what, name, in_turn(lambda b=band: dtw(series, b), peer, 3), "same numbers"))
    return rows


def _warpers(series: np.ndarray, band: int | None) -> dict[str, Callable[[], Any]]:
    found: dict[str, Callable[[], Any]] = {}
    if _there("dtaidistance"):
        from dtaidistance import dtw as theirs

        window = None if band is None else band + 1  # below which |i - j| stays
        found["dtaidistance (C)"] = lambda: theirs.distance_matrix_fast(series, window=window, parallel=False)
    if _there("tslearn"):
        from tslearn.metrics import cdist_dtw

        radius = {} if band is None else {"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": band}
        found["tslearn (numba)"] = lambda: cdist_dtw(series[..., None], n_jobs=1, **radius)
    return found


def neighbours() -> list[Row]:
    """Scores of windows by their distance to the seventh nearest of others."""
    draws = torch.Generator().manual_seed(0)
    train = torch.randn(_TRAINED, 12, 4, generator=draws)
    x = torch.randn(_SCORED, 12, 4, generator=draws)
    ours = KNNDetector(_K).fit(train)
    flat, asked = train.flatten(1).numpy(), x.flatten(1).numpy()
    rows = []
    for name, peer in _finders(flat, asked).items():
        np.testing.assert_allclose(ours.score(x).numpy(), peer(), rtol=1e-4)
        what = f"{_K}th nearest of {_TRAINED} windows of 12 x 4, {_SCORED} scored"
        rows.append(row(what, name, in_turn(lambda: ours.score(x), peer, 5), "same numbers"))
    return rows


def _finders(flat: np.ndarray, asked: np.ndarray) -> dict[str, Callable[[], Any]]:
    from sklearn.neighbors import NearestNeighbors

    found: dict[str, Callable[[], Any]] = {}
    for algorithm in ("brute", "auto"):
        made = NearestNeighbors(n_neighbors=_K, algorithm=algorithm).fit(flat)
        found[f"scikit-learn ({algorithm})"] = lambda made=made: made.kneighbors(asked)[0][:, -1]
    if _there("pyod"):
        from pyod.models.knn import KNN

        detector = KNN(n_neighbors=_K).fit(flat)
        found["pyod"] = lambda: detector.decision_function(asked)
    return found


def _there(package: str) -> bool:
    found = importlib.util.find_spec(package) is not None
    if not found:
        print(f"{package} isn't there")
    return found


def run() -> list[Row]:
    """All parts, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [*warping(), *neighbours()]
    finally:
        torch.set_num_threads(threads)
