"""Series measured in deviations of each channel, so that a budget means the same on all of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from deepwright.checks.subjects.columns import FromDeviations
from deepwright.checks.subjects.subject import PARTS, Subject
from deepwright.core.devices import dtype_of
from deepwright.core.rows import moved, pieces
from deepwright.data import Split, to_float


def channel_scale(split: Split) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel over all samples and times; 1 where a channel never moves.

    Args:
        split: series (N, T, C), or (N, T) of one channel.
    """
    n, total = 0, torch.zeros(())
    for x in _steps(split):
        n, total = n + len(x), total + x.sum(0)
    center = total / n
    squares = sum(((x - center).square().sum(0) for x in _steps(split)), torch.zeros(()))
    scale = (squares / max(1, n - 1)).sqrt()
    return center, torch.where(scale > 1e-7 * center.abs(), scale, 1.0)


def _steps(split: Split) -> Iterator[Tensor]:
    """(samples x times, channels) in float64, some samples at a time."""
    for piece in pieces(split.x):
        x = to_float(piece).double()
        yield x.reshape(-1, x.shape[-1] if x.ndim == 3 else 1)


def series_in_deviations(subject: Subject) -> Subject:
    """The same network, data and baseline, with series in deviations of each channel (of the training samples).

    Targets stay in their own unit: the way back is inside the network and its baseline.

    Args:
        subject: with series.
    """
    data = subject.data
    center, scale = channel_scale(data.train if len(data.train) else data.test)
    dtype = torch.float64 if dtype_of(subject.model) == torch.float64 else torch.float32
    center, scale = center.to(dtype), scale.to(dtype)
    subject.outputs()  # the same numbers for both, once

    def standard(x: Tensor) -> Tensor:
        x = to_float(x)
        return ((x - center) / scale).to(x.dtype)

    def way_back(model: Any) -> Any:
        return FromDeviations(model, center, scale, torch.zeros_like(center, dtype=torch.bool))

    found = copy.copy(subject)
    splits = {part: getattr(data, part) for part in PARTS}
    parts: dict[str, Any] = {part: replace(split, x=moved(split.x, standard)) for part, split in splits.items()}
    found.data = replace(data, center=center, scale=scale, **parts)
    found.model = way_back(subject.model)
    found.__dict__["baseline"] = None if subject.baseline is None else way_back(subject.baseline).eval()
    return found
