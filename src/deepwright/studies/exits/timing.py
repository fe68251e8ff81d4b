"""What a batch with exits takes on the clock against the static network, and under which load."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepwright.compress import AdaptiveModel, head_logits
from deepwright.data import Scenes, make_scenes
from deepwright.studies._clock import one_thread

BATCHES = {"64, none leave": (64, 0), "64, 26 leave": (64, 26), "64, 51 leave": (64, 51), "64, all leave": (64, 64)} | {
    "1, it leaves": (1, 1),
    "1, it stays": (1, 0),
}


def batch_times(model: AdaptiveModel, seed: int, repeats: int) -> dict[str, dict[str, float]]:
    """By batch, the time of the network with one exit over the static one's: of the CPU, and by the clock.

    Frames of which half are empty (more where more are to leave), threshold between the last that leaves and the first
    that stays.

    Args:
        model: with one exit.
        seed: of the frames.
        repeats: of each, taking turns; first calls don't count.
    """
    found = {}
    for name, (size, leaving) in BATCHES.items():
        frames = make_scenes(size, empty=max(0.5, leaving / size), seed=1000 * seed + 6)
        exits, static = _calls(model, frames, _threshold(model, frames, leaving))
        with one_thread():
            pairs = [(_seconds(exits), _seconds(static)) for _ in range(repeats + 1)][1:]
        (cpu, clock), (static_cpu, static_clock) = (_medians([pair[i] for pair in pairs]) for i in (0, 1))
        found[name] = {"cpu": cpu / static_cpu, "clock": clock / static_clock, "static ms": 1e3 * static_cpu}
    return found


def load() -> float:
    """How many processes wanted a core in the last minute, for each core."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def _seconds(call: Callable[[], Any]) -> tuple[float, float]:
    begin = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - begin[0], time.perf_counter() - begin[1]


def _medians(times: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)


def _threshold(model: AdaptiveModel, frames: Scenes, leaving: int) -> float:
    ready = (-head_logits(model, [frames.images])[model.cuts[0]][:, 0]).sort(descending=True).values
    ends: Tensor = torch.cat([ready[:1] + 1, ready, ready[-1:] - 1])
    return float((ends[leaving] + ends[leaving + 1]) / 2)


def _calls(model: AdaptiveModel, frames: Scenes, threshold: float) -> tuple[Callable[[], Any], Callable[[], Any]]:
    raw: Any = model.model

    def static() -> None:
        with torch.no_grad():
            raw.postprocess(raw(frames.images))

    return lambda: model(frames.images, thresholds=[threshold]), static
