"""Milliseconds of small pieces of work, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

MEDIAN = "CPU time on one thread, median of repeats that take turns"  # what `median_ms` gives, as a claim's basis


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes on one thread in this block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def median_ms(ways: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median CPU milliseconds of each way on one thread; they take turns, and first calls don't count.

    Args:
        ways: by name, a function without arguments.
        repeats: how often each is measured.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    with one_thread():
        for _ in range(repeats + 1):
            for name, way in ways.items():
                begin = time.process_time()
                way()
                times[name].append(1e3 * (time.process_time() - begin))
    return {name: sorted(found[1:])[repeats // 2] for name, found in times.items()}
