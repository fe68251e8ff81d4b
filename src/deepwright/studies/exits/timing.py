"""What a batch with exits takes on the clock, and the MACs of its paths."""

from __future__ import annotations

from typing import Any

import torch

from deepwright.compress import attach_exits, head_logits, path_macs
from deepwright.core.randomness import local_rng
from deepwright.core.timing import median_seconds
from deepwright.data import make_scenes
from deepwright.nets import small_ssd
from deepwright.studies.exits.trials import CUTS


def batched_time() -> float:
    """Time of a batch of 64 of which 51 leave at the first cut, over the static network's; alone, not beside trials."""
    frames = make_scenes(64, seed=3)
    with local_rng(0):
        model = attach_exits(small_ssd(), CUTS[:1], frames.images[:2]).eval()
    ordered = (-head_logits(model, [frames.images])[CUTS[0]][:, 0]).sort(descending=True).values
    threshold = float((ordered[50] + ordered[51]) / 2)
    raw: Any = model.model
    calls = {
        "adaptive": lambda: model(frames.images, thresholds=[threshold]),
        "static": lambda: raw.postprocess(raw(frames.images)),
    }
    with torch.no_grad():
        times = median_seconds(calls, 15)
    return times["adaptive"] / times["static"]


def paths() -> tuple[int, ...]:
    """MACs of a frame by where it leaves, the whole network last."""
    return path_macs(attach_exits(small_ssd(), CUTS, torch.zeros(2, 1, 48, 64)))
