"""Faults of the sensor: exposure that flickers, bands of a rolling shutter under lamps, rows that are dead."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepwright.corruptions.engine import Context, Perturbation


def exposure_flicker(x: Tensor, depth: float, context: Context) -> Tensor:
    """x (1 + depth sin(2 pi (f t + u))): the exposure swings, in each film at a rate of its own (f of .05 to .45)."""
    u = context.streams.uniform(2)
    swing = torch.sin(2 * math.pi * (u[:, 0] + (0.05 + 0.4 * u[:, 1]) * context.time))
    return x * (1 + depth * swing)[:, None, None, None]


def banding(x: Tensor, depth: float, context: Context) -> Tensor:
    """x (1 + depth sin(2 pi (b y / H + f t + u))): two to six bands, since rows are read one after the other."""
    u = context.streams.uniform(3)
    rows = (torch.arange(x.shape[2], device=x.device) + 0.5) / x.shape[2]
    turn = (u[:, 0] + (0.02 + 0.1 * u[:, 1]) * context.time)[:, None] + (2 + 4 * u[:, 2])[:, None] * rows
    return x * (1 + depth * torch.sin(2 * math.pi * turn))[:, None, :, None]


def dead_rows(x: Tensor, share: float, context: Context) -> Tensor:
    """A share of the rows is black, one at least."""
    h = x.shape[2]
    dead = context.streams.uniform(h).argsort(1)[:, : max(1, round(share * h))]
    mask = torch.zeros(len(x), h, dtype=torch.bool, device=x.device).scatter_(1, dead, True)
    return x.masked_fill(mask[:, None, :, None], 0.0)


SENSOR = (
    Perturbation("exposure_flicker", "sensor", exposure_flicker, (0.1, 0.2, 0.35, 0.5, 0.7), identity=0, dynamic=True),
    Perturbation("banding", "sensor", banding, (0.05, 0.1, 0.2, 0.35, 0.5), identity=0, dynamic=True),
    Perturbation("dead_rows", "sensor", dead_rows, (0.01, 0.03, 0.06, 0.1, 0.2), between="nothing", sticks=True),
)
